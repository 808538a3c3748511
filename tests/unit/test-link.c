/* SPDX-License-Identifier: Apache-2.0 */
/* test-link: frames between front and worker, and the tables in specs/link.md 3. */
#include "tests/unit/test.h"

#include "protocol/link/link.h"
#include "tests/unit/markdown.h"

static const enum link_type all_types[] = {
#define LINK(name, number, direction, max, fields) LINK_##name,
#include "protocol/link/link.def"
#undef LINK
};

static struct slice make_frame(struct buffer *b, enum link_type type, unsigned n_fields, uint64_t ring_pos)
{
	size_t begin;

	buffer_reset(b);
	begin = link_frame_begin(b);
	msgpack_write_array(b, n_fields);
	for (unsigned i = 0; i < n_fields; i++)
		msgpack_write_u64(b, i);
	assert_int_equal(link_frame_end(b, begin, type, ring_pos), 0);
	return buffer_slice(b);
}

static void test_what_is_made_is_parsed_by_the_right_side_alone(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all_types); i++) {
		struct slice frame = make_frame(&b, all_types[i], 9, 0x0123456789abcdefULL);
		enum link_direction right = all_types[i] >= LINK_HELLO ? LINK_UP : LINK_DOWN;
		struct msgpack_reader fields;
		struct link_header h;
		uint32_t n;

		assert_row(i, link_header_parse(frame, right, &h) == 0);
		assert_row(i, h.type == all_types[i] && h.body_len == 10 && h.ring_pos == 0x0123456789abcdefULL);
		assert_row(i, link_header_parse(frame, right == LINK_UP ? LINK_DOWN : LINK_UP, &h) == LINK_E_TYPE);
		assert_row(i, link_body_open(h.type, slice_from(frame.data + LINK_HEADER_SIZE, 10), &fields, &n) == 0);
		assert_row(i, n == 9 && *fields.pos == 0 && fields.end - fields.pos == 9);
		assert_row(i, link_header_parse(slice_from(frame.data, LINK_HEADER_SIZE - 1), right, &h) == LINK_E_MORE);
	}
}

static void test_bad_headers(void **state)
{
	static const struct {
		size_t at;
		unsigned char byte;
		int result;
	} rows[] = {
		{ 4, 0, LINK_E_VERSION }, { 4, 2, LINK_E_VERSION }, { 5, 0, LINK_E_TYPE }, { 5, 8, LINK_E_TYPE },
		{ 5, 63, LINK_E_TYPE }, { 5, 76, LINK_E_TYPE }, { 5, 255, LINK_E_TYPE }, { 6, 1, LINK_E_RESERVED },
		{ 7, 128, LINK_E_RESERVED }, { 3, 1, LINK_E_SIZE },
	};
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct link_header h = { .body_len = 4711 };

		(void)make_frame(&b, LINK_READY, 1, 0);
		b.data[rows[i].at] = (char)rows[i].byte;
		assert_row(i, link_header_parse(buffer_slice(&b), LINK_UP, &h) == rows[i].result);
		assert_row(i, h.body_len == 4711);
		assert_row(i, strcmp(link_strerror(rows[i].result), link_strerror(0)) != 0);
	}
	assert_int_equal(link_header_parse(SLICE_NULL, LINK_UP, NULL), LINK_E_MORE);
}

