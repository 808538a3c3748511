/* SPDX-License-Identifier: Apache-2.0 */
/* test-output: ring and pipes to stream messages. The sender is a double that keeps what it was given. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <pthread.h>

#include "kernel/front/output.h"
#include "protocol/base/clock.h"
#include "protocol/wire/json.h"

/* ---- the double ---- */

struct sender {
	struct {
		char topic[32];
		char parent[32];
		struct buffer text; /* decoded */
	} messages[4096];
	size_t n;
	bool blocked;
	bool forgetful; /* the amount of text is of no interest */
	size_t largest;
};

static struct sender sender;

void sender_publish(struct sender *s, const char *topic, struct outgoing *out)
{
	struct slice content = buffer_slice(out->content), text;
	size_t i;

	assert_int_equal(out->content->failed, 0);
	assert_true(out->bulk && !out->only);
	if (s->forgetful) {
		buffer_reset(out->content);
		return;
	}
	i = s->n++;
	assert_true(i < ARRAY_SIZE(s->messages));
	assert_true(json_is_valid_object(content));
	assert_int_equal(json_member(content, "text", &text), JSON_STRING);
	assert_string_equal(out->msg_type, "stream");
	(void)snprintf(s->messages[i].topic, sizeof(s->messages[i].topic), "%s", topic);
	(void)snprintf(s->messages[i].parent, sizeof(s->messages[i].parent), "%.*s", (int)out->parent.len,
	    out->parent.data ? out->parent.data : "");
	s->messages[i].text = BUFFER_INIT(0);
	assert_int_equal(json_decode_string(text, &s->messages[i].text), 0);
	s->largest = MAX(s->largest, s->messages[i].text.len);
	buffer_reset(out->content);
}

bool sender_is_blocked(struct sender *s, uint64_t now_usec)
{
	(void)now_usec;
	return s->blocked;
}

/* ---- one output with a writer ---- */

static struct turns turns;
static struct output *output;
static struct ring_writer writer;
static int write_ends[2];
static int read_ends[2];

static void forget_messages(void)
{
	for (size_t i = 0; i < sender.n; i++)
		buffer_deinit(&sender.messages[i].text);
	sender.n = 0;
	sender.blocked = sender.forgetful = false;
	sender.largest = 0;
}

