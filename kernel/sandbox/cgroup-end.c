/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup-end: killing and removing, of one's own groups and of those that a dead kernel left. cgroup.kill of v2 takes
 * all at once. Where there is none, a group whose pids.max is 0 cannot fork, so a list that is gone through often
 * enough comes to an end.
 */
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel/sandbox/cgroup-impl.h"
#include "protocol/base/clock.h"

#define KILL_PASSES 200
#define REMOVE_USEC USEC_PER_SEC
#define MAX_ENTRIES 8192 /* of a directory that is looked through for what dead kernels left */

static void pause_usec(uint64_t usec)
{
	struct timespec t = { .tv_nsec = (long)(usec * 1000) };

	(void)nanosleep(&t, NULL);
}

/* -- killing ------------------------------------------------------------------------------------------------------- */

/* Opened anew for each list: v1 gives the same one again to a descriptor that has read it. */
static ssize_t read_procs(int dir_fd, char *text, size_t size)
{
	return cgroup_read_at(dir_fd, "cgroup.procs", text, size);
}

static bool is_listed(int dir_fd, const char *pid)
{
	char text[16384], line[32];
	size_t n;

	if (read_procs(dir_fd, text, sizeof(text)) <= 0)
		return false;
	n = (size_t)snprintf(line, sizeof(line), "%s\n", pid);
	for (const char *p = text; (p = strstr(p, line)); p += n)
		if (p == text || p[-1] == '\n')
			return true;
	return false;
}

/* The number may have passed to another process since it was listed, but not after there is a descriptor for it. */
static int kill_one(int dir_fd, const char *text)
{
	pid_t pid = (pid_t)atoi(text);
	_cleanup_(closep) int fd = pid > 1 && pid != getpid() ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

	if (fd < 0 || !is_listed(dir_fd, text))
		return 0;
	return syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) < 0 && errno != ESRCH ? -errno : 0;
}

int cgroup_kill_listed(int dir_fd)
{
	char text[16384];
	ssize_t length = read_procs(dir_fd, text, sizeof(text));
	int n = 0, r = 0;

	if (length < 0)
		return (int)length;
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, n++) {
		int k;

		*end = '\0';
		k = kill_one(dir_fd, line);
		if (k < 0)
			r = k;
	}
	return r < 0 ? r : n;
}

static int kill_until_empty(int dir_fd)
{
	int n = 1;

	for (unsigned pass = 0; n > 0 && pass < KILL_PASSES; pass++) {
		n = cgroup_kill_listed(dir_fd);
		if (n > 0)
			pause_usec(100 + 10 * pass);
	}
	return n > 0 ? -EBUSY : n;
}

/* The group whose list is that of pids. */
static int pids_group(const struct cgroup *c)
{
	for (size_t i = 0; i < c->n_groups; i++)
		if (c->group[i].does & CGROUP_PIDS)
			return c->group[i].fd;
	return -1;
}

static int kill_without_forks(struct cgroup *c)
{
	char text[32] = "max";
	int r;

	if (write(c->file[CGROUP_FILE_pids_max], "0", 1) < 0)
		return -errno;
	r = kill_until_empty(pids_group(c));
	if (c->processes != LIMITS_NONE)
		(void)snprintf(text, sizeof(text), "%" PRIu64, c->processes);
	if (write(c->file[CGROUP_FILE_pids_max], text, strlen(text)) < 0 && r == 0)
		r = -errno;
	return r;
}

/* A group that somebody has removed, which they can only when it is empty, says ENODEV. */
int cgroup_kill(struct cgroup *c)
{
	int r;

	if (c->file[CGROUP_FILE_kill] >= 0)
		r = write(c->file[CGROUP_FILE_kill], "1", 1) < 0 ? -errno : 0;
	else
		r = kill_without_forks(c);
	return r == -ENODEV ? 0 : r;
}

/* -- removing ------------------------------------------------------------------------------------------------------ */

/* A process that was killed is in its group until it has been taken down. */
static int remove_directory(int parent_fd, const char *name)
{
	uint64_t begin = clock_monotonic_usec(), wait = 200;

	for (;;) {
		if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY || clock_monotonic_usec() - begin >= REMOVE_USEC)
			return -errno;
		pause_usec(wait);
		wait = MIN(wait * 2, 20000);
	}
}

int cgroup_remove(struct cgroup *c)
{
	int r = 0;

	for (size_t i = 0; i < c->n_groups; i++) {
		int e = remove_directory(c->group[i].parent_fd, c->name);

		if (e < 0)
			r = e;
	}
	return r;
}

/* -- what dead kernels left ---------------------------------------------------------------------------------------- */

/* The 22nd field of /proc/PID/stat; the second, in parentheses, may hold anything. */
static int start_of(pid_t pid, uint64_t *ret)
{
	char path[64], text[1024];
	const char *p;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	n = cgroup_read_at(AT_FDCWD, path, text, sizeof(text));
	if (n <= 0)
		return -ESRCH;
	p = strrchr(text, ')');
	for (unsigned i = 0; p && i < 20; i++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -ESRCH;
	*ret = strtoull(p + 1, NULL, 10);
	return 0;
}

/* Processes of other pid namespaces look dead from here, so a name says whose numbers it means. */
static int own_namespace(uint64_t *ret)
{
	struct stat st;

	if (stat("/proc/self/ns/pid", &st) < 0)
		return -errno;
	*ret = st.st_ino;
	return 0;
}

#define OWN_NAME "k%" PRIu64 "-%" PRIu64 "-%" PRIu64

int cgroup_own_name(char ret[CGROUP_NAME_MAX + 1])
{
	uint64_t start = 0, space = 0;
	int r = start_of(getpid(), &start);

	if (r == 0)
		r = own_namespace(&space);
	if (r < 0)
		return r;
	(void)snprintf(ret, CGROUP_NAME_MAX + 1, OWN_NAME, (uint64_t)getpid(), start, space);
	return 0;
}

bool cgroup_name_is_stale(const char *directory)
{
	uint64_t pid, start, space, own = 0, now = 0;
	char again[256];

	if (sscanf(directory, CGROUP_PREFIX "k%" SCNu64 "-%" SCNu64 "-%" SCNu64, &pid, &start, &space) != 3)
		return false;
	(void)snprintf(again, sizeof(again), CGROUP_PREFIX OWN_NAME, pid, start, space);
	if (strcmp(again, directory) != 0 || pid < 1 || pid > INT32_MAX || own_namespace(&own) < 0 || own != space)
		return false;
	return start_of((pid_t)pid, &now) < 0 || now != start;
}

static int end_stale(int parent_fd, const char *name)
{
	_cleanup_(closep) int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	if (cgroup_write_at(fd, "cgroup.kill", "1") < 0) {
		(void)!cgroup_write_at(fd, "pids.max", "0");
		(void)!kill_until_empty(fd);
	}
	return remove_directory(parent_fd, name);
}

static unsigned remove_stale_in(int parent_fd)
{
	_cleanup_(closep) int fd = openat(parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	unsigned n = 0;
	struct dirent *e;

	if (!dir)
		return 0;
	fd = -1;
	for (unsigned i = 0; i < MAX_ENTRIES && (e = readdir(dir)); i++)
		if (cgroup_name_is_stale(e->d_name) && end_stale(parent_fd, e->d_name) == 0)
			n++;
	(void)closedir(dir);
	return n;
}

unsigned cgroup_remove_stale(const struct cgroup *c)
{
	unsigned n = 0;

	for (size_t i = c->n_groups; i-- > 0;)
		n += remove_stale_in(c->group[i].parent_fd);
	return n;
}
