/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox: one kernel's sandbox, as its front has it.
 *
 * Two sockets leave the front: the lifeline to the holder, and control to the keeper. When the front ends in whatever
 * way, both close: the holder ends everything in the sandbox, the keeper clears away the rest.
 */
#include "kernel/sandbox/sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kernel/sandbox/descriptor.h"
#include "kernel/sandbox/keeper.h"
#include "kernel/sandbox/layout.h"
#include "kernel/sandbox/uids.h"
#include "protocol/base/clock.h"

#define END_MSEC 3000
#define READY_MSEC 10000

struct sandbox {
	struct sandbox_plan plan;
	struct plan_tree trees[PLAN_MAX_TREES];
	struct cgroup *cgroup;
	struct uids uids;
	int lifeline;
	int control;
	pid_t keeper;
	int proc_fd;
	int workspace_fd; /* of one that is not the profile's; -1 */
	int outputs[HOLDER_MAX_OUTPUTS];
	size_t n_outputs;
	int proxy_fd; /* the proxy's socket, on its way from the holder to the keeper */
	bool ready;
	uint32_t layers;
	uint32_t serial;
	pid_t worker; /* the last one, as pid 1 sees it */
	uint64_t memory_limit;
	uint64_t memory_peak;
	int failed;        /* the layer that could not be had, -1 */
	char why_not[512]; /* the level is not the profile's */
};

static struct sandbox only; /* a process has one, and what it has forked inherits it */

/* ---- words ---- */

static int tell_keeper(const struct sandbox *s, enum keeper_order order, enum sandbox_level level, const char *path,
		       int fd)
{
	struct keeper_command command = {.order = order, .level = level};

	(void)snprintf(command.path, sizeof(command.path), "%s", path);
	return descriptor_send_message(s->control, &command, sizeof(command), &fd, fd >= 0, 0);
}

/* A holder at that level, with a lifeline of its own. */
static int make_holder(struct sandbox *s, enum sandbox_level level, struct error *err)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, -errno, "cannot make a socket pair: %s", strerror(errno));
	s->lifeline = pair[0];
	r = tell_keeper(s, KEEPER_MAKE, level, "", pair[1]);
	(void)close(pair[1]);
	return r < 0 ? error_set(err, r, "the sandbox's keeper has ended") : 0;
}

/* ---- making ---- */

static int take_uids(struct sandbox *s, struct error *err)
{
	struct sandbox_plan *plan = &s->plan;
	int r;

	plan->as_root = geteuid() == 0;
	plan->own_gid = getegid();
	plan->front_uid = plan->holder_uid = plan->tenant_uid = geteuid();
	if (!plan->as_root)
		return 0;
	r = uids_lease(NULL, NULL, &s->uids, err);
	if (r < 0)
		return r;
	plan->front_uid = s->uids.front;
	plan->holder_uid = s->uids.holder;
	plan->tenant_uid = s->uids.tenant;
	return 0;
}

/* Level full must have control groups; below it they serve where they can be had. */
static int take_cgroup(struct sandbox *s, enum sandbox_level level, struct error *err)
{
	const struct profile *p = s->plan.profile;
	struct limits limits = p->limits;
	int r;

	s->plan.in_cgroup = false;
	s->plan.n_attach = 0;
	s->memory_limit = limits.value[LIMIT_memory];
	if (level == SANDBOX_FULL_NOCG)
		return 0;
	r = s->plan.fault == LAYER_cgroup ? error_set(err, -ENOTSUP, "made to fail by HUSK_FAULT_LAYER")
					  : cgroup_new(NULL, p->cgroup_parent, &s->cgroup, err);
	if (limits.value[LIMIT_processes] != LIMITS_NONE)
		limits.value[LIMIT_processes]++; /* pid 1 is in the group too */
	if (r == 0)
		r = cgroup_set_limits(s->cgroup, &limits, err);
	if (r == 0)
		s->plan.n_attach = cgroup_attach_v1_fds(s->cgroup, s->plan.attach);
	s->plan.in_cgroup = r == 0;
	if (level < SANDBOX_FULL && r == -ENOTSUP)
		return 0;
	if (r < 0)
		s->failed = LAYER_cgroup;
	return r;
}

