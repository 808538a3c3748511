/* SPDX-License-Identifier: Apache-2.0 */
/* test-quota: the clocks and what they say about limits (specs/limits.md 4). */
#include "tests/unit/test.h"

#include "kernel/front/quota.h"

#define SEC USEC_PER_SEC
#define START (1000 * SEC)

static struct quota_turn turn_with(enum limit which, uint64_t value, enum limit timed)
{
	struct quota_turn t = { .limits = LIMITS_UNLIMITED };

	t.limits.value[which] = value;
	quota_turn_begin(&t, timed, START);
	return t;
}

static struct quota kernel_with(enum limit which, uint64_t value, unsigned n_processors)
{
	struct limits limits = LIMITS_UNLIMITED;
	struct quota q;

	limits.value[which] = value;
	quota_init(&q, &limits, n_processors);
	return q;
}

static void assert_cause(const struct cause *c, enum ring_reason reason, uint64_t limit, uint64_t used)
{
	assert_true(c->is_set);
	assert_int_equal(c->reason, reason);
	assert_int_equal(c->limit, limit);
	assert_int_equal(c->used, used);
}

static void test_a_kernel_is_crowded_from_three_quarters_of_its_processes_on(void **state)
{
	const struct quota forty = kernel_with(LIMIT_processes, 40, 2), none = kernel_with(LIMIT_wall, SEC, 2);
	const struct usage few = { .processes = 29 }, many = { .processes = 30 }, most = { .processes = UINT64_MAX - 1 };

	(void)state;
	assert_false(quota_is_crowded(&forty, &few));
	assert_true(quota_is_crowded(&forty, &many));
	assert_false(quota_is_crowded(&none, &most));
}

static void test_without_limits_nothing_is_due(void **state)
{
	struct quota_turn t = { .limits = LIMITS_UNLIMITED };
	const struct usage much = { .cpu_usec = UINT64_MAX - 1, .memory_bytes = UINT64_MAX - 1 };
	struct quota q = kernel_with(LIMIT_wall, LIMITS_NONE, 2);
	struct cause cause;

	(void)state;
	quota_turn_begin(&t, LIMIT_wall, START);
	assert_int_equal(quota_turn_deadline(&t), USEC_NEVER);
	assert_false(quota_turn_is_late(&t, USEC_NEVER - 1, &cause));
	assert_false(quota_turn_is_spent(&t, &much, 0, &cause));
	assert_false(quota_needs_looks(&t.limits, false));
	assert_int_equal(quota_next_look(&q, &t, &much, false, START), USEC_NEVER);
	quota_idle_begin(&q, &much, START);
	assert_int_equal(q.look_at, USEC_NEVER);
}

static void test_wall_time_is_over_at_its_deadline(void **state)
{
	struct quota_turn t = turn_with(LIMIT_wall, 2 * SEC, LIMIT_wall);
	struct cause cause;

	(void)state;
	assert_int_equal(quota_turn_deadline(&t), START + 2 * SEC);
	assert_false(quota_turn_is_late(&t, START + 2 * SEC - 1, &cause));
	assert_true(quota_turn_is_late(&t, START + 2 * SEC, &cause));
	assert_cause(&cause, RING_REASON_WALL, 2 * SEC, 2 * SEC);
	assert_int_equal(quota_turn_wall(&t, START + 3 * SEC), 3 * SEC);
}

static void test_a_request_that_is_no_turn_has_the_time_of_a_service(void **state)
{
	struct quota_turn t = turn_with(LIMIT_service, SEC, LIMIT_service), free = turn_with(LIMIT_service, SEC, LIMIT_COUNT);
	struct cause cause;

	(void)state;
	assert_true(quota_turn_is_late(&t, START + SEC, &cause));
	assert_cause(&cause, RING_REASON_SERVICE, SEC, SEC);
	assert_int_equal(quota_turn_deadline(&free), USEC_NEVER);
	assert_false(quota_turn_is_late(&free, START + 1000 * SEC, &cause));
}

