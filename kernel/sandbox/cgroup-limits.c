/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup-limits: what is allowed, and the event that comes before the kernel kills. The soft threshold is memory.high
 * on v2. v1 has none that acts, but tells when use crosses a value, in either direction; and it tells of reclaim,
 * which is asked for too, because the crossing may have been the cache of files alone, with which use then stays at
 * the hard limit while it is exchanged for memory that cannot be taken back. What an event means is judged by what
 * memory.stat says.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kernel/sandbox/cgroup-impl.h"

#define MIB (UINT64_C(1) << 20)
#define CPU_PERIOD_USEC 100000

/* sandbox.md 3.1 */
static uint64_t headroom(uint64_t quota)
{
	return MAX(64 * MIB, quota / 8);
}

/* Counters of memory lag behind by some pages for each processor, and the last cache is not worth waiting for. */
static uint64_t slack(const struct cgroup *c)
{
	return (c->hard - c->soft) / 8;
}

static int write_text(struct cgroup *c, enum cgroup_file file, bool is_v2, const char *text, struct error *err)
{
	const char *name = cgroup_file_name(file, is_v2);
	int e;

	if (c->file[file] < 0)
		return error_set(err, -ENOTSUP,
		    "the control group %s has no %s, which was to be %s", c->description, name, text);
	if (write(c->file[file], text, strlen(text)) >= 0)
		return 0;
	e = errno;
	return error_set(err, -e,
	    "%s of the control group %s cannot be %s: %s", name, c->description, text, strerror(e));
}

/* A number, or the version's word for no limit. */
static int write_value(struct cgroup *c, enum cgroup_file file, bool is_v2, uint64_t value, const char *none,
    struct error *err)
{
	char text[32];

	if (value == LIMITS_NONE)
		(void)snprintf(text, sizeof(text), "%s", none);
	else
		(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	return write_text(c, file, is_v2, text, err);
}

/* -- memory -------------------------------------------------------------------------------------------------------- */

/* A machine without swap needs no limit of it. */
static bool machine_has_swap(void)
{
	char text[512];
	ssize_t n = cgroup_read_at(AT_FDCWD, "/proc/swaps", text, sizeof(text));
	const char *line = n > 0 ? strchr(text, '\n') : NULL;

	return n > 0 && line && line[1];
}

/* Memory with swap may never be less than memory alone, so the order depends on the direction. */
static int set_hard_v1(struct cgroup *c, uint64_t hard, struct error *err)
{
	bool has_swap_file = c->file[CGROUP_FILE_memory_swap] >= 0 || machine_has_swap();
	enum cgroup_file first = CGROUP_FILE_memory_hard, second = CGROUP_FILE_memory_swap;
	int r = 0;

	if (hard > c->hard) {
		first = CGROUP_FILE_memory_swap;
		second = CGROUP_FILE_memory_hard;
	}
	if (first == CGROUP_FILE_memory_hard || has_swap_file)
		r = write_value(c, first, false, hard, "-1", err);
	if (r == 0 && (second == CGROUP_FILE_memory_hard || has_swap_file))
		r = write_value(c, second, false, hard, "-1", err);
	return r;
}

static int set_memory_v2(struct cgroup *c, uint64_t soft, uint64_t hard, struct error *err)
{
	bool has_swap_file = c->file[CGROUP_FILE_memory_swap] >= 0 || machine_has_swap();
	int r = has_swap_file ? write_value(c, CGROUP_FILE_memory_swap, true, 0, "max", err) : 0;

	/* A tenant's hog is to die alone, and the worker be kept. */
	if (r == 0 && c->file[CGROUP_FILE_memory_oom_group] >= 0)
		r = write_value(c, CGROUP_FILE_memory_oom_group, true, 0, "0", err);
	if (r == 0)
		r = write_value(c, CGROUP_FILE_memory_soft, true, soft, "max", err);
	return r < 0 ? r : write_value(c, CGROUP_FILE_memory_hard, true, hard, "max", err);
}

/* -- the event ----------------------------------------------------------------------------------------------------- */

/* A keeper may have the former one open too, so it would go on to wake. */
void cgroup_end_event(struct cgroup *c)
{
	if (c->has_watcher)
		(void)pthread_join(c->watcher, NULL);
	c->has_watcher = false;
	c->watch_error = 0;
	if (c->event_fd >= 0)
		(void)epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, c->event_fd, NULL);
	closep(&c->event_fd);
	c->event_fd = -1;
}

