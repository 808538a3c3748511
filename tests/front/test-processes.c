/* SPDX-License-Identifier: Apache-2.0 */
/* Tests for kernel/sandbox/processes. */
#include "tests/unit/test.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
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

static void test_a_process_is_read_whatever_its_name_is(void **state)
{
	struct process self;

	(void)state;
	(void)prctl(PR_SET_NAME, ") R 1 (x");
	assert_int_equal(processes_read(getpid(), &self), 0);
	assert_int_equal(self.pid, getpid());
	assert_int_equal(self.parent, getppid());
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
		cmocka_unit_test(test_a_process_is_read_whatever_its_name_is),
		cmocka_unit_test(test_a_process_that_is_gone_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