static int set_up(void **state)
{
	int ring_fd;

	(void)state;
	forget_messages();
	turns_deinit(&turns);
	assert_int_equal(turns_new(&turns, SLICE_LIT("{\"t\":1}")), 1);
	assert_int_equal(turns_new(&turns, SLICE_LIT("{\"t\":2}")), 2);
	for (int i = 0; i < 2; i++) {
		int pair[2];

		assert_int_equal(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
		read_ends[i] = pair[0];
		write_ends[i] = pair[1];
	}
	assert_int_equal(output_new(&turns, &output), 0);
	assert_int_equal(output_attach(output, read_ends, &ring_fd), 0);
	output_set_sender(output, &sender);
	ring_writer_init(&writer, output_ring(output));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	output = output_free(output);
	for (int i = 0; i < 2; i++) {
		(void)close(read_ends[i]);
		if (write_ends[i] >= 0)
			(void)close(write_ends[i]);
	}
	forget_messages();
	turns_deinit(&turns);
	return 0;
}

static bool put(uint32_t turn, uint32_t stream, const char *text, size_t len)
{
	bool ring;

	assert_int_equal(ring_write(&writer, turn, stream, text, len, &ring), len);
	return ring;
}

static bool print(uint32_t turn, const char *text)
{
	return put(turn, RING_STDOUT, text, strlen(text));
}

static void assert_message(size_t i, const char *topic, const char *parent, const char *text)
{
	assert_true(i < sender.n);
	assert_string_equal(sender.messages[i].topic, topic);
	assert_string_equal(sender.messages[i].parent, parent);
	assert_slice_is(buffer_slice(&sender.messages[i].text), text);
}

/* ---- a gate that keeps text back ---- */

static struct {
	size_t room;
	char kept[64];
	unsigned n_shown;
	uint32_t shown_turn;
} keeper;

static size_t keep_beyond_room(void *data, uint32_t turn, uint32_t stream, struct slice text)
{
	size_t n = MIN(text.len, keeper.room);

	assert_ptr_equal(data, &keeper);
	keeper.room -= n;
	(void)snprintf(keeper.kept + strlen(keeper.kept), sizeof(keeper.kept) - strlen(keeper.kept), "%u/%u:%.*s;", turn, stream,
	    (int)(text.len - n), text.data + n);
	return n;
}

static void note_shown(void *data, uint32_t turn)
{
	assert_ptr_equal(data, &keeper);
	keeper.n_shown++;
	keeper.shown_turn = turn;
}

static const struct output_gate keeping = { keep_beyond_room, note_shown };

static void test_what_a_gate_keeps_back_is_not_published(void **state)
{
	(void)state;
	keeper.room = 3;
	keeper.kept[0] = '\0';
	keeper.n_shown = 0;
	output_set_gate(output, &keeping, &keeper);
	output_begin(output, 1, 0);
	(void)print(1, "ab");
	output_barrier(output, UINT64_MAX);
	(void)print(1, "cde");
	(void)print(1, "fg");
	(void)put(1, RING_STDERR, "e", 1);
	output_barrier(output, UINT64_MAX);
	output_set_gate(output, NULL, NULL);
	assert_int_equal(sender.n, 2);
	assert_message(0, "stream.stdout", "{\"t\":1}", "ab");
	assert_message(1, "stream.stdout", "{\"t\":1}", "c");
	assert_string_equal(keeper.kept, "1/0:;1/0:defg;1/1:e;");
	assert_int_equal(keeper.n_shown, 2);
	assert_int_equal(keeper.shown_turn, 1);
	assert_slice_is(output_stderr_tail(output), "e");
}

/* ---- order and coalescing ---- */

static void test_neighbouring_text_of_a_stream_is_one_message(void **state)
{
	(void)state;
	output_begin(output, 1, 0);
	(void)print(1, "a");
	(void)print(1, "b\n");
	(void)print(1, "c");
	output_barrier(output, UINT64_MAX);
	assert_int_equal(sender.n, 1);
	assert_message(0, "stream.stdout", "{\"t\":1}", "ab\nc");
}

static void test_streams_and_turns_change_in_the_order_of_writing(void **state)
{
	(void)state;
	(void)print(1, "one");
	(void)put(1, RING_STDERR, "err", 3);
	(void)print(1, "more");
	(void)print(2, "two");
	(void)print(1, "late");
	output_barrier(output, UINT64_MAX);
	assert_int_equal(sender.n, 5);
	assert_message(0, "stream.stdout", "{\"t\":1}", "one");
	assert_message(1, "stream.stderr", "{\"t\":1}", "err");
	assert_message(2, "stream.stdout", "{\"t\":1}", "more");
	assert_message(3, "stream.stdout", "{\"t\":2}", "two");
	assert_message(4, "stream.stdout", "{\"t\":1}", "late");
}

static void test_a_thousand_changes_of_turn_keep_their_order(void **state)
{
	char text[16];

	(void)state;
	for (unsigned i = 0; i < 3 * RING_N_MARKS; i++) {
		(void)snprintf(text, sizeof(text), "%u", i);
		(void)print(1 + i % 2, text);
		if (i % 500 == 499)
			(void)output_pull(output, 1);
	}
	output_barrier(output, UINT64_MAX);
	assert_int_equal(sender.n, 3 * RING_N_MARKS);
	for (unsigned i = 0; i < sender.n; i++) {
		(void)snprintf(text, sizeof(text), "%u", i);
		assert_row(i, slice_equal_str(buffer_slice(&sender.messages[i].text), text));
		assert_row(i, strcmp(sender.messages[i].parent, i % 2 ? "{\"t\":2}" : "{\"t\":1}") == 0);
	}
}

static void test_a_barrier_publishes_what_is_below_it_and_nothing_above(void **state)
{
	uint64_t position;

	(void)state;
	(void)print(1, "before");
	position = writer.head;
	(void)print(1, "after");
	output_barrier(output, position);
	assert_int_equal(sender.n, 1);
	assert_message(0, "stream.stdout", "{\"t\":1}", "before");
	output_barrier(output, position);
	assert_int_equal(sender.n, 1);
	output_barrier(output, UINT64_MAX);
	assert_message(1, "stream.stdout", "{\"t\":1}", "after");
}

static void test_ring_text_comes_before_what_was_read_from_a_pipe_later(void **state)
{
	(void)state;
	output_begin(output, 1, 0);
	(void)print(1, "python ");
	assert_int_equal(write(write_ends[0], "child ", 6), 6);
	(void)output_pull_pipe(output, 0, 1);
	(void)print(1, "python again");
	output_barrier(output, UINT64_MAX);
	assert_int_equal(sender.n, 1);
	assert_message(0, "stream.stdout", "{\"t\":1}", "python child python again");
}

static void test_text_of_a_pipe_belongs_to_the_newest_turn_and_its_stream(void **state)
{
	(void)state;
	output_begin(output, 2, 0);
	assert_int_equal(write(write_ends[1], "oops", 4), 4);
	assert_false(output_pull_pipe(output, 1, 1));
	output_barrier(output, UINT64_MAX);
	assert_message(0, "stream.stderr", "{\"t\":2}", "oops");
	assert_slice_is(output_stderr_tail(output), "oops");
}

static void test_an_unknown_turn_goes_to_the_newest_header(void **state)
{
	(void)state;
	(void)print(99999, "x");
	output_barrier(output, UINT64_MAX);
	assert_message(0, "stream.stdout", "{\"t\":2}", "x");
}

/* ---- wake-ups and deadlines ---- */

static void test_an_idle_kernel_is_woken_by_the_first_byte_and_publishes_after_the_delay(void **state)
{
	(void)state;
	output_idle(output);
	assert_true(print(1, "x"));
	(void)output_pull(output, 1000);
	assert_int_equal(sender.n, 0);
	assert_int_equal(output_deadline(output), 1000 + OUTPUT_DELAY_USEC);
	(void)output_pull(output, 1000 + OUTPUT_DELAY_USEC);
	assert_int_equal(sender.n, 1);
}

static void test_a_short_turn_never_rings(void **state)
{
	(void)state;
	output_begin(output, 1, 0);
	assert_int_equal(output_deadline(output), OUTPUT_DELAY_USEC);
	assert_false(print(1, "x"));
	assert_false(print(1, "y"));
	output_barrier(output, UINT64_MAX);
	output_idle(output);
	assert_int_equal(output_deadline(output), USEC_NEVER);
}

static void test_a_flood_rings_once_a_message(void **state)
{
	static char line[1000];
	unsigned rings = 0;

	(void)state;
	memset(line, 'x', sizeof(line));
	output_begin(output, 1, 0);
	for (unsigned i = 0; i < 2000; i++)
		if (put(1, RING_STDOUT, line, sizeof(line))) {
			rings++;
			(void)output_pull(output, 1);
		}
	assert_true(rings >= 6 && rings <= 9);
	output_barrier(output, UINT64_MAX);
	assert_true(sender.n >= 7 && sender.n <= 9);
}

static void test_deadlines_pass_without_text(void **state)
{
	(void)state;
	output_begin(output, 1, 0);
	assert_false(output_pull(output, OUTPUT_DELAY_USEC));
	assert_int_equal(output_deadline(output), USEC_NEVER);
	assert_int_equal(sender.n, 0);
}

/* ---- characters ---- */

/* Writes text in two parts, as two writes with a pull between them, at each place. */
static void test_characters_split_anywhere_are_whole_in_the_end(void **state)
{
	static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
	size_t len = sizeof(text) - 1;

	(void)state;
	for (size_t i = 0; i <= len; i++)
		for (size_t k = i; k <= len; k++) {
			forget_messages();
			if (i)
				(void)put(1, RING_STDOUT, text, i);
			(void)output_pull(output, 1);
			if (k > i)
				(void)put(1, RING_STDOUT, text + i, k - i);
			(void)output_pull(output, 1);
			(void)output_pull(output, 1 + 2 * OUTPUT_DELAY_USEC); /* published so far, within a character */
			if (len > k)
				(void)put(1, RING_STDOUT, text + k, len - k);
			output_barrier(output, UINT64_MAX);
			{
				_cleanup_(buffer_deinitp) struct buffer all = BUFFER_INIT(0);

				for (size_t m = 0; m < sender.n; m++)
					buffer_append_slice(&all, buffer_slice(&sender.messages[m].text));
				assert_row(i * 100 + k, slice_equal(buffer_slice(&all), slice_str(text)));
			}
		}
}

static void test_a_character_that_is_never_finished_is_replaced(void **state)
{
	(void)state;
	(void)print(1, "a\xe2\x82");
	(void)put(1, RING_STDERR, "b", 1);
	output_barrier(output, UINT64_MAX);
	assert_message(0, "stream.stdout", "{\"t\":1}", "a\xef\xbf\xbd");
	assert_message(1, "stream.stderr", "{\"t\":1}", "b");
}

static void test_a_character_that_is_never_finished_may_follow_what_was_published(void **state)
{
	(void)state;
	(void)print(1, "a\xe2\x82");
	(void)output_pull(output, 1);
	(void)output_pull(output, 1 + 2 * OUTPUT_DELAY_USEC);
	assert_message(0, "stream.stdout", "{\"t\":1}", "a");
	output_barrier(output, UINT64_MAX);
	assert_message(1, "stream.stdout", "{\"t\":1}", "\xef\xbf\xbd");
}

static void test_random_bytes_are_repaired_however_they_are_cut(void **state)
{
	uint64_t seed = 42;
	char bytes[300];

	(void)state;
	for (int round = 0; round < 300; round++) {
		_cleanup_(buffer_deinitp) struct buffer whole = BUFFER_INIT(0), token = BUFFER_INIT(0), all = BUFFER_INIT(0);

		forget_messages();
		for (size_t i = 0; i < sizeof(bytes); i++) /* many lead and continuation bytes */
			bytes[i] = (char)(test_random_below(&seed, 2) ? 0x80 + test_random_below(&seed, 128) :
									test_random_below(&seed, 256));
		for (size_t at = 0; at < sizeof(bytes);) {
			size_t length = 1 + test_random_below(&seed, 7), n = MIN(sizeof(bytes) - at, length);

			(void)put(1, RING_STDOUT, bytes + at, n);
			(void)output_pull(output, 1);
			at += n;
		}
		output_barrier(output, UINT64_MAX);
		json_encode_string(&token, slice_from(bytes, sizeof(bytes)));
		assert_int_equal(json_decode_string(buffer_slice(&token), &whole), 0);
		for (size_t m = 0; m < sender.n; m++)
			buffer_append_slice(&all, buffer_slice(&sender.messages[m].text));
		assert_row(round, slice_equal(buffer_slice(&all), buffer_slice(&whole)));
	}
}

static void test_nul_and_control_characters_at_full_size_are_not_lost(void **state)
{
	static char zeros[OUTPUT_MESSAGE_BYTES - 1 + OUTPUT_MESSAGE_BYTES];
	size_t total = 0;

	(void)state;
	(void)put(1, RING_STDOUT, zeros, OUTPUT_MESSAGE_BYTES - 1);
	(void)output_pull(output, 1);
	(void)put(1, RING_STDOUT, zeros, OUTPUT_MESSAGE_BYTES);
	output_barrier(output, UINT64_MAX);
	for (size_t i = 0; i < sender.n; i++)
		total += sender.messages[i].text.len;
	assert_int_equal(total, sizeof(zeros));
}

/* ---- slow subscribers ---- */

static void test_while_subscribers_are_slow_text_stays_in_the_ring(void **state)
{
	(void)state;
	sender.blocked = true;
	(void)print(1, "x");
	assert_false(output_pull(output, 1));
	assert_true(output_is_held(output));
	assert_int_equal(output_deadline(output), USEC_NEVER);
	assert_false(print(1, "y")); /* nobody could do anything about it */
	assert_int_equal(write(write_ends[0], "z", 1), 1);
	assert_false(output_pull_pipe(output, 0, 1));
	assert_int_equal(sender.n, 0);
	sender.blocked = false;
	(void)output_pull(output, 2);
	assert_false(output_is_held(output));
	output_barrier(output, UINT64_MAX);
	assert_message(0, "stream.stdout", "{\"t\":1}", "xy");
}

/* ---- hostile writers ---- */

struct scribbler {
	struct ring_shared *ring;
	atomic_bool stop;
};

static void *flood(void *arg)
{
	struct scribbler *s = arg;
	static char line[1 << 16];
	struct ring_writer w;
	bool ring;

	ring_writer_init(&w, s->ring);
	memset(line, 'x', sizeof(line));
	while (!atomic_load(&s->stop))
		(void)ring_write(&w, 1, RING_STDOUT, line, sizeof(line), &ring);
	return NULL;
}

static size_t n_taken;

static size_t count_text(void *data, uint32_t turn, uint32_t stream, struct slice text)
{
	(void)turn;
	(void)stream;
	*(size_t *)data += text.len;
	return text.len;
}

static void shown_nothing(void *data, uint32_t turn)
{
	(void)data;
	(void)turn;
}

static const struct output_gate counting = { count_text, shown_nothing };

/* Every call returns although the ring is never empty. */
static void test_no_call_stays_with_a_writer_that_never_stops(void **state)
{
	struct scribbler s = { .ring = output_ring(output) };
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, flood, &s), 0);
	output_set_gate(output, &counting, &n_taken);
	for (int i = 0; i < 20; i++) {
		n_taken = 0;
		output_barrier(output, UINT64_MAX);
		output_begin(output, 1, 0);
		(void)output_pull_pipe(output, 0, 0);
		output_drain_all(output);
		assert_true(n_taken <= 4 * (size_t)RING_DATA_SIZE);
		forget_messages();
	}
	atomic_store(&s.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_impossible_indices_are_noticed(void **state)
{
	(void)state;
	assert_false(output_is_broken(output));
	atomic_store(&output_ring(output)->head, (uint64_t)1 << 60);
	(void)output_pull(output, 1);
	assert_true(output_is_broken(output));
}

static void test_a_head_that_went_back_is_noticed(void **state)
{
	(void)state;
	(void)print(1, "hello");
	output_barrier(output, UINT64_MAX);
	atomic_store(&output_ring(output)->head, 1);
	(void)output_pull(output, 1);
	assert_true(output_is_broken(output));
}

static void *scribble(void *arg)
{
	struct scribbler *s = arg;
	uint64_t seed = 7;

	while (!atomic_load(&s->stop)) {
		uint64_t v = test_random(&seed);
		struct ring_mark *m = &s->ring->marks[v % RING_N_MARKS];

		__atomic_store_n(&m->pos, v % 3 ? test_random(&seed) : v % (2 * RING_DATA_SIZE), __ATOMIC_RELAXED);
		__atomic_store_n(&m->turn, (uint32_t)v, __ATOMIC_RELAXED);
		__atomic_store_n(&m->stream, (uint32_t)(v >> 32) % 5, __ATOMIC_RELAXED);
		atomic_store(&s->ring->head, v % 5 ? v % (4 * RING_DATA_SIZE) : v);
		atomic_store(&s->ring->mark_head, v % 7 ? v % (2 * RING_N_MARKS) : v);
		atomic_store(&s->ring->tail, v);
		atomic_store(&s->ring->wake_at, v);
	}
	return NULL;
}

static void test_a_writer_that_scribbles_harms_only_its_text(void **state)
{
	struct scribbler s = { .ring = output_ring(output) };
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, scribble, &s), 0);
	for (int i = 0; i < 100; i++) {
		sender.forgetful = true;
		(void)output_pull(output, (uint64_t)i);
		output_barrier(output, (uint64_t)i * 1000);
		sender.forgetful = false;
		(void)output_pull(output, (uint64_t)i);
		forget_messages();
	}
	atomic_store(&s.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- death ---- */

static void test_everything_that_a_dead_worker_left_is_published(void **state)
{
	(void)state;
	output_begin(output, 1, 0);
	(void)print(1, "ring ");
	assert_int_equal(write(write_ends[0], "out", 3), 3);
	assert_int_equal(write(write_ends[1], "Fatal error", 11), 11);
	output_drain_all(output);
	assert_message(0, "stream.stdout", "{\"t\":1}", "ring out");
	assert_message(1, "stream.stderr", "{\"t\":1}", "Fatal error");
	assert_slice_is(output_stderr_tail(output), "Fatal error");
	output_detach(output);
	assert_null(output_ring(output));
	assert_false(output_is_broken(output));
	output_barrier(output, UINT64_MAX);
	assert_false(output_pull(output, 1));
	assert_false(output_pull_pipe(output, 0, 1));
}

static void test_a_survivor_that_goes_on_writing_does_not_hold_the_funeral_up(void **state)
{
	struct scribbler s = { .ring = output_ring(output) };
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, flood, &s), 0);
	output_drain_all(output);
	atomic_store(&s.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_the_tail_of_stderr_is_the_last_of_it(void **state)
{
	static char text[3 * OUTPUT_TAIL_BYTES];
	struct slice tail;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	for (size_t at = 0; at < sizeof(text); at += 100)
		(void)put(1, RING_STDERR, text + at, MIN(sizeof(text) - at, (size_t)100));
	output_barrier(output, UINT64_MAX);
	tail = output_stderr_tail(output);
	assert_int_equal(tail.len, OUTPUT_TAIL_BYTES);
	assert_memory_equal(tail.data, text + sizeof(text) - OUTPUT_TAIL_BYTES, OUTPUT_TAIL_BYTES);
	output_begin(output, 2, 0);
	assert_int_equal(output_stderr_tail(output).len, 0);
}

static void test_a_second_worker_starts_with_an_empty_ring(void **state)
{
	int ring_fd;

	(void)state;
	(void)print(1, "first");
	output_drain_all(output);
	output_detach(output);
	assert_int_equal(output_attach(output, read_ends, &ring_fd), 0);
	assert_true(fcntl(ring_fd, F_GET_SEALS) == (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
	ring_writer_init(&writer, output_ring(output));
	(void)print(2, "second");
	output_barrier(output, UINT64_MAX);
	assert_int_equal(sender.n, 2);
	assert_message(1, "stream.stdout", "{\"t\":2}", "second");
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_what_a_gate_keeps_back_is_not_published),
		T(test_neighbouring_text_of_a_stream_is_one_message),
		T(test_streams_and_turns_change_in_the_order_of_writing),
		T(test_a_thousand_changes_of_turn_keep_their_order),
		T(test_a_barrier_publishes_what_is_below_it_and_nothing_above),
		T(test_ring_text_comes_before_what_was_read_from_a_pipe_later),
		T(test_text_of_a_pipe_belongs_to_the_newest_turn_and_its_stream),
		T(test_an_unknown_turn_goes_to_the_newest_header),
		T(test_an_idle_kernel_is_woken_by_the_first_byte_and_publishes_after_the_delay),
		T(test_a_short_turn_never_rings),
		T(test_a_flood_rings_once_a_message),
		T(test_deadlines_pass_without_text),
		T(test_characters_split_anywhere_are_whole_in_the_end),
		T(test_a_character_that_is_never_finished_is_replaced),
		T(test_a_character_that_is_never_finished_may_follow_what_was_published),
		T(test_random_bytes_are_repaired_however_they_are_cut),
		T(test_nul_and_control_characters_at_full_size_are_not_lost),
		T(test_while_subscribers_are_slow_text_stays_in_the_ring),
		T(test_no_call_stays_with_a_writer_that_never_stops),
		T(test_impossible_indices_are_noticed),
		T(test_a_head_that_went_back_is_noticed),
		T(test_a_writer_that_scribbles_harms_only_its_text),
		T(test_everything_that_a_dead_worker_left_is_published),
		T(test_a_survivor_that_goes_on_writing_does_not_hold_the_funeral_up),
		T(test_the_tail_of_stderr_is_the_last_of_it),
		T(test_a_second_worker_starts_with_an_empty_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
