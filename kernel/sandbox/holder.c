/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holder: pid 1 of a sandbox.
 *
 * While it serves, it waits in one place (poll) and never blocks in a send: what it has to report is kept as state
 * until the socket takes it. It knows the worker's pid and no other: orphans without end are reaped without a word.
 */
#include "kernel/sandbox/holder.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "kernel/sandbox/descriptor.h"
#include "kernel/sandbox/idmap.h"
#include "kernel/sandbox/processes.h"
#include "kernel/sandbox/proxy.h"
#include "kernel/sandbox/rootfs.h"
#include "kernel/sandbox/spawn.h"

struct holder {
	struct sandbox_plan *plan;
	int lifeline;
	int signals;
	uint32_t layers;
	pid_t worker;    /* 0: none */
	uint32_t serial; /* of the last one */
	bool exited;     /* EXITED is still to be said */
	int status;
	bool emptying; /* EMPTY is to be said when nothing is left */
	int proc_fd;   /* a proc of the pid namespace that shows all of it; -1 */
	struct {
		bool running;
		uint64_t since;
		unsigned n_passes;
	} others; /* that are being ended beside the worker */
};

#define OTHERS_PASSES 200
#define OTHERS_PLAIN_PASSES 5
#define PASS_MSEC 2

/* ---- words ---- */

static bool say(const struct holder *h, const struct holder_report *report, int fd)
{
	return descriptor_send_message(h->lifeline, report, sizeof(*report), &fd, fd >= 0, MSG_DONTWAIT) == 0;
}

static _Noreturn void give_up(const struct holder *h, enum layer layer, const struct error *err)
{
	struct holder_report report = {.event = HOLDER_FAILED,
				       .layers = h->layers,
				       .layer = (int32_t)layer,
				       .level = h->plan->level,
				       .error = *err};

	(void)say(h, &report, -1);
	_exit(1);
}

static void done(struct holder *h, enum layer layer, int r, struct error *err)
{
	if (r == 0 && h->plan->fault == (int)layer)
		r = error_set(err, -EPERM, "made to fail by HUSK_FAULT_LAYER");
	if (r < 0)
		give_up(h, layer, err);
	h->layers |= 1u << layer;
}

/* ---- steps ---- */

/* What is forked later is in them too. */
static int join_groups(const struct sandbox_plan *plan, struct error *err)
{
	for (size_t i = 0; i < plan->n_attach; i++)
		if (write(plan->attach[i], "0", 1) != 1)
			return error_set(err, -errno, "cannot join the control groups: %s", strerror(errno));
	return 0;
}

static int map_own_ids(const struct sandbox_plan *plan, struct error *err)
{
	int r = idmap_write_own(PLAN_TENANT_UID, plan->tenant_uid, PLAN_TENANT_UID, plan->own_gid);

	return r < 0 ? error_set(err, r, "cannot write uid_map, gid_map or setgroups: %s", strerror(-r)) : 0;
}

static int become_root_inside(int go_fd, struct error *err)
{
	char byte;

	if (read(go_fd, &byte, 1) != 1)
		return error_set(err, -EPERM, "the ids were not mapped");
	(void)close(go_fd);
	if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setgroups, 0, NULL) < 0 ||
	    syscall(SYS_setresuid, 0, 0, 0) < 0)
		return error_set(err, -errno, "cannot take the sandbox's own ids: %s", strerror(errno));
	return 0;
}

/*
 * No tenant may make a namespace in which it would have capabilities; seccomp refuses it too. The rest the kernel counts for
 * the user who started all this as well, whose other programs need theirs.
 */
static int bound_namespace(struct error *err)
{
	static const struct {
		const char *path, *value;
	} bounds[] = {
	    {"/proc/sys/user/max_user_namespaces", "0"},
	    {"/proc/sys/user/max_inotify_instances", "32"},
	    {"/proc/sys/user/max_inotify_watches", "65536"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
		_cleanup_(closep) int fd = open(bounds[i].path, O_WRONLY | O_CLOEXEC);
		size_t len = strlen(bounds[i].value);

		if (fd < 0 && errno == ENOENT && i > 0)
			continue; /* a kernel without inotify */
		if (fd < 0 || write(fd, bounds[i].value, len) != (ssize_t)len)
			return error_set(err, -errno, "cannot write %s: %s", bounds[i].path, strerror(errno));
	}
	return 0;
}

static int loopback_up(struct error *err)
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};

	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "lo");
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return error_set(err, -errno, "cannot bring the loopback device up: %s", strerror(errno));
	return 0;
}

/* Where the proxy accepts: in this network; it connects in that of the machine. */
static int offer_proxy(const struct holder *h, struct error *err)
{
	struct holder_report report = {.event = HOLDER_LISTENS, .level = h->plan->level};
	_cleanup_(closep) int fd = -1;
	uint16_t port;
	int r = proxy_listen(PROXY_PORT, &fd, &port);

	if (r < 0)
		return error_set(err, r, "cannot listen for the network proxy: %s", strerror(-r));
	return say(h, &report, fd) ? 0 : error_set(err, -EPIPE, "cannot hand on the socket of the network proxy");
}

