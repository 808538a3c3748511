/* SPDX-License-Identifier: Apache-2.0 */
/* Tests for kernel/front/sweep: time is a parameter, so nothing here waits for it. */
#include "tests/unit/test.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/front/sweep.h"
#include "tests/front/child.h"

static void answer_to_sigterm(int ready, const void *data)
{
	const bool *deaf = data;

	(void)signal(SIGTERM, *deaf ? SIG_IGN : SIG_DFL);
	(void)!write(ready, "x", 1);
}

/* A child that has set its answer to SIGTERM; `deaf`: it ignores it. */
static pid_t start_child(bool deaf)
{
	return child_start(answer_to_sigterm, &deaf);
}

/* The child has died; its status is left for the sweep. */
static void wait_for_death(pid_t child)
{
	siginfo_t info;

	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
}

static void test_nothing_left_is_over_at_once(void **state)
{
	struct sweep s;

	(void)state;
	sweep_start(&s, NULL, 1000);
	assert_true(s.running);
	assert_true(sweep_tick(&s, 1000));
	assert_false(s.running);
	assert_false(sweep_tick(&s, 2000));
}

static void test_who_obeys_is_not_killed(void **state)
{
	pid_t child = start_child(false);
	struct sweep s;

	(void)state;
	sweep_start(&s, NULL, 0);
	wait_for_death(child);
	assert_true(sweep_tick(&s, 1));
	assert_int_equal(s.n_kills, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_who_ignores_it_has_its_time_and_nobody_waits(void **state)
{
	pid_t child = start_child(true);
	struct sweep s;

	(void)state;
	sweep_start(&s, NULL, 0);
	assert_int_equal(s.next, SWEEP_TERM_USEC);
	assert_false(sweep_tick(&s, SWEEP_TERM_USEC - 1));
	assert_int_equal(kill(child, 0), 0);
	assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
	assert_false(sweep_tick(&s, SWEEP_TERM_USEC));
	wait_for_death(child);
	assert_true(sweep_tick(&s, SWEEP_TERM_USEC + 1));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* Such as a process that the machine will not let go. */
static void test_it_ends_whatever_does_not(void **state)
{
	struct sweep s = { .running = true, .n_kills = SWEEP_KILLS, .next = 10 };
	pid_t child = start_child(true);

	(void)state;
	assert_false(sweep_tick(&s, 9));
	assert_true(sweep_tick(&s, 10));
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void test_without_a_loop_it_waits(void **state)
{
	sigset_t child;

	(void)state;
	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	assert_int_equal(sigprocmask(SIG_BLOCK, &child, NULL), 0);
	(void)start_child(true);
	sweep_wait();
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_left_is_over_at_once),
		cmocka_unit_test(test_who_obeys_is_not_killed),
		cmocka_unit_test(test_who_ignores_it_has_its_time_and_nobody_waits),
		cmocka_unit_test(test_it_ends_whatever_does_not),
		cmocka_unit_test(test_without_a_loop_it_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
