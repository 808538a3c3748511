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
#include <time.h>
#include <unistd.h>

#define MAX_DEPTH 64
#define FLAG_EXITING 0x4u /* the kernel's PF_EXITING */

/* The command, in brackets, may hold anything, so it is skipped from behind. */
static int read_stat(int dir_fd, const char *path, struct process *ret)
{
	char text[4096];
	const char *p;
	long long waited_user, waited_system;
	int n_fields;
	ssize_t n;
	_cleanup_(closep) int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -ESRCH;
	text[n] = '\0';
	p = strrchr(text, ')');
	*ret = (struct process){ .pid = atoi(text) };
	n_fields = !p ? 0 : sscanf(p + 1, " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %llu %llu %lld %lld %*d %*d %u %*d %llu",
		&ret->state, &ret->parent, &ret->flags, &ret->user, &ret->system, &waited_user, &waited_system, &ret->threads,
		&ret->start);
	if (n_fields != 9)
		return -ESRCH;
	ret->waited_user = (unsigned long long)MAX(waited_user, 0);
	ret->waited_system = (unsigned long long)MAX(waited_system, 0);
	return 0;
}

int processes_read(pid_t pid, struct process *ret)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	return read_stat(AT_FDCWD, path, ret);
}

int processes_read_in(int proc_fd, pid_t pid, struct process *ret)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%d/stat", (int)pid);
	return read_stat(proc_fd, path, ret);
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

unsigned long long processes_now(void)
{
	struct timespec now = { 0 };
	unsigned long long hz = (unsigned long long)sysconf(_SC_CLK_TCK);

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (unsigned long long)now.tv_sec * hz + (unsigned long long)now.tv_nsec * hz / 1000000000u;
}

/*
 * What is on its way out already is not counted: it takes its memory down for a while. A process whose first thread alone has ended
 * looks the same but for the number of its threads.
 */
static bool is_alive(const struct process *p)
{
	return p->threads > 1 || (p->state != 'Z' && p->state != 'X' && !(p->flags & FLAG_EXITING));
}

struct ending {
	pid_t keep;
	unsigned long long since;
	unsigned n;
};

static void end_one(const struct process *p, void *data)
{
	struct ending *e = data;

	if (p->pid == e->keep || p->start < e->since || !is_alive(p))
		return;
	if (kill(p->pid, SIGKILL) == 0)
		e->n++;
}

unsigned processes_end_below(pid_t keep, unsigned long long since)
{
	struct ending e = { keep, since, 0 };

	(void)processes_below(end_one, &e);
	return e.n;
}

unsigned processes_end_in(int proc_fd, pid_t keep, unsigned long long since)
{
	struct ending e = { keep, since, 0 };
	_cleanup_(closep) int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir)
		return 0;
	fd = -1;
	while ((entry = readdir(dir)) != NULL) {
		pid_t pid = (pid_t)atoi(entry->d_name);
		struct process p;

		if (pid > 1 && processes_read_in(proc_fd, pid, &p) == 0)
			end_one(&p, &e);
	}
	(void)closedir(dir);
	return e.n;
}
