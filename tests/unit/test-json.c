/* SPDX-License-Identifier: Apache-2.0 */
/* test-json: validation, look-up and strings (specs/wire.md 4). */
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "protocol/wire/json.h"

static void test_what_is_json_and_what_is_not(void **state)
{
	static const struct {
		struct slice text;
		bool valid;
	} rows[] = {
		{ SLICE_LIT("null"), true }, { SLICE_LIT(" \t\r\ntrue \n"), true }, { SLICE_LIT("false"), true },
		{ SLICE_LIT("0"), true }, { SLICE_LIT("-0"), true }, { SLICE_LIT("10"), true }, { SLICE_LIT("1.5e-10"), true },
		{ SLICE_LIT("1E+9"), true }, { SLICE_LIT("123456789012345678901234567890"), true }, { SLICE_LIT("\"\""), true },
		{ SLICE_LIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\""), true }, { SLICE_LIT("\"\\ud800\""), true },
		{ SLICE_LIT("\"\x7f\""), true }, { SLICE_LIT("[]"), true }, { SLICE_LIT("{}"), true }, { SLICE_LIT("[ ]"), true },
		{ SLICE_LIT("[1 , [2] ,{\"a\" : 3 , \"a\":4}]"), true }, { SLICE_LIT("{\"\":{}}"), true },
		{ SLICE_LIT("\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""), true },
		{ SLICE_LIT(""), false }, { SLICE_LIT(" "), false }, { SLICE_LIT("nul"), false }, { SLICE_LIT("nulll"), false },
		{ SLICE_LIT("True"), false }, { SLICE_LIT("NaN"), false }, { SLICE_LIT("Infinity"), false },
		{ SLICE_LIT("-Infinity"), false }, { SLICE_LIT("01"), false }, { SLICE_LIT("+1"), false }, { SLICE_LIT("-"), false },
		{ SLICE_LIT("1."), false }, { SLICE_LIT(".5"), false }, { SLICE_LIT("1e"), false }, { SLICE_LIT("1e+"), false },
		{ SLICE_LIT("0x10"), false }, { SLICE_LIT("1 2"), false }, { SLICE_LIT("[1,]"), false }, { SLICE_LIT("[,1]"), false },
		{ SLICE_LIT("[1 2]"), false }, { SLICE_LIT("["), false }, { SLICE_LIT("]"), false }, { SLICE_LIT("[}"), false },
		{ SLICE_LIT("[1}"), false }, { SLICE_LIT("{\"a\":1]"), false }, { SLICE_LIT("{\"a\"}"), false },
		{ SLICE_LIT("{\"a\":}"), false }, { SLICE_LIT("{\"a\":1,}"), false }, { SLICE_LIT("{a:1}"), false },
		{ SLICE_LIT("{1:1}"), false }, { SLICE_LIT("{\"a\" 1}"), false }, { SLICE_LIT("{,}"), false }, { SLICE_LIT("\""), false },
		{ SLICE_LIT("\"a"), false }, { SLICE_LIT("\"\\\""), false }, { SLICE_LIT("\"\\x\""), false },
		{ SLICE_LIT("\"\\u12\""), false }, { SLICE_LIT("\"\\u12g4\""), false }, { SLICE_LIT("\"\n\""), false },
		{ SLICE_LIT("\"\0\""), false }, { SLICE_LIT("\"\x1f\""), false }, { SLICE_LIT("'a'"), false },
		{ SLICE_LIT("// x\n1"), false }, { SLICE_LIT("\xef\xbb\xbf" "1"), false }, { SLICE_LIT("1\0"), false },
		{ SLICE_LIT("\"\x80\""), false }, { SLICE_LIT("\"\xc0\xaf\""), false }, { SLICE_LIT("\"\xc1\x81\""), false },
		{ SLICE_LIT("\"\xc3\""), false }, { SLICE_LIT("\"\xe0\x9f\xbf\""), false }, { SLICE_LIT("\"\xed\xa0\x80\""), false },
		{ SLICE_LIT("\"\xe2\x82\""), false }, { SLICE_LIT("\"\xf0\x8f\xbf\xbf\""), false },
		{ SLICE_LIT("\"\xf4\x90\x80\x80\""), false }, { SLICE_LIT("\"\xf5\x80\x80\x80\""), false }, { SLICE_LIT("\"\xff\""), false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_row(i, json_is_valid(rows[i].text) == rows[i].valid);
	assert_false(json_is_valid(SLICE_NULL));
}

/* Special bytes at every place of and around the 16 byte blocks of the fast loops. */
static void test_blocks_have_no_blind_spot(void **state)
{
	char text[80];

	(void)state;
	for (size_t len = 2; len < sizeof(text); len++) {
		memset(text, 'a', len);
		text[0] = text[len - 1] = '"';
		assert_row(len, json_is_valid(slice_from(text, len)));
		for (size_t at = 1; at + 1 < len; at++) {
			for (int c = 0; c < 256; c++) {
				bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';

				text[at] = (char)c;
				/* A backslash makes "\a" or "\"" of what follows: neither is valid here. */
				assert_row(len * 1000 + at, json_is_valid(slice_from(text, len)) == plain);
			}
			text[at] = 'a';
		}
	}
}

static void test_depth_is_limited(void **state)
{
	char text[2 * JSON_MAX_DEPTH + 8];

	(void)state;
	for (size_t depth = JSON_MAX_DEPTH - 1; depth <= JSON_MAX_DEPTH + 1; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		assert_int_equal(json_is_valid(slice_from(text, 2 * depth)), depth <= JSON_MAX_DEPTH);
	}
}

static void test_members_are_found(void **state)
{
	struct slice text = SLICE_LIT(" {\"a\": 1, \"b\\n\":[1,{\"a\":2}], \"\\u0063\" : \"x,}\\\"\" ,\"a\":-5 , \"d\":{ } , \"t\":true,"
	    "\"f\":false,\"n\":null,\"big\":9223372036854775807,\"small\":-9223372036854775808,\"over\":9223372036854775808,"
	    "\"real\":1.5,\"exp\":1e3,\"\":7, \"\xc3\xa9\":8} ");
	struct slice value;

	(void)state;
	assert_true(json_is_valid_object(text));
	assert_int_equal(json_member(text, "a", &value), JSON_NUMBER);
	assert_slice_is(value, "-5"); /* the last one wins */
	assert_int_equal(json_member(text, "b\n", &value), JSON_ARRAY);
	assert_slice_is(value, "[1,{\"a\":2}]");
	assert_int_equal(json_member(text, "c", &value), JSON_STRING);
	assert_slice_is(value, "\"x,}\\\"\"");
	assert_int_equal(json_member(text, "d", &value), JSON_OBJECT);
	assert_slice_is(value, "{ }");
	assert_int_equal(json_member(text, "n", &value), JSON_NULL);
	assert_int_equal(json_member(text, "", &value), JSON_NUMBER);
	assert_int_equal(json_member(text, "\xc3\xa9", &value), JSON_NUMBER);
	assert_int_equal(json_member(text, "z", &value), JSON_INVALID);
	assert_int_equal(json_member(text, "b", &value), JSON_INVALID);
	assert_int_equal(json_member(SLICE_LIT("[1]"), "a", &value), JSON_INVALID);
	assert_int_equal(json_member(SLICE_LIT("\"a\""), "a", &value), JSON_INVALID);
	assert_true(json_get_bool(text, "t", false));
	assert_false(json_get_bool(text, "f", true));
	assert_true(json_get_bool(text, "n", true));
	assert_true(json_get_bool(text, "z", true));
	assert_int_equal(json_get_int(text, "a", 0), -5);
	assert_true(json_get_int(text, "big", 0) == INT64_MAX);
	assert_true(json_get_int(text, "small", 0) == INT64_MIN);
	assert_int_equal(json_get_int(text, "over", 42), 42);
	assert_int_equal(json_get_int(text, "real", 42), 42);
	assert_int_equal(json_get_int(text, "exp", 42), 42);
	assert_int_equal(json_get_int(text, "c", 42), 42);
	assert_int_equal(json_get_int(text, "z", 42), 42);
}

static void test_elements_come_in_order(void **state)
{
	static const char *const expected[] = { "1", "\"a]\"", "[2,3]", "{\"x\":[]}", "null" };
	struct json_iter it = json_iter(SLICE_LIT("[ 1 , \"a]\",[2,3] ,{\"x\":[]}, null ]"));
	struct slice name = SLICE_LIT("x"), value;
	size_t n = 0;

	(void)state;
	while (json_next(&it, &name, &value)) {
		assert_row(n, n < ARRAY_SIZE(expected) && name.data == NULL);
		assert_slice_is(value, expected[n++]);
	}
	assert_int_equal(n, ARRAY_SIZE(expected));
	assert_false(json_next(&it, &name, &value));
	it = json_iter(SLICE_LIT("{}"));
	assert_false(json_next(&it, &name, &value));
	it = json_iter(SLICE_LIT("5"));
	assert_false(json_next(&it, &name, &value));
}

static void test_types_are_told_by_the_first_byte(void **state)
{
	(void)state;
	assert_int_equal(json_type(SLICE_LIT(" {")), JSON_OBJECT);
	assert_int_equal(json_type(SLICE_LIT("-1")), JSON_NUMBER);
	assert_int_equal(json_type(SLICE_LIT("x")), JSON_INVALID);
	assert_int_equal(json_type(SLICE_NULL), JSON_INVALID);
}

static void test_strings_decode(void **state)
{
	static const struct {
		struct slice token;
		struct slice text;
	} rows[] = {
		{ SLICE_LIT("\"\""), SLICE_LIT("") }, { SLICE_LIT("\"abc\""), SLICE_LIT("abc") },
		{ SLICE_LIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), SLICE_LIT("\"\\/\b\f\n\r\t") },
		{ SLICE_LIT("\"\\u0041\\u00e9\\u20AC\""), SLICE_LIT("A\xc3\xa9\xe2\x82\xac") },
		{ SLICE_LIT("\"\\u0000\""), SLICE_LIT("\0") },
		{ SLICE_LIT("\"\\ud83d\\ude00\""), SLICE_LIT("\xf0\x9f\x98\x80") },
		{ SLICE_LIT("\"\\ud800\""), SLICE_LIT("\xef\xbf\xbd") }, { SLICE_LIT("\"\\udc00x\""), SLICE_LIT("\xef\xbf\xbdx") },
		{ SLICE_LIT("\"\\ud800\\ud800\\udc00\""), SLICE_LIT("\xef\xbf\xbd\xf0\x90\x80\x80") },
		{ SLICE_LIT("\"\\ud800\\u0041\""), SLICE_LIT("\xef\xbf\xbd" "A") },
		{ SLICE_LIT("\"\\udbff\\udfff\""), SLICE_LIT("\xf4\x8f\xbf\xbf") },
	};
	static const struct slice bad[] = { SLICE_LIT(""), SLICE_LIT("\""), SLICE_LIT("abc"), SLICE_LIT("\"a"), SLICE_LIT("a\""),
		SLICE_LIT("\"a\"b\""), SLICE_LIT("\"\\\""), SLICE_LIT("\"\\q\""), SLICE_LIT("\"\\u12\""), SLICE_LIT("\"\n\""),
		SLICE_LIT("\"\xff\""), SLICE_LIT("5"), SLICE_LIT(" \"a\"") };
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		buffer_reset(&out);
		assert_row(i, json_decode_string(rows[i].token, &out) == 0 && slice_equal(buffer_slice(&out), rows[i].text));
	}
	buffer_reset(&out);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_row(i, json_decode_string(bad[i], &out) == -EINVAL && out.len == 0);
}

static void test_tokens_compare_by_what_they_mean(void **state)
{
	(void)state;
	assert_true(json_string_equals(SLICE_LIT("\"abc\""), "abc"));
	assert_true(json_string_equals(SLICE_LIT("\"a\\u0062c\""), "abc"));
	assert_true(json_string_equals(SLICE_LIT("\"a\\\\\""), "a\\"));
	assert_true(json_string_equals(SLICE_LIT("\"\\ud83d\\ude00\""), "\xf0\x9f\x98\x80"));
	assert_true(json_string_equals(SLICE_LIT("\"\""), ""));
	assert_false(json_string_equals(SLICE_LIT("\"abc\""), "abd"));
	assert_false(json_string_equals(SLICE_LIT("\"a\\u0062c\""), "ab"));
	assert_false(json_string_equals(SLICE_LIT("\"a\\u0062\""), "abc"));
	assert_false(json_string_equals(SLICE_LIT("\"a\\\\\""), "a\\\\"));
	assert_false(json_string_equals(SLICE_LIT("\"a\\u0000\""), "a"));
	assert_false(json_string_equals(SLICE_NULL, ""));
	assert_false(json_string_equals(SLICE_LIT("abcd"), "bc"));
}

static void test_strings_encode(void **state)
{
	static const struct {
		struct slice text;
		const char *token;
	} rows[] = {
		{ SLICE_NULL, "\"\"" }, { SLICE_LIT("abc"), "\"abc\"" }, { SLICE_LIT("a\"b\\c/"), "\"a\\\"b\\\\c/\"" },
		{ SLICE_LIT("\b\f\n\r\t\x7f"), "\"\\b\\f\\n\\r\\t\x7f\"" }, { SLICE_LIT("\0\x01\x1b\x1f"), "\"\\u0000\\u0001\\u001b\\u001f\"" },
		{ SLICE_LIT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" },
		/* Unicode 15, tables 3-8 to 3-11: one replacement for each maximal subpart */
		{ SLICE_LIT("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41"),
		    "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" "A\"" },
		{ SLICE_LIT("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41"),
		    "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" "A\"" },
		{ SLICE_LIT("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" "A\"" },
		{ SLICE_LIT("x\xe2\x82"), "\"x\xef\xbf\xbd\"" },
	};
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		buffer_reset(&out);
		json_encode_string(&out, rows[i].text);
		assert_slice_is(buffer_slice(&out), rows[i].token);
	}
}

/* Text in any two pieces gives what the whole gives; only an incomplete sequence is left over. */
static void test_chunks_join_seamlessly(void **state)
{
	static const struct slice text = SLICE_LIT("plain \xc3\xa9 and \xe2\x82\xac then \xf0\x9f\x98\x80 and \xf0\x9f bad \xff \x1b[0m \n end \xe2\x82");
	_cleanup_(buffer_deinitp) struct buffer whole = BUFFER_INIT(0), pieces = BUFFER_INIT(0);

	(void)state;
	assert_int_equal(json_encode_chunk(&whole, text, true), text.len);
	for (size_t cut = 0; cut <= text.len; cut++) {
		size_t n;

		buffer_reset(&pieces);
		n = json_encode_chunk(&pieces, slice_from(text.data, cut), false);
		assert_row(cut, n <= cut && cut - n <= 3);
		n += json_encode_chunk(&pieces, slice_from(text.data + n, text.len - n), true);
		assert_row(cut, n == text.len && slice_equal(buffer_slice(&whole), buffer_slice(&pieces)));
	}
	buffer_reset(&pieces);
	assert_int_equal(json_encode_chunk(&pieces, text, false), text.len - 2);
}

/* Long texts cross the pieces in which the encoder works, at every phase of a three-byte character. */
static void test_long_texts_are_encoded_whole(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(0), out = BUFFER_INIT(0), back = BUFFER_INIT(0);

	(void)state;
	for (size_t shift = 0; shift < 3; shift++) {
		buffer_reset(&text);
		buffer_reset(&out);
		buffer_reset(&back);
		buffer_append(&text, "xyz", shift);
		for (int i = 0; i < 20000; i++)
			buffer_append_str(&text, i % 7 ? "\xe2\x82\xac" : "\x01\x02\n");
		json_encode_string(&out, buffer_slice(&text));
		assert_int_equal(json_decode_string(buffer_slice(&out), &back), 0);
		assert_true(slice_equal(buffer_slice(&text), buffer_slice(&back)));
	}
}

static unsigned char changing[20000];
static atomic_bool stop;

static void *change(void *unused)
{
	static const unsigned char bytes[] = { 'a', '"', '\\', '\n', 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xff };
	uint64_t seed = 3;

	(void)unused;
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		__atomic_store_n(&changing[test_random_below(&seed, sizeof(changing))],
		    bytes[test_random_below(&seed, sizeof(bytes))], __ATOMIC_RELAXED);
	return NULL;
}

static void test_text_that_changes_meanwhile_still_gives_json(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
	pthread_t thread;

	(void)state;
	atomic_store(&stop, false);
	memset(changing, 'a', sizeof(changing));
	assert_int_equal(pthread_create(&thread, NULL, change, NULL), 0);
	for (unsigned i = 0; i < 3000; i++) {
		buffer_reset(&out);
		json_encode_string(&out, slice_from(changing, sizeof(changing)));
		assert_row(i, json_is_valid(buffer_slice(&out)));
	}
	atomic_store(&stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_a_full_buffer_keeps_what_it_had(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(100);
	char text[90];

	(void)state;
	memset(text, 'a', sizeof(text));
	buffer_append_str(&out, "before");
	json_encode_string(&out, slice_from(text, 60));
	assert_int_equal(out.failed, 0); /* though 60 bytes of the worst kind would not fit */
	assert_int_equal(out.len, 68);
	json_encode_string(&out, slice_from(text, 60));
	assert_int_equal(out.failed, -EMSGSIZE);
	assert_int_equal(out.len, 68);
	buffer_reset(&out);
	buffer_append_str(&out, "before");
	assert_true(json_encode_chunk(&out, slice_from("\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01", 18), true) < 18);
	assert_int_equal(out.failed, -EMSGSIZE);
	assert_slice_is(buffer_slice(&out), "before");
	out.failed = 0;
	out.max = 8;
	assert_int_equal(json_decode_string(SLICE_LIT("\"abcdef\""), &out), -EMSGSIZE);
	assert_slice_is(buffer_slice(&out), "before");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_json_and_what_is_not),
		cmocka_unit_test(test_blocks_have_no_blind_spot),
		cmocka_unit_test(test_depth_is_limited),
		cmocka_unit_test(test_members_are_found),
		cmocka_unit_test(test_elements_come_in_order),
		cmocka_unit_test(test_types_are_told_by_the_first_byte),
		cmocka_unit_test(test_strings_decode),
		cmocka_unit_test(test_tokens_compare_by_what_they_mean),
		cmocka_unit_test(test_strings_encode),
		cmocka_unit_test(test_chunks_join_seamlessly),
		cmocka_unit_test(test_long_texts_are_encoded_whole),
		cmocka_unit_test(test_text_that_changes_meanwhile_still_gives_json),
		cmocka_unit_test(test_a_full_buffer_keeps_what_it_had),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
