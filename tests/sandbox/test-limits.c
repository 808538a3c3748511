/* SPDX-License-Identifier: Apache-2.0 */
/* test-limits: the table of limits, and how their values are read and written. */
#include "kernel/sandbox/limits.h"
#include "tests/unit/test.h"

static const struct {
	enum limit which;
	const char *text;
	uint64_t value;
} accepted[] = {
	{ LIMIT_wall, "120 s", 120 * LIMIT_SECOND },
	{ LIMIT_wall, "120s", 120 * LIMIT_SECOND },
	{ LIMIT_wall, "120   s", 120 * LIMIT_SECOND },
	{ LIMIT_wall, "500 ms", 500000 },
	{ LIMIT_wall, "10 min", 600 * LIMIT_SECOND },
	{ LIMIT_wall, "2 h", 7200 * LIMIT_SECOND },
	{ LIMIT_wall, "30 d", LIMIT_MONTH },
	{ LIMIT_wall, "10000 us", 10000 },
	{ LIMIT_wall, "0.5 s", 500000 },
	{ LIMIT_wall, "1.000001 s", 1000001 },
	{ LIMIT_wall, "0120 s", 120 * LIMIT_SECOND },
	{ LIMIT_wall, "none", LIMITS_NONE },
	{ LIMIT_memory, "1 GiB", LIMIT_GIB },
	{ LIMIT_memory, "1.5 GiB", 3 * LIMIT_GIB / 2 },
	{ LIMIT_memory, "1073741824", LIMIT_GIB },
	{ LIMIT_memory, "1073741824 B", LIMIT_GIB },
	{ LIMIT_memory, "16 TiB", UINT64_C(1) << 44 },
	{ LIMIT_output, "4 KiB", 4096 },
	{ LIMIT_processes, "128", 128 },
	{ LIMIT_processes, "none", LIMITS_NONE },
	{ LIMIT_cpu_share, "150 %", 150 },
	{ LIMIT_cpu_share, "150%", 150 },
	{ LIMIT_cpu_share, "150", 150 },
};

static const struct {
	enum limit which;
	const char *text;
	const char *part; /* of the sentence */
} refused[] = {
	{ LIMIT_wall, "", "limit wall is \"\"; it must be a number with us, ms, s, min, h or d, such as \"120 s\", 10 ms to 30 d, or \"none\"" },
	{ LIMIT_wall, "120", "a number with us, ms" },
	{ LIMIT_wall, "s", "a number with us" },
	{ LIMIT_wall, "1 GiB", "a number with us" },
	{ LIMIT_wall, "120 sec", "a number with us" },
	{ LIMIT_wall, "120 S", "a number with us" },
	{ LIMIT_wall, " 120 s", "a number with us" },
	{ LIMIT_wall, "120 s ", "a number with us" },
	{ LIMIT_wall, "-1 s", "a number with us" },
	{ LIMIT_wall, "+1 s", "a number with us" },
	{ LIMIT_wall, "1e3 s", "a number with us" },
	{ LIMIT_wall, "0x10 s", "a number with us" },
	{ LIMIT_wall, "1. s", "a number with us" },
	{ LIMIT_wall, ".5 s", "a number with us" },
	{ LIMIT_wall, "1.5.5 s", "a number with us" },
	{ LIMIT_wall, "10000.5 us", "a number with us" },
	{ LIMIT_wall, "1.0000001 s", "a number with us" },
	{ LIMIT_wall, "None", "a number with us" },
	{ LIMIT_wall, "none ", "a number with us" },
	{ LIMIT_wall, "0 s", "limit wall is \"0 s\"; it must be 10 ms to 30 d, or \"none\"" },
	{ LIMIT_wall, "31 d", "10 ms to 30 d" },
	{ LIMIT_wall, "18446744073709551615 us", "10 ms to 30 d" },
	{ LIMIT_wall, "18446744073709551616 us", "10 ms to 30 d" },
	{ LIMIT_wall, "213503982334602 d", "10 ms to 30 d" },
	{ LIMIT_wall, "99999999999999999999999999999999999999999999999999 s", "...\"; it must be 10 ms to 30 d" },
	{ LIMIT_wall, "\x1b[31m s", "\"?[31m s\"" },
	{ LIMIT_memory, "1 GB", "a number with B, KiB, MiB, GiB or TiB, such as \"512 MiB\", 32 MiB to 16 TiB" },
	{ LIMIT_memory, "1 KiB", "limit memory is \"1 KiB\"; it must be 32 MiB to 16 TiB" },
	{ LIMIT_memory, "16777216 TiB", "32 MiB to 16 TiB" },
	{ LIMIT_processes, "128 s", "limit processes is \"128 s\"; it must be a number, 4 to 1048576, or \"none\"" },
	{ LIMIT_processes, "3", "4 to 1048576" },
	{ LIMIT_processes, "4.5", "a number" },
	{ LIMIT_cpu_share, "4 %", "5 % to 102400 %" },
	{ LIMIT_cpu_share, "1.5", "a number with %" },
};

