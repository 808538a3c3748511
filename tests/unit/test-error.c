/* SPDX-License-Identifier: Apache-2.0 */
/* test-error: reasons as values. */
#include "tests/unit/test.h"

#include "protocol/base/error.h"

static void test_set_returns_its_code_and_keeps_the_text(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(error_set(&err, -EINVAL, "port is %d, accepted are %d to %d", 99999, 0, 65535), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_string_equal(err.text, "port is 99999, accepted are 0 to 65535");
}

static void test_nobody_needs_to_ask_for_the_reason(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, -ENOMEM, "%s", "text"), -ENOMEM);
	assert_int_equal(error_prefix(NULL, "%s", "text"), 0);
}

static void test_prefix_comes_before_the_text(void **state)
{
	struct error err;

	(void)state;
	(void)error_set(&err, -EACCES, "permission denied");
	assert_int_equal(error_prefix(&err, "file %s", "a.json"), -EACCES);
	assert_string_equal(err.text, "file a.json: permission denied");
}

static void test_long_texts_are_cut(void **state)
{
	char text[2000];
	struct error err;

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)error_set(&err, -EINVAL, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	(void)error_prefix(&err, "prefix");
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_memory_equal(err.text, "prefix: aaa", 11);
	(void)error_prefix(&err, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void test_a_cut_never_leaves_half_a_character(void **state)
{
	static const char *const characters[] = { "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };
	char text[1200];
	struct error err;

	(void)state;
	for (size_t c = 0; c < 3; c++) {
		size_t n = strlen(characters[c]);

		for (size_t shift = 0; shift < n; shift++) {
			memset(text, 'x', shift);
			for (size_t at = shift; at + n < sizeof(text); at += n)
				memcpy(text + at, characters[c], n + 1);
			(void)error_set(&err, -EINVAL, "%s", text);
			assert_row(c * 10 + shift, (strlen(err.text) - shift) % n == 0);
			assert_row(c * 10 + shift, strlen(err.text) + n > sizeof(err.text) - 1);
			(void)error_prefix(&err, "p");
			assert_row(c * 10 + shift, (strlen(err.text) - 3 - shift) % n == 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_returns_its_code_and_keeps_the_text),
		cmocka_unit_test(test_nobody_needs_to_ask_for_the_reason),
		cmocka_unit_test(test_prefix_comes_before_the_text),
		cmocka_unit_test(test_long_texts_are_cut),
		cmocka_unit_test(test_a_cut_never_leaves_half_a_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
