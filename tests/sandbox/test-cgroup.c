/* SPDX-License-Identifier: Apache-2.0 */
/* Tests for kernel/sandbox/cgroup: groups are made, entered, killed and removed, by whoever may. */
#include "tests/sandbox/groups.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <time.h>

#define NOBODY 65534

static int do_nothing(void)
{
	return 0;
}

/* -- making, removing ---------------------------------------------------------------------------------------------- */

static void test_bad_names_and_parents_are_refused(void **state)
{
	struct cgroup *c;
	struct error err;

	(void)state;
	assert_int_equal(cgroup_new("a/b", NULL, &c, &err), -EINVAL);
	assert_int_equal(cgroup_new("", NULL, &c, &err), -EINVAL);
	assert_int_equal(cgroup_new("a", "relative", &c, &err), -EINVAL);
	assert_int_equal(cgroup_new("a", "/../..", &c, &err), -EINVAL);
	assert_true(cgroup_new("a", "/husk-test-that-is-not-there", &c, &err) < 0);
}

static void test_a_name_is_taken_once(void **state)
{
	struct cgroup *c = make("test-once"), *again;
	struct error err;

	(void)state;
	assert_contains(cgroup_describe(c), "husk-test-once");
	assert_int_equal(cgroup_new(own_name("test-once"), parent, &again, &err), -EEXIST);
	assert_contains(err.text, "there already");
	finish(c);
	c = make("test-once");
	assert_int_equal(cgroup_remove(c), 0);
	assert_int_equal(cgroup_remove(c), 0); /* gone already */
	assert_int_equal(cgroup_kill(c), 0);
	closep(&c->file[CGROUP_FILE_kill]);
	c->file[CGROUP_FILE_kill] = -1;
	assert_int_equal(cgroup_kill(c), 0);
	forget(c);
}

static void test_a_child_is_in_it_and_counted(void **state)
{
	struct cgroup *c = make("test-child");
	struct usage usage = { 0 };

	(void)state;
	assert_int_equal(cgroup_read_usage(c, &usage), 0);
	assert_int_equal(usage.processes, 0);
	assert_int_equal(usage.oom_kills, 0);
	(void)start_in(c, do_nothing, &(int){ 0 });
	assert_int_equal(cgroup_read_usage(c, &usage), 0);
	assert_int_equal(usage.processes, 1);
	assert_true(usage.memory_peak_bytes > 0);
	finish(c);
}

static void test_a_group_with_processes_is_not_removed(void **state)
{
	struct cgroup *c = make("test-busy");

	(void)state;
	(void)start_in(c, do_nothing, &(int){ 0 });
	assert_int_equal(cgroup_remove(c), -EBUSY);
	finish(c);
}

