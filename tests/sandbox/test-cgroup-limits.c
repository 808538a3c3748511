/* SPDX-License-Identifier: Apache-2.0 */
/* Tests for kernel/sandbox/cgroup-limits: memory with its event, time and share of CPU. */
#include "tests/sandbox/groups.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <time.h>

#define EVENT_MSEC 20000 /* for what must come; it takes as long when it does not */

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
	assert_int_equal(cgroup_memory_take(c), 1);
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

static void test_a_glance_sees_what_has_changed(void **state)
{
	struct cgroup *c = make("test-glance");
	struct usage all = { 0 }, seen = { 0 };

	(void)state;
	assert_int_equal(cgroup_read_usage(c, &all), 0);
	assert_int_equal(cgroup_glance(c, &seen), 0);
	assert_int_equal(seen.memory_peak_bytes, all.memory_peak_bytes);
	assert_int_equal(seen.processes, 0);
	(void)start_in(c, hold_200_mib, &(int){ 0 });
	assert_int_equal(cgroup_glance(c, &seen), 0);
	assert_int_equal(seen.processes, 1);
	assert_true(seen.memory_bytes >= 200 * MIB);
	assert_true(seen.memory_peak_bytes >= 200 * MIB);
	assert_true(seen.cpu_usec > all.cpu_usec);
	assert_true(seen.cpu_user_usec + seen.cpu_system_usec <= seen.cpu_usec);
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

static int hold_90_mib(void)
{
	void *p = mmap(NULL, 90 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -1;
	memset(p, 1, 90 * MIB);
	return 0;
}

static uint64_t threshold_of(const struct cgroup *c)
{
	char text[64] = "";

	for (size_t i = 0; i < c->n_groups; i++)
		if (c->group[i].does & CGROUP_MEMORY)
			assert_true(cgroup_read_at(c->group[i].fd, "memory.high", text, sizeof(text)) > 0);
	return strtoull(text, NULL, 10);
}

/* Who has been told is not slowed down, as long as the hard limit is not near; later all is as before. */
static void test_a_threshold_gives_way_until_memory_is_below_it(void **state)
{
	struct cgroup *c = make("test-ease");
	char events[1024];
	pid_t child;
	int r;

	(void)state;
	limit(c, LIMIT_memory, 64 * MIB);
	assert_int_equal(cgroup_memory_ease(c), 0);
	if (!c->memory_is_v2) {
		assert_int_equal(cgroup_memory_hold(c), 0);
		finish(c);
		print_message("skipped: v1 slows nobody down\n");
		skip();
	}
	assert_int_equal(threshold_of(c), 112 * MIB);
	child = start_in(c, hold_90_mib, &r);
	assert_int_equal(r, 0);
	assert_true(cgroup_pread(c->file[CGROUP_FILE_memory_oom], events, sizeof(events)) > 0);
	assert_int_equal(cgroup_field(events, "high"), 0);
	assert_int_equal(cgroup_memory_hold(c), 1);
	assert_int_equal(threshold_of(c), 112 * MIB);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(cgroup_memory_hold(c), 0);
	assert_int_equal(threshold_of(c), 64 * MIB);
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

static uint64_t own_time_usec(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Entering the group has taken some, which is not the group's. */
static int burn(void)
{
	uint64_t begin = own_time_usec();

	while (own_time_usec() - begin < 200000)
		;
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
	struct limits l = limits_unlimited();
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
	struct limits l = limits_unlimited();
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_soft_threshold_is_told),
		TEST(test_a_fork_can_ask_for_the_event),
		TEST(test_the_threshold_can_be_set_again),
		TEST(test_a_threshold_that_was_crossed_before_is_told),
		TEST(test_an_event_that_cannot_be_had_is_told),
		TEST(test_memory_in_use_cannot_be_forbidden),
		TEST(test_a_glance_sees_what_has_changed),
		TEST(test_a_kill_for_memory_is_counted),
		TEST(test_a_threshold_gives_way_until_memory_is_below_it),
		TEST(test_the_cache_of_files_is_no_memory),
		TEST(test_the_threshold_is_told_after_the_cache_has_crossed_it),
		TEST(test_time_is_counted),
		TEST(test_the_share_of_cpu_is_set),
		TEST(test_limits_that_cannot_be_set_are_named),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
