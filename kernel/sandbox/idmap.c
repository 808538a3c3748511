/* SPDX-License-Identifier: Apache-2.0 */
/* idmap: a user namespace that stands for one pair of ids. Nothing ever runs in it: the process that made it waits to be ended. */
#include "kernel/sandbox/idmap.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int write_file(pid_t pid, const char *name, unsigned from, unsigned to)
{
	char path[64], text[64];
	_cleanup_(closep) int fd = -1;
	int n = snprintf(text, sizeof(text), "%u %u 1\n", from, to);

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, text, (size_t)n) != n ? -errno : 0;
}

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
	r = write_file(pid, "gid_map", gid, id);
	if (r == 0)
		r = write_file(pid, "uid_map", uid, id);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	if (r == 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (r == 0 && fd < 0)
		r = -errno;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return r < 0 ? error_set(err, r, "cannot map user id %u to %u: %s", (unsigned)uid, (unsigned)id, strerror(-r)) : fd;
}
