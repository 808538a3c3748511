/* SPDX-License-Identifier: Apache-2.0 */
/* test-ring: the output ring: honest, concurrent, and hostile writers (specs/link.md 4). */
#include "tests/unit/test.h"

#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "protocol/link/ring.h"

static struct ring_shared *shared;
static struct ring_writer writer;
static struct ring_reader reader;

static int make_ring(void **state)
{
	(void)state;
	shared = mmap(NULL, RING_SHARED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return -1;
	ring_writer_init(&writer, shared);
	ring_reader_init(&reader, shared);
	return 0;
}

static int free_ring(void **state)
{
	(void)state;
	return munmap(shared, RING_SHARED_SIZE);
}

static size_t write_text(uint32_t turn, uint32_t stream, const char *text)
{
	bool due;

	return ring_write(&writer, turn, stream, text, strlen(text), &due);
}

static void expect(uint64_t limit, const char *text, uint32_t turn, uint32_t stream)
{
	struct slice piece;
	uint32_t got_turn, got_stream;

	assert_true(ring_peek(&reader, limit, &piece, &got_turn, &got_stream));
	assert_slice_is(piece, text);
	assert_int_equal(got_turn, turn);
	assert_int_equal(got_stream, stream);
	ring_consume(&reader, piece.len);
}

static void expect_nothing(uint64_t limit)
{
	struct slice piece;
	uint32_t turn, stream;

	assert_false(ring_peek(&reader, limit, &piece, &turn, &stream));
}

static void test_text_comes_out_with_its_turn_and_stream(void **state)
{
	(void)state;
	assert_int_equal(atomic_load(&shared->magic), RING_MAGIC);
	expect_nothing(UINT64_MAX);
	assert_int_equal(write_text(1, RING_STDOUT, "a"), 1);
	assert_int_equal(write_text(1, RING_STDOUT, "b"), 1);
	assert_int_equal(write_text(1, RING_STDERR, "c"), 1);
	assert_int_equal(write_text(2, RING_STDERR, "d"), 1);
	assert_int_equal(write_text(1, RING_STDOUT, "e"), 1);
	assert_true(ring_readable(&reader, UINT64_MAX) == 5);
	expect(UINT64_MAX, "ab", 1, RING_STDOUT);
	expect(UINT64_MAX, "c", 1, RING_STDERR);
	expect(UINT64_MAX, "d", 2, RING_STDERR);
	expect(UINT64_MAX, "e", 1, RING_STDOUT);
	expect_nothing(UINT64_MAX);
	/* the mark in force goes on */
	assert_int_equal(write_text(1, RING_STDOUT, "f"), 1);
	expect(UINT64_MAX, "f", 1, RING_STDOUT);
	assert_int_equal(reader.n_violations, 0);
}

static void test_nothing_at_or_above_the_limit_is_given(void **state)
{
	(void)state;
	(void)write_text(1, RING_STDOUT, "0123456789");
	(void)write_text(2, RING_STDOUT, "abc");
	expect_nothing(0);
	assert_true(ring_readable(&reader, 4) == 4);
	expect(4, "0123", 1, RING_STDOUT);
	expect_nothing(4);
	expect_nothing(3);
	assert_true(ring_readable(&reader, 1000) == 9);
	expect(12, "456789", 1, RING_STDOUT);
	expect(12, "ab", 2, RING_STDOUT);
	expect_nothing(12);
	expect(13, "c", 2, RING_STDOUT);
}

static void test_a_piece_may_be_consumed_in_parts(void **state)
{
	struct slice piece;
	uint32_t turn, stream;

	(void)state;
	(void)write_text(7, RING_STDERR, "hello");
	(void)write_text(8, RING_STDOUT, "x");
	assert_true(ring_peek(&reader, UINT64_MAX, &piece, &turn, &stream));
	ring_consume(&reader, 2);
	assert_true(atomic_load(&shared->tail) == 2);
	expect(UINT64_MAX, "llo", 7, RING_STDERR);
	expect(UINT64_MAX, "x", 8, RING_STDOUT);
}

static void test_text_wraps_around_the_end(void **state)
{
	static char big[RING_DATA_SIZE - 3];
	struct slice piece;
	uint32_t turn, stream;
	bool due;

	(void)state;
	assert_int_equal(ring_write(&writer, 1, 0, big, sizeof(big), &due), sizeof(big));
	assert_true(ring_peek(&reader, UINT64_MAX, &piece, &turn, &stream));
	ring_consume(&reader, piece.len);
	assert_int_equal(write_text(1, RING_STDOUT, "abcdef"), 6);
	expect(UINT64_MAX, "abc", 1, RING_STDOUT); /* one contiguous piece at a time */
	expect(UINT64_MAX, "def", 1, RING_STDOUT);
}

static void test_a_full_ring_takes_what_fits_and_says_so(void **state)
{
	static char big[RING_DATA_SIZE + 100];
	bool due = false;

	(void)state;
	assert_int_equal(ring_write(&writer, 1, 0, big, sizeof(big), &due), RING_DATA_SIZE);
	assert_true(due); /* or nobody would ever empty it */
	assert_int_equal(ring_write(&writer, 1, 0, big, 1, &due), 0);
	assert_true(due);
	assert_int_equal(ring_write(&writer, 1, 0, big, 0, &due), 0);
	assert_false(due);
	reader.n_violations = 0;
	assert_true(ring_readable(&reader, UINT64_MAX) == RING_DATA_SIZE);
	ring_consume(&reader, 10);
	assert_int_equal(ring_write(&writer, 1, 0, big, 100, &due), 10);
	assert_int_equal(reader.n_violations, 0);
}

static void test_marks_may_be_full_while_bytes_are_not(void **state)
{
	char expected[2] = "";

	(void)state;
	for (unsigned i = 0; i < RING_N_MARKS; i++)
		assert_int_equal(write_text(i + 1, RING_STDOUT, (char[]){ (char)('a' + i % 26), 0 }), 1);
	assert_int_equal(write_text(9999, RING_STDOUT, "z"), 0);
	assert_int_equal(write_text(RING_N_MARKS, RING_STDOUT, "same mark"), 9);
	for (unsigned i = 0; i + 1 < RING_N_MARKS; i++) {
		expected[0] = (char)('a' + i % 26);
		expect(UINT64_MAX, expected, i + 1, RING_STDOUT);
	}
	assert_int_equal(write_text(9999, RING_STDERR, "z"), 1);
	assert_int_equal(reader.n_violations, 0);
}

static void test_the_doorbell_rings_once_when_the_mark_is_reached(void **state)
{
	bool due;

	(void)state;
	ring_set_wake(&reader, UINT64_MAX);
	(void)ring_write(&writer, 1, 0, "abc", 3, &due);
	assert_false(due);
	ring_set_wake(&reader, 5); /* at position 5 */
	(void)ring_write(&writer, 1, 0, "d", 1, &due);
	assert_false(due);
	(void)ring_write(&writer, 1, 0, "e", 1, &due);
	assert_true(due);
	(void)ring_write(&writer, 1, 0, "f", 1, &due);
	assert_false(due);
	expect(UINT64_MAX, "abcdef", 1, RING_STDOUT);
	ring_set_wake(&reader, 1); /* the first byte rings */
	(void)ring_write(&writer, 1, 0, "gh", 2, &due);
	assert_true(due);
	ring_set_wake(&reader, UINT64_MAX - 2); /* saturates, does not wrap */
	assert_true(atomic_load(&shared->wake_at) == UINT64_MAX);
}

static void test_both_sides_go_on_from_the_shared_indices(void **state)
{
	(void)state;
	(void)write_text(3, RING_STDOUT, "before");
	ring_writer_init(&writer, shared); /* a forked writer */
	(void)write_text(3, RING_STDOUT, "after");
	expect(UINT64_MAX, "before", 3, RING_STDOUT);
	expect(UINT64_MAX, "after", 3, RING_STDOUT);
	assert_int_equal(reader.n_violations, 0);
}

/* -- a writer that lies -- */

static void test_a_head_that_runs_ahead_is_clamped(void **state)
{
	(void)state;
	(void)write_text(1, RING_STDOUT, "abc");
	atomic_store(&shared->head, RING_DATA_SIZE + 1);
	assert_true(ring_readable(&reader, UINT64_MAX) == RING_DATA_SIZE);
	assert_int_equal(reader.n_violations, 1);
	assert_true(ring_readable(&reader, 10) == 10);
}

static void test_a_head_that_goes_back_gives_nothing(void **state)
{
	(void)state;
	(void)write_text(1, RING_STDOUT, "abc");
	expect(UINT64_MAX, "abc", 1, RING_STDOUT);
	atomic_store(&shared->head, 1);
	assert_true(ring_readable(&reader, UINT64_MAX) == 0);
	expect_nothing(UINT64_MAX);
	assert_int_equal(reader.n_violations, 2);
}

static void test_marks_that_make_no_sense_are_passed_over(void **state)
{
	static const struct ring_mark lies[] = {
		{ RING_DATA_SIZE * 2ULL, 66, 0 }, /* beyond the ring */
		{ 0, 66, 2 },                     /* no such stream */
		{ UINT64_MAX, 66, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
		(void)write_text(i + 1, RING_STDOUT, "abc");
		shared->marks[i] = lies[i];
		expect(UINT64_MAX, "abc", 0, RING_STDOUT); /* what was in force before */
		assert_int_equal(reader.n_violations, i + 1);
	}
	(void)write_text(9, RING_STDERR, "x");
	expect(UINT64_MAX, "x", 9, RING_STDERR);
}

static void test_a_mark_behind_the_tail_is_a_violation(void **state)
{
	(void)state;
	(void)write_text(1, RING_STDOUT, "abc");
	expect(UINT64_MAX, "abc", 1, RING_STDOUT);
	(void)write_text(2, RING_STDOUT, "def");
	shared->marks[1].pos = 1;
	expect(UINT64_MAX, "def", 1, RING_STDOUT);
	assert_int_equal(reader.n_violations, 1);
}

static void test_too_many_marks_are_none(void **state)
{
	(void)state;
	(void)write_text(1, RING_STDOUT, "abc");
	atomic_store(&shared->mark_head, RING_N_MARKS + 1);
	expect(UINT64_MAX, "abc", 0, RING_STDOUT);
	assert_int_equal(reader.n_violations, 1);
	atomic_store(&shared->mark_head, UINT64_MAX);
	(void)write_text(1, RING_STDOUT, "def");
	expect(UINT64_MAX, "def", 0, RING_STDOUT);
	assert_int_equal(reader.n_violations, 2);
}

static void test_the_readers_own_words_are_not_read_back(void **state)
{
	(void)state;
	(void)write_text(1, RING_STDOUT, "abc");
	atomic_store(&shared->tail, 1000);
	atomic_store(&shared->mark_tail, 1000);
	expect(UINT64_MAX, "abc", 1, RING_STDOUT);
	assert_true(atomic_load(&shared->tail) == 3);
	assert_true(atomic_load(&shared->mark_tail) == 1);
	assert_int_equal(reader.n_violations, 0);
}

static atomic_bool stop;
static atomic_bool started;

static void *scribble(void *unused)
{
	_Atomic uint64_t *words = (_Atomic uint64_t *)(void *)shared;
	size_t n_words = offsetof(struct ring_shared, data) / 8;
	uint64_t seed = 99;

	(void)unused;
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		uint64_t value = test_random(&seed) >> test_random_below(&seed, 64);
		/* the worker's own words more often than marks and the reader's words */
		uint64_t at = test_random_below(&seed, test_random_below(&seed, 2) ? 4 : n_words);

		atomic_store_explicit(&words[at], value, memory_order_relaxed);
		atomic_store_explicit(&started, true, memory_order_relaxed);
	}
	return NULL;
}

static void test_a_reader_survives_whatever_is_scribbled_meanwhile(void **state)
{
	const unsigned char *data = shared->data;
	uint64_t n_pieces = 0, seed = 1;
	pthread_t thread;

	(void)state;
	atomic_store(&stop, false);
	atomic_store(&started, false);
	assert_int_equal(pthread_create(&thread, NULL, scribble, NULL), 0);
	while (!atomic_load(&started))
		(void)sched_yield();
	for (uint64_t i = 0; i < 300000 || n_pieces < 100 || reader.n_violations < 100; i++) {
		uint64_t limit = i % 3 ? UINT64_MAX : reader.tail + test_random_below(&seed, 1000);
		struct slice piece;
		uint32_t turn, stream;

		if (i % 1024 == 0)
			(void)sched_yield();
		if (!ring_peek(&reader, limit, &piece, &turn, &stream))
			continue;
		assert_row(i, piece.len > 0 && piece.len <= RING_DATA_SIZE && stream <= RING_STDERR);
		assert_row(i, (const unsigned char *)piece.data >= data);
		assert_row(i, (const unsigned char *)piece.data + piece.len <= data + RING_DATA_SIZE);
		ring_consume(&reader, (size_t)test_random_below(&seed, piece.len) + 1);
		n_pieces++;
	}
	atomic_store(&stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* -- two honest threads, with the wake-ups of specs/link.md 4.2 and 4.4 -- */

#define STRESS_BYTES ((uint64_t)64 << 20)
#define STRESS_SEED 4711

static int doorbell;

static long futex(_Atomic uint32_t *word, int op, uint32_t value)
{
	return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

/* Byte, turn and stream of a position: the reader must find exactly these. */
static char byte_at(uint64_t position)
{
	return (char)((position * 0x9e3779b97f4a7c15ULL) >> 56);
}

static void write_all(uint32_t turn, uint32_t stream, const char *text, size_t len)
{
	while (len > 0) {
		uint32_t seq = atomic_load(&shared->reader_seq);
		bool due;
		size_t n = ring_write(&writer, turn, stream, text, len, &due);

		if (n == 0) {
			atomic_store(&shared->writer_waits, 1);
			seq = atomic_load(&shared->reader_seq);
			n = ring_write(&writer, turn, stream, text, len, &due);
		}
		if (due)
			assert_int_equal(eventfd_write(doorbell, 1), 0);
		if (n == 0)
			(void)futex(&shared->reader_seq, FUTEX_WAIT, seq);
		atomic_store(&shared->writer_waits, 0);
		text += n;
		len -= n;
	}
}

static void *write_stress(void *unused)
{
	uint64_t seed = STRESS_SEED, position = 0;
	static char text[300000];

	(void)unused;
	while (position < STRESS_BYTES) {
		size_t len = 1 + (size_t)(test_random(&seed) % (test_random_below(&seed, 50) ? 300 : sizeof(text)));
		uint32_t turn = (uint32_t)(position >> 12), stream = (uint32_t)test_random_below(&seed, 2);

		for (size_t i = 0; i < len; i++)
			text[i] = byte_at(position + i);
		write_all(turn, stream, text, len);
		position += len;
	}
	return NULL;
}

/* The writer's sequence once more: which tag belongs to which range. */
struct expected {
	uint64_t seed;
	uint64_t end; /* of the range that turn and stream hold for */
	uint32_t turn;
	uint32_t stream;
};

static void advance(struct expected *e, uint64_t position)
{
	while (e->end <= position) {
		size_t len = 1 + (size_t)(test_random(&e->seed) % (test_random_below(&e->seed, 50) ? 300 : 300000));

		e->turn = (uint32_t)(e->end >> 12);
		e->stream = (uint32_t)test_random_below(&e->seed, 2);
		e->end += len;
	}
}

static void check_piece(struct expected *e, struct slice piece, uint32_t turn, uint32_t stream)
{
	for (size_t i = 0; i < piece.len; i++) {
		uint64_t position = reader.tail + i;

		advance(e, position);
		if (piece.data[i] != byte_at(position) || turn != e->turn || stream != e->stream)
			fail_msg("position %llu: wrong byte or tag", (unsigned long long)position);
	}
}

static void wait_for_doorbell(void)
{
	struct pollfd poll_fd = { doorbell, POLLIN, 0 };
	eventfd_t value;

	assert_int_equal(poll(&poll_fd, 1, 60000), 1); /* a lost wake-up would be an error, not a hang */
	assert_int_equal(eventfd_read(doorbell, &value), 0);
}

static void test_two_threads_agree_about_every_byte_and_lose_no_wake_up(void **state)
{
	struct expected e = { STRESS_SEED, 0, 0, 0 };
	pthread_t thread;

	(void)state;
	doorbell = eventfd(0, EFD_CLOEXEC);
	assert_true(doorbell >= 0);
	assert_int_equal(pthread_create(&thread, NULL, write_stress, NULL), 0);
	while (reader.tail < STRESS_BYTES) {
		struct slice piece;
		uint32_t turn, stream;

		if (!ring_peek(&reader, UINT64_MAX, &piece, &turn, &stream)) {
			uint64_t more = MIN(1 + reader.tail % 3000, STRESS_BYTES - reader.tail);

			ring_set_wake(&reader, more);
			if (ring_readable(&reader, UINT64_MAX) < more)
				wait_for_doorbell();
			continue;
		}
		check_piece(&e, piece, turn, stream);
		ring_consume(&reader, piece.len);
		if (ring_writer_waits(&reader))
			(void)futex(&shared->reader_seq, FUTEX_WAKE, 1);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(reader.n_violations, 0);
	assert_int_equal(close(doorbell), 0);
}

#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, make_ring, free_ring)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(test_text_comes_out_with_its_turn_and_stream),
		RING_TEST(test_nothing_at_or_above_the_limit_is_given),
		RING_TEST(test_a_piece_may_be_consumed_in_parts),
		RING_TEST(test_text_wraps_around_the_end),
		RING_TEST(test_a_full_ring_takes_what_fits_and_says_so),
		RING_TEST(test_marks_may_be_full_while_bytes_are_not),
		RING_TEST(test_the_doorbell_rings_once_when_the_mark_is_reached),
		RING_TEST(test_both_sides_go_on_from_the_shared_indices),
		RING_TEST(test_a_head_that_runs_ahead_is_clamped),
		RING_TEST(test_a_head_that_goes_back_gives_nothing),
		RING_TEST(test_marks_that_make_no_sense_are_passed_over),
		RING_TEST(test_a_mark_behind_the_tail_is_a_violation),
		RING_TEST(test_too_many_marks_are_none),
		RING_TEST(test_the_readers_own_words_are_not_read_back),
		RING_TEST(test_a_reader_survives_whatever_is_scribbled_meanwhile),
		RING_TEST(test_two_threads_agree_about_every_byte_and_lose_no_wake_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
