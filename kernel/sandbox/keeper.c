/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper: makes holders and clears away.
 *
 * It obeys the front only until the front begins to serve (SEAL): from then on a taken-over front can have the workspace
 * measured, one time after the other, and nothing else. Its signals are blocked, because clients signal the process group.
 */
#include "kernel/sandbox/keeper.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kernel/sandbox/descriptor.h"
#include "kernel/sandbox/holder.h"
#include "kernel/sandbox/idmap.h"
#include "kernel/sandbox/measure.h"
#include "kernel/sandbox/proxy.h"
#include "kernel/sandbox/remove-tree.h"
#include "kernel/sandbox/rootfs.h"

#define HOLDER_END_MSEC 1000

struct keeper {
	struct sandbox_plan *plan;
	struct cgroup *cgroup;
	int control;
	pid_t holder;
	int holder_pidfd;
	pid_t proxy;
	int proxy_lifeline; /* the proxy lives as long as this is open */
	bool sealed;
	struct measure measure;
	struct {
		char path[KEEPER_MAX_PATH];
		struct stat st; /* when it was named: another kernel may have put another file there */
	} files[KEEPER_MAX_FILES];
	size_t n_files;
};

/* ---- a holder ---- */

static uint64_t namespaces(const struct sandbox_plan *plan)
{
	uint64_t flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

	if (plan->level < SANDBOX_FULL_NOCG)
		return 0;
	return flags | (plan->profile->network == PROFILE_NETWORK_HOST ? 0 : CLONE_NEWNET);
}

/* Everything but these; they are not many, and above the standard ones. */
static void close_others(const int kept[], size_t n)
{
	for (unsigned from = 3;;) {
		unsigned next = ~0U;

		for (size_t i = 0; i < n; i++)
			if (kept[i] >= (int)from && (unsigned)kept[i] < next)
				next = (unsigned)kept[i];
		if (next > from)
			(void)syscall(SYS_close_range, from, next == ~0U ? next : next - 1, 0);
		if (next == ~0U)
			return;
		from = next + 1;
	}
}

static _Noreturn void become_holder(const struct keeper *k, int lifeline, int go_fd)
{
	int kept[PLAN_MAX_TREES * 2 + CGROUP_MAX_ATTACH + HOLDER_MAX_FDS];
	struct sandbox_plan *plan = k->plan;
	size_t n = 0;

	kept[n++] = lifeline;
	kept[n++] = go_fd;
	for (size_t i = 0; i < plan->n_trees; i++) {
		kept[n++] = plan->trees[i].mount_fd;
		kept[n++] = plan->trees[i].source_fd;
	}
	for (size_t i = 0; i < plan->n_attach; i++)
		kept[n++] = plan->attach[i];
	for (size_t i = 0; i < plan->n_passed; i++)
		kept[n++] = plan->passed[i];
	close_others(kept, n);
	holder_main(plan, lifeline, go_fd);
}

/* Root of the sandbox is an id without rights on the host, and so is its tenant. */
static int map_ids(const struct sandbox_plan *plan, pid_t pid)
{
	char map[128];
	int r;

	(void)snprintf(map, sizeof(map), "0 %u 1\n%d %u 1\n", (unsigned)plan->holder_uid, PLAN_TENANT_UID,
		       (unsigned)plan->tenant_uid);
	r = idmap_write(pid, "gid_map", map);
	return r < 0 ? r : idmap_write(pid, "uid_map", map);
}

static void report_failure(int lifeline, const struct sandbox_plan *plan, enum layer layer, const struct error *err)
{
	struct holder_report report = {
	    .event = HOLDER_FAILED, .level = plan->level, .layer = (int32_t)layer, .error = *err};

	(void)send(lifeline, &report, sizeof(report), MSG_NOSIGNAL | MSG_DONTWAIT);
}

struct birth {
	pid_t pid;
	int error;
};

/*
 * A user namespace belongs to who makes it: to the front's id, which may then signal this sandbox and nothing else of the
 * machine. The holder's parent is the keeper.
 */
