/* SPDX-License-Identifier: Apache-2.0 */
/* meter: what a kernel uses. */
#include "kernel/front/meter.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel/sandbox/cgroup.h"
#include "kernel/sandbox/sandbox.h"
#include "protocol/base/clock.h"

void meter_init(struct meter *m)
{
	*m = (struct meter){ .proc_fd = -1, .stat_fd = -1, .clock = CLOCK_MONOTONIC };
}

void meter_deinit(struct meter *m)
{
	meter_detach(m, NULL);
	if (m->proc_fd >= 0)
		(void)close(m->proc_fd);
	m->proc_fd = -1;
}

void meter_attach(struct meter *m, pid_t pid)
{
	char path[64];

	m->pid = MAX(pid, 0);
	m->all_at = 0;
	if (!m->pid || clock_getcpuclockid(m->pid, &m->clock) != 0)
		m->clock = CLOCK_MONOTONIC;
	if (m->sandbox)
		return;
	m->raw = (struct usage){ 0 };
	m->stat_at = 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	m->stat_fd = open(path, O_RDONLY | O_CLOEXEC);
}

/* CPU time of the worker; 0: not known. */
static uint64_t own_time(const struct meter *m)
{
	struct timespec t;

	if (m->clock == CLOCK_MONOTONIC || clock_gettime(m->clock, &t) < 0)
		return 0;
	return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t grown(uint64_t total, uint64_t before, uint64_t now)
{
	return total + (now > before ? now - before : 0);
}

/* A sum over processes shrinks when one ends whose time nobody has taken over. */
static void account(struct meter *m, const struct usage *now)
{
	struct usage *t = &m->total;

	t->cpu_usec = grown(t->cpu_usec, m->raw.cpu_usec, now->cpu_usec);
	t->cpu_system_usec = MIN(grown(t->cpu_system_usec, m->raw.cpu_system_usec, now->cpu_system_usec), t->cpu_usec);
	t->cpu_user_usec = t->cpu_usec - t->cpu_system_usec;
	t->memory_bytes = now->memory_bytes;
	t->memory_peak_bytes = MAX(MAX(t->memory_peak_bytes, now->memory_peak_bytes), now->memory_bytes);
	t->processes = now->processes;
	t->oom_kills = now->oom_kills;
	m->raw = *now;
}

static uint64_t usec_of(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * USEC_PER_SEC + (uint64_t)t->tv_usec;
}

void meter_detach(struct meter *m, const struct rusage *used)
{
	struct usage last = m->raw;

	if (used && !m->sandbox) {
		last.cpu_user_usec = MAX(last.cpu_user_usec, usec_of(&used->ru_utime));
		last.cpu_system_usec = MAX(last.cpu_system_usec, usec_of(&used->ru_stime));
		last.cpu_usec = MAX(last.cpu_usec, usec_of(&used->ru_utime) + usec_of(&used->ru_stime));
		last.memory_peak_bytes = MAX(last.memory_peak_bytes, (uint64_t)used->ru_maxrss << 10);
		account(m, &last);
	}
	if (m->stat_fd >= 0)
		(void)close(m->stat_fd);
	m->stat_fd = -1;
	m->pid = 0;
	m->clock = CLOCK_MONOTONIC;
}

/* The command, in brackets, may hold anything, so it is skipped from behind. */
static int read_stat(int fd, struct usage *u)
{
	unsigned long long user, system, processes, pages;
	char text[1024];
	const char *p;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	uint64_t tick = USEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);

	if (n <= 0)
		return -ESRCH;
	text[n] = '\0';
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %llu %*d %*u %*u %llu",
		&user, &system, &processes, &pages) != 4)
		return -EBADMSG;
	u->cpu_user_usec = user * tick;
	u->cpu_system_usec = system * tick;
	u->processes = processes;
	u->memory_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

/*
 * Without limits: the worker alone. Its clock is exact and costs a quarter of a microsecond; the rest costs twenty times that, and is read when the clock
 * says that something can have changed. Its ticks say how much of the time was the system's.
 */
static int read_own(struct meter *m, struct usage *u)
{
	uint64_t used = m->stat_fd < 0 ? 0 : own_time(m);

	*u = m->raw;
	if (!used)
		return -ESRCH;
	u->cpu_usec = used;
	if (!m->stat_at || u->cpu_usec - m->stat_at >= METER_STALE_USEC) {
		m->stat_at = u->cpu_usec;
		if (read_stat(m->stat_fd, u) < 0)
			return -ESRCH;
	}
	u->cpu_system_usec = MIN(u->cpu_system_usec, u->cpu_usec);
	u->cpu_user_usec = u->cpu_usec - u->cpu_system_usec;
	return 0;
}

static int open_proc(struct meter *m)
{
	if (m->proc_fd < 0)
		m->proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return m->pid && m->proc_fd >= 0 ? 0 : -ESRCH;
}

static int read_all(struct meter *m, struct usage *u)
{
	*u = (struct usage){ 0 }; /* the sum of now: account() knows what to make of one that has shrunk */
	if (m->sandbox)
		return sandbox_read_usage(m->sandbox, u);
	if (open_proc(m) < 0)
		return -ESRCH;
	return usage_read_proc(m->proc_fd, getpid(), UINT64_MAX, u);
}

const struct usage *meter_read(struct meter *m, bool all)
{
	struct usage now;
	int r = all || m->sandbox ? read_all(m, &now) : -ENODATA;

	if (r < 0 && !m->sandbox)
		r = read_own(m, &now);
	if (r >= 0)
		account(m, &now);
	return &m->total;
}

int meter_read_others(struct meter *m, uint64_t since, struct usage_others *ret)
{
	if (m->sandbox)
		return sandbox_read_others(m->sandbox, since, ret);
	return open_proc(m) < 0 ? -ESRCH : usage_read_others(m->proc_fd, getpid(), m->pid, since, ret);
}

/* Without groups each process is read: not for turns of less than a millisecond, one after the other. */
static bool is_fresh(struct meter *m)
{
	uint64_t used = own_time(m), wall = clock_monotonic_usec();

	if (m->all_at && used && used - m->all_at < METER_STALE_USEC && wall - m->all_wall < METER_STALE_WALL_USEC)
		return true;
	m->all_at = used;
	m->all_wall = wall;
	return false;
}

const struct usage *meter_glance(struct meter *m, bool all)
{
	struct cgroup *group = m->sandbox ? sandbox_cgroup(m->sandbox) : NULL;
	struct usage now;

	if (!m->sandbox || (!group && !is_fresh(m)))
		return meter_read(m, all);
	if (group && cgroup_glance(group, &now) == 0)
		account(m, &now);
	return &m->total;
}
