/* SPDX-License-Identifier: Apache-2.0 */
/* test-assembly: however a client's bytes are cut, the messages are the same; memory follows what came, within limits. */
#include "tests/unit/test.h"

#include "kernel/front/assembly.h"
#include "protocol/wire/frames.h"

#define MIB ((size_t)1 << 20)

static size_t total;
static struct assembly a;

static int set_up(void **state)
{
	(void)state;
	total = 0;
	assembly_init(&a, &total, FRAMES_MAX_BYTES);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assembly_deinit(&a);
	return total == 0 ? 0 : -1;
}

/* The frame that bytes finish; all of them are taken. */
static void feed(const void *bytes, size_t n)
{
	size_t used = 0;

	assert_int_equal(assembly_feed(&a, slice_from(bytes, n), &used), 1);
	assert_int_equal(used, n);
}

static int announce(uint8_t flags, uint64_t size)
{
	uint8_t header[ZMTP_FRAME_HEADER_MAX];
	size_t used;

	return assembly_feed(&a, slice_from(header, zmtp_frame_write(flags, size, header)), &used);
}

static void frame(uint8_t flags, const char *text)
{
	uint8_t bytes[2 + 255];
	size_t n = zmtp_frame_write(flags, strlen(text), bytes);

	memcpy(bytes + n, text, strlen(text));
	feed(bytes, n + strlen(text));
	if (flags & ZMTP_FLAG_COMMAND)
		assembly_drop(&a);
	else
		assert_int_equal(assembly_keep(&a, assembly_body(&a)), 0);
}

/* Body bytes, of which there may be many. */
static int pour(size_t n)
{
	static const char filler[MIB];
	size_t used;
	int r = 0;

	for (; r == 0 && n; n -= used) {
		r = assembly_feed(&a, slice_from(filler, MIN(n, sizeof(filler))), &used);
		if (r < 0)
			return r;
	}
	return r;
}

/* ---- cuts ---- */

static void take(struct buffer *out, struct slice bytes)
{
	while (bytes.len) {
		size_t used;
		int r = assembly_feed(&a, bytes, &used);

		assert_true(r >= 0);
		bytes = slice_from(bytes.data + used, bytes.len - used);
		if (r == 0) {
			assert_int_equal(bytes.len, 0);
			continue;
		}
		if (a.frame.flags & ZMTP_FLAG_COMMAND) {
			buffer_append_str(out, "!");
			buffer_append_slice(out, assembly_body(&a));
			assembly_drop(&a);
			continue;
		}
		assert_int_equal(assembly_keep(&a, assembly_body(&a)), 0);
		if (!(a.frame.flags & ZMTP_FLAG_MORE)) {
			struct parcel p;

			assert_int_equal(assembly_finish(&a, &p), 0);
			for (size_t i = 0; i < p.n; i++) {
				buffer_append_char(out, i ? ',' : '[');
				buffer_append_slice(out, p.parts[i]);
			}
			buffer_append_char(out, ']');
			parcel_deinit(&p);
		}
	}
}

static const char stream[] = "\1\5hello\1\0\0\5world" "\4\5\4PING" "\0\0" "\2\0\0\0\0\0\0\0\3abc" "\1\1x\0\1y";
static const char result[] = "[hello,,world]!\4PING[][abc][x,y]";

static void test_every_cut_in_two_and_three_gives_the_same(void **state)
{
	size_t n = sizeof(stream) - 1;

	(void)state;
	for (size_t i = 0; i <= n; i++)
		for (size_t k = i; k <= n; k++) {
			_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);

			take(&out, slice_from(stream, i));
			take(&out, slice_from(stream + i, k - i));
			take(&out, slice_from(stream + k, n - k));
			assert_row(i * 100 + k, slice_equal_str(buffer_slice(&out), result));
			assert_true(assembly_is_empty(&a));
		}
}

static void test_byte_by_byte_gives_the_same(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);

	(void)state;
	for (size_t i = 0; i < sizeof(stream) - 1; i++)
		take(&out, slice_from(stream + i, 1));
	assert_slice_is(buffer_slice(&out), result);
}