static int set_up_network(const struct holder *h, struct error *err)
{
	int r = loopback_up(err);

	return r == 0 && h->plan->profile->network == PROFILE_NETWORK_PROXY ? offer_proxy(h, err) : r;
}

/* A proc of this pid namespace that shows all of it, for the owner alone. */
static int open_proc(void)
{
	_cleanup_(closep) int context = fsopen("proc", FSOPEN_CLOEXEC);

	if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(context, FSMOUNT_CLOEXEC,
		       MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

/* What a child needs to confine itself, and CAP_KILL. The child gives up the rest. */
static int drop_capabilities(struct error *err)
{
	static const uint32_t mask = 1u << CAP_KILL | 1u << CAP_SETGID | 1u << CAP_SETUID | 1u << CAP_SETPCAP;
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	for (int i = 0; i < 64; i++)
		if (!(i < 32 && (mask & 1u << i)) && prctl(PR_CAPBSET_READ, i) == 1 && prctl(PR_CAPBSET_DROP, i) < 0)
			return error_set(err, -errno, "cannot drop capability %d from the bounding set: %s", i,
					 strerror(errno));
	data[0].effective = data[0].permitted = mask;
	if (syscall(SYS_capset, &header, data) < 0)
		return error_set(err, -errno, "cannot drop capabilities: %s", strerror(errno));
	return 0;
}

static void set_up_namespaces(struct holder *h, int go_fd, struct error *err)
{
	struct sandbox_plan *plan = h->plan;

	done(h, LAYER_namespaces, 0, err); /* this process is in them */
	done(h, LAYER_id_map, go_fd >= 0 ? become_root_inside(go_fd, err) : map_own_ids(plan, err), err);
	if (bound_namespace(err) < 0)
		give_up(h, LAYER_namespaces, err);
	done(h, LAYER_root, plan->as_root ? 0 : rootfs_open_trees(plan, err), err);
	done(h, LAYER_root, rootfs_build(plan, err), err);
	done(h, LAYER_proc, rootfs_mount_proc(plan, err), err);
	done(h, LAYER_workspace, rootfs_mount_workspace(plan, err), err);
	done(h, LAYER_root, rootfs_enter(plan, err), err);
	if (plan->profile->network != PROFILE_NETWORK_HOST)
		done(h, LAYER_network, set_up_network(h, err), err);
	if (sethostname("husk", 4) < 0)
		give_up(h, LAYER_namespaces, err);
}

static int make_output(unsigned number)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/workspace/" HOLDER_OUTPUTS, number);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd >= 0)
		(void)fchmod(fd, 0666);
	return fd;
}

/* Of a directory of the machine the owner has a descriptor already. What cannot be made is not there: a notice of the output will say so. */
static void offer_workspace(const struct holder *h)
{
	struct holder_report report = {.event = HOLDER_WORKSPACE, .level = h->plan->level};
	int fds[1 + HOLDER_MAX_OUTPUTS];
	size_t n = 0;

	if (h->plan->profile->workspace)
		return;
	fds[0] = open("/workspace", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fds[0] >= 0)
		n = 1;
	if (n && mkdir("/workspace/.husk", 0777) == 0 && chmod("/workspace/.husk", 0777) == 0)
		while (n <= HOLDER_MAX_OUTPUTS && (fds[n] = make_output((unsigned)n)) >= 0)
			n++;
	if (n)
		(void)!descriptor_send_message(h->lifeline, &report, sizeof(report), fds, n, MSG_DONTWAIT);
	for (size_t i = 0; i < n; i++)
		(void)close(fds[i]);
}

/* ---- service ---- */

static void reap(struct holder *h)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	(void)!read(h->signals, &info, sizeof(info));
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != h->worker)
			continue;
		h->worker = 0;
		h->others.running = false;
		h->exited = true;
		h->status = status;
	}
}

/* As pid 1 one call reaches all; without a pid namespace each has to be found. */
static void kill_all(const struct holder *h)
{
	if (h->plan->level >= SANDBOX_FULL_NOCG)
		(void)kill(-1, SIGKILL);
	else
		(void)processes_signal(SIGKILL);
}

/*
 * The worker goes on. What forks faster than it is found is stopped first, and the worker with it for that moment: what is stopped cannot
 * fork. Without a pid namespace no call stops all at once.
 */
static void end_others(struct holder *h)
{
	bool inside = h->plan->level >= SANDBOX_FULL_NOCG;
	bool stops = inside && h->others.n_passes >= OTHERS_PLAIN_PASSES;
	unsigned n;

	if (stops)
		(void)kill(-1, SIGSTOP);
	n = inside ? processes_end_in(h->proc_fd, h->worker, h->others.since) : processes_end_below(h->worker, h->others.since);
	if (stops)
		(void)kill(-1, SIGCONT);
	h->others.running = n > 0 && ++h->others.n_passes < OTHERS_PASSES;
}

static bool is_empty(void)
{
	return waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD;
}

