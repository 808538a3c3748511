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

#include "kernel/sandbox/processes.h"

#define USEC_PER_SECOND 1000000u
#define MAX_GENERATIONS 256 /* passes in which descendants are found: no family is deeper by accident */

struct row {
	struct process process;
	bool is_counted;
};

struct table {
	struct row *row;
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

static uint64_t sum_kb(const char *text, const char *const fields[], size_t n)
{
	uint64_t kb = 0;

	for (size_t i = 0; i < n; i++) {
		const char *p = strstr(text, fields[i]); /* a newline in the command is escaped there */

		if (p)
			kb += strtoull(p + strlen(fields[i]), NULL, 10);
	}
	return kb * 1024;
}

typedef bool memory_fn(int proc_fd, pid_t thread, uint64_t *ret); /* false: that thread has none */

/* Memory of its own: anonymous, what it has mapped of shared memory, and its page tables, which grow with what is only read too. */
static bool read_memory(int proc_fd, pid_t thread, uint64_t *ret)
{
	static const char *const fields[] = { "\nRssAnon:", "\nRssShmem:", "\nVmPTE:" };
	char text[4096];

	if (read_file(proc_fd, thread, "status", text, sizeof(text)) <= 0 || !strstr(text, fields[0]))
		return false;
	*ret = sum_kb(text, fields, ARRAY_SIZE(fields));
	return true;
}

/* The same with its share alone of what others have too; as above where we may not see that. */
static bool read_exact_memory(int proc_fd, pid_t thread, uint64_t *ret)
{
	static const char *const fields[] = { "\nPss_Anon:", "\nPss_Shmem:" }, *const tables[] = { "\nVmPTE:" };
	char text[4096];

	if (read_file(proc_fd, thread, "smaps_rollup", text, sizeof(text)) <= 0 || !strstr(text, fields[0]))
		return read_memory(proc_fd, thread, ret);
	*ret = sum_kb(text, fields, ARRAY_SIZE(fields));
	if (read_file(proc_fd, thread, "status", text, sizeof(text)) > 0)
		*ret += sum_kb(text, tables, ARRAY_SIZE(tables));
	return true;
}

/* As another thread of it shows it. */
static uint64_t memory_of_others(int proc_fd, pid_t pid, memory_fn *read)
{
	char path[64];
	_cleanup_(closep) int fd = -1;
	uint64_t bytes = 0;
	struct dirent *e;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%d/task", (int)pid);
	fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return 0;
	fd = -1;
	while ((e = readdir(dir))) {
		pid_t thread = (pid_t)atoi(e->d_name);

		if (thread > 0 && thread != pid && read(proc_fd, thread, &bytes))
			break;
	}
	(void)closedir(dir);
	return bytes;
}

/* The first thread may have ended while others go on: it has no memory then. */
static uint64_t memory_of(int proc_fd, const struct process *p, memory_fn *read)
{
	uint64_t bytes;

	if (read(proc_fd, p->pid, &bytes))
		return bytes;
	return p->threads > 1 ? memory_of_others(proc_fd, p->pid, read) : 0;
}

static int table_add(struct table *t, const struct process *p)
{
	if (t->n == t->size) {
		size_t size = t->size ? 2 * t->size : 64;
		struct row *row = reallocarray(t->row, size, sizeof(*row));

		if (!row)
			return -ENOMEM;
		t->row = row;
		t->size = size;
	}
	t->row[t->n++] = (struct row){ .process = *p };
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
		if (processes_read_in(proc_fd, (pid_t)atoi(e->d_name), &p) == 0)
			r = table_add(t, &p);
	}
	(void)closedir(dir);
	return r;
}

static const struct row *find(const struct table *t, pid_t pid)
{
	for (size_t low = 0, high = t->n; low < high;) {
		size_t middle = low + (high - low) / 2;

		if (t->row[middle].process.pid == pid)
			return &t->row[middle];
		if (t->row[middle].process.pid < pid)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return (x->process.pid > y->process.pid) - (x->process.pid < y->process.pid);
}

/* Descendants of root; all without one. */
static void count(struct table *t, pid_t root)
{
	bool found = root > 0;

	for (size_t i = 0; i < t->n; i++)
		t->row[i].is_counted = root <= 0;

	qsort(t->row, t->n, sizeof(*t->row), compare);
	for (unsigned pass = 0; found && pass < MAX_GENERATIONS; pass++) {
		found = false;
		for (size_t i = 0; i < t->n; i++) {
			struct row *row = &t->row[i];
			const struct process *p = &row->process;
			const struct row *parent;

			if (row->is_counted || p->pid == root)
				continue;
			parent = p->parent == root ? NULL : find(t, p->parent);
			row->is_counted = p->parent == root || (parent && parent->is_counted);
			found |= row->is_counted;
		}
	}
}

static uint64_t sum_memory(int proc_fd, const struct table *t, memory_fn *read)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < t->n; i++)
		if (t->row[i].is_counted)
			sum += memory_of(proc_fd, &t->row[i].process, read);
	return sum;
}

static uint64_t to_usec(uint64_t ticks)
{
	return ticks * USEC_PER_SECOND / (uint64_t)sysconf(_SC_CLK_TCK);
}

static void set_usage(const struct table *t, uint64_t memory, struct usage *usage)
{
	uint64_t user = 0, system = 0;

	usage->processes = 0;
	for (size_t i = 0; i < t->n; i++) {
		const struct process *p = &t->row[i].process;

		if (!t->row[i].is_counted)
			continue;
		user += p->user + p->waited_user;
		system += p->system + p->waited_system;
		usage->processes += p->threads;
	}
	usage->cpu_user_usec = MAX(usage->cpu_user_usec, to_usec(user));
	usage->cpu_system_usec = MAX(usage->cpu_system_usec, to_usec(system));
	usage->cpu_usec = MAX(usage->cpu_usec, usage->cpu_user_usec + usage->cpu_system_usec);
	usage->memory_bytes = memory;
	usage->memory_peak_bytes = MAX(usage->memory_peak_bytes, memory);
}

int usage_read_proc(int proc_fd, pid_t root_pid, uint64_t exact_above, struct usage *usage)
{
	struct table t = { 0 };
	uint64_t memory;
	int r = read_table(proc_fd, &t);

	if (r == 0) {
		count(&t, root_pid);
		memory = sum_memory(proc_fd, &t, read_memory);
		if (memory > exact_above)
			memory = sum_memory(proc_fd, &t, read_exact_memory);
		set_usage(&t, memory, usage);
		r = t.is_cut ? 1 : 0;
	}
	free(t.row);
	return r;
}

int usage_read_others(int proc_fd, pid_t root_pid, pid_t worker, uint64_t since, struct usage_others *ret)
{
	struct table t = { 0 };
	int r = read_table(proc_fd, &t);

	*ret = (struct usage_others){ 0 };
	if (r == 0)
		count(&t, root_pid);
	for (size_t i = 0; r == 0 && i < t.n; i++) {
		const struct process *p = &t.row[i].process;
		uint64_t bytes;

		if (!t.row[i].is_counted || p->pid == worker)
			continue;
		bytes = memory_of(proc_fd, p, read_exact_memory);
		ret->bytes += bytes;
		ret->recent_bytes += p->start >= since ? bytes : 0;
		if (bytes <= ret->largest_bytes)
			continue;
		ret->largest = p->pid;
		ret->largest_bytes = bytes;
	}
	free(t.row);
	return r;
}