static void test_a_large_body_is_read_where_it_belongs(void **state)
{
	size_t n = 3 * MIB + 5, done = 0, room, used;
	struct parcel p;
	char *target;

	(void)state;
	frame(ZMTP_FLAG_MORE, "head");
	assert_int_equal(announce(0, n), 0);
	while ((target = assembly_target(&a, &room))) {
		assert_true(room <= n - done);
		memset(target, 'x', room);
		done += room;
		assert_int_equal(assembly_fed(&a, room), done == n);
	}
	assert_true(n - done < 128 << 10);
	if (done < n) {
		char rest[128 << 10];

		memset(rest, 'x', sizeof(rest));
		assert_int_equal(assembly_feed(&a, slice_from(rest, n - done), &used), 1);
	}
	assert_int_equal(assembly_keep(&a, assembly_body(&a)), 0);
	assert_int_equal(assembly_finish(&a, &p), 0);
	assert_int_equal(p.n, 2);
	assert_slice_is(p.parts[0], "head");
	assert_int_equal(p.parts[1].len, n);
	for (size_t i = 0; i < n; i++)
		if (p.parts[1].data[i] != 'x')
			fail_msg("byte %zu is wrong", i);
	parcel_deinit(&p);
	assert_int_equal(total, 0);
}

/* ---- what a message is ---- */

static void test_the_identity_is_the_first_part_and_survives_a_command(void **state)
{
	struct parcel p;

	(void)state;
	assert_true(assembly_is_empty(&a));
	assert_int_equal(assembly_open(&a, SLICE_LIT("client")), 0);
	assert_false(assembly_is_empty(&a));
	frame(ZMTP_FLAG_COMMAND, "\4PING");
	frame(0, "text");
	assert_int_equal(assembly_finish(&a, &p), 0);
	assert_int_equal(p.n, 2);
	assert_int_equal(p.n_bytes, 6 + 4);
	assert_slice_is(p.parts[0], "client");
	assert_slice_is(p.parts[1], "text");
	parcel_deinit(&p);
	assert_true(assembly_is_empty(&a));
}

static void test_a_payload_within_the_body_is_what_is_kept(void **state)
{
	struct parcel p;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct slice body;

		feed(i ? "\0\7[[two]]" : "\1\7[[one]]", 9);
		body = assembly_body(&a);
		assert_int_equal(assembly_keep(&a, slice_from(body.data + 2, 3)), 0);
	}
	assert_int_equal(assembly_finish(&a, &p), 0);
	assert_slice_is(p.parts[0], "one");
	assert_slice_is(p.parts[1], "two");
	parcel_deinit(&p);
}

/* ---- limits ---- */

static void test_a_frame_above_the_limit_is_refused_when_it_is_announced(void **state)
{
	(void)state;
	a.max_frame = 100;
	assert_int_equal(announce(0, 100), 0);
	assembly_deinit(&a);
	assembly_init(&a, &total, 100);
	assert_int_equal(announce(0, 101), -EMSGSIZE);
	assembly_deinit(&a);
	assembly_init(&a, &total, FRAMES_MAX_BYTES);
	assert_int_equal(announce(0, (uint64_t)1 << 62), -EMSGSIZE);
	assert_null(a.bytes);
}

static void test_an_announced_size_costs_nothing(void **state)
{
	(void)state;
	assert_int_equal(announce(0, FRAMES_MAX_BYTES), 0);
	assert_int_equal(a.size, 0);
	assert_int_equal(pour(10), 0);
	assert_true(a.size <= 4096);
	assert_int_equal(total, 0);
}

static void test_more_frames_than_a_message_has_are_skipped_to_its_end(void **state)
{
	struct parcel p;

	(void)state;
	for (size_t i = 0; i < FRAMES_MAX + 3; i++)
		frame(ZMTP_FLAG_MORE, "x");
	assert_true(a.skip);
	assert_null(a.bytes);
	frame(0, "end");
	assert_int_equal(assembly_finish(&a, &p), 0);
	assert_int_equal(p.n, 0);
	assert_null(p.bytes);
	frame(0, "good");
	assert_int_equal(assembly_finish(&a, &p), 0);
	assert_int_equal(p.n, 1);
	assert_slice_is(p.parts[0], "good");
	parcel_deinit(&p);
}

