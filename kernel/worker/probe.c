/* SPDX-License-Identifier: Apache-2.0 */
/* probe: runs an interpreter once to learn what it is. */
#include "kernel/worker/probe.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kernel/worker/embedded.h"
#include "kernel/worker/interpreter.h"
#include "protocol/base/clock.h"
#include "protocol/base/io.h"

static void exec_probe(const char *path, int out_fd)
{
	char option_isolated[] = "-I", option_command[] = "-c";
	char *argv[] = { (char *)(uintptr_t)path, option_isolated, option_command,
		(char *)(uintptr_t)embedded_modules[0].source, NULL };

	/* A group of its own: a script's children end with it. The link and the ring are not its business. */
	(void)setpgid(0, 0);
	if (dup2(out_fd, STDOUT_FILENO) < 0)
		_exit(127);
	(void)syscall(SYS_close_range, 3, ~0U, 0);
	(void)execv(path, argv);
	_exit(127);
}

/* Reads to the end. */
static int read_output(int fd, struct buffer *out, uint64_t deadline)
{
	for (;;) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		uint64_t now = clock_monotonic_usec();
		ssize_t n;

		if (now >= deadline)
			return -ETIMEDOUT;
		if (poll(&poll_fd, 1, (int)((deadline - now) / USEC_PER_MSEC + 1)) <= 0)
			continue;
		n = io_read(fd, out);
		if (n <= 0)
			return (int)n;
	}
}

/* Ends the group. The wait status, or -1. */
static int end_probe(pid_t pid, bool by_force)
{
	int status;

	if (by_force) {
		(void)kill(-pid, SIGKILL);
		(void)kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return status;
}

static int judge(const char *path, int r, int status, struct error *err)
{
	if (r == -ETIMEDOUT)
		return error_set(err, r, "%s did not say within %d s what it is", path, INTERPRETER_PROBE_SEC);
	if (r == -EMSGSIZE)
		return error_set(err, r, "%s wrote more than %zu bytes when asked what it is", path, INTERPRETER_RECORD_MAX);
	if (r < 0)
		return error_set(err, r, "the output of %s cannot be read", path);
	if (status == 0)
		return 0;
	if (status > 0 && WIFEXITED(status))
		return error_set(err, -EBADMSG, "%s cannot be run as Python 3: exit code %d", path, WEXITSTATUS(status));
	return error_set(err, -EBADMSG, "%s cannot be run as Python 3: signal %d", path,
	    status > 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

int probe_run(const char *path, struct buffer *out, struct error *err)
{
	_cleanup_(closep) int read_fd = -1;
	_cleanup_(closep) int write_fd = -1;
	int fds[2];
	pid_t pid;
	int r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_set(err, -errno, "cannot make a pipe");
	read_fd = fds[0];
	write_fd = fds[1];
	pid = fork();
	if (pid < 0)
		return error_set(err, -errno, "cannot start %s", path);
	if (pid == 0)
		exec_probe(path, write_fd);
	(void)close(STEAL_FD(write_fd));
	r = read_output(read_fd, out, clock_monotonic_usec() + INTERPRETER_PROBE_SEC * USEC_PER_SEC);
	return judge(path, r, end_probe(pid, r < 0), err);
}
