/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: usage_reply in ipykernel's field names (wire.md 7), read from /proc: the kernel is the front and everything below it.
 * CPU percentages are since the question before, as psutil gives them to ipykernel.
 */
#include "kernel/front/usage.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel/front/state.h"
#include "kernel/sandbox/processes.h"
#include "protocol/wire/json.h"

#define MAX_MEASURED 512u /* the kernel walks a process's page tables for each */

struct sums {
	unsigned n_measured;
	unsigned long long pss_kb;
	unsigned long long ticks;
};

static ssize_t read_file(const char *path, char *text, size_t size)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	text[n > 0 ? n : 0] = '\0';
	return n;
}

static unsigned long long field_kb(const char *text, const char *name)
{
	const char *p = strstr(text, name);
	unsigned long long kb = 0;

	if (p)
		(void)sscanf(p + strlen(name), ": %llu", &kb);
	return kb;
}

static void add_process(const struct process *p, void *data)
{
	struct sums *s = data;
	char path[64], text[4096];

	s->ticks += p->user + p->system;
	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)p->pid);
	if (s->n_measured++ < MAX_MEASURED && read_file(path, text, sizeof(text)) > 0)
		s->pss_kb += field_kb(text, "\nPss");
}

static struct sums sum_kernel(void)
{
	struct process self;
	struct sums s = { 0 };

	if (processes_read(getpid(), &self) == 0)
		add_process(&self, &s);
	(void)processes_below(add_process, &s);
	return s;
}

static void append_host_memory(struct buffer *out)
{
	char text[8192];
	unsigned long long total, available, used, free_kb, buffers, cached, slab;

	if (read_file("/proc/meminfo", text, sizeof(text)) <= 0)
		return;
	total = field_kb(text, "MemTotal");
	available = field_kb(text, "\nMemAvailable");
	free_kb = field_kb(text, "\nMemFree");
	buffers = field_kb(text, "\nBuffers");
	cached = field_kb(text, "\nCached") + field_kb(text, "\nSReclaimable");
	slab = field_kb(text, "\nSlab");
	used = total > available ? total - available : 0;
	buffer_printf(out,
	    ",\"host_virtual_memory\":{\"total\":%llu,\"available\":%llu,\"percent\":%.1f,\"used\":%llu,\"free\":%llu,"
	    "\"active\":%llu,\"inactive\":%llu,\"buffers\":%llu,\"cached\":%llu,\"shared\":%llu,\"slab\":%llu}",
	    total * 1024, available * 1024, total ? (double)(total - available) * 100.0 / (double)total : 0.0,
	    used * 1024, free_kb * 1024, field_kb(text, "\nActive") * 1024, field_kb(text, "\nInactive") * 1024,
	    buffers * 1024, cached * 1024, field_kb(text, "\nShmem") * 1024, slab * 1024);
}

/* Busy share of all processors since the last call, in percent. */
static double host_percent(void)
{
	static unsigned long long last_busy, last_all;
	unsigned long long v[8] = { 0 }, all = 0, busy, d_all, d_busy;
	char text[512];

	if (read_file("/proc/stat", text, sizeof(text)) <= 0 ||
	    sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5],
		&v[6], &v[7]) < 4)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		all += v[i];
	busy = all - v[3] - v[4];
	d_all = all - last_all;
	d_busy = busy - last_busy;
	last_all = all;
	last_busy = busy;
	return d_all ? (double)d_busy * 100.0 / (double)d_all : 0;
}

static double kernel_percent(unsigned long long ticks)
{
	static unsigned long long last_ticks;
	static uint64_t last_usec;
	uint64_t now = clock_monotonic_usec(), wall = now - last_usec;
	unsigned long long d = ticks > last_ticks ? ticks - last_ticks : 0;
	double percent = 0;

	if (last_usec && wall)
		percent = (double)d * 100.0 * (double)USEC_PER_SEC / (double)sysconf(_SC_CLK_TCK) / (double)wall;
	last_ticks = ticks;
	last_usec = now;
	return percent;
}

void usage_content(const struct front *f, struct buffer *out)
{
	struct sums s = sum_kernel();
	char host[256] = "";

	(void)gethostname(host, sizeof(host) - 1);
	buffer_append_str(out, "{\"hostname\":");
	json_encode_string(out, slice_str(host));
	buffer_printf(out, ",\"pid\":%d,\"kernel_cpu\":%.1f,\"kernel_memory\":%llu,\"cpu_count\":%ld",
	    (int)f->worker.pid, kernel_percent(s.ticks), s.pss_kb * 1024, sysconf(_SC_NPROCESSORS_ONLN));
	buffer_printf(out, ",\"host_cpu_percent\":%.1f", host_percent());
	append_host_memory(out);
	buffer_append_char(out, '}');
}
