/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests for kernel/sandbox/cgroup, with the groups of this machine. HUSK_TEST_CGROUP_PARENT names a group to make
 * them in; else, as a kernel does, they are made where this process is. What a child does that is to be limited, it
 * does inside a group alone.
 */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/sandbox/cgroup-impl.h"

#define MIB ((uint64_t)1 << 20)
#define NOBODY 65534
#define EVENT_MSEC 20000 /* for what must come; it takes as long when it does not */

static const char *parent;

static struct limits no_limits(void)
{
	struct limits l;

	for (size_t i = 0; i < LIMIT_COUNT; i++)
		l.value[i] = LIMITS_NONE;
	return l;
}

/* What the test that runs has made, for its teardown. */
static struct cgroup *made[4];

static void note(struct cgroup *from, struct cgroup *to)
{
	for (size_t i = 0; i < ARRAY_SIZE(made); i++)
		if (made[i] == from) {
			made[i] = to;
			return;
		}
}

/* A group of this test; without groups on this machine the test is skipped. */
static struct cgroup *make(const char *name)
{
	struct cgroup *c = NULL;
	struct error err;
	int r = cgroup_new(name, parent, &c, &err);

	if (r == -ENOTSUP) {
		print_message("skipped: %s\n", err.text);
		skip();
	}
	if (r < 0)
		fail_msg("cgroup_new: %s", err.text);
	note(NULL, c);
	return c;
}

static void limit(struct cgroup *c, enum limit which, uint64_t value)
{
	struct limits l = no_limits();
	struct error err;

	l.value[which] = value;
	if (cgroup_set_limits(c, &l, &err) < 0)
		fail_msg("cgroup_set_limits: %s", err.text);
}

static void forget(struct cgroup *c)
{
	note(c, NULL);
	(void)cgroup_free(c);
}

static void finish(struct cgroup *c)
{
	assert_int_equal(cgroup_kill(c), 0);
	while (waitpid(-1, NULL, 0) > 0)
		;
	assert_int_equal(cgroup_remove(c), 0);
	forget(c);
}

/* After a test that failed. */
static int remove_rest(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		if (!made[i])
			continue;
		(void)!cgroup_kill(made[i]);
		(void)!cgroup_remove(made[i]);
		forget(made[i]);
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return 0;
}

static void enter(const struct cgroup *c)
{
	int fds[CGROUP_MAX_ATTACH];
	size_t n = cgroup_attach_fds(c, fds);

	for (size_t i = 0; i < n; i++)
		if (write(fds[i], "0", 1) != 1)
			_exit(99);
}

/* A child in the group, which does something, tells its number, and waits for its end. */
static pid_t start_in(const struct cgroup *c, int (*act)(void), int *ret)
{
	int answer[2], value = -1;
	pid_t child;

	assert_int_equal(pipe(answer), 0);
	child = fork();
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		enter(c);
		value = act();
		(void)!write(answer[1], &value, sizeof(value));
		(void)close(answer[1]);
		for (;;)
			(void)pause();
	}
	(void)close(answer[1]);
	if (ret) {
		assert_int_equal(read(answer[0], &value, sizeof(value)), sizeof(value));
		*ret = value;
	}
	(void)close(answer[0]);
	return child;
}

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
	assert_int_equal(cgroup_new("test-once", parent, &again, &err), -EEXIST);
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

/* -- limits -------------------------------------------------------------------------------------------------------- */

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

/* Beyond the threshold, not to the hard limit, however late the test looks. */
static int grow(void)
{
	for (unsigned i = 0; i < 50; i++) {
		void *p = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		struct timespec t = { .tv_nsec = 2000000 };

		memset(p, 1, 2 * MIB);
		(void)nanosleep(&t, NULL);
	}
	return 0;
}

static bool wait_for_memory(struct cgroup *c)
{
	struct pollfd p = { .fd = cgroup_memory_fd(c), .events = POLLIN };

	while (poll(&p, 1, EVENT_MSEC) > 0) {
		int r = cgroup_memory_take(c);

		if (r != 0)
			return r == 1;
	}
	return false;
}

static void hear(struct cgroup *c)
{
	struct error err;

	if (cgroup_watch_memory_aside(c, &err) < 0)
		fail_msg("cgroup_watch_memory_aside: %s", err.text);
}