/* As the holder makes them in a workspace in memory: with root's rights gone, the owner could not. */
static void make_outputs(struct sandbox *s)
{
	uid_t uid = s->plan.as_root ? s->plan.tenant_uid : (uid_t)-1;
	char name[sizeof(HOLDER_OUTPUTS) + 16];

	if (s->workspace_fd < 0 || mkdirat(s->workspace_fd, ".husk", 0700) < 0 || fchownat(s->workspace_fd, ".husk", uid, uid, 0) < 0)
		return;
	for (unsigned i = 0; i < HOLDER_MAX_OUTPUTS; i++) {
		int fd;

		(void)snprintf(name, sizeof(name), HOLDER_OUTPUTS, i + 1);
		fd = openat(s->workspace_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0)
			return;
		s->outputs[s->n_outputs++] = fd;
		if (fchown(fd, uid, uid) < 0)
			return;
	}
}

/* Without a root of its own a worker has a directory of the host. */
static int take_workspace(struct sandbox *s, struct error *err)
{
	const char *base = s->plan.as_root ? "/run" : getenv("XDG_RUNTIME_DIR");

	if (s->plan.level >= SANDBOX_FULL_NOCG)
		return 0;
	s->plan.cwd = s->plan.profile->workspace;
	if (s->plan.cwd)
		return 0;
	(void)snprintf(s->plan.own_workspace, sizeof(s->plan.own_workspace), "%s/husk-workspace.XXXXXX",
		       base && base[0] == '/' && strlen(base) < 32 ? base : "/tmp");
	if (!mkdtemp(s->plan.own_workspace) ||
	    (s->plan.as_root && chown(s->plan.own_workspace, s->plan.tenant_uid, s->plan.tenant_uid) < 0))
		return error_set(err, -errno, "cannot make the workspace %s: %s", s->plan.own_workspace,
				 strerror(errno));
	s->plan.cwd = s->plan.own_workspace;
	s->workspace_fd = open(s->plan.own_workspace, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	make_outputs(s);
	return 0;
}

static int start_keeper(struct sandbox *s, struct error *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, -errno, "cannot make a socket pair: %s", strerror(errno));
	s->keeper = fork();
	if (s->keeper == 0) {
		(void)close(pair[0]);
		keeper_main(&s->plan, pair[1], s->cgroup);
	}
	(void)close(pair[1]);
	s->control = pair[0];
	return s->keeper < 0 ? error_set(err, -errno, "cannot fork the sandbox's keeper: %s", strerror(errno)) : 0;
}

static void wait_for_keeper(struct sandbox *s)
{
	int pidfd = (int)syscall(SYS_pidfd_open, s->keeper, 0);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	if (pidfd >= 0 && poll(&p, 1, END_MSEC) <= 0)
		(void)kill(s->keeper, SIGKILL);
	(void)waitpid(s->keeper, NULL, 0);
	closep(&pidfd);
	s->keeper = 0;
}

/* ---- reports ---- */

/* The descriptor of a report, in the place of one that was there before. */
static void keep(int *own, int *fd)
{
	closep(own);
	*own = STEAL_FD(*fd);
}

int sandbox_receive(struct sandbox *s, struct holder_report *ret, int *ret_fd)
{
	int fds[DESCRIPTOR_MAX];
	size_t n_fds;
	ssize_t n = descriptor_receive_message(s->lifeline, ret, sizeof(*ret), fds, &n_fds, MSG_DONTWAIT);

	if (n == -EAGAIN)
		return 0;
	*ret_fd = n_fds > 0 ? fds[0] : -1;
	for (size_t i = 1; i < n_fds; i++)
		if (n == sizeof(*ret) && ret->event == HOLDER_WORKSPACE && s->n_outputs < HOLDER_MAX_OUTPUTS)
			s->outputs[s->n_outputs++] = fds[i];
		else
			(void)close(fds[i]);
	if (n != sizeof(*ret))
		return -EPIPE;
	ret->error.text[sizeof(ret->error.text) - 1] = '\0';
	if (ret->event == HOLDER_READY) {
		s->ready = true;
		s->layers = ret->layers;
		keep(&s->proc_fd, ret_fd);
	} else if (ret->event == HOLDER_WORKSPACE) {
		keep(&s->workspace_fd, ret_fd);
	} else if (ret->event == HOLDER_LISTENS) {
		keep(&s->proxy_fd, ret_fd);
	} else if (ret->event == HOLDER_SPAWNED) {
		s->layers = ret->layers;
		s->worker = ret->status;
	}
	return 1;
}

