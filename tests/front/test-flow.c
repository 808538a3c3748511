/* SPDX-License-Identifier: Apache-2.0 */
/* test-flow: how much of a turn's output is published (specs/limits.md 6). */
#include "tests/unit/test.h"

#include "kernel/front/flow.h"

static struct flow flow_with(uint64_t bytes, uint64_t messages)
{
	struct limits limits = LIMITS_UNLIMITED;
	struct flow w;

	limits.value[LIMIT_output] = bytes;
	limits.value[LIMIT_output_messages] = messages;
	flow_init(&w, &limits);
	return w;
}

static void test_without_limits_everything_is_published(void **state)
{
	struct flow w = flow_with(LIMITS_NONE, LIMITS_NONE);
	struct cause cause;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(flow_text(&w, (size_t)1 << 40), (size_t)1 << 40);
		flow_text_shown(&w);
		assert_true(flow_message(&w, (size_t)1 << 40));
		assert_true(flow_last_message(&w, (size_t)1 << 40));
	}
	assert_false(w.is_over);
	assert_int_equal(w.bytes, (uint64_t)3000 << 40);
	assert_int_equal(w.messages, 3000);
	assert_false(flow_is_spent(&w, true, &cause));
}

static void test_the_head_is_published_to_the_byte(void **state)
{
	struct flow w = flow_with(8192, LIMITS_NONE);

	(void)state;
	assert_int_equal(flow_tail_bytes(&w), 2048);
	assert_int_equal(flow_text(&w, 6000), 6000);
	assert_false(w.is_over);
	assert_int_equal(flow_text(&w, 1000), 144);
	assert_true(w.is_over);
	assert_int_equal(flow_text(&w, 1), 0);
	assert_int_equal(w.bytes, 7001);
	assert_false(flow_message(&w, 1));
}

static void test_a_message_that_does_not_fit_ends_the_head(void **state)
{
	struct flow w = flow_with(8192, LIMITS_NONE);

	(void)state;
	assert_true(flow_message(&w, 6000));
	assert_false(flow_message(&w, 1000));
	assert_true(w.is_over);
	assert_false(flow_message(&w, 1));
	assert_int_equal(flow_text(&w, 1), 0);
	assert_int_equal(w.messages, 3);
	assert_int_equal(w.bytes, 7002);
}

static void test_messages_have_a_limit_of_their_own(void **state)
{
	struct flow w = flow_with(LIMITS_NONE, 16);
	unsigned n = 0;

	(void)state;
	assert_int_equal(flow_tail_messages(&w), 4);
	while (flow_message(&w, 1))
		n++;
	assert_true(n <= 16 - 4);
	assert_true(n >= 10);
	/* One message of text may have been on its way. */
	flow_text_shown(&w);
	assert_true(w.shown_messages <= 16 - 4);
}

static void test_messages_of_text_end_the_head_of_text_too(void **state)
{
	struct flow w = flow_with(LIMITS_NONE, 16);
	unsigned n = 0;

	(void)state;
	for (; flow_text(&w, 10) == 10; n++)
		flow_text_shown(&w);
	assert_in_range(n, 10, 12);
	assert_true(w.is_over);
}

static void test_what_ends_a_turn_is_published_when_it_is_small(void **state)
{
	struct flow w = flow_with(8192, LIMITS_NONE);

	(void)state;
	(void)flow_text(&w, 10000);
	assert_true(flow_last_message(&w, 2048));
	assert_false(flow_last_message(&w, 2049));
	w = flow_with(8192, LIMITS_NONE);
	assert_true(flow_last_message(&w, 6144));
	assert_false(w.is_over);
	assert_false(flow_last_message(&w, 6144));
	assert_true(w.is_over);
}

static void test_what_ends_turns_shares_the_end(void **state)
{
	struct flow w = flow_with(8192, 16);
	unsigned n = 0;

	(void)state;
	(void)flow_text(&w, 10000);
	assert_true(flow_last_message(&w, 1024));
	assert_false(flow_last_message(&w, 1025));
	assert_true(flow_last_message(&w, 1024));
	assert_false(flow_last_message(&w, 1));
	w = flow_with(8192, 16);
	while (flow_message(&w, 1))
		n++;
	while (flow_last_message(&w, 1))
		n++;
	assert_in_range(n, 12, 16);
	assert_true(w.last_messages == 4);
}

