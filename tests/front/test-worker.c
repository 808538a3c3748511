/* SPDX-License-Identifier: Apache-2.0 */
/* test-worker: how an end is described, what a started worker gets, what signals reach. */
#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kernel/front/worker.h"
#include "protocol/link/link.h"

static void test_an_end_is_described_by_signal_or_exit_code(void **state)
{
	static const struct {
		int status;
		const char *text;
	} rows[] = {
		{ SIGSEGV, "signal 11 (SIGSEGV)" },
		{ SIGKILL, "signal 9 (SIGKILL)" },
		{ SIGSEGV | 0x80, "signal 11 (SIGSEGV)" }, /* with a core dump */
		{ 64, "signal 64 (unknown)" },
		{ 0, "exit code 0" },
		{ 3 << 8, "exit code 3" },
		{ 255 << 8, "exit code 255" },
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		worker_describe_status(rows[i].status, text, sizeof(text));
		assert_row(i, strcmp(text, rows[i].text) == 0);
	}
}

static void test_a_description_never_overflows(void **state)
{
	char text[8];

	(void)state;
	memset(text, 'x', sizeof(text));
	worker_describe_status(SIGSEGV, text, sizeof(text));
	assert_int_equal(strlen(text), sizeof(text) - 1);
}

/* A launcher that says on its link what it was given, and ends with it. 8 is the listed directory itself: the
 * lowest that is free. */
static const char script[] =
    "#!/bin/sh\n"
    "cd /proc/$$/fd && echo ? \"|$*|$(ulimit -d)\" >&3\n"
    "exec cat <&3 >/dev/null\n";

static char launcher[64];

static int make_launcher(void **state)
{
	int fd;

	(void)state;
	(void)snprintf(launcher, sizeof(launcher), "/tmp/husk-test-launcher-%d", (int)getpid());
	fd = open(launcher, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	if (fd < 0 || write(fd, script, sizeof(script) - 1) != (ssize_t)sizeof(script) - 1)
		return -1;
	return close(fd);
}

static int remove_launcher(void **state)
{
	(void)state;
	return unlink(launcher);
}

static struct worker start(const struct worker_source *source)
{
	struct worker w;
	struct error err = { 0 };
	int child[WORKER_CHILD_FDS], ring = memfd_create("ring", MFD_CLOEXEC);

	assert_int_equal(worker_prepare(&w, child, &err), 0);
	assert_int_equal(worker_start(&w, source, ring, child, &err), 0);
	assert_int_equal(write(w.link_fd, "", 1), 1); /* "begin" */
	(void)close(ring);
	for (size_t i = 0; i < WORKER_CHILD_FDS; i++)
		(void)close(child[i]);
	return w;
}

static void test_the_workers_flags_are_not_the_fronts(void **state)
{
	int child[WORKER_CHILD_FDS];
	struct error err = { 0 };
	struct worker w;
	char byte;

	(void)state;
	assert_int_equal(worker_prepare(&w, child, &err), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fcntl(child[2 + i], F_SETFL, 0), 0);
		assert_int_equal(read(w.pipes[i], &byte, 1), -1);
		assert_int_equal(errno, EAGAIN);
		assert_int_equal(write(child[i], "x", 1), 1);
		assert_int_equal(read(w.pipes[i], &byte, 1), 1);
	}
	for (size_t i = 0; i < WORKER_CHILD_FDS; i++)
		(void)close(child[i]);
	worker_close(&w);
}

static size_t read_all_within(int fd, char *text, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	assert_int_equal(poll(&p, 1, 20000), 1);
	n = read(fd, text, size - 1);
	assert_true(n >= 0);
	text[n] = '\0';
	return (size_t)n;
}

static void end(struct worker *w)
{
	int status;

	worker_kill(w);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	worker_close(w);
}

static void test_a_worker_gets_exactly_its_descriptors_and_its_python(void **state)
{
	struct worker_source source = { .launcher = launcher, .python = "/x/python" };
	int stray = open("/dev/null", O_RDONLY);
	struct worker w;
	char text[256];

	(void)state;
	source.data = (struct rlimit){ 7 << 20, 7 << 20 };
	w = start(&source);
	(void)read_all_within(w.link_fd, text, sizeof(text));
	assert_string_equal(text, "0 1 2 3 4 5 6 7 8 |--python /x/python|7168\n");
	end(&w);
	(void)close(stray);
}

static unsigned count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

static void test_a_thousand_workers_leave_no_descriptor(void **state)
{
	struct worker_source source = { .launcher = "/bin/true" };
	unsigned before = count_descriptors();

	(void)state;
	source.data = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
	for (int i = 0; i < 1000; i++) {
		struct worker w = start(&source);
		int status;

		assert_int_equal(waitpid(w.pid, &status, 0), w.pid);
		worker_close(&w);
	}
	assert_int_equal(count_descriptors(), before);
}

static void test_a_launcher_that_is_not_there_ends_with_127(void **state)
{
	struct worker_source source = { .launcher = "/nonexistent/husk-worker" };
	struct worker w;
	int status;

	(void)state;
	source.data = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
	w = start(&source);
	assert_int_equal(waitpid(w.pid, &status, 0), w.pid);
	assert_int_equal(WEXITSTATUS(status), 127);
	worker_close(&w);
}

static void test_killing_no_worker_kills_nobody(void **state)
{
	struct worker none = WORKER_NONE;

	(void)state;
	worker_kill(&none);
	worker_signal(&none);
	worker_close(&none);
}

/* A child whose child runs in a session of its own: both lie below this process. */
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_end_is_described_by_signal_or_exit_code),
		cmocka_unit_test(test_a_description_never_overflows),
		cmocka_unit_test(test_a_worker_gets_exactly_its_descriptors_and_its_python),
		cmocka_unit_test(test_a_thousand_workers_leave_no_descriptor),
		cmocka_unit_test(test_a_launcher_that_is_not_there_ends_with_127),
		cmocka_unit_test(test_killing_no_worker_kills_nobody),
		cmocka_unit_test(test_the_workers_flags_are_not_the_fronts),
	};

	return cmocka_run_group_tests(tests, make_launcher, remove_launcher);
}