static int make_event(struct cgroup *c, struct error *err)
{
	struct epoll_event event = { .events = EPOLLIN };

	c->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->event_fd < 0 || epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->event_fd, &event) < 0)
		return error_set(err, -errno, "no event of memory can be had: %s", strerror(errno));
	return 0;
}

static int ask(const struct cgroup *c, enum cgroup_file of, const char *what)
{
	char text[96];

	if (c->file[of] < 0)
		return 0;
	(void)snprintf(text, sizeof(text), "%d %d %s", c->event_fd, c->file[of], what);
	return write(c->file[CGROUP_FILE_memory_listen], text, strlen(text)) < 0 ? -errno : 0;
}

static int ask_all(const struct cgroup *c)
{
	char threshold[32];
	int r;

	if (c->memory_is_v2)
		return 0;
	(void)snprintf(threshold, sizeof(threshold), "%" PRIu64, c->soft);
	r = ask(c, CGROUP_FILE_memory_pressure, "low");
	if (r == 0)
		r = ask(c, CGROUP_FILE_memory_current, threshold);
	return r;
}

static bool is_high(const struct cgroup *c)
{
	uint64_t used = 0;

	return cgroup_read_memory(c, &used) == 0 && used + slack(c) >= c->soft;
}

/* Use may have crossed the threshold before it was registered; and an error wants to be seen. */
static void wake(const struct cgroup *c, int error)
{
	const uint64_t one = 1;

	if (error < 0 || is_high(c))
		(void)!write(c->event_fd, &one, sizeof(one));
}

int cgroup_watch_memory(struct cgroup *c, struct error *err)
{
	int r;

	if (c->event_fd < 0)
		return 0;
	r = ask_all(c);
	if (r < 0)
		return error_set(err, r, "no event of memory can be had: cgroup.event_control: %s", strerror(-r));
	wake(c, 0);
	return 0;
}

static void *watcher(void *data)
{
	struct cgroup *c = data;

	c->watch_error = ask_all(c);
	wake(c, c->watch_error);
	return NULL;
}

int cgroup_watch_memory_aside(struct cgroup *c, struct error *err)
{
	sigset_t all, before;
	int e;

	if (c->event_fd < 0 || c->memory_is_v2)
		return cgroup_watch_memory(c, err);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	e = pthread_create(&c->watcher, NULL, watcher, c);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (e)
		return error_set(err, -e, "no thread can be started: %s", strerror(e));
	c->has_watcher = true;
	return 0;
}

/* A file that was never read has an event. */
static int hear_v2(struct cgroup *c, struct error *err)
{
	struct epoll_event event = { .events = EPOLLPRI };
	char text[1024];

	(void)!cgroup_pread(c->file[CGROUP_FILE_memory_oom], text, sizeof(text));
	if (epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->file[CGROUP_FILE_memory_oom], &event) < 0 && errno != EEXIST)
		return error_set(err, -errno, "no event of memory can be had: %s", strerror(errno));
	return 0;
}

/* One for each threshold: what was registered with the former is over. v2 has it for what was crossed before alone. */
static int set_event(struct cgroup *c, uint64_t soft, struct error *err)
{
	int r;

	cgroup_end_event(c);
	r = soft == LIMITS_NONE ? 0 : make_event(c, err);
	return r == 0 && c->memory_is_v2 ? hear_v2(c, err) : r;
}

