/* SPDX-License-Identifier: Apache-2.0 */
/* test-zmtp: the bytes of RFC 23 and 37, written and read. */
#include "tests/unit/test.h"

#include "protocol/zmtp/zmtp.h"

#define PADDED "\xff\0\0\0\0\0\0\0\1\x7f"
#define NULL_GREETING PADDED "\3\1NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" /* and 31 zeros */

static void greeting_of(const char *head, size_t n, char ret[ZMTP_GREETING_SIZE])
{
	memset(ret, 0, ZMTP_GREETING_SIZE);
	memcpy(ret, head, n);
}

static void test_the_greeting_is_that_of_the_rfc(void **state)
{
	uint8_t got[ZMTP_GREETING_SIZE];
	char wanted[ZMTP_GREETING_SIZE];

	(void)state;
	greeting_of(NULL_GREETING, sizeof(NULL_GREETING) - 1, wanted);
	zmtp_greeting_write(ZMTP_NULL, false, got);
	assert_memory_equal(got, wanted, ZMTP_GREETING_SIZE);
	memcpy(wanted + 12, "CURVE", 5);
	wanted[32] = 1;
	zmtp_greeting_write(ZMTP_CURVE, true, got);
	assert_memory_equal(got, wanted, ZMTP_GREETING_SIZE);
}

static void test_greetings_are_judged_by_their_first_bad_byte(void **state)
{
	static const struct {
		size_t at;
		char value;
		size_t bad_from; /* so many bytes show it; 0: it is good */
		const char *says;
	} rows[] = {
		{ 0, 0x01, 1, "does not speak ZMTP" }, /* version 1: the size of an identity */
		{ 0, 'G', 1, "does not speak ZMTP" },  /* a web browser */
		{ 3, 0x55, 0, NULL },
		{ 8, 0, 0, NULL },
		{ 9, 0x7e, 10, "does not speak ZMTP" },
		{ 10, 1, 11, "ZMTP 1" },
		{ 10, 2, 11, "ZMTP 2" },
		{ 10, 4, 0, NULL },
		{ 11, 0, 0, NULL },
		{ 11, 7, 0, NULL },
		{ 12, 'X', 64, "NULL" },
		{ 31, 'X', 64, "NULL" },
		{ 32, 1, 0, NULL },
		{ 63, 1, 0, NULL },
	};
	char bytes[ZMTP_GREETING_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		greeting_of(NULL_GREETING, sizeof(NULL_GREETING) - 1, bytes);
		bytes[rows[i].at] = rows[i].value;
		for (size_t n = 0; n <= sizeof(bytes); n++) {
			bool bad = rows[i].bad_from && n >= rows[i].bad_from;
			struct error err = { 0 };

			assert_row(i, zmtp_greeting_check(slice_from(bytes, n), ZMTP_NULL, &err) == (bad ? -EPROTO : 0));
			assert_row(i, !bad || strstr(err.text, rows[i].says));
		}
		assert_row(i, zmtp_greeting_check(slice_from(bytes, sizeof(bytes)), ZMTP_CURVE, &(struct error){ 0 }) < 0);
	}
}