static void test_the_most_frames_that_a_message_has_are_kept(void **state)
{
	struct parcel p;

	(void)state;
	for (size_t i = 0; i < FRAMES_MAX; i++)
		frame(i + 1 < FRAMES_MAX ? ZMTP_FLAG_MORE : 0, "x");
	assert_int_equal(assembly_finish(&a, &p), 0);
	assert_int_equal(p.n, FRAMES_MAX);
	parcel_deinit(&p);
}

static void test_a_message_that_gets_too_large_gives_its_memory_back_at_once(void **state)
{
	struct parcel p;

	(void)state;
	assert_int_equal(announce(ZMTP_FLAG_MORE, 4 * MIB), 0);
	assert_int_equal(pour(4 * MIB), 1);
	assert_int_equal(assembly_keep(&a, assembly_body(&a)), 0);
	assert_true(total > 3 * MIB && assembly_is_charged(&a));
	assert_int_equal(announce(0, FRAMES_MAX_BYTES - 4 * MIB + 1), 0);
	assert_int_equal(total, 0);
	assert_null(a.bytes);
	assert_int_equal(pour(FRAMES_MAX_BYTES - 4 * MIB + 1), 1);
	assert_null(a.bytes);
	assert_int_equal(assembly_keep(&a, assembly_body(&a)), 0);
	assert_int_equal(assembly_finish(&a, &p), 0);
	assert_int_equal(p.n, 0);
}

static void test_the_budget_is_shared_and_given_back(void **state)
{
	struct assembly other;
	size_t used;
	char byte = 'x';

	(void)state;
	assembly_init(&other, &total, FRAMES_MAX_BYTES);
	total = ASSEMBLY_TOTAL_MAX_BYTES - MIB; /* what others hold */
	assert_int_equal(announce(0, 64 * MIB), 0);
	assert_int_equal(pour(8 * MIB), -ENOBUFS);
	assembly_deinit(&a);
	assert_int_equal(total, ASSEMBLY_TOTAL_MAX_BYTES - MIB);
	total = ASSEMBLY_TOTAL_MAX_BYTES; /* everybody has the free bytes all the same */
	assert_int_equal(assembly_feed(&other, SLICE_LIT("\2\0\0\0\0\0\1\0\0"), &used), 0);
	for (size_t i = 0; i < ASSEMBLY_FREE_BYTES - 1; i++)
		assert_int_equal(assembly_feed(&other, slice_from(&byte, 1), &used), 0);
	assert_int_equal(assembly_feed(&other, slice_from(&byte, 1), &used), 1);
	assembly_deinit(&other);
	assert_int_equal(total, ASSEMBLY_TOTAL_MAX_BYTES);
	total = 0;
}

static void test_a_finished_message_is_no_longer_charged(void **state)
{
	struct parcel p;

	(void)state;
	assert_int_equal(announce(0, MIB), 0);
	assert_int_equal(pour(MIB), 1);
	assert_int_equal(assembly_keep(&a, assembly_body(&a)), 0);
	assert_true(total >= MIB - ASSEMBLY_FREE_BYTES);
	assert_int_equal(assembly_finish(&a, &p), 0);
	assert_int_equal(total, 0);
	assert_false(assembly_is_charged(&a));
	parcel_deinit(&p);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_every_cut_in_two_and_three_gives_the_same),
		T(test_byte_by_byte_gives_the_same),
		T(test_a_large_body_is_read_where_it_belongs),
		T(test_the_identity_is_the_first_part_and_survives_a_command),
		T(test_a_payload_within_the_body_is_what_is_kept),
		T(test_a_frame_above_the_limit_is_refused_when_it_is_announced),
		T(test_an_announced_size_costs_nothing),
		T(test_more_frames_than_a_message_has_are_skipped_to_its_end),
		T(test_the_most_frames_that_a_message_has_are_kept),
		T(test_a_message_that_gets_too_large_gives_its_memory_back_at_once),
		T(test_the_budget_is_shared_and_given_back),
		T(test_a_finished_message_is_no_longer_charged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