static const struct {
	enum limit which;
	uint64_t value;
	const char *text;
} formatted[] = {
	{ LIMIT_wall, 120 * LIMIT_SECOND, "120 s" },
	{ LIMIT_wall, 600 * LIMIT_SECOND, "600 s" },
	{ LIMIT_wall, 3600 * LIMIT_SECOND, "1 h" },
	{ LIMIT_wall, LIMIT_MONTH, "30 d" },
	{ LIMIT_wall, 500000, "500 ms" },
	{ LIMIT_wall, 1000001, "1000001 us" },
	{ LIMIT_wall, LIMITS_NONE, "none" },
	{ LIMIT_memory, LIMIT_GIB, "1 GiB" },
	{ LIMIT_memory, 1536 * LIMIT_MIB, "1536 MiB" },
	{ LIMIT_memory, LIMIT_GIB + 1, "1073741825 B" },
	{ LIMIT_processes, 128, "128" },
	{ LIMIT_cpu_share, 150, "150 %" },
};

static void test_values_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
		uint64_t value = 0;
		struct error err = { 0 };

		assert_row(i, limit_parse(accepted[i].which, slice_str(accepted[i].text), &value, &err) == 0);
		assert_row(i, value == accepted[i].value);
	}
}

static void test_what_is_refused_says_limit_value_and_range(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		uint64_t value = 77;
		struct error err = { 0 };

		assert_row(i, limit_parse(refused[i].which, slice_str(refused[i].text), &value, &err) == -EINVAL);
		assert_row(i, value == 77);
		assert_contains(err.text, refused[i].part);
		assert_contains(err.text, limit_rows[refused[i].which].name);
		assert_contains(err.text, "or \"none\"");
	}
}

static void test_values_are_written_in_the_shortest_exact_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formatted); i++) {
		_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);

		limit_format(formatted[i].which, formatted[i].value, &out);
		assert_slice_is(buffer_slice(&out), formatted[i].text);
	}
}

static void check_round_trip(enum limit which, uint64_t value)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
	uint64_t again = 0;

	limit_format(which, value, &out);
	assert_int_equal(limit_parse(which, buffer_slice(&out), &again, NULL), 0);
	assert_int_equal(again, value);
}

static void test_what_is_written_is_read_back(void **state)
{
	uint64_t seed = 4711;

	(void)state;
	for (int i = 0; i < LIMIT_COUNT; i++) {
		const struct limit_row *row = &limit_rows[i];

		check_round_trip(i, row->least);
		check_round_trip(i, row->most);
		check_round_trip(i, LIMITS_NONE);
		for (int n = 0; n < 1000; n++)
			check_round_trip(i, row->least + test_random_below(&seed, row->most - row->least + 1));
	}
}

static void test_the_table_is_sound(void **state)
{
	struct limits unlimited = LIMITS_UNLIMITED, fallback = limits_default();

	(void)state;
	for (int i = 0; i < LIMIT_COUNT; i++) {
		const struct limit_row *row = &limit_rows[i];
		size_t len = strlen(row->help);

		assert_row(i, limit_find(slice_str(row->name)) == (enum limit)i);
		assert_row(i, row->least > 0 && row->least <= row->most && row->most < LIMITS_NONE);
		assert_row(i,
			   row->fallback == LIMITS_NONE || (row->fallback >= row->least && row->fallback <= row->most));
		assert_row(i, len > 1 && row->help[len - 1] == '.');
		assert_row(i, unlimited.value[i] == LIMITS_NONE);
		assert_row(i, fallback.value[i] == row->fallback);
	}
	assert_int_equal(limit_find(SLICE_LIT("")), LIMIT_COUNT);
	assert_int_equal(limit_find(SLICE_LIT("memor")), LIMIT_COUNT);
	assert_int_equal(limit_find(SLICE_LIT("Memory")), LIMIT_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_are_read),
		cmocka_unit_test(test_what_is_refused_says_limit_value_and_range),
		cmocka_unit_test(test_values_are_written_in_the_shortest_exact_form),
		cmocka_unit_test(test_what_is_written_is_read_back),
		cmocka_unit_test(test_the_table_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
