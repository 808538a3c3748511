/* SPDX-License-Identifier: Apache-2.0 */
/* test-interpreter: records of the probe, and which of them are served. */
#include "tests/unit/test.h"

#include <errno.h>

#include "kernel/worker/interpreter.h"

#define KEY "key\0"
#define FIELDS_BEFORE_VERSION "husk-probe-1\0cpython\0"
#define FIELDS_AFTER_VERSION "/v/bin/python\0/usr/bin/python3.11\0/usr/bin/python3.11\0/v\0/usr\0/v\0cpython-311\0"
#define GOOD \
	KEY FIELDS_BEFORE_VERSION "51053296\0" "3.11.2\0text\0" "0\0" "0\0" "1\0" FIELDS_AFTER_VERSION "1\0" "9.1\0" "1\0"
#define PATHS "/lib\0" "12345678901234\0/none\0-1\0"

static int parse(const void *text, size_t len, struct interpreter *ret)
{
	struct buffer record = BUFFER_INIT(0);
	int r;

	buffer_append(&record, text, len);
	assert_int_equal(record.failed, 0);
	r = interpreter_parse(&record, ret);
	buffer_deinit(&record);
	return r;
}

static void test_a_record_is_read_field_by_field(void **state)
{
	static const char record[] = GOOD PATHS;
	_cleanup_(interpreter_deinitp) struct interpreter i = { .hexversion = 0 };

	(void)state;
	assert_int_equal(parse(record, sizeof(record) - 1, &i), 0);
	assert_string_equal(i.implementation, "cpython");
	assert_int_equal(i.hexversion, 0x030b02f0);
	assert_string_equal(i.version, "3.11.2");
	assert_string_equal(i.version_text, "text");
	assert_false(i.is_debug);
	assert_false(i.is_free_threaded);
	assert_true(i.is_shared);
	assert_string_equal(i.executable, "/v/bin/python");
	assert_string_equal(i.base_executable, "/usr/bin/python3.11");
	assert_string_equal(i.binary, "/usr/bin/python3.11");
	assert_string_equal(i.prefix, "/v");
	assert_string_equal(i.base_prefix, "/usr");
	assert_string_equal(i.exec_prefix, "/v");
	assert_string_equal(i.cache_tag, "cpython-311");
	assert_true(i.is_64bit);
	assert_string_equal(i.ipython, "9.1");
	assert_true(i.has_debugpy);
	assert_string_equal(i.paths, "/lib");
}

static void test_a_record_may_end_without_paths(void **state)
{
	static const char record[] = GOOD;
	_cleanup_(interpreter_deinitp) struct interpreter i = { .hexversion = 0 };

	(void)state;
	assert_int_equal(parse(record, sizeof(record) - 1, &i), 0);
	assert_ptr_equal(i.paths, i.record.data + i.record.len);
}

static void test_every_cut_of_a_record_is_refused(void **state)
{
	static const char record[] = GOOD;
	struct interpreter i;

	(void)state;
	for (size_t len = 0; len < sizeof(record) - 1; len++)
		assert_row(len, parse(record, len, &i) == -EBADMSG);
}

static void test_other_formats_are_refused(void **state)
{
	static const char other_version[] = KEY "husk-probe-2\0cpython\0" "51053296\0" "3.11.2\0text\0" "0\0" "0\0" "1\0"
		FIELDS_AFTER_VERSION "1\0" "9.1\0" "1\0";
	static const char no_number[] = KEY FIELDS_BEFORE_VERSION "3.11\0" "3.11.2\0text\0" "0\0" "0\0" "1\0"
		FIELDS_AFTER_VERSION "1\0" "9.1\0" "1\0";
	static const char huge_number[] = KEY FIELDS_BEFORE_VERSION "99999999999999999999\0" "3.11.2\0text\0" "0\0" "0\0"
		"1\0" FIELDS_AFTER_VERSION "1\0" "9.1\0" "1\0";
	struct interpreter i;

	(void)state;
	assert_int_equal(parse(other_version, sizeof(other_version) - 1, &i), -EBADMSG);
	assert_int_equal(parse(no_number, sizeof(no_number) - 1, &i), -EBADMSG);
	assert_int_equal(parse(huge_number, sizeof(huge_number) - 1, &i), -EBADMSG);
}

static const struct interpreter good = {
	.implementation = "cpython",
	.hexversion = 0x030b02f0,
	.version = "3.11.2",
	.executable = "/usr/bin/python3",
	.binary = "/usr/bin/python3.11",
	.is_64bit = true,
};

static void refuse(struct interpreter i, const char *part)
{
	struct error err;

	assert_int_equal(interpreter_check(&i, &err), -ENOTSUP);
	assert_contains(err.text, part);
	assert_contains(err.text, i.executable);
	assert_contains(err.text, "husk serves CPython 3.11, 3.12, 3.13");
}

static void test_what_is_known_is_served(void **state)
{
	struct interpreter i = good;
	struct error err;

	(void)state;
	for (long minor = 11; minor <= 14; minor++) {
		i.hexversion = 0x030000f0 | minor << 16;
		assert_row(minor, interpreter_check(&i, &err) == 0);
	}
}

static void test_all_else_is_refused_by_name(void **state)
{
	struct interpreter i = good;

	(void)state;
	i.implementation = "pypy";
	refuse(i, "is pypy 3.11.2, not CPython");
	i = good;
	i.hexversion = 0x030a0df0;
	refuse(i, "which is too old");
	i.hexversion = 0x02071200;
	refuse(i, "which is too old");
	i.hexversion = 0x03630000;
	refuse(i, "a minor version that is not known yet");
	i.hexversion = 0x040b0000;
	refuse(i, "a minor version that is not known yet");
	i = good;
	i.is_free_threaded = true;
	refuse(i, "a free-threaded build");
	i = good;
	i.is_debug = true;
	refuse(i, "a debug build");
	i = good;
	i.is_64bit = false;
	refuse(i, "a 32-bit build");
	i = good;
	i.binary = "python";
	refuse(i, "does not know its own path");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_record_is_read_field_by_field),
		cmocka_unit_test(test_a_record_may_end_without_paths),
		cmocka_unit_test(test_every_cut_of_a_record_is_refused),
		cmocka_unit_test(test_other_formats_are_refused),
		cmocka_unit_test(test_what_is_known_is_served),
		cmocka_unit_test(test_all_else_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
