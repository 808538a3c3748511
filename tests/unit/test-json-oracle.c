/* SPDX-License-Identifier: Apache-2.0 */
/* test-json-oracle: generated and damaged texts are judged, taken apart and encoded as jansson does it. */
#include "tests/unit/test.h"

#include "protocol/wire/json.h"
#include "tests/unit/jansson.h"

static void put_random_string(uint64_t *seed, struct buffer *out)
{
	static const char *const pieces[] = { "a", "name", "0123456789abcdef", "\\n", "\\u00e9", "\\ud83d\\ude00", "\xc3\xa9",
		"\xe2\x82\xac", "\xf0\x9f\x98\x80", "\\\"", "\\\\", "{[,:]}", " ", "\x7f" };

	buffer_append_char(out, '"');
	for (uint64_t n = test_random_below(seed, 12); n > 0; n--)
		buffer_append_str(out, pieces[test_random_below(seed, ARRAY_SIZE(pieces))]);
	buffer_append_char(out, '"');
}

static void put_random_value(uint64_t *seed, struct buffer *out, unsigned depth)
{
	static const char *const scalars[] = { "null", "true", "false", "0", "-1", "12345678901", "1.5", "-2e3", "7E-2", "\"\"" };
	uint64_t kind = test_random_below(seed, depth < 5 ? 10 : 6), n = test_random_below(seed, 6);

	if (test_random_below(seed, 8) == 0)
		buffer_append_str(out, " \n");
	if (kind < 3) {
		buffer_append_str(out, scalars[test_random_below(seed, ARRAY_SIZE(scalars))]);
	} else if (kind < 6) {
		put_random_string(seed, out);
	} else {
		buffer_append_char(out, kind < 8 ? '[' : '{');
		for (uint64_t i = 0; i < n; i++) {
			if (i > 0)
				buffer_append_str(out, test_random_below(seed, 4) ? "," : " , ");
			if (kind >= 8) {
				put_random_string(seed, out);
				buffer_append_char(out, ':');
			}
			put_random_value(seed, out, depth + 1);
		}
		buffer_append_char(out, kind < 8 ? ']' : '}');
	}
	if (test_random_below(seed, 8) == 0)
		buffer_append_char(out, '\t');
}

/* What jansson refuses beyond RFC 8259: lone surrogates, NUL in names, numbers it cannot hold. */
static bool is_janssons_own_limit(const json_error_t *error)
{
	enum json_error_code code = json_error_code(error);

	return code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
	    strstr(error->text, "invalid Unicode") || strstr(error->text, "too big") || strstr(error->text, "NUL byte");
}

static void compare_with_oracle(struct slice text, unsigned *n_valid)
{
	json_error_t error;
	json_t *value = json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	bool ours = json_is_valid(text);

	if (ours != (value != NULL) && (value || !is_janssons_own_limit(&error)))
		fail_msg("husk says %d, jansson says %s: %.*s", ours, value ? "valid" : error.text, (int)text.len, text.data);
	*n_valid += ours;
	json_decref(value);
}

/* No NUL: jansson loses one that follows a number. */
static void damage(uint64_t *seed, struct buffer *text)
{
	static const char bytes[] = "\"\\{}[],:0u-.eE+ntf \xc3\xe2\xf0\x80\xbf\xff\n\x1f";
	size_t at = (size_t)test_random_below(seed, text->len);

	switch (test_random_below(seed, 3)) {
	case 0:
		text->data[at] = bytes[test_random_below(seed, sizeof(bytes) - 1)];
		break;
	case 1:
		text->len = at + 1;
		break;
	default:
		memmove(text->data + at, text->data + at + 1, text->len - at - 1);
		text->len -= text->len > 1;
	}
}

static void test_generated_and_damaged_texts_are_judged_as_by_jansson(void **state)
{
	uint64_t seed = 8259;
	unsigned n_valid = 0, n = 0;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(0);
		unsigned before = n_valid;

		put_random_value(&seed, &text, 0);
		compare_with_oracle(buffer_slice(&text), &n_valid);
		assert_row(round, n_valid == before + 1);
		for (int k = 0; k < 5; k++, n++) {
			damage(&seed, &text);
			compare_with_oracle(buffer_slice(&text), &n_valid);
		}
	}
	/* Both answers were exercised. */
	assert_true(n_valid > 3000 + n / 20 && n_valid < 3000 + n * 19 / 20);
}

static void compare_member(struct slice object, const char *name, const json_t *expected)
{
	struct slice raw;
	json_t *got;

	assert_int_not_equal(json_member(object, name, &raw), JSON_INVALID);
	got = json_loadb(raw.data, raw.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (!json_equal(got, expected))
		fail_msg("member %s of %.*s", name, (int)object.len, object.data);
	json_decref(got);
}

static void test_members_and_strings_are_the_ones_jansson_finds(void **state)
{
	uint64_t seed = 42;
	unsigned n_members = 0;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(0), plain = BUFFER_INIT(0);
		const char *name;
		json_t *object, *value;

		buffer_append_str(&text, "{\"x\":");
		put_random_value(&seed, &text, 2);
		for (int i = 0; i < 4; i++) {
			buffer_append_char(&text, ',');
			put_random_string(&seed, &text);
			buffer_append_char(&text, ':');
			put_random_value(&seed, &text, 3);
		}
		buffer_append_char(&text, '}');
		object = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
		assert_non_null(object);
		json_object_foreach(object, name, value) {
			struct slice raw;

			compare_member(buffer_slice(&text), name, value);
			n_members++;
			if (!json_string_value(value))
				continue;
			(void)json_member(buffer_slice(&text), name, &raw);
			buffer_reset(&plain);
			assert_int_equal(json_decode_string(raw, &plain), 0);
			assert_true(slice_equal(buffer_slice(&plain), slice_from(json_string_value(value), json_string_length(value))));
		}
		json_decref(object);
	}
	assert_true(n_members > 5000);
}

static void test_encoded_bytes_are_read_by_jansson(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		_cleanup_(buffer_deinitp) struct buffer token = BUFFER_INIT(0), plain = BUFFER_INIT(0);
		char bytes[100];
		size_t n = (size_t)test_random_below(&seed, sizeof(bytes));
		bool ascii = test_random_below(&seed, 2);
		json_t *value;

		for (size_t i = 0; i < n; i++)
			bytes[i] = (char)(test_random(&seed) & (ascii ? 0x7f : 0xff));
		json_encode_string(&token, slice_from(bytes, n));
		value = json_loadb(token.data, token.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		assert_non_null(value);
		if (ascii)
			assert_true(slice_equal(slice_from(bytes, n), slice_from(json_string_value(value), json_string_length(value))));
		assert_int_equal(json_decode_string(buffer_slice(&token), &plain), 0);
		assert_true(slice_equal(buffer_slice(&plain), slice_from(json_string_value(value), json_string_length(value))));
		json_decref(value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generated_and_damaged_texts_are_judged_as_by_jansson),
		cmocka_unit_test(test_members_and_strings_are_the_ones_jansson_finds),
		cmocka_unit_test(test_encoded_bytes_are_read_by_jansson),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
