/* SPDX-License-Identifier: Apache-2.0 */
/* test-clock: time as text, compared with the C library's calendar. */
#include "tests/unit/test.h"

#include <time.h>

#include "protocol/base/clock.h"

static void test_known_moments(void **state)
{
	static const struct {
		uint64_t usec;
		const char *text;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00.000000Z" },
		{ 1, "1970-01-01T00:00:00.000001Z" },
		{ 951782399999999, "2000-02-28T23:59:59.999999Z" },
		{ 951782400000000, "2000-02-29T00:00:00.000000Z" },
		{ 1709164800000000, "2024-02-29T00:00:00.000000Z" },
		{ 1709251200000000, "2024-03-01T00:00:00.000000Z" },
		{ 1795266880123456, "2026-11-21T13:14:40.123456Z" },
		{ 4107542400000000, "2100-03-01T00:00:00.000000Z" },
		{ 253402300799999999, "9999-12-31T23:59:59.999999Z" },
		{ 253402300800000000, "9999-12-31T23:59:59.999999Z" },
		{ UINT64_MAX, "9999-12-31T23:59:59.999999Z" },
	};
	char text[CLOCK_ISO8601_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		clock_iso8601(rows[i].usec, text);
		assert_string_equal(text, rows[i].text);
	}
}

static void test_every_day_of_four_centuries_is_the_c_librarys(void **state)
{
	char text[CLOCK_ISO8601_SIZE], expected[32];

	(void)state;
	for (unsigned day = 0; day < 146100; day++) {
		time_t t = (time_t)day * 86400 + day % 86400;
		struct tm tm;

		clock_iso8601((uint64_t)t * USEC_PER_SEC + day, text);
		assert_non_null(gmtime_r(&t, &tm));
		assert_int_equal(strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.", &tm), 20);
		(void)snprintf(expected + 20, sizeof(expected) - 20, "%06uZ", day);
		assert_string_equal(text, expected);
	}
}

static void test_clocks_do_not_go_back(void **state)
{
	uint64_t before = clock_monotonic_usec();

	(void)state;
	assert_true(clock_monotonic_usec() >= before);
	assert_true(clock_realtime_usec() > 1700000000 * USEC_PER_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_moments),
		cmocka_unit_test(test_every_day_of_four_centuries_is_the_c_librarys),
		cmocka_unit_test(test_clocks_do_not_go_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