static void test_parts_of_the_reply_are_bytes_but_no_messages(void **state)
{
	struct flow w = flow_with(8192, 16);

	(void)state;
	assert_true(flow_part(&w, 6000));
	assert_false(flow_part(&w, 6000));
	assert_true(w.is_over);
	assert_int_equal(w.bytes, 12000);
	assert_int_equal(w.shown_bytes, 6000);
	assert_int_equal(w.messages, 0);
	assert_int_equal(w.shown_messages, 0);
}

static void test_a_question_is_asked_when_somebody_answers(void **state)
{
	struct flow w = flow_with(8192, 16);

	(void)state;
	for (int i = 0; i < 11; i++)
		assert_true(flow_question(&w, 1, false));
	assert_false(flow_question(&w, 1, false));
	for (int i = 0; i < 100; i++)
		assert_true(flow_question(&w, 1, true));
	assert_true(flow_question(&w, 2048, true));
	assert_false(flow_question(&w, 2049, true));
	(void)flow_text(&w, 10000);
	assert_false(flow_question(&w, 2049, true));
	assert_true(flow_question(&w, 2048, true));
	assert_int_equal(w.messages, 116);
}

static void test_what_is_announced_is_judged_before_it_is_read(void **state)
{
	struct flow w = flow_with(8192, LIMITS_NONE);

	(void)state;
	assert_false(flow_is_beyond(&w, 8192, false));
	assert_true(flow_is_beyond(&w, 8193, false));
	assert_true(flow_is_beyond(&w, SIZE_MAX, true));
	(void)flow_text(&w, 8000);
	assert_false(flow_is_beyond(&w, 8192, false));
	assert_false(flow_is_beyond(&w, 192, true));
	assert_true(flow_is_beyond(&w, 193, true));
	flow_left_out(&w, 50000, 1);
	assert_int_equal(w.bytes, 58000);
	assert_int_equal(w.messages, 1);
	assert_true(w.is_over);
	assert_true(flow_is_beyond(&w, 8192, false));
	w = flow_with(LIMITS_NONE, LIMITS_NONE);
	assert_false(flow_is_beyond(&w, SIZE_MAX, true));
}

static void test_eight_times_the_limit_is_too_much(void **state)
{
	struct flow w = flow_with(4096, LIMITS_NONE);
	struct cause cause;

	(void)state;
	(void)flow_text(&w, 4096 * 8 - 1);
	assert_false(flow_is_spent(&w, false, &cause));
	(void)flow_text(&w, 1);
	assert_true(flow_is_spent(&w, false, &cause));
	assert_int_equal(cause.reason, RING_REASON_OUTPUT);
	assert_int_equal(cause.limit, 4096);
	assert_int_equal(cause.used, 4096 * 8);
}

static void test_strictly_the_limit_itself_is(void **state)
{
	struct flow w = flow_with(LIMITS_NONE, 16);
	struct cause cause;

	(void)state;
	for (int i = 0; i < 16; i++)
		(void)flow_message(&w, 1);
	assert_false(flow_is_spent(&w, true, &cause));
	(void)flow_message(&w, 1);
	assert_true(flow_is_spent(&w, true, &cause));
	assert_false(flow_is_spent(&w, false, &cause));
	assert_int_equal(cause.reason, RING_REASON_OUTPUT_MESSAGES);
	assert_int_equal(cause.used, 17);
}

static void test_huge_limits_do_not_overflow(void **state)
{
	struct flow w = flow_with((uint64_t)1 << 63, (uint64_t)1 << 63);
	struct cause cause;

	(void)state;
	w.bytes = UINT64_MAX - 1;
	assert_false(flow_is_spent(&w, false, &cause));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_limits_everything_is_published),
		cmocka_unit_test(test_the_head_is_published_to_the_byte),
		cmocka_unit_test(test_a_message_that_does_not_fit_ends_the_head),
		cmocka_unit_test(test_messages_have_a_limit_of_their_own),
		cmocka_unit_test(test_messages_of_text_end_the_head_of_text_too),
		cmocka_unit_test(test_what_ends_a_turn_is_published_when_it_is_small),
		cmocka_unit_test(test_what_ends_turns_shares_the_end),
		cmocka_unit_test(test_parts_of_the_reply_are_bytes_but_no_messages),
		cmocka_unit_test(test_a_question_is_asked_when_somebody_answers),
		cmocka_unit_test(test_what_is_announced_is_judged_before_it_is_read),
		cmocka_unit_test(test_eight_times_the_limit_is_too_much),
		cmocka_unit_test(test_strictly_the_limit_itself_is),
		cmocka_unit_test(test_huge_limits_do_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