static void test_the_soft_threshold_is_told(void **state)
{
	struct cgroup *c = make("test-soft");
	struct usage usage = { 0 };
	struct pollfd p;
	int status;
	pid_t child;

	(void)state;
	p = (struct pollfd){ .fd = cgroup_memory_fd(c), .events = POLLIN };
	assert_int_equal(poll(&p, 1, 0), 0);
	limit(c, LIMIT_memory, 64 * MIB);
	hear(c);
	assert_int_equal(cgroup_memory_take(c), 0);
	assert_int_equal(poll(&p, 1, 0), 0);
	child = start_in(c, grow, NULL);
	assert_true(wait_for_memory(c));
	assert_true(cgroup_memory_is_high(c));
	assert_int_equal(waitpid(child, &status, WNOHANG), 0); /* it lives */
	assert_int_equal(cgroup_read_usage(c, &usage), 0);
	assert_true(usage.memory_bytes >= 50 * MIB && usage.memory_bytes < 128 * MIB);
	finish(c);
}

static int hold_200_mib(void)
{
	memset(mmap(NULL, 200 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, 200 * MIB);
	return 0;
}

/* Whoever keeps the sandbox asks for the event, and another process gets it. */
static void test_a_fork_can_ask_for_the_event(void **state)
{
	struct cgroup *c = make("test-ask");
	pid_t child;
	int status;

	(void)state;
	limit(c, LIMIT_memory, 64 * MIB);
	child = fork();
	if (child == 0) {
		struct error err;

		_exit(cgroup_watch_memory(c, &err) < 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	(void)start_in(c, grow, NULL);
	assert_true(wait_for_memory(c));
	finish(c);
}

/* Another threshold, as for one turn, and back. The descriptor is the same. */
static void test_the_threshold_can_be_set_again(void **state)
{
	struct cgroup *c = make("test-again");
	struct error err;
	int fd;

	(void)state;
	assert_int_equal(cgroup_set_memory(c, 512 * MIB, 16 * MIB, &err), 0);
	fd = cgroup_memory_fd(c);
	hear(c);
	assert_int_equal(cgroup_set_memory(c, 48 * MIB, 0, &err), 0);
	hear(c);
	assert_int_equal(cgroup_memory_fd(c), fd);
	(void)start_in(c, grow, NULL);
	assert_true(wait_for_memory(c));
	assert_int_equal(cgroup_set_memory(c, LIMITS_NONE, 0, &err), 0);
	hear(c);
	assert_int_equal(cgroup_memory_take(c), 0);
	finish(c);
}

/* It may have been crossed before the kernel listens. */
static void test_a_threshold_that_was_crossed_before_is_told(void **state)
{
	struct cgroup *c = make("test-before");
	struct error err;

	(void)state;
	(void)start_in(c, hold_200_mib, &(int){ 0 });
	assert_int_equal(cgroup_set_memory(c, 180 * MIB, 0, &err), 0);
	hear(c);
	assert_true(wait_for_memory(c));
	finish(c);
}

static void test_an_event_that_cannot_be_had_is_told(void **state)
{
	struct cgroup *c = make("test-deaf");
	struct pollfd p = { .fd = cgroup_memory_fd(c), .events = POLLIN };
	struct error err;

	(void)state;
	if (c->memory_is_v2) {
		finish(c);
		print_message("skipped: v2 has no such file\n");
		skip();
	}
	limit(c, LIMIT_memory, 64 * MIB);
	closep(&c->file[CGROUP_FILE_memory_listen]);
	c->file[CGROUP_FILE_memory_listen] = open("/dev/full", O_WRONLY | O_CLOEXEC);
	hear(c);
	assert_int_equal(poll(&p, 1, EVENT_MSEC), 1);
	assert_int_equal(cgroup_memory_take(c), -ENOSPC);
	assert_int_equal(cgroup_watch_memory(c, &err), -ENOSPC);
	assert_contains(err.text, "event_control");
	finish(c);
}

static void test_memory_in_use_cannot_be_forbidden(void **state)
{
	struct cgroup *c = make("test-use");
	struct usage usage = { 0 };
	struct error err;

	(void)state;
	(void)start_in(c, hold_200_mib, &(int){ 0 });
	assert_int_equal(cgroup_set_memory(c, 64 * MIB, 0, &err), -EBUSY);
	assert_contains(err.text, "are in use");
	assert_int_equal(cgroup_read_usage(c, &usage), 0);
	assert_true(usage.memory_bytes >= 200 * MIB);
	assert_int_equal(usage.oom_kills, 0);
	assert_int_equal(cgroup_set_memory(c, 64 * MIB, usage.memory_bytes, &err), 0);
	finish(c);
}

static void test_a_kill_for_memory_is_counted(void **state)
{
	struct cgroup *c = make("test-hard");
	struct usage usage = { 0 };
	int status = 0;
	pid_t child;

	(void)state;
	limit(c, LIMIT_memory, 32 * MIB);
	/*
	 * Above memory.high a single process is slowed down so much that it does not come to the hard limit in a
	 * test's time.
	 */
	if (c->file[CGROUP_FILE_memory_soft] >= 0)
		assert_int_equal(write(c->file[CGROUP_FILE_memory_soft], "max", 3), 3);
	child = start_in(c, hold_200_mib, NULL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(cgroup_read_usage(c, &usage), 0);
	assert_true(usage.oom_kills >= 1);
	assert_true(usage.memory_peak_bytes <= 97 * MIB);
	finish(c);
}

static char cache_file[64];

static int write_file(void)
{
	static char block[1 << 20];
	int fd = open(cache_file, O_RDWR | O_CREAT | O_TRUNC, 0600);

	for (unsigned i = 0; i < 100; i++)
		if (write(fd, block, sizeof(block)) != sizeof(block))
			return -1;
	(void)close(fd);
	return 0;
}

static struct cgroup *make_where_files_are_cached(const char *name)
{
	struct statfs fs;

	(void)snprintf(cache_file, sizeof(cache_file), "/var/tmp/husk-test-cgroup-%d", (int)getpid());
	if (statfs("/var/tmp", &fs) < 0 || fs.f_type == TMPFS_MAGIC) {
		print_message("skipped: /var/tmp is in memory\n");
		skip();
	}
	return make(name);
}

/* Twice as much as the threshold, which the kernel takes back when it is asked for. */
static void test_the_cache_of_files_is_no_memory(void **state)
{
	struct cgroup *c = make_where_files_are_cached("test-cache");
	struct usage usage = { 0 };
	int r;

	(void)state;
	limit(c, LIMIT_memory, 48 * MIB);
	hear(c);
	(void)start_in(c, write_file, &r);
	(void)unlink(cache_file);
	assert_int_equal(r, 0);
	assert_int_equal(cgroup_memory_take(c), 0);
	assert_int_equal(cgroup_read_usage(c, &usage), 0);
	assert_true(usage.memory_bytes < 40 * MIB);
	finish(c);
}

static int burn(void)
{
	struct timespec t;

	do {
		(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	} while (t.tv_sec == 0 && t.tv_nsec < 200000000);
	return 0;
}

static int write_file_and_grow(void)
{
	return write_file() < 0 ? -1 : grow();
}

/* Use crosses the threshold by the cache, and does not cross it again when memory takes the cache's place. */
static void test_the_threshold_is_told_after_the_cache_has_crossed_it(void **state)
{
	struct cgroup *c = make_where_files_are_cached("test-cache-grow");

	(void)state;
	limit(c, LIMIT_memory, 48 * MIB);
	hear(c);
	(void)start_in(c, write_file_and_grow, NULL);
	assert_true(wait_for_memory(c));
	(void)unlink(cache_file);
	finish(c);
}

static void test_time_is_counted(void **state)
{
	struct cgroup *c = make("test-time");
	struct usage usage = { 0 };

	(void)state;
	(void)start_in(c, burn, &(int){ 0 });
	assert_int_equal(cgroup_read_usage(c, &usage), 0);
	assert_true(usage.cpu_usec >= 190000);
	assert_true(usage.cpu_user_usec + usage.cpu_system_usec >= 190000);
	finish(c);
}

static void test_the_share_of_cpu_is_set(void **state)
{
	struct cgroup *c = make("test-share");
	struct limits l = no_limits();
	struct error err;
	char text[64];
	int r;

	(void)state;
	l.value[LIMIT_cpu_share] = 150;
	r = cgroup_set_limits(c, &l, &err);
	if (r == -ENOTSUP) {
		finish(c);
		print_message("skipped: %s\n", err.text);
		skip();
	}
	assert_int_equal(r, 0);
	for (size_t i = 0; i < c->n_groups; i++) {
		if (!(c->group[i].does & CGROUP_CPU))
			continue;
		assert_true(cgroup_read_at(c->group[i].fd, cgroup_file_name(CGROUP_FILE_cpu_quota, c->cpu_is_v2), text, sizeof(text)) > 0);
		assert_string_equal(text, c->cpu_is_v2 ? "150000 100000\n" : "150000\n");
	}
	limit(c, LIMIT_cpu_share, LIMITS_NONE);
	finish(c);
}

/* A machine's whole memory cannot be meant; nor can a file be written that is not there. */
static void test_limits_that_cannot_be_set_are_named(void **state)
{
	struct cgroup *c = make("test-named");
	struct limits l = no_limits();
	struct error err;
	int fd = c->file[CGROUP_FILE_pids_max], quota = c->file[CGROUP_FILE_cpu_quota];

	(void)state;
	assert_int_equal(cgroup_set_memory(c, UINT64_MAX - 1, 0, &err), -EINVAL);
	l.value[LIMIT_processes] = 7;
	c->file[CGROUP_FILE_pids_max] = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_int_equal(cgroup_set_limits(c, &l, &err), -ENOSPC);
	assert_contains(err.text, "pids.max");
	assert_contains(err.text, "cannot be 7: No space left on device");
	(void)close(c->file[CGROUP_FILE_pids_max]);
	c->file[CGROUP_FILE_pids_max] = fd;
	c->file[CGROUP_FILE_cpu_quota] = -1;
	l.value[LIMIT_cpu_share] = 50;
	assert_int_equal(cgroup_set_limits(c, &l, &err), -ENOTSUP);
	assert_contains(err.text, "50 %");
	c->file[CGROUP_FILE_cpu_quota] = quota;
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
#define GIVEN "husk-test-given"

static void give(const struct cgroup_place *place)
{
	static const char *const files[] = { "tasks", "cgroup.procs" };
	int fd;

	assert_int_equal(mkdirat(place->fd, GIVEN, 0755), 0);
	assert_int_equal(fchownat(place->fd, GIVEN, NOBODY, NOBODY, 0), 0);
	fd = openat(place->fd, GIVEN, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		assert_true(fchownat(fd, files[i], NOBODY, NOBODY, 0) == 0 || errno == ENOENT);
	(void)close(fd);
}

static int use_given(void)
{
	struct limits l = no_limits();
	struct cgroup *c;
	struct error err;
	int n;

	become_nobody();
	if (cgroup_new("inner", "/" GIVEN, &c, &err) < 0) {
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
		assert_int_equal(unlinkat(places[i].fd, GIVEN, AT_REMOVEDIR), 0);
	cgroup_places_close(places, n);
}

#define TEST(name) cmocka_unit_test_teardown(name, remove_rest)

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
		TEST(test_the_soft_threshold_is_told),
		TEST(test_a_fork_can_ask_for_the_event),
		TEST(test_the_threshold_can_be_set_again),
		TEST(test_a_threshold_that_was_crossed_before_is_told),
		TEST(test_an_event_that_cannot_be_had_is_told),
		TEST(test_memory_in_use_cannot_be_forbidden),
		TEST(test_a_kill_for_memory_is_counted),
		TEST(test_the_cache_of_files_is_no_memory),
		TEST(test_the_threshold_is_told_after_the_cache_has_crossed_it),
		TEST(test_time_is_counted),
		TEST(test_the_share_of_cpu_is_set),
		TEST(test_limits_that_cannot_be_set_are_named),
		TEST(test_kill_reaches_daemons),
		TEST(test_what_a_dead_kernel_left_is_removed),
		TEST(test_what_is_open_works_without_root),
		TEST(test_an_ordinary_user_without_groups_is_told_what_to_do),
		TEST(test_a_user_makes_groups_where_an_administrator_allows_it),
	};

	parent = getenv("HUSK_TEST_CGROUP_PARENT");
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
