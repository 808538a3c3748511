/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn: a worker from a holder.
 *
 * The child says through a pipe which layers it has, or which step failed, before it waits for the front and is
 * executed. A child that cannot take one step more ends, whatever it was: nothing runs half confined.
 */
#include "kernel/sandbox/spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kernel/sandbox/processes.h"

struct outcome {
	uint32_t layers;
	int32_t layer; /* that failed, -1: none */
	int32_t error;
	char path[256]; /* that Landlock failed for, "": none */
};

/* fds[i] becomes descriptor i. All are copied above the targets first, so none is overwritten before it was used. */
static int take_descriptors(const int fds[], size_t n, int *pipe_fd)
{
	int high[HOLDER_MAX_FDS];
	int top;

	for (size_t i = 0; i < n; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, HOLDER_MAX_FDS);
		if (high[i] < 0)
			return -errno;
	}
	top = fcntl(*pipe_fd, F_DUPFD_CLOEXEC, HOLDER_MAX_FDS);
	if (top < 0)
		return -errno;
	for (size_t i = 0; i < n; i++)
		if (dup2(high[i], (int)i) < 0)
			return -errno;
	if (dup3(top, (int)n, O_CLOEXEC) < 0)
		return -errno;
	*pipe_fd = (int)n;
	return syscall(SYS_close_range, (unsigned)n + 1, ~0U, 0) < 0 ? -errno : 0;
}

void spawn_wait_for_front(int link_fd)
{
	struct pollfd p = {.fd = link_fd, .events = POLLIN};

	while (poll(&p, 1, -1) < 0)
		if (errno != EINTR)
			_exit(127);
	if (!(p.revents & POLLIN))
		_exit(127);
}

static _Noreturn void tell(int fd, struct outcome outcome)
{
	(void)!write(fd, &outcome, sizeof(outcome));
	_exit(127);
}

static void allow(struct confinement *c, const char *path, bool writable, bool optional)
{
	if (c->n_paths < CONFINEMENT_MAX_PATHS)
		c->paths[c->n_paths++] = (struct confinement_path){path, writable, optional};
}

/* With a root of its own the sandbox shows nothing that may not be read. */
static void allow_inside(const struct sandbox_plan *plan, struct confinement *c)
{
	static const char *const writable[] = {"/tmp", "/home/user", "/workspace", "/dev"};

	allow(c, "/", false, false);
	for (size_t i = 0; i < ARRAY_SIZE(writable); i++)
		allow(c, writable[i], true, false);
	for (size_t i = 0; i < plan->profile->n_mounts; i++)
		if (plan->profile->mounts[i].writable)
			allow(c, plan->profile->mounts[i].target, true, false);
}

/* Without one, the host's own paths, those of the plan alone. */
static void allow_outside(const struct sandbox_plan *plan, struct confinement *c)
{
	allow(c, "/proc", false, false);
	/* How many processors there are is asked here, and not to be allowed to look at what is seen to be there is an error. */
	allow(c, "/sys/devices/system/cpu", false, true);
	allow(c, "/sys/fs/cgroup", false, true);
	allow(c, plan->cwd, true, false);
	for (size_t i = 0; i < plan->n_trees; i++)
		allow(c, plan->trees[i].source, plan->trees[i].writable || plan->trees[i].is_device,
		      plan->trees[i].optional);
}

static void fill_confinement(const struct sandbox_plan *plan, struct confinement *c)
{
	bool inside = plan->level >= SANDBOX_FULL_NOCG;

	*c = (struct confinement){
	    .level = plan->level,
	    .limits = &plan->profile->limits,
	    .has_pid_namespace = inside,
	    .change_user = plan->as_root,
	    .uid = inside ? PLAN_TENANT_UID : plan->tenant_uid,
	    .gid = inside ? PLAN_TENANT_UID : plan->tenant_uid,
	    .host_network = plan->profile->network == PROFILE_NETWORK_HOST,
	    .fault = plan->fault,
	};
	/* An ordinary user's id is everything else's too, and without groups nothing else bounds a fork bomb. */
	if (!inside && !plan->as_root && !plan->in_cgroup)
		c->n_other_tasks = processes_tasks_of(plan->tenant_uid);
	if (inside)
		allow_inside(plan, c);
	else
		allow_outside(plan, c);
}

