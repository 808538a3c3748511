/* SPDX-License-Identifier: Apache-2.0 */
/* processes: what runs below this process. */
#include "kernel/sandbox/processes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 64

/* The command, in brackets, may hold anything, so it is skipped from behind. */
int processes_read(pid_t pid, struct process *ret)
{
	char path[64], text[4096];
	const char *p;
	unsigned long long user, system;
	int parent;
	ssize_t n;
	_cleanup_(closep) int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -ESRCH;
	text[n] = '\0';
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &parent, &user, &system) != 3)
		return -ESRCH;
	*ret = (struct process){ .pid = pid, .parent = parent, .ticks = user + system };
	return 0;
}

static bool is_below(const struct process *p, pid_t root)
{
	struct process at = *p;

	for (int depth = 0; at.parent > 1 && depth < MAX_DEPTH; depth++) {
		if (at.parent == root)
			return true;
		if (processes_read(at.parent, &at) < 0)
			return false;
	}
	return at.parent == root;
}

unsigned processes_below(processes_fn *fn, void *data)
{
	DIR *dir = opendir("/proc");
	pid_t self = getpid();
	unsigned n = 0;
	struct dirent *e;

	while (dir && n < PROCESSES_MAX && (e = readdir(dir)) != NULL) {
		pid_t pid = (pid_t)atoi(e->d_name);
		struct process p;

		if (pid <= 1 || pid == self || processes_read(pid, &p) < 0 || !is_below(&p, self))
			continue;
		n++;
		fn(&p, data);
	}
	if (dir)
		(void)closedir(dir);
	return n;
}

unsigned processes_tasks_of(uid_t uid)
{
	DIR *dir = opendir("/proc");
	unsigned n = 0;
	struct dirent *e;

	while (dir && (e = readdir(dir)) != NULL) {
		char path[300];
		struct stat st;

		if (atoi(e->d_name) <= 0 || fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_uid != uid)
			continue;
		(void)snprintf(path, sizeof(path), "%s/task", e->d_name);
		n += fstatat(dirfd(dir), path, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink > 2 ? (unsigned)st.st_nlink - 2 : 1;
	}
	if (dir)
		(void)closedir(dir);
	return n;
}

static void send_signal(const struct process *p, void *data)
{
	const int *signal_number = data;

	if (*signal_number)
		(void)kill(p->pid, *signal_number);
}

unsigned processes_signal(int signal_number)
{
	return processes_below(send_signal, &signal_number);
}