static void test_memory_is_waited_for_as_the_grace_says_but_not_for_long(void **state)
{
	static const struct {
		uint64_t grace, patience;
	} rows[] = { { 100 * USEC_PER_MSEC, 2 * SEC }, { 5 * SEC, 2 * SEC }, { LIMITS_NONE, 2 * SEC }, { 15 * SEC, 6 * SEC } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct quota q = kernel_with(LIMIT_grace, rows[i].grace, 2);

		assert_int_equal(quota_patience(&q), rows[i].patience);
	}
}

static void test_wall_time_stands_still_while_the_turn_waits(void **state)
{
	struct quota_turn t = turn_with(LIMIT_wall, 10 * SEC, LIMIT_wall);
	struct cause cause;

	(void)state;
	t.limits.value[LIMIT_input] = 60 * SEC;
	quota_turn_wait(&t, true, START + 4 * SEC);
	assert_int_equal(quota_turn_deadline(&t), START + 64 * SEC);
	assert_false(quota_turn_is_late(&t, START + 63 * SEC, &cause));
	quota_turn_wait(&t, false, START + 34 * SEC);
	assert_int_equal(quota_turn_wall(&t, START + 35 * SEC), 5 * SEC);
	assert_int_equal(quota_turn_deadline(&t), START + 40 * SEC);
	/* 30 s are left to wait: the time for input is the turn's, not the question's. */
	quota_turn_wait(&t, true, START + 36 * SEC);
	quota_turn_wait(&t, true, START + 37 * SEC);
	assert_int_equal(quota_turn_deadline(&t), START + 66 * SEC);
	assert_true(quota_turn_is_late(&t, START + 66 * SEC, &cause));
	assert_cause(&cause, RING_REASON_INPUT, 60 * SEC, 60 * SEC);
}

static void test_time_begins_anew_when_a_turn_is_restarted(void **state)
{
	struct quota_turn t = turn_with(LIMIT_wall, 10 * SEC, LIMIT_wall);

	(void)state;
	quota_turn_wait(&t, true, START + SEC);
	quota_turn_restart(&t, START + 5 * SEC);
	assert_int_equal(quota_turn_deadline(&t), START + 15 * SEC);
}

static void test_cpu_time_counts_from_the_begin_of_the_turn(void **state)
{
	struct quota_turn t = turn_with(LIMIT_cpu, 2 * SEC, LIMIT_wall);
	struct cause cause;

	(void)state;
	t.before.cpu_usec = 7 * SEC;
	assert_false(quota_turn_is_spent(&t, &(struct usage){ .cpu_usec = 9 * SEC - 1 }, 0, &cause));
	assert_true(quota_turn_is_spent(&t, &(struct usage){ .cpu_usec = 9 * SEC + 5 }, 0, &cause));
	assert_cause(&cause, RING_REASON_CPU, 2 * SEC, 2 * SEC + 5);
	/* A sum that shrank. */
	assert_false(quota_turn_is_spent(&t, &(struct usage){ .cpu_usec = 1 * SEC }, 0, &cause));
}

static void test_memory_counts_beyond_its_base(void **state)
{
	struct quota_turn t = turn_with(LIMIT_memory, 64 << 20, LIMIT_wall);
	struct cause cause;

	(void)state;
	t.before.memory_bytes = 30 << 20;
	assert_false(quota_turn_is_spent(&t, &(struct usage){ .memory_bytes = (94 << 20) - 1 }, 30 << 20, &cause));
	assert_true(quota_turn_is_spent(&t, &(struct usage){ .memory_bytes = 94 << 20 }, 30 << 20, &cause));
	assert_cause(&cause, RING_REASON_MEMORY, 64 << 20, 64 << 20);
}