static void test_a_fork_can_remove(void **state)
{
	struct cgroup *c = make("test-fork");
	pid_t child;
	int status;

	(void)state;
	child = fork();
	if (child == 0)
		_exit(cgroup_kill(c) < 0 || cgroup_remove(c) < 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	forget(c);
	finish(make("test-fork"));
}

/* -- processes ----------------------------------------------------------------------------------------------------- */

static int fork_until_refused(void)
{
	for (int n = 0; n < 1000; n++) {
		pid_t child = fork();

		if (child < 0)
			return errno == EAGAIN ? n : -errno;
		if (child == 0) {
			(void)setsid();
			for (;;)
				(void)pause();
		}
	}
	return 1000;
}

static void test_a_fork_bomb_ends_at_the_limit(void **state)
{
	struct cgroup *c = make("test-forks");
	struct usage usage = { 0 };
	int n;

	(void)state;
	limit(c, LIMIT_processes, 20);
	(void)start_in(c, fork_until_refused, &n);
	assert_int_equal(n, 19);
	assert_int_equal(cgroup_read_usage(c, &usage), 0);
	assert_int_equal(usage.processes, 20);
	finish(c);
}

/* Where cgroup.kill is not to be had: 20 that fork again whenever they can, and whatever they may leave. */
static int fork_for_ever(void)
{
	for (int i = 0; i < 10; i++)
		if (fork() == 0) {
			(void)setsid();
			for (;;) {
				struct timespec t = { .tv_nsec = 1000000 };

				if (fork() > 0 && i % 2)
					_exit(0);
				(void)nanosleep(&t, NULL);
			}
		}
	return 0;
}

static void test_a_fork_bomb_is_killed_from_the_list(void **state)
{
	struct cgroup *c = make("test-list");
	struct usage usage = { 0 };
	int fd = c->file[CGROUP_FILE_kill];

	(void)state;
	limit(c, LIMIT_processes, 40);
	(void)start_in(c, fork_for_ever, &(int){ 0 });
	c->file[CGROUP_FILE_kill] = -1;
	assert_int_equal(cgroup_kill(c), 0);
	c->file[CGROUP_FILE_kill] = fd;
	while (waitpid(-1, NULL, 0) > 0)
		;
	/* And the group is as it was. */
	(void)start_in(c, do_nothing, &(int){ 0 });
	assert_int_equal(cgroup_read_usage(c, &usage), 0);
	assert_int_equal(usage.processes, 1);
	finish(c);
}

/* -- ends ---------------------------------------------------------------------------------------------------------- */

static void test_kill_reaches_daemons(void **state)
{
	struct cgroup *c = make("test-kill");
	struct usage usage = { 0 };

	(void)state;
	limit(c, LIMIT_processes, 12);
	(void)start_in(c, fork_until_refused, &(int){ 0 });
	assert_int_equal(cgroup_kill(c), 0);
	while (waitpid(-1, NULL, 0) > 0)
		;
	assert_int_equal(cgroup_read_usage(c, &usage), 0);
	assert_int_equal(usage.processes, 0);
	finish(c);
}

/* A kernel that was killed with all who would have cleaned up. */
static void test_what_a_dead_kernel_left_is_removed(void **state)
{
	struct cgroup *c;
	char name[CGROUP_NAME_MAX + 1];
	int ready[2];
	pid_t child;

	(void)state;
	finish(make(NULL));
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		struct error err;
		struct cgroup *own;

		if (cgroup_new(NULL, parent, &own, &err) < 0 || cgroup_own_name(name) < 0)
			_exit(1);
		if (fork() == 0) {
			(void)setsid();
			(void)alarm(60); /* should the test fail */
			enter(own);
			(void)!write(ready[1], name, sizeof(name));
			for (;;)
				(void)pause();
		}
		(void)pause();
	}
	assert_int_equal(read(ready[0], name, sizeof(name)), sizeof(name));
	(void)close(ready[0]);
	(void)close(ready[1]);
	c = make(NULL);
	assert_int_equal(cgroup_remove_stale(c), 0); /* it lives */
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(cgroup_remove_stale(c), c->n_groups);
	assert_int_equal(cgroup_remove_stale(c), 0);
	assert_true(waitpid(-1, NULL, 0) > 0); /* its grandchild, dead */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	finish(c);
}

/* -- users --------------------------------------------------------------------------------------------------------- */

static void become_nobody(void)
{
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
		_exit(98);
}

static void need_root(void)
{
	if (geteuid() == 0)
		return;
	print_message("skipped: needs root\n");
	skip();
}

