/* SPDX-License-Identifier: Apache-2.0 */
/* test-turns: the headers of recent requests. */
#include "tests/unit/test.h"

#include "kernel/front/turns.h"

static struct turns turns;

static int fresh(void **state)
{
	(void)state;
	turns_deinit(&turns);
	return 0;
}

static uint32_t add(const char *header)
{
	return turns_new(&turns, slice_str(header));
}

static void test_before_any_turn_there_is_no_header(void **state)
{
	(void)state;
	assert_null(turns_header(&turns, 0).data);
	assert_null(turns_header(&turns, 5).data);
}

static void test_a_turn_keeps_a_copy_of_its_header(void **state)
{
	char text[] = "{\"msg_id\":\"a\"}";
	uint32_t turn;

	(void)state;
	turn = turns_new(&turns, slice_str(text));
	text[2] = 'X';
	assert_true(turn > 0);
	assert_slice_is(turns_header(&turns, turn), "{\"msg_id\":\"a\"}");
}

static void test_turn_0_and_unknown_ones_mean_the_newest(void **state)
{
	(void)state;
	(void)add("old");
	(void)add("new");
	assert_slice_is(turns_header(&turns, 0), "new");
	assert_slice_is(turns_header(&turns, 77), "new");
	assert_slice_is(turns_header(&turns, UINT32_MAX), "new");
}

static void test_the_oldest_is_forgotten_first(void **state)
{
	uint32_t first = add("first"), second = add("second"), last = 0;

	(void)state;
	for (unsigned i = 0; i < TURNS_MAX - 1; i++)
		last = add("later");
	assert_slice_is(turns_header(&turns, first), "later");
	assert_slice_is(turns_header(&turns, second), "second");
	assert_slice_is(turns_header(&turns, last), "later");
}

static void test_memory_is_bounded_with_the_largest_headers(void **state)
{
	static char big[65536];
	uint32_t last = 0;

	(void)state;
	memset(big, 'x', sizeof(big));
	for (unsigned i = 0; i < 3 * TURNS_MAX_BYTES / sizeof(big); i++) {
		last = turns_new(&turns, slice_from(big, sizeof(big)));
		assert_true(turns.n_bytes <= TURNS_MAX_BYTES);
	}
	assert_int_equal(turns_header(&turns, last).len, sizeof(big));
}

static void test_turn_ids_wrap_past_0(void **state)
{
	uint32_t before, after;

	(void)state;
	turns.last = UINT32_MAX - 1;
	before = add("before");
	after = add("after");
	assert_int_equal(before, UINT32_MAX);
	assert_int_equal(after, 1);
	assert_slice_is(turns_header(&turns, after), "after");
}

static void test_the_header_of_a_running_request_outlives_any_number_of_others(void **state)
{
	uint32_t long_one = add("long");

	(void)state;
	turns_hold(&turns, long_one, SLICE_LIT("long"));
	for (unsigned i = 0; i < 3 * TURNS_MAX; i++)
		(void)add("usage");
	assert_slice_is(turns_header(&turns, long_one), "long");
	turns_release(&turns, long_one);
	assert_slice_is(turns_header(&turns, long_one), "usage");
}

static void test_more_held_turns_than_places_are_only_not_held(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2 * TURNS_MAX_HELD; i++)
		turns_hold(&turns, add("x"), SLICE_LIT("held"));
	assert_slice_is(turns_header(&turns, 1), "held");
	assert_slice_is(turns_header(&turns, 2 * TURNS_MAX_HELD), "x");
	turns_release(&turns, 0);
	turns_release(&turns, 12345);
	assert_slice_is(turns_header(&turns, 1), "held");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_before_any_turn_there_is_no_header, fresh, fresh),
		cmocka_unit_test_setup_teardown(test_a_turn_keeps_a_copy_of_its_header, fresh, fresh),
		cmocka_unit_test_setup_teardown(test_turn_0_and_unknown_ones_mean_the_newest, fresh, fresh),
		cmocka_unit_test_setup_teardown(test_the_oldest_is_forgotten_first, fresh, fresh),
		cmocka_unit_test_setup_teardown(test_memory_is_bounded_with_the_largest_headers, fresh, fresh),
		cmocka_unit_test_setup_teardown(test_turn_ids_wrap_past_0, fresh, fresh),
		cmocka_unit_test_setup_teardown(test_the_header_of_a_running_request_outlives_any_number_of_others, fresh,
		    fresh),
		cmocka_unit_test_setup_teardown(test_more_held_turns_than_places_are_only_not_held, fresh, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
