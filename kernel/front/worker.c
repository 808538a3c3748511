/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: the process that runs Python, as its front sees it.
 *
 * The front is the subreaper of its worker's orphans, so at the end everything below the front can be found and ended.
 * The worker stays in the front's process group: a client that signals the group reaches the tenant's children too,
 * as it would with ipykernel.
 */
#include "kernel/front/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/sandbox/confinement.h"
#include "kernel/sandbox/sandbox.h"
#include "kernel/sandbox/spawn.h"
#include "protocol/link/link.h"

#define PIPE_SIZE (256 << 10)

/* The same pipe, opened once more: whoever has the other open file cannot change the flags of this one. */
static int open_own(int fd)
{
	char path[64];
	int own;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return own < 0 ? -errno : own;
}

int worker_prepare(struct worker *w, int ret_child_fds[WORKER_CHILD_FDS], struct error *err)
{
	int pair[2];

	*w = WORKER_NONE;
	for (int i = 0; i < 2; i++) {
		if (pipe2(pair, O_CLOEXEC) < 0)
			return error_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
		ret_child_fds[i] = pair[1];
		ret_child_fds[2 + i] = pair[0];
		(void)fcntl(pair[0], F_SETPIPE_SZ, PIPE_SIZE);
		w->pipes[i] = open_own(pair[0]);
		if (w->pipes[i] < 0)
			return error_set(err, w->pipes[i], "cannot open a pipe through /proc/self/fd: %s", strerror(-w->pipes[i]));
	}
	w->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->doorbell < 0)
		return error_set(err, -errno, "cannot make an eventfd: %s", strerror(errno));
	return 0;
}

void worker_set_slice(uint64_t nsec)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} attributes = { .size = sizeof(attributes), .policy = SCHED_OTHER, .runtime = nsec };

	attributes.nice = getpriority(PRIO_PROCESS, 0);
	if (sched_getscheduler(0) == SCHED_OTHER)
		(void)syscall(SYS_sched_setattr, 0, &attributes, 0);
}

static int limit_child(const struct limits *limits)
{
	const struct confinement c = { .level = SANDBOX_NONE, .limits = limits, .fault = -1 };

	return limits ? confinement_rlimits(&c) : 0;
}

/* Between fork and exec: async-signal-safe calls only. fds[i] becomes descriptor i; none of them is below
 * LINK_FD_END (worker_start() sees to that), so no dup2() overwrites one that is still needed. */
static void exec_child(const struct worker_source *source, char *const argv[], const int fds[LINK_FD_END])
{
	sigset_t none;

	for (int i = 0; i < LINK_FD_END; i++)
		if (dup2(fds[i], i) < 0)
			_exit(127);
	(void)syscall(SYS_close_range, LINK_FD_END, ~0U, 0);
	(void)signal(SIGPIPE, SIG_DFL); /* what the front has changed; the launcher sees to the rest */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (setrlimit(RLIMIT_DATA, &source->data) < 0 || limit_child(source->limits) < 0)
		_exit(127);
	if (source->cwd && chdir(source->cwd) < 0)
		_exit(127);
	spawn_wait_for_front(LINK_FD_SOCKET);
	worker_set_slice(0);
	(void)execv(source->launcher, argv);
	_exit(127);
}

static void close_high(int fds[LINK_FD_END])
{
	for (int i = 0; i < LINK_FD_END; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
}

/* Copies of the child's descriptors above those it will have. */
static int collect_high(int fds[LINK_FD_END], const int from[LINK_FD_END])
{
	for (int i = 0; i < LINK_FD_END; i++)
		fds[i] = -1;
	for (int i = 0; i < LINK_FD_END; i++) {
		fds[i] = fcntl(from[i], F_DUPFD_CLOEXEC, LINK_FD_END);
		if (fds[i] < 0)
			return -errno;
	}
	return 0;
}

/* pid 1 of the sandbox forks it; the answer comes as a report. */
static int start_inside(struct worker *w, struct sandbox *sandbox, const int fds[LINK_FD_END], struct error *err)
{
	int r = sandbox_spawn(sandbox, fds, LINK_FD_END, &w->serial);

	if (r < 0)
		return error_set(err, r, "the sandbox cannot start a worker: %s", strerror(-r));
	w->sandbox = sandbox;
	w->pid = WORKER_PID_UNKNOWN;
	return 0;
}

int worker_adopt(struct worker *w, int pidfd)
{
	char path[64], line[128];
	FILE *info;
	int pid = 0;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	info = fopen(path, "re");
	while (info && fgets(line, sizeof(line), info))
		if (sscanf(line, "Pid: %d", &pid) == 1)
			break;
	if (info)
		(void)fclose(info);
	if (pid <= 0)
		return -ESRCH;
	w->pidfd = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
	w->pid = pid;
	return w->pidfd < 0 ? -errno : 0;
}

int worker_start(struct worker *w, const struct worker_source *source, int ring_fd, const int child_fds[WORKER_CHILD_FDS],
    struct error *err)
{
	const char *argv[4] = { source->launcher, NULL };
	int link[2], fds[LINK_FD_END], r;
	_cleanup_(closep) int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_(closep) int child_link = -1;
	pid_t pid;

	if (source->python) {
		argv[1] = "--python";
		argv[2] = source->python;
	}
	if (null_fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link) < 0)
		return error_set(err, -errno, "cannot make the link: %s", strerror(errno));
	w->link_fd = link[0];
	child_link = link[1];
	const int given[LINK_FD_END] = { null_fd, child_fds[0], child_fds[1], child_link, ring_fd, w->doorbell, child_fds[2], child_fds[3] };

	if (source->sandbox)
		return start_inside(w, source->sandbox, given, err);
	r = collect_high(fds, given);
	pid = r < 0 ? -1 : fork();
	if (pid == 0)
		exec_child(source, (char *const *)(uintptr_t)argv, fds);
	if (pid < 0)
		r = error_set(err, r < 0 ? r : -errno, "cannot start the worker: %s", strerror(errno));
	close_high(fds);
	w->pid = pid > 0 ? pid : 0;
	return r < 0 ? r : 0;
}

void worker_close(struct worker *w)
{
	int *const all[] = { &w->pidfd, &w->link_fd, &w->doorbell, &w->pipes[0], &w->pipes[1] };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (*all[i] >= 0)
			(void)close(*all[i]);
		*all[i] = -1;
	}
	w->pid = 0;
}

void worker_kill(const struct worker *w)
{
	if (w->sandbox && w->pid)
		(void)sandbox_kill_all(w->sandbox);
	else if (w->pid > 0)
		(void)kill(w->pid, SIGKILL);
}

void worker_signal(const struct worker *w)
{
	if (w->pid <= 0)
		return;
	/* Where it has another user id, and no user namespace of which the front is the owner, pid 1 sends it. */
	if (syscall(SYS_tgkill, w->pid, w->pid, WORKER_INTERRUPT_SIGNAL) < 0 && errno == EPERM && w->sandbox)
		(void)!sandbox_signal(w->sandbox, WORKER_INTERRUPT_SIGNAL);
}

void worker_describe_status(int status, char *ret_text, size_t size)
{
	if (WIFSIGNALED(status)) {
		const char *name = sigabbrev_np(WTERMSIG(status));

		(void)snprintf(ret_text, size, "signal %d (%s%s)", WTERMSIG(status), name ? "SIG" : "unknown",
		    name ? name : "");
	} else {
		(void)snprintf(ret_text, size, "exit code %d", WEXITSTATUS(status));
	}
}
