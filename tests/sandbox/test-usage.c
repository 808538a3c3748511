/* SPDX-License-Identifier: Apache-2.0 */
/* Tests for kernel/sandbox/usage. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/sandbox/processes.h"
#include "kernel/sandbox/usage.h"
#include "tests/front/child.h"

#define MIB ((size_t)1 << 20)

static int proc_fd = -1;

static int open_proc(void **state)
{
	(void)state;
	proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return proc_fd < 0;
}

static int close_proc(void **state)
{
	(void)state;
	return close(proc_fd);
}

static void end(pid_t child)
{
	(void)kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void *sleep_long(void *data)
{
	(void)pause();
	return data;
}

/*
 * Two threads, a name that looks like the end of another, 40 MiB of its own and 20 that are shared, and a child in a
 * session of its own.
 */
static void start_family(int ready, const void *data)
{
	pthread_t thread;
	void *anonymous = mmap(NULL, 40 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *shared = mmap(NULL, 20 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)data;
	memset(anonymous, 1, 40 * MIB);
	memset(shared, 1, 20 * MIB);
	(void)madvise(anonymous, 40 * MIB, MADV_DONTFORK);
	(void)madvise(shared, 20 * MIB, MADV_DONTFORK);
	(void)prctl(PR_SET_NAME, "a) R 1 (\n) S");
	(void)pthread_create(&thread, NULL, sleep_long, NULL);
	if (fork() == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)setsid();
		(void)!write(ready, "x", 1);
	}
}

static void test_a_family_is_summed(void **state)
{
	struct usage usage = { 0 };
	pid_t child = child_start(start_family, NULL);

	(void)state;
	assert_int_equal(usage_read_proc(proc_fd, getpid(), UINT64_MAX, &usage), 0);
	assert_int_equal(usage.processes, 3);
	assert_in_range(usage.memory_bytes, 60 * MIB, 200 * MIB);
	assert_int_equal(usage.memory_peak_bytes, usage.memory_bytes);
	assert_int_equal(usage_read_proc(proc_fd, child, UINT64_MAX, &usage), 0);
	assert_int_equal(usage.processes, 1); /* those below it alone */
	end(child);
	while (waitpid(-1, NULL, 0) > 0)
		;
	assert_int_equal(usage_read_proc(proc_fd, getpid(), UINT64_MAX, &usage), 0);
	assert_int_equal(usage.processes, 0);
	assert_int_equal(usage.memory_bytes, 0);
	assert_true(usage.memory_peak_bytes >= 60 * MIB);
}

