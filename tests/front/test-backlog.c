/* SPDX-License-Identifier: Apache-2.0 */
/* test-backlog: a slow subscriber holds output up, then loses it, until it has read half of what it may hold. */
#include "tests/unit/test.h"

#include "kernel/front/backlog.h"
#include "protocol/base/util.h"

#define STEP (100 * USEC_PER_MSEC)
#define FULL SENDER_BUDGET_BYTES

static void test_below_the_budget_nothing_waits_and_nothing_is_dropped(void **state)
{
	struct backlog b = { 0 };

	(void)state;
	assert_false(backlog_blocks(&b, FULL - 1, 1, false));
	assert_int_equal(backlog_deadline(&b), USEC_NEVER);
	assert_false(backlog_drops(&b, FULL - 1, 10, false));
	assert_int_equal(backlog_recovered(&b, 0), 0);
}

static void test_above_the_budget_output_waits_and_goes_on_at_half(void **state)
{
	struct backlog b = { 0 };

	(void)state;
	assert_true(backlog_blocks(&b, FULL, STEP, false));
	assert_int_equal(backlog_deadline(&b), STEP + SENDER_STALL_USEC);
	assert_true(backlog_blocks(&b, FULL / 2, 2 * STEP, false));
	assert_false(backlog_blocks(&b, FULL / 2 - 1, 3 * STEP, false));
	assert_int_equal(backlog_deadline(&b), USEC_NEVER);
}

static void test_a_slow_reader_may_take_as_long_as_it_reads(void **state)
{
	struct backlog b = { 0 };
	uint64_t now = STEP;
	size_t bytes = FULL;

	(void)state;
	for (int i = 0; i < 20; i++, now += SENDER_STALL_USEC - 1, bytes -= 1000)
		assert_true(backlog_blocks(&b, bytes, now, false));
	assert_false(backlog_drops(&b, bytes, 10, false));
}

static void test_growing_is_not_reading(void **state)
{
	struct backlog b = { 0 };

	(void)state;
	assert_true(backlog_blocks(&b, FULL, STEP, false));
	assert_true(backlog_blocks(&b, FULL + 1000, STEP + SENDER_STALL_USEC - 1, false));
	assert_false(backlog_blocks(&b, FULL + 500, STEP + SENDER_STALL_USEC, false));
}

static void test_who_does_not_read_at_all_loses_output_until_half_is_free(void **state)
{
	struct backlog b = { 0 };

	(void)state;
	assert_true(backlog_blocks(&b, FULL, STEP, false));
	assert_true(backlog_blocks(&b, FULL, STEP + SENDER_STALL_USEC - 1, false));
	assert_false(backlog_blocks(&b, FULL, STEP + SENDER_STALL_USEC, false));
	assert_int_equal(backlog_deadline(&b), USEC_NEVER);
	assert_true(backlog_drops(&b, FULL, 70, false));
	assert_true(backlog_drops(&b, FULL, 30, false));
	assert_false(backlog_drops(&b, FULL, 1000, true));
	assert_false(backlog_blocks(&b, FULL / 2, 2 * STEP + SENDER_STALL_USEC, false));
	assert_int_equal(backlog_recovered(&b, FULL / 2), 0);
	assert_true(backlog_drops(&b, FULL / 2, 23, false));
	assert_false(backlog_blocks(&b, FULL / 2 - 1, 3 * STEP + SENDER_STALL_USEC, false));
	assert_false(backlog_drops(&b, FULL / 2 - 1, 1000, false));
	assert_int_equal(backlog_recovered(&b, FULL / 2 - 1), 123);
	assert_int_equal(backlog_recovered(&b, FULL / 2 - 1), 0);
}

static void test_it_may_stall_again(void **state)
{
	struct backlog b = { 0 };

	(void)state;
	for (uint64_t at = STEP; at < 4 * SENDER_STALL_USEC; at += SENDER_STALL_USEC) {
		assert_true(backlog_blocks(&b, FULL, at, false));
		assert_false(backlog_blocks(&b, 0, at + 1, false));
	}
}

static void test_in_a_hurry_nothing_waits(void **state)
{
	struct backlog b = { 0 };

	(void)state;
	assert_true(backlog_blocks(&b, FULL, STEP, false));
	assert_false(backlog_blocks(&b, FULL, STEP + 1, true));
	assert_true(backlog_drops(&b, FULL, 1, false));
	assert_false(backlog_blocks(&b, 0, STEP + 2, false));
	assert_true(backlog_blocks(&b, FULL, STEP + 3, false));
}

static void test_what_clients_cannot_do_without_has_twice_the_room(void **state)
{
	struct backlog b = { 0 };

	(void)state;
	assert_false(backlog_drops(&b, 2 * FULL - 1, 5, true));
	assert_true(backlog_drops(&b, 2 * FULL, 5, true));
	assert_int_equal(backlog_recovered(&b, 0), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_below_the_budget_nothing_waits_and_nothing_is_dropped),
		cmocka_unit_test(test_above_the_budget_output_waits_and_goes_on_at_half),
		cmocka_unit_test(test_a_slow_reader_may_take_as_long_as_it_reads),
		cmocka_unit_test(test_growing_is_not_reading),
		cmocka_unit_test(test_who_does_not_read_at_all_loses_output_until_half_is_free),
		cmocka_unit_test(test_it_may_stall_again),
		cmocka_unit_test(test_in_a_hurry_nothing_waits),
		cmocka_unit_test(test_what_clients_cannot_do_without_has_twice_the_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