static _Noreturn void tell_failure(int fd, const struct confinement *c, enum layer failed, int error, uint32_t layers)
{
	struct outcome outcome = {.layers = layers, .layer = (int32_t)failed, .error = error};
	const char *path = failed == LAYER_landlock ? confinement_missing_path(c) : NULL;

	if (path)
		(void)strncpy(outcome.path, path, sizeof(outcome.path) - 1);
	tell(fd, outcome);
}

/* The tenant owns it, and may have shut it before the last worker ended. */
static int enter_workspace(const char *path)
{
	if (chdir(path) == 0)
		return 0;
	return errno == EACCES && chmod(path, 0700) == 0 && chdir(path) == 0 ? 0 : -errno;
}

static _Noreturn void become_worker(const struct sandbox_plan *plan, const int fds[], size_t n_fds, int pipe_fd)
{
	struct outcome outcome = {.layer = -1};
	struct confinement confinement;
	enum layer failed = LAYER_session;
	int r = take_descriptors(fds, n_fds, &pipe_fd);

	if (r < 0)
		tell(pipe_fd, (struct outcome){.layer = LAYER_session, .error = r});
	fill_confinement(plan, &confinement);
	r = confinement_apply(&confinement, &outcome.layers, &failed);
	if (r < 0)
		tell_failure(pipe_fd, &confinement, failed, r, outcome.layers);
	/* By who works there: pid 1 may have no right to it. */
	r = enter_workspace(plan->cwd);
	if (r < 0)
		tell(pipe_fd, (struct outcome){.layer = LAYER_workspace, .error = r});
	if (write(pipe_fd, &outcome, sizeof(outcome)) != sizeof(outcome))
		_exit(127);
	(void)close(pipe_fd);
	spawn_wait_for_front(plan->link_fd);
	(void)execve(plan->argv[0], (char *const *)(uintptr_t)plan->argv, (char *const *)(uintptr_t)plan->env);
	_exit(127);
}

/* The word is due at once, so a holder may wait for it; the exec comes later, and its failure is the child's end. */
static int hear(int fd, struct holder_report *report)
{
	struct outcome outcome;
	ssize_t n;

	do
		n = read(fd, &outcome, sizeof(outcome));
	while (n < 0 && errno == EINTR);
	if (n != sizeof(outcome))
		return error_set(&report->error, -ESRCH, "the worker ended before it had confined itself");
	report->layers = outcome.layers;
	if (outcome.layer < 0)
		return 0;
	report->layer = outcome.layer;
	outcome.path[sizeof(outcome.path) - 1] = '\0';
	return error_set(&report->error, outcome.error, "%s: %s%s%s", layer_rows[outcome.layer].what, outcome.path,
			 outcome.path[0] ? ": " : "", strerror(-outcome.error));
}

int spawn_worker(const struct sandbox_plan *plan, const int fds[], size_t n_fds, struct holder_report *report,
		 int *ret_pidfd)
{
	_cleanup_(closep) int read_end = -1;
	int all[HOLDER_MAX_FDS], pair[2], pidfd, r;
	pid_t pid;

	report->layer = LAYER_session;
	if (n_fds != (size_t)plan->n_worker_fds)
		return error_set(&report->error, -EINVAL, "a worker cannot have %zu descriptors", n_fds);
	memcpy(all, fds, n_fds * sizeof(fds[0]));
	memcpy(all + n_fds, plan->passed, plan->n_passed * sizeof(all[0]));
	if (pipe2(pair, O_CLOEXEC) < 0)
		return error_set(&report->error, -errno, "cannot make a pipe: %s", strerror(errno));
	read_end = pair[0];
	pid = fork();
	if (pid == 0)
		become_worker(plan, all, n_fds + plan->n_passed, pair[1]);
	(void)close(pair[1]);
	if (pid < 0)
		return error_set(&report->error, -errno, "cannot fork the worker: %s", strerror(errno));
	r = hear(read_end, report);
	pidfd = r < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	if (r == 0 && pidfd < 0)
		r = error_set(&report->error, -errno, "cannot open the worker's pidfd: %s", strerror(errno));
	if (r < 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return r;
	}
	*ret_pidfd = pidfd;
	return pid;
}