static void test_bodies_are_one_array_with_enough_fields_and_nothing_else(void **state)
{
	static const struct {
		struct slice body;
		int result;
	} rows[] = {
		{ SLICE_LIT("\x92\x01\x02"), 0 },           /* INPUT_REPLY has two */
		{ SLICE_LIT("\x93\x01\x02\xc0"), 0 },       /* a later version's third */
		{ SLICE_LIT("\xdc\0\x02\x01\x02"), 0 },     /* any encoding of an array */
		{ SLICE_LIT("\x91\x01"), -EBADMSG },        /* too few */
		{ SLICE_LIT("\x90"), -EBADMSG },
		{ SLICE_LIT("\x92\x01"), -EBADMSG },        /* truncated */
		{ SLICE_LIT("\x92\x01\x02\xc0"), -EBADMSG }, /* something behind it */
		{ SLICE_LIT("\x82\x01\x02\x03\x04"), -EBADMSG },
		{ SLICE_LIT("\xc0"), -EBADMSG },
		{ SLICE_LIT(""), -EBADMSG },
		{ SLICE_LIT("\x92\x01\xc1"), -EBADMSG },
		{ SLICE_LIT("\x92\x01\xdb\xff\xff\xff\xff"), -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct msgpack_reader r;
		uint32_t n;

		assert_row(i, link_body_open(LINK_INPUT_REPLY, rows[i].body, &r, &n) == rows[i].result);
		assert_row(i, link_body_open(LINK_NONE, rows[i].body, &r, &n) == -EBADMSG);
	}
}

static void test_a_frame_too_long_for_its_type_is_taken_back(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(0);
	size_t begin, whole;

	(void)state;
	(void)make_frame(&b, LINK_READY, 1, 0);
	whole = b.len;
	begin = link_frame_begin(&b);
	for (int i = 0; i < 1025; i++)
		buffer_append_char(&b, '\xc0');
	assert_int_equal(link_frame_end(&b, begin, LINK_SHUTDOWN, 0), -EMSGSIZE);
	assert_int_equal(b.len, whole);
	assert_int_equal(b.failed, 0);
	begin = link_frame_begin(&b);
	for (int i = 0; i < 1024; i++)
		buffer_append_char(&b, '\xc0');
	assert_int_equal(link_frame_end(&b, begin, LINK_SHUTDOWN, 0), 0);
}

static void test_a_failed_buffer_is_reported_and_keeps_whole_frames(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(60);
	size_t begin, whole;

	(void)state;
	(void)make_frame(&b, LINK_READY, 1, 0);
	whole = b.len;
	begin = link_frame_begin(&b);
	msgpack_write_str(&b, SLICE_LIT("this text is too long for what is left in the buffer"));
	assert_int_equal(link_frame_end(&b, begin, LINK_FATAL, 0), -EMSGSIZE);
	assert_int_equal(b.len, whole);
	buffer_reset(&b);
	assert_int_equal(link_frame_end(&b, 0, LINK_FATAL, 0), -EINVAL);
	begin = link_frame_begin(&b);
	assert_int_equal(link_frame_end(&b, begin, LINK_NONE, 0), -EINVAL);
}

static void test_sizes_at_the_edge(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(0);
	struct link_header h;

	(void)state;
	(void)make_frame(&b, LINK_DISPLAY, 7, 0);
	memcpy(b.data, "\x00\x00\x80\x20", 4); /* 520 MiB, little-endian */
	assert_int_equal(link_header_parse(buffer_slice(&b), LINK_UP, &h), 0);
	assert_int_equal(h.body_len, LINK_MAX_BODY);
	memcpy(b.data, "\x01\x00\x80\x20", 4);
	assert_int_equal(link_header_parse(buffer_slice(&b), LINK_UP, &h), LINK_E_SIZE);
	memcpy(b.data, "\xff\xff\xff\xff", 4);
	assert_int_equal(link_header_parse(buffer_slice(&b), LINK_UP, &h), LINK_E_SIZE);
}

static uint64_t parse_size(const char *text)
{
	char *unit;
	uint64_t n = strtoull(text, &unit, 10);

	return strcmp(unit, " MiB") == 0 ? n << 20 : strcmp(unit, " KiB") == 0 ? n << 10 : 0;
}

static unsigned compare_table(const char *text, const char *heading, const char *direction)
{
	static const struct {
		const char *name;
		unsigned number;
		const char *direction;
		uint64_t max;
		unsigned fields;
	} expected[] = {
#define LINK(name, number, direction, max, fields) { #name, number, #direction, (uint64_t)(max), fields },
#include "protocol/link/link.def"
#undef LINK
	};
	struct markdown_table table;
	unsigned n = 0;

	assert_true(markdown_find_table(text, heading, &table));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		if (strcmp(expected[i].direction, direction) != 0)
			continue;
		assert_row(i, markdown_next_row(&table));
		assert_string_equal(table.cells[0], expected[i].name);
		assert_string_equal(table.cells[0], link_type_name((enum link_type)expected[i].number));
		assert_int_equal(strtoul(table.cells[1], NULL, 10), expected[i].number);
		assert_int_equal(strtoul(table.cells[2], NULL, 10), expected[i].fields);
		assert_int_equal(parse_size(table.cells[3]), expected[i].max);
		n++;
	}
	assert_false(markdown_next_row(&table));
	return n;
}

static void test_the_specification_has_the_same_frames(void **state)
{
	_cleanup_(freep) char *text = test_read_file("specs/link.md", NULL);

	(void)state;
	assert_int_equal(compare_table(text, "Down (front to worker)", "DOWN") + compare_table(text, "Up (worker to front)", "UP"),
	    ARRAY_SIZE(all_types));
	assert_string_equal(link_type_name((enum link_type)200), "unknown");
	assert_string_equal(link_type_name((enum link_type)-1), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_made_is_parsed_by_the_right_side_alone),
		cmocka_unit_test(test_bad_headers),
		cmocka_unit_test(test_bodies_are_one_array_with_enough_fields_and_nothing_else),
		cmocka_unit_test(test_a_frame_too_long_for_its_type_is_taken_back),
		cmocka_unit_test(test_a_failed_buffer_is_reported_and_keeps_whole_frames),
		cmocka_unit_test(test_sizes_at_the_edge),
		cmocka_unit_test(test_the_specification_has_the_same_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
