/* SPDX-License-Identifier: Apache-2.0 */
/* idmap: the ids of user namespaces. */
#include "kernel/sandbox/idmap.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

int idmap_write(pid_t pid, const char *name, const char *text)
{
	char path[64] = "/proc/self/";
	_cleanup_(closep) int fd = -1;
	ssize_t len = (ssize_t)strlen(text);

	if (pid)
		(void)snprintf(path, sizeof(path), "/proc/%d/", (int)pid);
	(void)snprintf(path + strlen(path), sizeof(path) - strlen(path), "%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, text, (size_t)len) != len ? -errno : 0;
}

static int write_pair(pid_t pid, const char *name, unsigned inside, unsigned outside)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%u %u 1\n", inside, outside);
	return idmap_write(pid, name, text);
}

int idmap_write_own(uid_t inside_uid, uid_t uid, gid_t inside_gid, gid_t gid)
{
	int r = idmap_write(0, "setgroups", "deny");

	if (r == 0)
		r = write_pair(0, "uid_map", inside_uid, uid);
	return r < 0 ? r : write_pair(0, "gid_map", inside_gid, gid);
}

/* Nothing ever runs in the namespace: the process that made it waits to be ended. */
int idmap_open(uid_t uid, gid_t gid, uid_t id, struct error *err)
{
	struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	char path[64];
	int fd = -1, r;
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		for (;;)
			(void)pause();
	if (pid < 0)
		return error_set(err, -errno, "cannot make a user namespace: %s", strerror(errno));
	r = write_pair(pid, "gid_map", gid, id);
	if (r == 0)
		r = write_pair(pid, "uid_map", uid, id);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	if (r == 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (r == 0 && fd < 0)
		r = -errno;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return r < 0 ? error_set(err, r, "cannot map user id %u to %u: %s", (unsigned)uid, (unsigned)id, strerror(-r))
		     : fd;
}