/* ---- the start ---- */

static int explain(struct sandbox *s, const struct holder_report *failed, struct error *err)
{
	bool known = failed->layer >= 0 && failed->layer < LAYER_COUNT;
	const char *advice = known ? layer_rows[failed->layer].advice : "";

	s->failed = failed->layer;
	s->layers = failed->layers;
	return error_set(err, -EPERM, "level %s: %s: %s%s%s", sandbox_level_names[s->plan.level],
			 known ? layer_rows[failed->layer].what : "the sandbox", failed->error.text,
			 advice[0] ? "; " : "", advice);
}

static int wait_until_ready(struct sandbox *s, struct error *err)
{
	uint64_t end = clock_monotonic_usec() + READY_MSEC * USEC_PER_MSEC;
	struct holder_report report;
	int fd, r;

	while (!s->ready) {
		struct pollfd p = {.fd = s->lifeline, .events = POLLIN};
		uint64_t now = clock_monotonic_usec();

		if (now >= end)
			return error_set(err, -ETIMEDOUT, "the sandbox was not ready within %d s", READY_MSEC / 1000);
		(void)poll(&p, 1, (int)((end - now) / USEC_PER_MSEC + 1));
		r = sandbox_receive(s, &report, &fd);
		if (r < 0)
			return error_set(err, r, "the sandbox's pid 1 has ended before it was ready");
		if (r > 0 && report.event == HOLDER_FAILED)
			return explain(s, &report, err);
	}
	return 0;
}

/* The keeper makes the proxy, as it has the right to another user id and outlives the front. */
static int start_proxy(struct sandbox *s, struct error *err)
{
	struct pollfd p = {.fd = s->control, .events = POLLIN};
	struct error answer;
	int r;

	if (s->plan.profile->network != PROFILE_NETWORK_PROXY)
		return 0;
	if (s->proxy_fd < 0)
		return error_set(err, -EPROTO, "the sandbox has no socket for the network proxy");
	r = tell_keeper(s, KEEPER_PROXY, s->plan.level, "", s->proxy_fd);
	closep(&s->proxy_fd);
	s->proxy_fd = -1;
	if (r < 0 || poll(&p, 1, READY_MSEC) <= 0 || recv(s->control, &answer, sizeof(answer), 0) != sizeof(answer))
		return error_set(err, -EPIPE, "the network proxy does not start");
	answer.text[sizeof(answer.text) - 1] = '\0';
	return answer.code < 0 ? error_set(err, answer.code, "%s", answer.text) : 0;
}

static void undo(struct sandbox *s)
{
	closep(&s->proxy_fd);
	closep(&s->workspace_fd);
	s->proxy_fd = s->workspace_fd = -1;
	while (s->n_outputs)
		(void)close(s->outputs[--s->n_outputs]);
	closep(&s->lifeline);
	closep(&s->control);
	s->lifeline = s->control = -1;
	if (s->keeper > 0)
		wait_for_keeper(s);
	else if (s->cgroup && cgroup_remove(s->cgroup) < 0)
		s->plan.n_attach = 0; /* a later kernel removes it */
	s->cgroup = cgroup_free(s->cgroup);
	s->plan.own_workspace[0] = '\0'; /* the keeper has removed it */
}

static int try_level(struct sandbox *s, enum sandbox_level level, struct environment *environment, struct error *err)
{
	int r;

	s->failed = -1;
	s->layers = 0;
	if (level < SANDBOX_FULL_NOCG && s->plan.profile->network == PROFILE_NETWORK_PROXY)
		return error_set(err, -EINVAL,
				 "level %s cannot have network policy proxy: it has no network of its own",
				 sandbox_level_names[level]);
	s->plan.level = level;
	s->plan.n_trees = 0;
	r = take_cgroup(s, level, err);
	if (r == 0)
		r = take_workspace(s, err);
	if (r == 0)
		r = environment_wait(environment, err);
	if (r == 0)
		r = layout_fill(&s->plan, environment, err);
	if (r == 0)
		r = start_keeper(s, err);
	if (r == 0)
		r = make_holder(s, level, err);
	if (r == 0)
		r = wait_until_ready(s, err);
	if (r == 0)
		r = start_proxy(s, err);
	if (r < 0)
		undo(s);
	return r;
}