int cgroup_set_memory(struct cgroup *c, uint64_t quota, uint64_t base, struct error *err)
{
	uint64_t soft = LIMITS_NONE, hard = LIMITS_NONE, used = 0;
	int r;

	if (quota != LIMITS_NONE) {
		if (quota > INT64_MAX / 4 || base > INT64_MAX / 4)
			return error_set(err, -EINVAL,
			    "a memory limit of %" PRIu64 " bytes is not in 0..2^61", MAX(quota, base));
		soft = base + quota;
		hard = soft + headroom(quota);
	}
	if (soft == c->soft && hard == c->hard)
		return 0;
	/* v2 would kill at once. */
	r = cgroup_read_memory(c, &used);
	if (r < 0)
		return error_set(err, r,
		    "the memory of the control group %s cannot be read: %s", c->description, strerror(-r));
	if (used >= hard)
		return error_set(err, -EBUSY,
		    "memory cannot be limited to %" PRIu64 " bytes, for %" PRIu64 " are in use", hard, used);
	r = c->memory_is_v2 ? set_memory_v2(c, soft, hard, err) : set_hard_v1(c, hard, err);
	if (r == 0)
		r = set_event(c, soft, err);
	if (r < 0)
		return r;
	c->soft = soft;
	c->hard = hard;
	c->is_eased = false;
	return 0;
}

int cgroup_memory_fd(const struct cgroup *c)
{
	return c->epoll_fd;
}

int cgroup_memory_take(struct cgroup *c)
{
	char text[1024];
	uint64_t n;

	if (c->event_fd >= 0)
		(void)!read(c->event_fd, &n, sizeof(n));
	if (c->memory_is_v2)
		(void)!cgroup_pread(c->file[CGROUP_FILE_memory_oom], text, sizeof(text));
	return c->watch_error < 0 ? c->watch_error : c->soft != LIMITS_NONE && is_high(c);
}

static int move_threshold(struct cgroup *c, uint64_t bytes)
{
	struct error unsaid;

	return write_value(c, CGROUP_FILE_memory_soft, true, bytes, "max", &unsaid);
}

/* Some is left below the hard limit: who goes on to take is slowed down again, and killed by choice, not by the kernel. */
int cgroup_memory_ease(struct cgroup *c)
{
	int r;

	if (!c->memory_is_v2 || c->soft == LIMITS_NONE || c->is_eased)
		return 0;
	r = move_threshold(c, c->hard - (c->hard - c->soft) / 4);
	c->is_eased = r == 0;
	return r;
}

/* The kernel would take back all that it can before the write returns, if memory were above it. */
int cgroup_memory_hold(struct cgroup *c)
{
	uint64_t used = 0;
	int r;

	if (!c->is_eased)
		return 0;
	r = cgroup_read_memory(c, &used);
	if (r < 0)
		return r;
	if (used >= c->soft)
		return 1;
	r = move_threshold(c, c->soft);
	c->is_eased = r < 0;
	return r;
}

/* -- the others ---------------------------------------------------------------------------------------------------- */

static int set_cpu(struct cgroup *c, uint64_t percent, struct error *err)
{
	uint64_t quota = percent == LIMITS_NONE ? LIMITS_NONE : percent * CPU_PERIOD_USEC / 100;
	char text[64];
	int r;

	if (percent == LIMITS_NONE && c->file[CGROUP_FILE_cpu_quota] < 0)
		return 0;
	if (c->file[CGROUP_FILE_cpu_quota] < 0)
		return error_set(err, -ENOTSUP,
		    "the share of CPU cannot be limited to %" PRIu64 " %%: the control group %s has no cpu "
		    "controller; start husk under systemd with Delegate=yes", percent, c->description);
	if (c->cpu_is_v2) {
		(void)snprintf(text, sizeof(text), "max %d", CPU_PERIOD_USEC);
		if (percent != LIMITS_NONE)
			(void)snprintf(text, sizeof(text), "%" PRIu64 " %d", quota, CPU_PERIOD_USEC);
		return write_text(c, CGROUP_FILE_cpu_quota, true, text, err);
	}
	r = write_value(c, CGROUP_FILE_cpu_period, false, CPU_PERIOD_USEC, "", err);
	return r < 0 ? r : write_value(c, CGROUP_FILE_cpu_quota, false, quota, "-1", err);
}

int cgroup_set_limits(struct cgroup *c, const struct limits *limits, struct error *err)
{
	uint64_t processes = limits->value[LIMIT_processes];
	int r = cgroup_set_memory(c, limits->value[LIMIT_memory], 0, err);

	if (r == 0)
		r = write_value(c, CGROUP_FILE_pids_max, false, processes, "max", err);
	if (r == 0)
		c->processes = processes;
	return r < 0 ? r : set_cpu(c, limits->value[LIMIT_cpu_share], err);
}
