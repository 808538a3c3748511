/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enforce: the clocks of quota.c applied to what runs.
 *
 * Whoever changes what runs (a request begins, ends, waits) has the next deadline planned anew; nothing wakes the front before it. Without
 * limits there is none, and a turn costs two cheap readings for its usage.
 */
#include "kernel/front/enforce.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "kernel/front/children.h"
#include "kernel/front/disk-watch.h"
#include "kernel/front/lanes.h"
#include "kernel/front/life.h"
#include "kernel/front/output.h"
#include "kernel/front/state.h"
#include "kernel/front/turn-limits.h"
#include "kernel/front/watch.h"
#include "kernel/sandbox/cgroup.h"
#include "kernel/sandbox/sandbox.h"
#include "protocol/base/log.h"
#include "protocol/wire/json.h"

#define MEMORY_OVERHEAD_BYTES ((uint64_t)4 << 20)

void enforce_init(struct front *f, const struct limits *limits)
{
	struct enforce *e = &f->enforce;
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	*e = (struct enforce){ .at = USEC_NEVER, .memory_again = USEC_NEVER, .disk.look_at = USEC_NEVER };
	quota_init(&e->quota, limits, n > 0 ? (unsigned)n : 1);
	meter_init(&e->meter);
}

void enforce_deinit(struct front *f)
{
	meter_deinit(&f->enforce.meter);
}

static struct request *running(struct front *f, size_t lane)
{
	struct lane *l = front_lane(f, lane);

	return l && l->current && l->current->is_measured ? l->current : NULL;
}

/* What the group reports is the kernel's limit; a lower one of the turn has to be looked at. */
static bool is_memory_reported(const struct enforce *e, const struct request *r)
{
	return e->memory_is_reported && r->quota.limits.value[LIMIT_memory] == e->quota.limits.value[LIMIT_memory];
}

static bool needs_looks(const struct enforce *e, const struct request *r)
{
	return quota_needs_looks(&r->quota.limits, is_memory_reported(e, r));
}

static uint64_t next_look(const struct enforce *e, const struct request *r, const struct usage *usage, uint64_t now)
{
	return quota_next_look(&e->quota, &r->quota, usage, is_memory_reported(e, r), now);
}

/* All processes count as soon as a limit is about them all. */
static const struct usage *look(struct front *f, bool all)
{
	struct enforce *e = &f->enforce;

	return meter_read(&e->meter, all || quota_needs_looks(&e->quota.limits, false));
}

static const struct usage *glance(struct front *f, const struct request *r)
{
	struct enforce *e = &f->enforce;

	return meter_glance(&e->meter, needs_looks(e, r) || quota_needs_looks(&e->quota.limits, false));
}

void enforce_plan(struct front *f)
{
	struct enforce *e = &f->enforce;

	e->at = e->is_due ? 0 : MIN(MIN(e->quota.look_at, e->memory_again), e->disk.look_at);
	for (size_t i = 0; i < f->n_lanes; i++) {
		struct request *r = running(f, i);

		if (r && !r->ladder.running)
			e->at = MIN(e->at, quota_turn_deadline(&r->quota));
	}
}

void enforce_soon(struct front *f)
{
	f->enforce.is_due = true;
	f->enforce.at = 0;
}

void enforce_worker_started(struct front *f)
{
	struct enforce *e = &f->enforce;

	meter_attach(&e->meter, f->worker.pid);
	e->has_memory_base = false;
	e->has_reports = f->watch_memory.added;
	e->oom_before = e->cgroup ? meter_read(&e->meter, true)->oom_kills : 0;
}

void enforce_worker_ended(struct front *f, const struct rusage *used)
{
	struct enforce *e = &f->enforce;

	meter_detach(&e->meter, used);
	e->in_debugger = false;
	e->quota.look_at = e->memory_again = USEC_NEVER;
	e->at = e->disk.look_at;
}

bool enforce_was_oom(struct front *f)
{
	struct enforce *e = &f->enforce;

	return e->cgroup && meter_read(&e->meter, true)->oom_kills > e->oom_before;
}

const struct cause *enforce_spent(const struct front *f)
{
	return f->enforce.quota.spent.is_set ? &f->enforce.quota.spent : NULL;
}

/* The debugger's commands that run code of the tenant; the others wait for what the tenant's code does, which has its own time. */
static bool is_evaluation(const struct request *r)
{
	static const char *const commands[] = { "evaluate", "setVariable", "setExpression", "variables", "completions",
		"inspectVariables", "richInspectVariables", "copyToGlobals" };
	struct slice command;

	if (json_member(r->message.frames.json[FRAMES_CONTENT], "command", &command) != JSON_STRING)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (json_string_equals(command, commands[i]))
			return true;
	return false;
}