/* Three processes that have the same 60 MiB. */
static void start_sharers(int ready, const void *data)
{
	memset(mmap(NULL, 60 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, 60 * MIB);
	if (fork() == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (fork() == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			(void)!write(ready, "x", 1);
		}
	}
	(void)data;
}

static void test_shared_pages_count_once_when_it_matters(void **state)
{
	struct usage usage = { 0 };
	pid_t child = child_start(start_sharers, NULL);

	(void)state;
	assert_int_equal(usage_read_proc(proc_fd, getpid(), 500 * MIB, &usage), 0);
	assert_true(usage.memory_bytes >= 180 * MIB);
	assert_int_equal(usage_read_proc(proc_fd, getpid(), 100 * MIB, &usage), 0);
	assert_true(usage.memory_bytes >= 50 * MIB && usage.memory_bytes < 100 * MIB);
	end(child);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void start_large(int ready, const void *data)
{
	memset(mmap(NULL, 40 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, 40 * MIB);
	(void)data;
	(void)!write(ready, "x", 1);
}

static void test_others_are_told_from_the_worker_and_by_their_age(void **state)
{
	pid_t worker = child_start(start_large, NULL), other = child_start(start_large, NULL);
	struct usage_others others;

	(void)state;
	assert_int_equal(usage_read_others(proc_fd, getpid(), worker, 0, &others), 0);
	assert_int_equal(others.largest, other);
	assert_in_range(others.bytes, 40 * MIB, 60 * MIB);
	assert_int_equal(others.bytes, others.recent_bytes);
	assert_int_equal(others.bytes, others.largest_bytes);
	assert_int_equal(usage_read_others(proc_fd, getpid(), worker, processes_now() + 1, &others), 0);
	assert_in_range(others.bytes, 40 * MIB, 60 * MIB);
	assert_int_equal(others.recent_bytes, 0);
	end(worker);
	end(other);
	assert_int_equal(usage_read_others(proc_fd, getpid(), worker, 0, &others), 0);
	assert_int_equal(others.bytes + (uint64_t)others.largest, 0);
	assert_true(usage_read_others(-1, 0, worker, 0, &others) < 0);
}

static void start_without_first_thread(int ready, const void *data)
{
	pthread_t thread;

	(void)pthread_create(&thread, NULL, sleep_long, NULL);
	start_large(ready, data);
	(void)syscall(SYS_exit, 0);
}

static void wait_for_first_thread(pid_t pid)
{
	struct timespec wait = { 0, 1000000 };
	struct process p = { 0 };

	while (processes_read(pid, &p) == 0 && p.state != 'Z')
		(void)nanosleep(&wait, NULL);
	assert_true(p.threads > 1);
}

static void test_memory_counts_when_the_first_thread_has_ended(void **state)
{
	pid_t child = child_start(start_without_first_thread, NULL);
	struct usage usage = { 0 };
	struct usage_others others;

	(void)state;
	wait_for_first_thread(child);
	assert_int_equal(usage_read_proc(proc_fd, getpid(), UINT64_MAX, &usage), 0);
	assert_in_range(usage.memory_bytes, 40 * MIB, 60 * MIB);
	assert_int_equal(usage_read_proc(proc_fd, getpid(), 1, &usage), 0);
	assert_in_range(usage.memory_bytes, 40 * MIB, 60 * MIB);
	assert_int_equal(usage_read_others(proc_fd, getpid(), 0, 0, &others), 0);
	assert_int_equal(others.largest, child);
	assert_int_equal(processes_end_below(-1, 0), 1);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void burn(uint64_t usec)
{
	struct timespec t;

	do {
		(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	} while ((uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000 < usec);
}

/* The child's child has used 100 ms and been waited for; itself another 100 ms. */
static void start_busy(int ready, const void *data)
{
	pid_t child = fork();

	(void)data;
	if (child == 0) {
		burn(100000);
		_exit(0);
	}
	(void)waitpid(child, NULL, 0);
	burn(100000);
	(void)!write(ready, "x", 1);
}

static void test_time_of_the_dead_counts_and_never_falls(void **state)
{
	struct usage usage = { 0 };
	pid_t child = child_start(start_busy, NULL);
	uint64_t before;

	(void)state;
	assert_int_equal(usage_read_proc(proc_fd, getpid(), UINT64_MAX, &usage), 0);
	assert_true(usage.cpu_usec >= 180000); /* in ticks of 10 ms */
	assert_int_equal(usage.cpu_usec, usage.cpu_user_usec + usage.cpu_system_usec);
	before = usage.cpu_usec;
	end(child);
	assert_int_equal(usage_read_proc(proc_fd, getpid(), UINT64_MAX, &usage), 0);
	assert_int_equal(usage.cpu_usec, before);
}

static void test_a_whole_proc_is_summed(void **state)
{
	struct usage usage = { 0 };
	int r = usage_read_proc(proc_fd, 0, UINT64_MAX, &usage);

	(void)state;
	assert_true(r == 0 || r == 1);
	assert_true(usage.processes >= 1);
	assert_true(usage.memory_bytes > 0);
}

/* A directory that looks like proc, with what a process that ends, or a kernel of tomorrow, may leave there. */
static void write_fake(const char *top, const char *pid, const char *name, const char *text)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", top, pid);
	(void)mkdir(path, 0700);
	(void)snprintf(path, sizeof(path), "%s/%s/%s", top, pid, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

static void remove_fake(const char *top, const char *pid)
{
	static const char *const names[] = { "/stat", "/status", "" };
	char path[256];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s%s", top, pid, names[i]);
		(void)remove(path);
	}
}

static void test_odd_entries_are_passed_over(void **state)
{
	static const char *const pids[] = { "1", "2", "3", "4", "5", "6", "self", "7x" };
	char top[] = "/tmp/husk-test-usage-XXXXXX";
	struct usage usage = { 0 };
	int fd;

	(void)state;
	assert_non_null(mkdtemp(top));
	write_fake(top, "1", "stat", "1 (init) S 0 1 1 0 -1 4194560 1 2 3 4 100 200 300 400 20 0 5 0 1 2 3");
	write_fake(top, "1", "status", "Name:\tRssAnon: 9\\nRssAnon: 8\nVmRSS: 7 kB\nRssAnon:\t   100 kB\nRssFile: 50 kB\nRssShmem:\t28 kB\n");
	write_fake(top, "2", "stat", "");
	write_fake(top, "3", "stat", "3 (no end S 1 1");
	write_fake(top, "4", "stat", "4 (x) y) Z 1 1 1 0 -1 4 1 2 3 4 1 0 -1 -9 20 0 1 0 1 2 3"); /* a zombie, with times that cannot be */
	write_fake(top, "5", "stat", "5 (short) S 1 2 3");
	write_fake(top, "6", "status", "RssAnon: 1000 kB\n");
	write_fake(top, "self", "stat", "8 (x) S 1 1 1 0 -1 4 1 2 3 4 9999 0 0 0 20 0 1 0 1 2 3");
	fd = open(top, O_RDONLY | O_DIRECTORY);
	assert_int_equal(usage_read_proc(fd, 0, UINT64_MAX, &usage), 0);
	assert_int_equal(usage.cpu_user_usec, 401 * 10000);
	assert_int_equal(usage.cpu_system_usec, 600 * 10000);
	assert_int_equal(usage.processes, 6);
	assert_int_equal(usage.memory_bytes, 128 * 1024);
	assert_int_equal(usage_read_proc(fd, 1, UINT64_MAX, &usage), 0);
	assert_int_equal(usage.processes, 1);
	(void)close(fd);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		remove_fake(top, pids[i]);
	assert_int_equal(rmdir(top), 0);
}

static void test_no_directory_is_an_error(void **state)
{
	struct usage usage = { 0 };

	(void)state;
	assert_true(usage_read_proc(-1, 0, UINT64_MAX, &usage) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_family_is_summed),
		cmocka_unit_test(test_shared_pages_count_once_when_it_matters),
		cmocka_unit_test(test_others_are_told_from_the_worker_and_by_their_age),
		cmocka_unit_test(test_memory_counts_when_the_first_thread_has_ended),
		cmocka_unit_test(test_time_of_the_dead_counts_and_never_falls),
		cmocka_unit_test(test_a_whole_proc_is_summed),
		cmocka_unit_test(test_odd_entries_are_passed_over),
		cmocka_unit_test(test_no_directory_is_an_error),
	};

	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests(tests, open_proc, close_proc);
}