static void test_a_turn_that_begins_above_its_memory_can_tidy_up(void **state)
{
	struct quota_turn t = turn_with(LIMIT_memory, 64 << 20, LIMIT_wall);
	struct cause cause;

	(void)state;
	t.before.memory_bytes = 200 << 20;
	assert_false(quota_turn_is_spent(&t, &(struct usage){ .memory_bytes = 201 << 20 }, 0, &cause));
	assert_true(quota_turn_is_spent(&t, &(struct usage){ .memory_bytes = (201 << 20) + 1 }, 0, &cause));
}

static void test_looks_come_closer_as_less_is_left(void **state)
{
	struct quota q = kernel_with(LIMIT_wall, LIMITS_NONE, 2);
	struct quota_turn t = turn_with(LIMIT_cpu, 8 * SEC, LIMIT_wall);
	uint64_t now = START, cpu = 0;
	unsigned n = 0;

	(void)state;
	assert_int_equal(quota_next_look(&q, &t, &(struct usage){ 0 }, false, START), START + 4 * SEC);
	/* One thread works on two processors. */
	for (; cpu < 8 * SEC; n++) {
		uint64_t at = quota_next_look(&q, &t, &(struct usage){ .cpu_usec = cpu }, false, now);

		assert_true(at >= now + QUOTA_LOOK_LEAST_USEC);
		cpu += at - now;
		now = at;
	}
	assert_true(cpu < 8 * SEC + 2 * QUOTA_LOOK_LEAST_USEC);
	assert_true(n < 20);
}

static void test_a_share_of_the_processors_makes_looks_rarer(void **state)
{
	struct quota q = kernel_with(LIMIT_cpu_share, 50, 2);
	struct quota_turn t = turn_with(LIMIT_cpu, 8 * SEC, LIMIT_wall);

	(void)state;
	assert_int_equal(quota_next_look(&q, &t, &(struct usage){ 0 }, false, START), START + 16 * SEC);
	q = kernel_with(LIMIT_cpu_share, 102400, 2);
	assert_int_equal(quota_next_look(&q, &t, &(struct usage){ 0 }, false, START), START + 4 * SEC);
}

static void test_memory_is_looked_at_only_where_nobody_reports_it(void **state)
{
	struct quota q = kernel_with(LIMIT_wall, LIMITS_NONE, 2);
	struct quota_turn t = turn_with(LIMIT_memory, 64 << 20, LIMIT_wall);

	(void)state;
	assert_true(quota_needs_looks(&t.limits, false));
	assert_false(quota_needs_looks(&t.limits, true));
	assert_int_equal(quota_next_look(&q, &t, &(struct usage){ 0 }, false, START), START + QUOTA_LOOK_MEMORY_USEC);
	assert_int_equal(quota_next_look(&q, &t, &(struct usage){ 0 }, true, START), USEC_NEVER);
}

static void test_a_total_is_spent_for_ever(void **state)
{
	struct quota q = kernel_with(LIMIT_cpu_total, 5 * SEC, 1);

	(void)state;
	assert_false(quota_is_spent(&q, &(struct usage){ .cpu_usec = 5 * SEC - 1 }));
	assert_false(q.spent.is_set);
	assert_true(quota_is_spent(&q, &(struct usage){ .cpu_usec = 5 * SEC }));
	assert_cause(&q.spent, RING_REASON_CPU_TOTAL, 5 * SEC, 5 * SEC);
	assert_true(quota_is_spent(&q, &(struct usage){ .cpu_usec = 6 * SEC }));
	assert_cause(&q.spent, RING_REASON_CPU_TOTAL, 5 * SEC, 5 * SEC);
}

static void test_output_has_totals_in_bytes_and_messages(void **state)
{
	struct quota q = kernel_with(LIMIT_output_total, 1 << 20, 1);

	(void)state;
	q.output_bytes = 1 << 20;
	assert_true(quota_is_spent(&q, &(struct usage){ 0 }));
	assert_cause(&q.spent, RING_REASON_OUTPUT_TOTAL, 1 << 20, 1 << 20);
	q = kernel_with(LIMIT_output_total_messages, 1000, 1);
	q.output_messages = 1001;
	assert_true(quota_is_spent(&q, &(struct usage){ 0 }));
	assert_cause(&q.spent, RING_REASON_OUTPUT_TOTAL_MESSAGES, 1000, 1001);
}