static void report_what_is_due(struct holder *h)
{
	struct holder_report report = {.serial = h->serial, .level = h->plan->level, .layers = h->layers};

	if (h->exited) {
		report.event = HOLDER_EXITED;
		report.status = h->status;
		h->exited = !say(h, &report, -1);
	}
	if (h->emptying && !h->exited) {
		reap(h);
		if (h->worker || !is_empty()) {
			kill_all(h);
			return;
		}
		report.event = HOLDER_EMPTY;
		h->emptying = !say(h, &report, -1);
	}
}

static void spawn(struct holder *h, const struct holder_command *command, int fds[], size_t n_fds)
{
	struct holder_report report = {.event = HOLDER_SPAWNED, .serial = command->serial, .level = h->plan->level};
	int pidfd = -1, r = -EBUSY;

	if (h->worker)
		(void)error_set(&report.error, r, "the last worker still runs");
	else
		r = spawn_worker(h->plan, fds, n_fds, &report, &pidfd);
	if (r < 0) {
		report.event = HOLDER_SPAWN_FAILED;
	} else {
		h->worker = r;
		h->serial = command->serial;
		report.status = r;
		h->emptying = false; /* its owner waits for that no longer, and this one is to live */
		report.layers |= h->layers;
	}
	(void)say(h, &report, pidfd);
	closep(&pidfd);
}

static _Noreturn void end(const struct holder *h)
{
	/* pid 1 takes its namespace with it. */
	for (int i = 0; h->plan->level < SANDBOX_FULL_NOCG && i < 100 && !is_empty(); i++) {
		struct timespec wait = {0, 2000000};

		kill_all(h);
		(void)nanosleep(&wait, NULL);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
	}
	_exit(0);
}

static void obey(struct holder *h)
{
	struct holder_command command;
	int fds[DESCRIPTOR_MAX];
	size_t n_fds;
	ssize_t n = descriptor_receive_message(h->lifeline, &command, sizeof(command), fds, &n_fds, MSG_DONTWAIT);

	if (n == -EAGAIN)
		return;
	if (n != sizeof(command))
		end(h);
	if (command.order == HOLDER_SPAWN)
		spawn(h, &command, fds, n_fds);
	else if (command.order == HOLDER_KILL_ALL) {
		h->emptying = true;
		kill_all(h);
	} else if (command.order == HOLDER_SIGNAL && h->worker && command.serial == h->serial) {
		(void)syscall(SYS_tgkill, h->worker, h->worker, command.signal);
	} else if (command.order == HOLDER_END_OTHERS && h->worker && command.serial == h->serial && !h->emptying) {
		h->others.since = h->others.running ? MIN(h->others.since, command.since) : command.since;
		h->others.n_passes = 0;
		end_others(h);
	}
	for (size_t i = 0; i < n_fds; i++)
		(void)close(fds[i]);
}

static _Noreturn void serve(struct holder *h)
{
	struct pollfd fds[2] = {{.fd = h->lifeline}, {.fd = h->signals, .events = POLLIN}};

	for (;;) {
		fds[0].events = (short)(POLLIN | (h->exited ? POLLOUT : 0));
		if (poll(fds, 2, h->emptying || h->others.running ? PASS_MSEC : -1) < 0 && errno != EINTR)
			_exit(1);
		if (fds[1].revents)
			reap(h);
		if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
			obey(h);
		if (h->others.running)
			end_others(h);
		report_what_is_due(h);
	}
}

static int watch_children(struct holder *h, struct error *err)
{
	sigset_t set;

	(void)sigfillset(&set);
	(void)sigprocmask(SIG_SETMASK, &set, NULL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	h->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (h->signals < 0)
		return error_set(err, -errno, "cannot make a signalfd: %s", strerror(errno));
	return 0;
}

void holder_main(struct sandbox_plan *plan, int lifeline, int go_fd)
{
	struct holder h = {.plan = plan, .lifeline = lifeline, .proc_fd = -1};
	struct holder_report report = {.event = HOLDER_READY};
	struct error err = {0};
	int proc_fd = -1;

	(void)prctl(PR_SET_NAME, "husk-holder");
	if (watch_children(&h, &err) < 0)
		give_up(&h, LAYER_session, &err);
	if (plan->in_cgroup)
		done(&h, LAYER_cgroup, join_groups(plan, &err), &err);
	if (plan->level >= SANDBOX_FULL_NOCG) {
		set_up_namespaces(&h, go_fd, &err);
		offer_workspace(&h);
		proc_fd = h.proc_fd = open_proc();
		if (drop_capabilities(&err) < 0)
			give_up(&h, LAYER_user, &err);
	} else {
		(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
		proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		done(&h, LAYER_workspace,
		     chdir(plan->cwd) < 0 ? error_set(&err, -errno, "cannot enter %s: %s", plan->cwd, strerror(errno))
					  : 0,
		     &err);
	}
	report.level = plan->level;
	report.layers = h.layers;
	(void)say(&h, &report, proc_fd);
	if (h.proc_fd < 0)
		closep(&proc_fd);
	serve(&h);
}
