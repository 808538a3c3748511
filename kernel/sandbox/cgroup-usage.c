/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup-usage: what a kernel's groups have used. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel/sandbox/cgroup-impl.h"

#define NSEC_PER_USEC 1000
#define GLANCE_CPU_USEC 1000
#define GLANCE_MEMORY_BYTES ((uint64_t)1 << 20)

static int read_number(const struct cgroup *c, enum cgroup_file file, uint64_t *ret)
{
	char text[32];
	ssize_t n = cgroup_pread(c->file[file], text, sizeof(text));

	if (n < 0)
		return (int)n;
	*ret = strtoull(text, NULL, 10);
	return 0;
}

static int read_cpu_v1(const struct cgroup *c, struct usage *usage)
{
	uint64_t used = 0, system = 0;
	int r = read_number(c, CGROUP_FILE_cpu_used, &used);

	if (r == 0)
		r = read_number(c, CGROUP_FILE_cpu_system, &system);
	usage->cpu_usec = used / NSEC_PER_USEC;
	usage->cpu_system_usec = MIN(system, used) / NSEC_PER_USEC;
	usage->cpu_user_usec = usage->cpu_usec - usage->cpu_system_usec;
	return r;
}

static int read_cpu_v2(const struct cgroup *c, struct usage *usage)
{
	char text[2048];
	ssize_t n = cgroup_pread(c->file[CGROUP_FILE_cpu_used], text, sizeof(text));

	if (n < 0)
		return (int)n;
	usage->cpu_usec = cgroup_field(text, "usage_usec");
	usage->cpu_user_usec = cgroup_field(text, "user_usec");
	usage->cpu_system_usec = cgroup_field(text, "system_usec");
	return 0;
}

/* Of what the group is charged with, pages that would be given back first are not the tenant's use. */
static int read_cache(const struct cgroup *c, uint64_t *ret)
{
	const char *prefix = c->memory_is_v2 ? "" : "total_";
	static const char *const kinds[] = { "inactive_file", "active_file", "slab_reclaimable" };
	char text[8192];
	ssize_t n = cgroup_pread(c->file[CGROUP_FILE_memory_stat], text, sizeof(text));

	if (n < 0)
		return (int)n;
	*ret = 0;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		char key[32];

		(void)snprintf(key, sizeof(key), "%s%s", prefix, kinds[i]);
		*ret += cgroup_field(text, key);
	}
	return 0;
}

static uint64_t without(uint64_t current, uint64_t cache)
{
	return current > cache ? current - cache : 0;
}

int cgroup_read_memory(const struct cgroup *c, uint64_t *ret)
{
	uint64_t current = 0, cache = 0;
	int r = read_cache(c, &cache);

	if (r == 0)
		r = read_number(c, CGROUP_FILE_memory_current, &current);
	*ret = without(current, cache);
	return r;
}

static int read_memory(struct cgroup *c, struct usage *usage)
{
	char text[1024];
	ssize_t n;
	int r = read_cache(c, &c->seen.cache);

	if (r == 0)
		r = read_number(c, CGROUP_FILE_memory_current, &c->seen.current);
	if (r < 0)
		return r;
	usage->memory_bytes = without(c->seen.current, c->seen.cache);
	c->peak = MAX(c->peak, usage->memory_bytes);
	usage->memory_peak_bytes = c->peak;
	if (c->file[CGROUP_FILE_memory_peak] >= 0) {
		r = read_number(c, CGROUP_FILE_memory_peak, &usage->memory_peak_bytes);
		if (r < 0)
			return r;
	}
	n = cgroup_pread(c->file[CGROUP_FILE_memory_oom], text, sizeof(text));
	if (n < 0)
		return (int)n;
	usage->oom_kills = cgroup_field(text, "oom_kill");
	return 0;
}

static int read_cpu(const struct cgroup *c, struct usage *usage)
{
	return c->cpuacct_is_v2 ? read_cpu_v2(c, usage) : read_cpu_v1(c, usage);
}

int cgroup_read_usage(struct cgroup *c, struct usage *usage)
{
	int r = read_cpu(c, usage);

	if (r == 0)
		r = read_memory(c, usage);
	if (r == 0)
		r = read_number(c, CGROUP_FILE_pids_current, &usage->processes);
	if (r == 0)
		c->seen.usage = *usage;
	return r;
}

static bool is_far(uint64_t a, uint64_t b, uint64_t most)
{
	return a > b ? a - b > most : b - a > most;
}

int cgroup_glance(struct cgroup *c, struct usage *usage)
{
	uint64_t current = 0;
	int r;

	*usage = c->seen.usage;
	r = read_cpu(c, usage);
	if (r == 0)
		r = read_number(c, CGROUP_FILE_memory_current, &current);
	if (r < 0)
		return r;
	if (is_far(usage->cpu_usec, c->seen.usage.cpu_usec, GLANCE_CPU_USEC) ||
	    is_far(current, c->seen.current, GLANCE_MEMORY_BYTES))
		return cgroup_read_usage(c, usage);
	usage->memory_bytes = without(current, c->seen.cache);
	usage->memory_peak_bytes = MAX(usage->memory_peak_bytes, usage->memory_bytes);
	return read_number(c, CGROUP_FILE_pids_current, &usage->processes);
}