static int begin(struct sandbox *s, const struct profile *profile, int n_worker_fds, int link_fd, struct error *err)
{
	*s = (struct sandbox){
	    .lifeline = -1, .control = -1, .proc_fd = -1, .workspace_fd = -1, .proxy_fd = -1, .uids.lock_fd = -1};
	s->plan = (struct sandbox_plan){.profile = profile,
					.trees = s->trees,
					.n_worker_fds = n_worker_fds,
					.link_fd = link_fd,
					.fault = layers_fault()};
	return take_uids(s, err);
}

int sandbox_new(const struct profile *profile, struct environment *environment, int n_worker_fds, int link_fd,
		struct sandbox **ret, struct error *err)
{
	struct sandbox *s = &only;
	enum sandbox_level lowest = MAX(profile->minimum, SANDBOX_RESTRICTED);
	int r = begin(s, profile, n_worker_fds, link_fd, err);

	for (enum sandbox_level level = profile->level; r == 0; level--) {
		r = try_level(s, level, environment, err);
		if (r == 0)
			break;
		if (environment_has_failed(environment))
			return r; /* no lower level would help */
		if (level <= lowest)
			return error_prefix(err, "profile %s allows no level below %s", profile->name,
					    sandbox_level_names[lowest]);
		(void)snprintf(s->why_not, sizeof(s->why_not), "%s", err->text);
		r = 0;
	}
	if (r == 0)
		*ret = s;
	return r;
}

struct sandbox *sandbox_free(struct sandbox *s)
{
	if (!s)
		return NULL;
	undo(s);
	closep(&s->proc_fd);
	uids_release(&s->uids);
	return NULL;
}

/* ---- a trial ---- */

/* A child that confines itself like a worker, and then finds nobody to serve. */
static int try_worker(struct sandbox *s, int n_worker_fds, int link_fd, struct error *err)
{
	_cleanup_(closep) int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct pollfd p = {.fd = s->lifeline, .events = POLLIN};
	struct holder_report report = {0};
	int fds[HOLDER_MAX_FDS], pair[2], fd = -1, r;
	uint32_t serial;

	if (null_fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, -errno, "cannot make a socket pair: %s", strerror(errno));
	for (int i = 0; i < n_worker_fds; i++)
		fds[i] = i == link_fd ? pair[1] : null_fd;
	r = sandbox_spawn(s, fds, (size_t)n_worker_fds, &serial);
	(void)close(pair[1]);
	if (r == 0 && poll(&p, 1, READY_MSEC) > 0)
		r = sandbox_receive(s, &report, &fd);
	closep(&fd);
	(void)close(pair[0]);
	if (r <= 0)
		return error_set(err, -EIO, "pid 1 of the sandbox does not answer");
	return report.event == HOLDER_SPAWN_FAILED ? explain(s, &report, err) : 0;
}

void sandbox_try(const struct profile *profile, struct environment *environment, enum sandbox_level level,
		 int n_worker_fds, int link_fd, struct sandbox_trial *ret)
{
	struct sandbox *s = &only;

	*ret = (struct sandbox_trial){.failed = -1};
	ret->result = begin(s, profile, n_worker_fds, link_fd, &ret->error);
	if (ret->result == 0)
		ret->result = try_level(s, level, environment, &ret->error);
	if (ret->result == 0)
		ret->result = try_worker(s, n_worker_fds, link_fd, &ret->error);
	ret->layers = s->layers;
	ret->failed = s->failed;
	(void)sandbox_free(s);
}

/* ---- the rest ---- */

int sandbox_spawn(struct sandbox *s, const int fds[], size_t n_fds, uint32_t *ret_serial)
{
	struct holder_command command = {.order = HOLDER_SPAWN, .serial = ++s->serial};

	*ret_serial = command.serial;
	return descriptor_send_message(s->lifeline, &command, sizeof(command), fds, n_fds, MSG_DONTWAIT);
}

int sandbox_kill_all(struct sandbox *s)
{
	struct holder_command command = {.order = HOLDER_KILL_ALL};

	return descriptor_send_message(s->lifeline, &command, sizeof(command), NULL, 0, MSG_DONTWAIT);
}

int sandbox_signal(struct sandbox *s, int number)
{
	struct holder_command command = {.order = HOLDER_SIGNAL, .serial = s->serial, .signal = number};

	return descriptor_send_message(s->lifeline, &command, sizeof(command), NULL, 0, MSG_DONTWAIT);
}