static void expect_0(pid_t child)
{
	int status = -1;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* As the front does after it has made its group. */
static int use_as_nobody(struct cgroup *c)
{
	struct usage usage = { 0 };
	struct error err;
	pid_t child;
	int status;

	become_nobody();
	if (cgroup_set_memory(c, 32 * MIB, 8 * MIB, &err) < 0 || cgroup_set_memory(c, 64 * MIB, 0, &err) < 0)
		return 1;
	child = fork();
	if (child == 0) {
		enter(c);
		for (;;)
			(void)pause();
	}
	do {
		if (cgroup_read_usage(c, &usage) < 0)
			return 2;
	} while (usage.processes < 1 && waitpid(child, &status, WNOHANG) == 0);
	if (usage.processes != 1)
		return 3;
	if (cgroup_watch_memory_aside(c, &err) < 0 || cgroup_memory_take(c) < 0)
		return 6;
	if (cgroup_kill(c) < 0 || waitpid(child, &status, 0) != child || !WIFSIGNALED(status))
		return 4;
	return cgroup_remove(c) < 0 ? 0 : 5; /* that is for those who have the right */
}

static void test_what_is_open_works_without_root(void **state)
{
	struct cgroup *c;
	pid_t child;

	(void)state;
	need_root();
	c = make("test-open");
	child = fork();
	if (child == 0)
		_exit(use_as_nobody(c));
	expect_0(child);
	finish(c);
}

static void test_an_ordinary_user_without_groups_is_told_what_to_do(void **state)
{
	pid_t child;

	(void)state;
	need_root();
	child = fork();
	if (child == 0) {
		struct cgroup *c;
		struct error err;
		int r;

		become_nobody();
		r = cgroup_new("test-none", NULL, &c, &err);
		if (r != -ENOTSUP || !strstr(err.text, "Delegate=yes")) {
			print_message("%d: %s\n", r, err.text);
			_exit(1);
		}
		_exit(0);
	}
	expect_0(child);
}

/* Directories given to a user, in which kernels make theirs: as an administrator delegates groups of v1. */
static const char *given(void)
{
	return own_name("husk-test-given");
}

static void give(const struct cgroup_place *place)
{
	static const char *const files[] = { "tasks", "cgroup.procs" };
	int fd;

	assert_int_equal(mkdirat(place->fd, given(), 0755), 0);
	assert_int_equal(fchownat(place->fd, given(), NOBODY, NOBODY, 0), 0);
	fd = openat(place->fd, given(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		assert_true(fchownat(fd, files[i], NOBODY, NOBODY, 0) == 0 || errno == ENOENT);
	(void)close(fd);
}

static int use_given(void)
{
	struct limits l = limits_unlimited();
	struct cgroup *c;
	struct error err;
	char above[80];
	int n;

	become_nobody();
	(void)snprintf(above, sizeof(above), "/%s", given());
	if (cgroup_new("inner", above, &c, &err) < 0) {
		print_message("%s\n", err.text);
		return 1;
	}
	l.value[LIMIT_processes] = 5;
	l.value[LIMIT_memory] = 64 * MIB;
	if (cgroup_set_limits(c, &l, &err) < 0)
		return 2;
	(void)start_in(c, fork_until_refused, &n);
	if (n != 4)
		return 3;
	if (cgroup_kill(c) < 0)
		return 4;
	while (waitpid(-1, NULL, 0) > 0)
		;
	return cgroup_remove(c) < 0 ? 5 : 0;
}

static void test_a_user_makes_groups_where_an_administrator_allows_it(void **state)
{
	struct cgroup_place places[CGROUP_MAX_ATTACH];
	struct cgroup *c;
	struct error err;
	bool is_v2;
	size_t n;
	pid_t child;

	(void)state;
	need_root();
	c = make("test-v2");
	is_v2 = c->memory_is_v2;
	finish(c);
	if (is_v2) {
		print_message("skipped: on v2 nobody enters a group from outside of what is theirs\n");
		skip();
	}
	assert_int_equal(cgroup_find_places("/", places, &n, &err), 0);
	for (size_t i = 0; i < n; i++)
		give(&places[i]);
	child = fork();
	if (child == 0)
		_exit(use_given());
	expect_0(child);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(unlinkat(places[i].fd, given(), AT_REMOVEDIR), 0);
	cgroup_places_close(places, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bad_names_and_parents_are_refused),
		TEST(test_a_name_is_taken_once),
		TEST(test_a_child_is_in_it_and_counted),
		TEST(test_a_group_with_processes_is_not_removed),
		TEST(test_a_fork_can_remove),
		TEST(test_a_fork_bomb_ends_at_the_limit),
		TEST(test_a_fork_bomb_is_killed_from_the_list),
		TEST(test_kill_reaches_daemons),
		TEST(test_what_a_dead_kernel_left_is_removed),
		TEST(test_what_is_open_works_without_root),
		TEST(test_an_ordinary_user_without_groups_is_told_what_to_do),
		TEST(test_a_user_makes_groups_where_an_administrator_allows_it),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
