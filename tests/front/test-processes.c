/* SPDX-License-Identifier: Apache-2.0 */
/* Tests for kernel/sandbox/processes. */
#include "tests/unit/test.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/sandbox/processes.h"
#include "tests/front/child.h"

/* A grandchild in a session of its own; it ends with its parent. */
static void start_grandchild(int ready, const void *data)
{
	(void)data;
	if (fork() == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)setsid();
		(void)!write(ready, "x", 1);
	}
}

struct seen {
	unsigned n;
	pid_t pids[8];
	pid_t parents[8];
};

static void note(const struct process *p, void *data)
{
	struct seen *s = data;

	assert_true(s->n < ARRAY_SIZE(s->pids));
	s->pids[s->n] = p->pid;
	s->parents[s->n++] = p->parent;
}

static void test_descendants_are_found_in_other_sessions_too(void **state)
{
	struct seen seen = { 0 };
	pid_t child;
	size_t at;

	(void)state;
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	child = child_start(start_grandchild, NULL);
	assert_int_equal(processes_below(note, &seen), 2);
	assert_int_equal(seen.n, 2);
	at = seen.pids[0] == child ? 0 : 1;
	assert_int_equal(seen.pids[at], child);
	assert_int_equal(seen.parents[at], getpid());
	assert_int_equal(seen.parents[1 - at], child);
	assert_int_equal(processes_signal(0), 2);
	assert_int_equal(processes_signal(SIGKILL), 2);
	assert_true(waitpid(-1, NULL, 0) > 0);
	assert_true(waitpid(-1, NULL, 0) > 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(processes_signal(0), 0);
}

static void start_alone(int ready, const void *data)
{
	(void)data;
	(void)setsid();
	(void)!write(ready, "x", 1);
}

static void wait_for_a_tick(void)
{
	unsigned long long before = processes_now();
	struct timespec wait = { 0, 1000000 };

	while (processes_now() == before)
		(void)nanosleep(&wait, NULL);
}

static bool has_ended(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == pid;
}

static void test_what_began_later_is_ended_but_for_one(void **state)
{
	unsigned long long since;
	pid_t old, keep, recent;

	(void)state;
	old = child_start(start_alone, NULL);
	wait_for_a_tick();
	since = processes_now();
	keep = child_start(start_alone, NULL);
	recent = child_start(start_alone, NULL);
	assert_int_equal(processes_end_below(keep, since), 1);
	assert_int_equal(waitpid(recent, NULL, 0), recent);
	assert_false(has_ended(keep) || has_ended(old));
	assert_int_equal(processes_end_below(keep, 0), 1);
	assert_int_equal(waitpid(old, NULL, 0), old);
	assert_int_equal(processes_end_below(keep, 0), 0);
	assert_int_equal(processes_end_below(-1, 0), 1);
	assert_int_equal(waitpid(keep, NULL, 0), keep);
}

static void test_a_dead_process_is_not_ended_again(void **state)
{
	pid_t child = child_start(start_alone, NULL);
	siginfo_t info;

	(void)state;
	(void)kill(child, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(processes_end_below(-1, 0), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(processes_end_in(-1, -1, 0), 0);
}

static void test_a_process_is_read_whatever_its_name_is(void **state)
{
	struct process self;

	(void)state;
	(void)prctl(PR_SET_NAME, ") R 1 (x");
	assert_int_equal(processes_read(getpid(), &self), 0);
	assert_int_equal(self.pid, getpid());
	assert_int_equal(self.parent, getppid());
	assert_int_equal(self.state, 'R');
	assert_true(self.start > 0 && self.start <= processes_now());
}

static void test_a_process_that_is_gone_says_so(void **state)
{
	struct process gone;
	pid_t child;

	(void)state;
	child = fork();
	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(processes_read(child, &gone), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descendants_are_found_in_other_sessions_too),
		cmocka_unit_test(test_what_began_later_is_ended_but_for_one),
		cmocka_unit_test(test_a_dead_process_is_not_ended_again),
		cmocka_unit_test(test_a_process_is_read_whatever_its_name_is),
		cmocka_unit_test(test_a_process_that_is_gone_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