int sandbox_end_others(struct sandbox *s, uint64_t since)
{
	struct holder_command command = {.order = HOLDER_END_OTHERS, .serial = s->serial, .since = since};

	return descriptor_send_message(s->lifeline, &command, sizeof(command), NULL, 0, MSG_DONTWAIT);
}

int sandbox_remove_at_end(struct sandbox *s, const char *path)
{
	return strlen(path) < KEEPER_MAX_PATH ? tell_keeper(s, KEEPER_REMOVE, SANDBOX_NONE, path, -1) : -ENAMETOOLONG;
}

int sandbox_seal(struct sandbox *s)
{
	return tell_keeper(s, KEEPER_SEAL, SANDBOX_NONE, "", -1);
}

int sandbox_leave_root(struct sandbox *s, struct error *err)
{
	uid_t id = s->plan.front_uid;

	if (!s->plan.as_root)
		return 0;
	if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, id, id, id) < 0 ||
	    syscall(SYS_setresuid, id, id, id) < 0)
		return error_set(err, -errno, "cannot give up root for user id %u: %s", (unsigned)id, strerror(errno));
	uids_release(&s->uids); /* the keeper has the lease */
	return 0;
}

int sandbox_confine_front(const struct sandbox *s, struct error *err)
{
	const struct confinement c = {
	    .level = SANDBOX_RESTRICTED, .limits = &s->plan.profile->limits, .host_network = true, .fault = -1};
	int r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;

	/* A build for tests looks for leaks at its end, by tracing itself. */
	if (r == 0 && !HUSK_SANITIZED)
		r = confinement_seccomp(&c);
	return r < 0 ? error_set(err, r, "cannot filter the front's system calls: %s", strerror(-r)) : 0;
}

/* Without a pid namespace it is the machine's proc: then what descends from this process counts, keeper and holder too. */
static pid_t root_of_proc(const struct sandbox *s)
{
	return s->plan.level < SANDBOX_FULL_NOCG ? getpid() : 0;
}

int sandbox_read_usage(struct sandbox *s, struct usage *usage)
{
	int r;

	if (s->cgroup)
		return cgroup_read_usage(s->cgroup, usage);
	r = usage_read_proc(s->proc_fd, root_of_proc(s), s->memory_limit, usage);
	s->memory_peak = MAX(s->memory_peak, usage->memory_bytes);
	usage->memory_peak_bytes = s->memory_peak;
	return r;
}

int sandbox_read_others(const struct sandbox *s, uint64_t since, struct usage_others *ret)
{
	return usage_read_others(s->proc_fd, root_of_proc(s), s->worker, since, ret);
}

bool sandbox_is_on_disk(const struct sandbox *s)
{
	return s->plan.own_workspace[0] || s->plan.profile->workspace;
}

bool sandbox_can_measure(const struct sandbox *s)
{
	return measure_is_needed(&s->plan);
}

int sandbox_measure(struct sandbox *s)
{
	struct keeper_command command = {.order = KEEPER_MEASURE};

	return descriptor_send_message(s->control, &command, sizeof(command), NULL, 0, MSG_DONTWAIT);
}

int sandbox_measure_fd(const struct sandbox *s)
{
	return s->control;
}

int sandbox_measure_take(struct sandbox *s, struct measure_answer *ret)
{
	ssize_t n = recv(s->control, ret, sizeof(*ret), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n == sizeof(*ret) ? 1 : -EPIPE;
}

int sandbox_fd(const struct sandbox *s)
{
	return s->lifeline;
}

enum sandbox_level sandbox_get_level(const struct sandbox *s)
{
	return s->plan.level;
}

uint32_t sandbox_get_layers(const struct sandbox *s)
{
	return s->layers;
}

const char *sandbox_why_not(const struct sandbox *s)
{
	return s->why_not;
}

struct cgroup *sandbox_cgroup(const struct sandbox *s)
{
	return s->cgroup;
}

const char *sandbox_package_prefix(const struct sandbox *s)
{
	return s->plan.package_prefix;
}

int sandbox_workspace_fd(const struct sandbox *s)
{
	return s->workspace_fd >= 0 ? s->workspace_fd : s->plan.profile->workspace_fd;
}

const char *sandbox_workspace_name(const struct sandbox *s)
{
	return s->plan.cwd;
}

size_t sandbox_outputs(const struct sandbox *s, const int **ret_fds)
{
	*ret_fds = s->outputs;
	return s->n_outputs;
}