static void test_frame_headers(void **state)
{
	static const struct {
		struct slice bytes;
		int r;
		uint8_t flags;
		uint64_t size;
	} rows[] = {
		{ SLICE_LIT(""), 0, 0, 0 },
		{ SLICE_LIT("\0"), 0, 0, 0 },
		{ SLICE_LIT("\0\0"), 2, 0, 0 },
		{ SLICE_LIT("\1\xff" "x"), 2, ZMTP_FLAG_MORE, 255 },
		{ SLICE_LIT("\4\5"), 2, ZMTP_FLAG_COMMAND, 5 },
		{ SLICE_LIT("\2\0\0\0\0\0\0\0"), 0, 0, 0 },
		{ SLICE_LIT("\2\0\0\0\0\0\0\0\7"), 9, 0, 7 },
		{ SLICE_LIT("\3\0\0\0\0\1\2\3\4"), 9, ZMTP_FLAG_MORE, 0x1020304 },
		{ SLICE_LIT("\6\0\0\0\0\0\0\1\0"), 9, ZMTP_FLAG_COMMAND, 256 },
		{ SLICE_LIT("\2\x7f\xff\xff\xff\xff\xff\xff\xff"), 9, 0, INT64_MAX },
		{ SLICE_LIT("\2\x80\0\0\0\0\0\0\0"), -EPROTO, 0, 0 },
		{ SLICE_LIT("\5"), -EPROTO, 0, 0 }, /* a command with more to come */
		{ SLICE_LIT("\7"), -EPROTO, 0, 0 },
		{ SLICE_LIT("\x08"), -EPROTO, 0, 0 },
		{ SLICE_LIT("\x80\0"), -EPROTO, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct zmtp_frame f = { 0 };

		assert_row(i, zmtp_frame_parse(rows[i].bytes, &f) == rows[i].r);
		assert_row(i, f.flags == rows[i].flags && f.size == rows[i].size);
	}
}

static void test_headers_are_written_in_their_shortest_form(void **state)
{
	static const struct {
		uint8_t flags;
		uint64_t size;
		struct slice bytes;
	} rows[] = {
		{ 0, 0, SLICE_LIT("\0\0") },
		{ ZMTP_FLAG_MORE, 255, SLICE_LIT("\1\xff") },
		{ ZMTP_FLAG_COMMAND, 256, SLICE_LIT("\6\0\0\0\0\0\0\1\0") },
		{ ZMTP_FLAG_MORE, (uint64_t)1 << 40, SLICE_LIT("\3\0\0\1\0\0\0\0\0") },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t header[ZMTP_FRAME_HEADER_MAX];
		size_t n = zmtp_frame_write(rows[i].flags, rows[i].size, header);

		assert_row(i, slice_equal(slice_from(header, n), rows[i].bytes));
	}
}

static void test_commands(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(0);
	struct slice name, data;

	(void)state;
	assert_int_equal(zmtp_command_parse(SLICE_NULL, &name, &data), -EPROTO);
	assert_int_equal(zmtp_command_parse(SLICE_LIT("\0abc"), &name, &data), -EPROTO);
	assert_int_equal(zmtp_command_parse(SLICE_LIT("\4abc"), &name, &data), -EPROTO);
	assert_int_equal(zmtp_command_parse(SLICE_LIT("\3abc"), &name, &data), 0);
	assert_slice_is(name, "abc");
	assert_int_equal(data.len, 0);
	zmtp_command_begin(&b, "PING");
	buffer_append_str(&b, "data");
	assert_int_equal(zmtp_command_parse(buffer_slice(&b), &name, &data), 0);
	assert_slice_is(name, "PING");
	assert_slice_is(data, "data");
}

static void test_properties_come_back_in_order_and_each_cut_is_noticed(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(0);
	struct slice rest, name, value;
	size_t first;

	(void)state;
	zmtp_property_append(&b, "Socket-Type", SLICE_LIT("DEALER"));
	first = b.len;
	zmtp_property_append(&b, "Identity", SLICE_NULL);
	rest = buffer_slice(&b);
	assert_int_equal(zmtp_property_next(&rest, &name, &value), 1);
	assert_true(zmtp_property_is(name, "socket-TYPE") && !zmtp_property_is(name, "Socket-Typ"));
	assert_slice_is(value, "DEALER");
	assert_int_equal(zmtp_property_next(&rest, &name, &value), 1);
	assert_slice_is(name, "Identity");
	assert_int_equal(value.len, 0);
	assert_int_equal(zmtp_property_next(&rest, &name, &value), 0);
	for (size_t n = 1; n < b.len; n++) {
		rest = slice_from(b.data, n);
		if (n > first)
			assert_int_equal(zmtp_property_next(&rest, &name, &value), 1);
		assert_row(n, zmtp_property_next(&rest, &name, &value) == (n == first ? 1 : -EPROTO));
	}
	rest = SLICE_LIT("\1x\xff\xff\xff\xff" "abc");
	assert_int_equal(zmtp_property_next(&rest, &name, &value), -EPROTO);
	rest = SLICE_LIT("\0\0\0\0\0");
	assert_int_equal(zmtp_property_next(&rest, &name, &value), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_greeting_is_that_of_the_rfc),
		cmocka_unit_test(test_greetings_are_judged_by_their_first_bad_byte),
		cmocka_unit_test(test_frame_headers),
		cmocka_unit_test(test_headers_are_written_in_their_shortest_form),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_properties_come_back_in_order_and_each_cut_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