static _Noreturn void deliver(struct keeper *k, int lifeline, int go_fd, int out_fd)
{
	struct clone_args args = {.flags = namespaces(k->plan) | CLONE_PARENT};
	bool as_front = k->plan->as_root && args.flags & CLONE_NEWUSER;
	struct birth birth = {.pid = -1, .error = EPERM};
	uid_t id = k->plan->front_uid;

	if (as_front && (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, id, id, id) < 0 ||
			 syscall(SYS_setresuid, id, id, id) < 0))
		birth.error = errno;
	else if (k->plan->fault != LAYER_namespaces || k->plan->level < SANDBOX_FULL_NOCG) {
		birth.pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
		birth.error = errno;
	}
	if (birth.pid == 0)
		become_holder(k, lifeline, as_front ? go_fd : -1);
	(void)!write(out_fd, &birth, sizeof(birth));
	_exit(0);
}

/*
 * By a process between, which is born into the control group of v2 with the keeper's rights, and can take the front's id
 * for good. It ends by itself, and is to be waited for when there is time.
 */
static int make_holder(struct keeper *k, int lifeline, int go_fd, pid_t *ret_between)
{
	int birth_fd = k->cgroup ? cgroup_birth_fd(k->cgroup) : -1;
	struct clone_args args = {.flags = birth_fd >= 0 ? CLONE_INTO_CGROUP : 0,
				  .exit_signal = SIGCHLD,
				  .cgroup = birth_fd >= 0 ? (uint64_t)birth_fd : 0};
	struct birth birth = {.pid = -1, .error = ESRCH};
	int out[2];
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		deliver(k, lifeline, go_fd, out[1]);
	(void)close(out[1]);
	if (pid < 0)
		birth.error = errno;
	else if (read(out[0], &birth, sizeof(birth)) != sizeof(birth))
		birth = (struct birth){.pid = -1, .error = ESRCH};
	(void)close(out[0]);
	*ret_between = pid;
	if (birth.pid < 0)
		return -birth.error;
	k->holder = birth.pid;
	k->holder_pidfd = (int)syscall(SYS_pidfd_open, k->holder, 0);
	return 0;
}

static void make(struct keeper *k, enum sandbox_level level, int lifeline)
{
	struct error err = {0};
	int go[2], r = 0;
	pid_t between = 0;

	k->plan->level = level;
	if (k->plan->as_root && level >= SANDBOX_FULL_NOCG)
		r = rootfs_open_trees(k->plan, &err);
	if (r < 0 || pipe2(go, O_CLOEXEC) < 0) {
		report_failure(lifeline, k->plan, LAYER_root, &err);
		return;
	}
	r = make_holder(k, lifeline, go[0], &between);
	(void)close(go[0]);
	if (r < 0) {
		(void)error_set(&err, r, "cannot make namespaces: %s", strerror(-r));
		report_failure(lifeline, k->plan, LAYER_namespaces, &err);
	} else if (k->plan->as_root && level >= SANDBOX_FULL_NOCG) {
		r = map_ids(k->plan, k->holder);
		(void)!write(go[1], "", r == 0);
	}
	(void)close(go[1]);
	if (between > 0)
		(void)waitpid(between, NULL, 0);
}

static void end_proxy(struct keeper *k)
{
	closep(&k->proxy_lifeline);
	k->proxy_lifeline = -1;
	if (k->proxy > 0) {
		(void)kill(k->proxy, SIGKILL);
		(void)waitpid(k->proxy, NULL, 0);
	}
	k->proxy = 0;
}