static enum limit timed_by(const struct request *r)
{
	if (request_is_turn(r))
		return LIMIT_wall;
	return r->message.header.type != MSGTYPE_debug_request || is_evaluation(r) ? LIMIT_service : LIMIT_COUNT;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Page tables, stacks in the kernel, sockets: a worker does not count them, and what reaches its limit is to hear it from the worker alone. */
static uint64_t memory_overhead(uint64_t limit)
{
	return MEMORY_OVERHEAD_BYTES + (limit == LIMITS_NONE ? 0 : MIN(limit / 256, 3 * MEMORY_OVERHEAD_BYTES));
}

/* What Python has before the first turn is not the tenant's. */
static void set_memory_base(struct enforce *e, uint64_t bytes)
{
	uint64_t limit = e->quota.limits.value[LIMIT_memory];
	struct error err = { 0 };

	e->memory_base = bytes;
	e->has_memory_base = true;
	if (!e->cgroup || limit == LIMITS_NONE)
		return;
	if (cgroup_set_memory(e->cgroup, limit, bytes, &err) < 0) {
		log_warning("the memory limit counts what Python had before the first turn too: %s", err.text);
	} else if (cgroup_watch_memory_aside(e->cgroup, &err) < 0) {
		log_warning("the memory is looked at in intervals: %s", err.text);
		e->has_reports = false;
	}
}

/* The worker's word for it, as far as it is believed. */
static uint64_t shell_bytes(struct front *f)
{
	struct ring_shared *ring = output_ring(f->output);

	return ring ? MIN(atomic_load(&ring->shell_bytes), RING_SHELL_MOST) : 0;
}

/* What the building of the shell takes is not the tenant's either (link.md 6.2). */
static void follow_shell(struct front *f)
{
	struct enforce *e = &f->enforce;
	uint64_t bytes = shell_bytes(f);
	uint64_t more = minus(bytes, e->shell_bytes);

	if (!e->has_memory_base || more == 0)
		return;
	e->shell_bytes = bytes;
	set_memory_base(e, e->memory_base + more);
}

int enforce_read_limits(const struct front *f, struct request *r, struct error *err)
{
	int ret = 0;

	r->quota.limits = f->enforce.quota.limits;
	if (r->message.header.type == MSGTYPE_execute_request)
		ret = turn_limits_lower(r->message.frames.json[FRAMES_METADATA], &r->quota.limits, err);
	flow_init(&r->flow, &r->quota.limits);
	return ret;
}

void enforce_begin(struct front *f, struct request *r)
{
	struct enforce *e = &f->enforce;
	uint64_t now = clock_monotonic_usec();
	bool is_held;

	quota_turn_begin(&r->quota, timed_by(r), now);
	r->quota.before = *(e->has_memory_base ? glance(f, r) : look(f, needs_looks(e, r)));
	r->is_measured = true;
	if (request_is_turn(r))
		disk_turn_begins(&e->disk, now);
	outlet_turn_begins(f);
	if (!e->has_memory_base) {
		e->shell_bytes = shell_bytes(f);
		set_memory_base(e, r->quota.before.memory_bytes + memory_overhead(e->quota.limits.value[LIMIT_memory]));
	}
	follow_shell(f);
	is_held = e->cgroup && cgroup_memory_hold(e->cgroup) == 0;
	e->memory_is_reported = e->has_reports && is_held &&
	    minus(r->quota.before.memory_bytes, e->memory_base) < e->quota.limits.value[LIMIT_memory];
	if (needs_looks(e, r))
		e->quota.look_at = MIN(e->quota.look_at, next_look(e, r, &r->quota.before, now));
	if (e->in_debugger && r->message.header.type == MSGTYPE_execute_request)
		quota_turn_wait(&r->quota, true, now);
	enforce_plan(f);
}

static void measure(struct request *r, const struct usage *now)
{
	const struct usage *before = &r->quota.before;

	r->used = *now;
	r->used.cpu_usec = minus(now->cpu_usec, before->cpu_usec);
	r->used.cpu_system_usec = MIN(minus(now->cpu_system_usec, before->cpu_system_usec), r->used.cpu_usec);
	r->used.cpu_user_usec = r->used.cpu_usec - r->used.cpu_system_usec;
}

static bool is_idle(struct front *f)
{
	for (size_t i = 0; i < f->n_lanes; i++)
		if (running(f, i))
			return false;
	return true;
}

void enforce_end(struct front *f, struct request *r)
{
	struct enforce *e = &f->enforce;
	uint64_t now = clock_monotonic_usec();
	bool idle;

	if (!r->is_measured)
		return;
	r->is_measured = false;
	r->wall_usec = quota_turn_wall(&r->quota, now);
	measure(r, glance(f, r));
	idle = is_idle(f);
	if (quota_is_spent(&e->quota, &e->meter.total) && !e->spent_told)
		e->quota.look_at = 0;
	if (idle && cause_is_limit(&r->cause) && !cause_is_disk(&r->cause))
		children_end_with(f, r);
	if (idle)
		disk_turn_ends(&e->disk, now);
	if (idle && f->worker.pid)
		quota_idle_begin(&e->quota, &e->meter.total, now);
	enforce_plan(f);
}

void enforce_failed(struct front *f, const struct request *r)
{
	if (is_idle(f) && quota_is_crowded(&f->enforce.quota, &r->used))
		children_end_with(f, r);
}

void enforce_waits(struct front *f, struct request *r, bool waits)
{
	r->waits_for_input = waits;
	if (!r->is_measured)
		return;
	quota_turn_wait(&r->quota, waits || f->enforce.in_debugger, clock_monotonic_usec());
	enforce_plan(f);
}

void enforce_debugger(struct front *f, bool stopped)
{
	uint64_t now = clock_monotonic_usec();

	if (f->enforce.in_debugger == stopped)
		return;
	f->enforce.in_debugger = stopped;
	for (size_t i = 0; i < f->n_lanes; i++) {
		struct request *r = running(f, i);

		if (r && r->message.header.type == MSGTYPE_execute_request)
			quota_turn_wait(&r->quota, stopped || r->waits_for_input, now);
	}
	enforce_plan(f);
}

static void tell(struct front *f, size_t lane, const struct cause *cause)
{
	struct enforce *e = &f->enforce;

	interrupt_limit(f, front_lane(f, lane), cause);
	if (cause->reason != RING_REASON_MEMORY)
		return;
	e->memory_again = MIN(e->memory_again, clock_monotonic_usec() + quota_memory_pause(&e->quota));
	if (e->cgroup && cgroup_memory_ease(e->cgroup) < 0)
		log_warning("a turn that has too much memory is slowed down while it ends");
	children_relieve(f, running(f, lane), cause->limit, cause->used);
}

static bool is_strict(const struct front *f)
{
	return f->profile && f->profile->on_output == PROFILE_ON_OUTPUT_INTERRUPT;
}

/* usage: NULL when nobody has looked. */
static bool has_cause(const struct front *f, const struct request *r, const struct usage *usage, uint64_t now, struct cause *ret)
{
	return quota_turn_is_late(&r->quota, now, ret) || flow_is_spent(&r->flow, is_strict(f), ret) ||
	    (usage && quota_turn_is_spent(&r->quota, usage, f->enforce.memory_base, ret));
}

static void judge(struct front *f, const struct usage *usage, uint64_t now)
{
	struct enforce *e = &f->enforce;
	bool is_new = quota_is_spent(&e->quota, &e->meter.total) && !e->spent_told;
	struct cause cause;

	e->spent_told |= is_new;

	for (size_t i = 0; i < f->n_lanes; i++) {
		struct request *r = running(f, i);

		if (!r || r->ladder.running)
			continue;
		if (is_new)
			tell(f, i, &e->quota.spent);
		else if (has_cause(f, r, usage, now, &cause))
			tell(f, i, &cause);
	}
}

void enforce_last_look(const struct front *f, struct request *r)
{
	struct cause cause;

	if (!r->cause.is_set && flow_is_spent(&r->flow, is_strict(f), &cause))
		r->cause = cause;
}

void enforce_end_background(struct front *f, const char *why)
{
	log_warning("%s, killing them", why);
	f->enforce.quota.idle_over = 0;
	f->killed_worker = true;
	life_condemn(f);
}

static void plan_looks(struct front *f, const struct usage *usage, uint64_t now)
{
	struct enforce *e = &f->enforce;

	e->quota.look_at = USEC_NEVER;
	for (size_t i = 0; i < f->n_lanes; i++) {
		struct request *r = running(f, i);

		if (r && !r->ladder.running)
			e->quota.look_at = MIN(e->quota.look_at, next_look(e, r, usage, now));
	}
	if (is_idle(f) && quota_idle_look(&e->quota, usage, now))
		enforce_end_background(f, "the kernel's CPU time is used up and its processes go on between turns");
}

static bool is_full(const struct enforce *e, const struct request *r, const struct usage *usage)
{
	return minus(usage->memory_bytes, e->memory_base) >= r->quota.limits.value[LIMIT_memory];
}

/* Whoever has handled the error, and made room, is not pursued. */
static void forgive(struct front *f, struct request *r)
{
	struct enforce *e = &f->enforce;

	interrupt_over(f, r);
	r->cause = (struct cause){ 0 };
	if (e->cgroup && cgroup_memory_hold(e->cgroup) != 0)
		e->memory_is_reported = false;
	e->quota.look_at = 0;
}

static void look_at_memory_of(struct front *f, struct request *r, const struct usage *usage, uint64_t now)
{
	struct enforce *e = &f->enforce;
	uint64_t told = r->ladder.end - quota_grace(&e->quota);
	bool has_too_much = is_full(e, r, usage);

	if (!has_too_much && interrupt_was_raised(f, r))
		forgive(f, r);
	else if (has_too_much && now >= told + quota_patience(&e->quota))
		interrupt_hasten(f, r);
	else
		e->memory_again = now + quota_memory_pause(&e->quota);
}

/* Those that were told that there is too much memory. */
static void look_at_memory(struct front *f, uint64_t now)
{
	const struct usage *usage = look(f, true);

	f->enforce.memory_again = USEC_NEVER;
	for (size_t i = 0; i < f->n_lanes; i++) {
		struct request *r = running(f, i);

		if (r && r->ladder.running && !r->ladder.is_hastened && r->cause.reason == RING_REASON_MEMORY)
			look_at_memory_of(f, r, usage, now);
	}
}

void enforce_disk_full(struct front *f, const struct cause *cause)
{
	for (size_t i = 0; i < f->n_lanes; i++) {
		struct request *r = running(f, i);

		if (r && !r->ladder.running)
			tell(f, i, cause);
	}
}

/* Whoever has handled the error, and made room, is not pursued. */
void enforce_disk_fine(struct front *f)
{
	for (size_t i = 0; i < f->n_lanes; i++) {
		struct request *r = running(f, i);

		if (!r || !r->ladder.running || !cause_is_disk(&r->cause))
			continue;
		interrupt_over(f, r);
		r->cause = (struct cause){ 0 };
	}
}

void enforce_tick(struct front *f, uint64_t now)
{
	struct enforce *e = &f->enforce;
	bool looks = now >= e->quota.look_at;
	const struct usage *usage = looks ? look(f, true) : NULL;

	if (now < e->at)
		return;
	e->is_due = false;
	follow_shell(f);
	judge(f, usage, now);
	if (looks)
		plan_looks(f, usage, now);
	if (now >= e->memory_again)
		look_at_memory(f, now);
	disk_watch_tick(f, now);
	enforce_plan(f);
}

/*
 * The group counts what was read from files too, and reports no second time while memory stays at the threshold, as it does with a turn that
 * frees what an earlier one has left: then looks take the place of its reports.
 */
static void on_memory(struct front *f, struct watch *w, uint32_t events)
{
	struct enforce *e = &f->enforce;
	bool is_high, looks;
	const struct usage *usage;
	uint64_t used;

	follow_shell(f);
	is_high = cgroup_memory_take(e->cgroup) > 0;
	usage = look(f, true);
	used = minus(usage->memory_bytes, e->memory_base);
	looks = !is_high;
	(void)w;
	(void)events;
	for (size_t i = 0; is_high && i < f->n_lanes; i++) {
		struct request *r = running(f, i);
		struct cause cause = { .is_set = true, .reason = RING_REASON_MEMORY, .used = used };

		if (!r || r->ladder.running || !is_memory_reported(e, r))
			continue;
		cause.limit = r->quota.limits.value[LIMIT_memory];
		if (quota_turn_has_grown(&r->quota, usage))
			tell(f, i, &cause);
		else
			looks = true;
	}
	if (is_high && is_idle(f))
		children_relieve(f, NULL, e->quota.limits.value[LIMIT_memory], used);
	if (looks) {
		e->memory_is_reported = false;
		e->quota.look_at = 0;
	}
	enforce_plan(f);
}

int enforce_start(struct front *f)
{
	struct enforce *e = &f->enforce;
	int fd;

	e->meter.sandbox = f->source.sandbox;
	e->cgroup = f->source.sandbox ? sandbox_cgroup(f->source.sandbox) : NULL;
	fd = e->cgroup ? cgroup_memory_fd(e->cgroup) : -1;
	if (disk_watch_start(f) < 0)
		return -EIO;
	enforce_plan(f);
	return fd < 0 ? 0 : front_watch(f, &f->watch_memory, fd, EPOLLIN, on_memory);
}
