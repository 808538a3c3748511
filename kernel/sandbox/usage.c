/* SPDX-License-Identifier: Apache-2.0 */
/* usage: sums over the processes of a proc. */
#include "kernel/sandbox/usage.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USEC_PER_SECOND 1000000u
#define MAX_GENERATIONS 256 /* passes in which descendants are found; a family that is deeper has more processes than any limit */

struct process {
	pid_t pid;
	pid_t parent;
	bool is_counted;
	uint64_t user;   /* ticks, with those of the children that were waited for */
	uint64_t system;
	uint64_t threads;
};

struct table {
	struct process *row;
	size_t n;
	size_t size;
	bool is_cut;
};

static ssize_t read_file(int proc_fd, pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	_cleanup_(closep) int fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%d/%s", (int)pid, name);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	n = fd < 0 ? -1 : read(fd, text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	return n;
}

/* The command, in parentheses, may hold anything, so it is skipped from behind. False: gone. */
static bool read_stat(int proc_fd, pid_t pid, struct process *ret)
{
	char text[2048];
	const char *p = read_file(proc_fd, pid, "stat", text, sizeof(text)) > 0 ? strrchr(text, ')') : NULL;
	unsigned long long user, system;
	long long waited_user, waited_system, threads;
	int parent;

	if (!p || sscanf(p + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld %*d %*d %lld", &parent, &user, &system,
		       &waited_user, &waited_system, &threads) != 6)
		return false;
	*ret = (struct process){
		.pid = pid,
		.parent = parent,
		.user = user + (uint64_t)MAX(waited_user, 0),
		.system = system + (uint64_t)MAX(waited_system, 0),
		.threads = (uint64_t)MAX(threads, 0),
	};
	return true;
}

/* Memory of its own: anonymous, and what it has mapped of shared memory. */
static uint64_t read_memory(int proc_fd, pid_t pid)
{
	static const char *const fields[] = { "\nRssAnon:", "\nRssShmem:" };
	char text[4096];
	uint64_t kb = 0;

	if (read_file(proc_fd, pid, "status", text, sizeof(text)) <= 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const char *p = strstr(text, fields[i]); /* a newline in the command is escaped there */

		if (p)
			kb += strtoull(p + strlen(fields[i]), NULL, 10);
	}
	return kb * 1024;
}

static int table_add(struct table *t, const struct process *p)
{
	if (t->n == t->size) {
		size_t size = t->size ? 2 * t->size : 64;
		struct process *row = reallocarray(t->row, size, sizeof(*row));

		if (!row)
			return -ENOMEM;
		t->row = row;
		t->size = size;
	}
	t->row[t->n++] = *p;
	return 0;
}

/*
 * In the order of a directory of proc, which is that of the numbers: a parent is then read before its children, and
 * what a child has used cannot be counted for both when it ends in between.
 */
static int read_table(int proc_fd, struct table *t)
{
	_cleanup_(closep) int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!dir)
		return -errno;
	fd = -1;
	while (r == 0 && (e = readdir(dir))) {
		struct process p;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		t->is_cut = t->n >= USAGE_MAX_PROCESSES;
		if (t->is_cut)
			break;
		if (read_stat(proc_fd, (pid_t)atoi(e->d_name), &p))
			r = table_add(t, &p);
	}
	(void)closedir(dir);
	return r;
}

static const struct process *find(const struct table *t, pid_t pid)
{
	for (size_t low = 0, high = t->n; low < high;) {
		size_t middle = low + (high - low) / 2;

		if (t->row[middle].pid == pid)
			return &t->row[middle];
		if (t->row[middle].pid < pid)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	const struct process *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

static void count_descendants(struct table *t, pid_t root)
{
	bool found = true;

	qsort(t->row, t->n, sizeof(*t->row), compare);
	for (unsigned pass = 0; found && pass < MAX_GENERATIONS; pass++) {
		found = false;
		for (size_t i = 0; i < t->n; i++) {
			struct process *p = &t->row[i];
			const struct process *parent;

			if (p->is_counted || p->pid == root)
				continue;
			parent = p->parent == root ? NULL : find(t, p->parent);
			p->is_counted = p->parent == root || (parent && parent->is_counted);
			found |= p->is_counted;
		}
	}
}

static uint64_t to_usec(uint64_t ticks)
{
	return ticks * USEC_PER_SECOND / (uint64_t)sysconf(_SC_CLK_TCK);
}

int usage_read_proc(int proc_fd, pid_t root_pid, struct usage *usage)
{
	struct table t = { 0 };
	uint64_t user = 0, system = 0, memory = 0, threads = 0;
	int r = read_table(proc_fd, &t);

	if (r == 0 && root_pid > 0)
		count_descendants(&t, root_pid);
	for (size_t i = 0; r == 0 && i < t.n; i++) {
		if (root_pid > 0 && !t.row[i].is_counted)
			continue;
		user += t.row[i].user;
		system += t.row[i].system;
		threads += t.row[i].threads;
		memory += read_memory(proc_fd, t.row[i].pid);
	}
	free(t.row);
	if (r < 0)
		return r;
	usage->cpu_user_usec = MAX(usage->cpu_user_usec, to_usec(user));
	usage->cpu_system_usec = MAX(usage->cpu_system_usec, to_usec(system));
	usage->cpu_usec = MAX(usage->cpu_usec, usage->cpu_user_usec + usage->cpu_system_usec);
	usage->memory_bytes = memory;
	usage->memory_peak_bytes = MAX(usage->memory_peak_bytes, memory);
	usage->processes = threads;
	return t.is_cut ? 1 : 0;
}