static void test_a_kernel_that_rests_is_looked_at_ever_more_rarely(void **state)
{
	struct quota q = kernel_with(LIMIT_cpu_total, 100 * SEC, 1);
	struct usage usage = { .cpu_usec = 99 * SEC + 999000 };
	uint64_t now = START, pause = QUOTA_LOOK_IDLE_USEC;

	(void)state;
	quota_idle_begin(&q, &usage, now);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(q.look_at, now + pause);
		now = q.look_at;
		assert_false(quota_idle_look(&q, &usage, now));
		pause = MIN(pause * 2, QUOTA_LOOK_IDLE_MOST_USEC);
	}
}

static void test_work_in_the_background_is_noticed_and_spends_the_total(void **state)
{
	struct quota q = kernel_with(LIMIT_cpu_total, 20 * SEC, 1);
	struct usage usage = { 0 };
	uint64_t now = START, last = START;
	bool end = false;

	(void)state;
	quota_idle_begin(&q, &usage, now);
	for (int i = 0; i < 5; i++) {
		now = q.look_at;
		assert_false(quota_idle_look(&q, &usage, now));
	}
	while (!end && now < START + 1000 * SEC) {
		last = now;
		now = q.look_at;
		usage.cpu_usec += now - last; /* one thread never rests */
		end = quota_idle_look(&q, &usage, now);
	}
	assert_true(end);
	assert_true(q.spent.is_set);
	assert_true(usage.cpu_usec >= 20 * SEC + QUOTA_GRACE_USEC);
	assert_true(usage.cpu_usec < 20 * SEC + QUOTA_GRACE_USEC + QUOTA_LOOK_IDLE_MOST_USEC);
}

static void test_a_spent_kernel_that_rests_is_left_alone(void **state)
{
	struct quota q = kernel_with(LIMIT_cpu_total, 20 * SEC, 1);
	struct usage usage = { .cpu_usec = 21 * SEC };

	(void)state;
	assert_true(quota_is_spent(&q, &usage));
	quota_idle_begin(&q, &usage, START);
	usage.cpu_usec += SEC / 10; /* completions and such */
	assert_false(quota_idle_look(&q, &usage, START + SEC));
	assert_false(quota_idle_look(&q, &usage, START + 2 * SEC));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_kernel_is_crowded_from_three_quarters_of_its_processes_on),
		cmocka_unit_test(test_without_limits_nothing_is_due),
		cmocka_unit_test(test_wall_time_is_over_at_its_deadline),
		cmocka_unit_test(test_a_request_that_is_no_turn_has_the_time_of_a_service),
		cmocka_unit_test(test_memory_is_waited_for_as_the_grace_says_but_not_for_long),
		cmocka_unit_test(test_wall_time_stands_still_while_the_turn_waits),
		cmocka_unit_test(test_time_begins_anew_when_a_turn_is_restarted),
		cmocka_unit_test(test_cpu_time_counts_from_the_begin_of_the_turn),
		cmocka_unit_test(test_memory_counts_beyond_its_base),
		cmocka_unit_test(test_a_turn_that_begins_above_its_memory_can_tidy_up),
		cmocka_unit_test(test_looks_come_closer_as_less_is_left),
		cmocka_unit_test(test_a_share_of_the_processors_makes_looks_rarer),
		cmocka_unit_test(test_memory_is_looked_at_only_where_nobody_reports_it),
		cmocka_unit_test(test_a_total_is_spent_for_ever),
		cmocka_unit_test(test_output_has_totals_in_bytes_and_messages),
		cmocka_unit_test(test_a_kernel_that_rests_is_looked_at_ever_more_rarely),
		cmocka_unit_test(test_work_in_the_background_is_noticed_and_spends_the_total),
		cmocka_unit_test(test_a_spent_kernel_that_rests_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