/* Outside of the sandbox, with the tenant's id: whoever took it over would have gained the network alone. */
static void make_proxy(struct keeper *k, int listen_fd)
{
	const struct profile *p = k->plan->profile;
	struct proxy_options options = {
	    .listen_fd = listen_fd,
	    .allow = p->allow,
	    .n_allow = p->n_allow,
	    .profile = p->name,
	    .change_user = k->plan->as_root,
	    .uid = k->plan->tenant_uid,
	    .gid = k->plan->tenant_uid,
	};
	struct error err = {0};
	int pair[2];

	end_proxy(k);
	if (pipe2(pair, O_CLOEXEC) < 0) {
		(void)error_set(&err, -errno, "proxy: no pipe: %s", strerror(errno));
	} else {
		options.lifeline_fd = pair[0];
		k->proxy_lifeline = pair[1];
		if (proxy_start(&options, &k->proxy, &err) < 0)
			k->proxy = 0;
		(void)close(pair[0]);
	}
	(void)send(k->control, &err, sizeof(err), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- the end ---- */

static void end_holder(struct keeper *k)
{
	struct pollfd p = {.fd = k->holder_pidfd, .events = POLLIN};

	if (!k->holder)
		return;
	if (poll(&p, 1, HOLDER_END_MSEC) <= 0)
		(void)kill(k->holder, SIGKILL);
	(void)waitpid(k->holder, NULL, 0);
	(void)close(k->holder_pidfd);
	k->holder = 0;
}

static _Noreturn void clear_away(struct keeper *k)
{
	int code = 0;

	measure_end(&k->measure);
	end_proxy(k);
	end_holder(k);
	if (k->cgroup && (cgroup_kill(k->cgroup) < 0 || cgroup_remove(k->cgroup) < 0))
		code = 1; /* a later kernel removes it: cgroup_remove_stale() */
	if (k->plan->own_workspace[0])
		(void)remove_tree(k->plan->own_workspace);
	for (size_t i = 0; i < k->n_files; i++) {
		struct stat now;

		if (lstat(k->files[i].path, &now) == 0 && now.st_ino == k->files[i].st.st_ino &&
		    now.st_dev == k->files[i].st.st_dev)
			(void)unlink(k->files[i].path);
	}
	_exit(code);
}

/* ---- service ---- */

/* Slow on v1, and nobody waits for this process. Without it memory would have no soft limit: then there is no sandbox. */
static void watch_memory(struct keeper *k)
{
	struct error err;

	if (k->cgroup && k->holder && cgroup_watch_memory(k->cgroup, &err) < 0)
		(void)kill(k->holder, SIGKILL);
	if (k->cgroup)
		(void)cgroup_remove_stale(k->cgroup);
}

static void note_file(struct keeper *k, const char *path)
{
	if (k->n_files == KEEPER_MAX_FILES)
		return;
	(void)snprintf(k->files[k->n_files].path, KEEPER_MAX_PATH, "%s", path);
	k->n_files += lstat(path, &k->files[k->n_files].st) == 0;
}

static void execute(struct keeper *k, const struct keeper_command *command, int fd)
{
	switch ((enum keeper_order)command->order) {
	case KEEPER_MAKE:
		end_holder(k);
		make(k, (enum sandbox_level)command->level, fd);
		watch_memory(k);
		break;
	case KEEPER_REMOVE:
		note_file(k, command->path);
		break;
	case KEEPER_PROXY:
		make_proxy(k, fd);
		break;
	case KEEPER_SEAL:
		k->sealed = true;
		break;
	case KEEPER_MEASURE:
		measure_start(k->plan, k->control, &k->measure);
		break;
	}
}

static void obey(struct keeper *k)
{
	struct keeper_command command;
	int fds[DESCRIPTOR_MAX];
	size_t n_fds;
	ssize_t n = descriptor_receive_message(k->control, &command, sizeof(command), fds, &n_fds, 0);

	if (n <= 0)
		clear_away(k);
	command.path[sizeof(command.path) - 1] = '\0';
	if (n == sizeof(command) && (!k->sealed || command.order == KEEPER_MEASURE))
		execute(k, &command, n_fds > 0 ? fds[0] : -1);
	for (size_t i = 0; i < n_fds; i++)
		(void)close(fds[i]);
}

/* At the front's end, too, while something is being measured. */
static void serve(struct keeper *k)
{
	struct pollfd p[] = {{.fd = k->control, .events = POLLIN}, {.fd = k->measure.pidfd, .events = POLLIN}};

	if (k->measure.pid && poll(p, ARRAY_SIZE(p), -1) > 0 && p[1].revents)
		measure_reap(k->plan, k->control, &k->measure);
	if (!k->measure.pid || p[0].revents)
		obey(k);
}

void keeper_main(struct sandbox_plan *plan, int control, struct cgroup *cgroup)
{
	struct keeper k = {.plan = plan,
			   .cgroup = cgroup,
			   .control = control,
			   .holder_pidfd = -1,
			   .proxy_lifeline = -1,
			   .measure.pidfd = -1};
	sigset_t all;

	(void)prctl(PR_SET_NAME, "husk-keeper");
	(void)setsid(); /* a client that kills the front's process group leaves it to clear away */
	/* It has no secret, and a holder of an ordinary user writes its own /proc/self/uid_map. */
	(void)prctl(PR_SET_DUMPABLE, 1);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	for (;;)
		serve(&k);
}
