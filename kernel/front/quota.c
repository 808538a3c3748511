/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota: clocks and their limits.
 *
 * A look at the CPU time costs system calls, so it is due no earlier than a limit can be reached: what is left, divided by the processors
 * that may work at once. As less is left the looks come closer, down to QUOTA_LOOK_LEAST_USEC.
 */
#include "kernel/front/quota.h"

#include "protocol/base/util.h"

static const struct quota_clock clock_standing = { 0, USEC_NEVER };

static uint64_t clock_read(const struct quota_clock *c, uint64_t now)
{
	return c->used + (c->since < now ? now - c->since : 0);
}

static void clock_stop(struct quota_clock *c, uint64_t now)
{
	c->used = clock_read(c, now);
	c->since = USEC_NEVER;
}

static void clock_go(struct quota_clock *c, uint64_t now)
{
	if (c->since == USEC_NEVER)
		c->since = now;
}

/* When the clock reaches the limit; USEC_NEVER when it stands still, or without a limit. */
static uint64_t clock_due(const struct quota_clock *c, uint64_t limit)
{
	if (c->since == USEC_NEVER || limit == LIMITS_NONE)
		return USEC_NEVER;
	return c->since + (limit > c->used ? limit - c->used : 0);
}

void quota_turn_begin(struct quota_turn *t, enum limit timed, uint64_t now)
{
	t->timed = timed;
	quota_turn_restart(t, now);
}

void quota_turn_restart(struct quota_turn *t, uint64_t now)
{
	t->wall = (struct quota_clock){ 0, now };
	t->input = clock_standing;
}

void quota_turn_wait(struct quota_turn *t, bool waits, uint64_t now)
{
	clock_stop(waits ? &t->wall : &t->input, now);
	clock_go(waits ? &t->input : &t->wall, now);
}

uint64_t quota_turn_wall(const struct quota_turn *t, uint64_t now)
{
	return clock_read(&t->wall, now);
}

static uint64_t wall_limit(const struct quota_turn *t)
{
	return t->timed == LIMIT_COUNT ? LIMITS_NONE : t->limits.value[t->timed];
}

static struct cause cause(enum ring_reason reason, uint64_t limit, uint64_t used)
{
	return (struct cause){ .is_set = true, .reason = reason, .limit = limit, .used = used };
}

uint64_t quota_turn_deadline(const struct quota_turn *t)
{
	return MIN(clock_due(&t->wall, wall_limit(t)), clock_due(&t->input, t->limits.value[LIMIT_input]));
}

bool quota_turn_is_late(const struct quota_turn *t, uint64_t now, struct cause *ret)
{
	if (now >= clock_due(&t->wall, wall_limit(t))) {
		*ret = cause(t->timed == LIMIT_service ? RING_REASON_SERVICE : RING_REASON_WALL, wall_limit(t),
		    clock_read(&t->wall, now));
		return true;
	}
	if (now >= clock_due(&t->input, t->limits.value[LIMIT_input])) {
		*ret = cause(RING_REASON_INPUT, t->limits.value[LIMIT_input], clock_read(&t->input, now));
		return true;
	}
	return false;
}

static uint64_t cpu_used(const struct quota_turn *t, const struct usage *usage)
{
	return usage->cpu_usec > t->before.cpu_usec ? usage->cpu_usec - t->before.cpu_usec : 0;
}

bool quota_turn_has_grown(const struct quota_turn *t, const struct usage *usage)
{
	return usage->memory_bytes > t->before.memory_bytes + QUOTA_MEMORY_SLACK_BYTES;
}

bool quota_turn_is_spent(const struct quota_turn *t, const struct usage *usage, uint64_t base, struct cause *ret)
{
	uint64_t cpu = t->limits.value[LIMIT_cpu], memory = t->limits.value[LIMIT_memory];
	uint64_t used = usage->memory_bytes > base ? usage->memory_bytes - base : 0;

	if (cpu_used(t, usage) >= cpu) {
		*ret = cause(RING_REASON_CPU, cpu, cpu_used(t, usage));
		return true;
	}
	if (memory != LIMITS_NONE && used >= memory && quota_turn_has_grown(t, usage)) {
		*ret = cause(RING_REASON_MEMORY, memory, used);
		return true;
	}
	return false;
}

uint64_t quota_grace(const struct quota *q)
{
	return q->limits.value[LIMIT_grace] == LIMITS_NONE ? QUOTA_GRACE_USEC : q->limits.value[LIMIT_grace];
}

uint64_t quota_patience(const struct quota *q)
{
	return MAX(QUOTA_PATIENCE_USEC, QUOTA_PATIENCE_OF_GRACE(quota_grace(q)));
}

uint64_t quota_memory_pause(const struct quota *q)
{
	return MIN(QUOTA_MEMORY_PAUSE_USEC, quota_grace(q) / 4);
}

void quota_init(struct quota *q, const struct limits *limits, unsigned n_processors)
{
	uint64_t share = limits->value[LIMIT_cpu_share], all = (uint64_t)MAX(n_processors, 1u) * 100;

	*q = (struct quota){ .limits = *limits, .percent = (unsigned)MIN(all, share), .look_at = USEC_NEVER };
}

bool quota_is_crowded(const struct quota *q, const struct usage *usage)
{
	uint64_t limit = q->limits.value[LIMIT_processes];

	return limit != LIMITS_NONE && usage->processes >= limit - limit / 4;
}

bool quota_needs_looks(const struct limits *limits, bool memory_is_reported)
{
	return limits->value[LIMIT_cpu] != LIMITS_NONE || limits->value[LIMIT_cpu_total] != LIMITS_NONE ||
	    (limits->value[LIMIT_memory] != LIMITS_NONE && !memory_is_reported);
}

static bool is_total_spent(struct quota *q, enum ring_reason reason, enum limit which, uint64_t used)
{
	if (used < q->limits.value[which])
		return false;
	if (!q->spent.is_set)
		q->spent = cause(reason, q->limits.value[which], used);
	return true;
}

bool quota_is_spent(struct quota *q, const struct usage *usage)
{
	return is_total_spent(q, RING_REASON_CPU_TOTAL, LIMIT_cpu_total, usage->cpu_usec) ||
	    is_total_spent(q, RING_REASON_OUTPUT_TOTAL, LIMIT_output_total, q->output_bytes) ||
	    is_total_spent(q, RING_REASON_OUTPUT_TOTAL_MESSAGES, LIMIT_output_total_messages, q->output_messages);
}

/* The least time in which so much CPU time can be used. */
static uint64_t time_for(const struct quota *q, uint64_t limit, uint64_t used)
{
	uint64_t left = limit > used ? limit - used : 0;

	if (limit == LIMITS_NONE)
		return USEC_NEVER;
	return MAX(left / q->percent * 100, QUOTA_LOOK_LEAST_USEC);
}

static uint64_t after(uint64_t now, uint64_t pause)
{
	return pause == USEC_NEVER ? USEC_NEVER : now + pause;
}

uint64_t quota_next_look(const struct quota *q, const struct quota_turn *t, const struct usage *usage, bool memory_is_reported,
    uint64_t now)
{
	uint64_t pause = time_for(q, t->limits.value[LIMIT_cpu], cpu_used(t, usage));

	if (!q->spent.is_set)
		pause = MIN(pause, time_for(q, q->limits.value[LIMIT_cpu_total], usage->cpu_usec));
	if (t->limits.value[LIMIT_memory] != LIMITS_NONE && !memory_is_reported)
		pause = MIN(pause, QUOTA_LOOK_MEMORY_USEC);
	return after(now, pause);
}

void quota_idle_begin(struct quota *q, const struct usage *usage, uint64_t now)
{
	q->idle_cpu = usage->cpu_usec;
	q->idle_pause = QUOTA_LOOK_IDLE_USEC;
	q->look_at = q->limits.value[LIMIT_cpu_total] == LIMITS_NONE ? USEC_NEVER : now + q->idle_pause;
}

bool quota_idle_look(struct quota *q, const struct usage *usage, uint64_t now)
{
	uint64_t used = usage->cpu_usec > q->idle_cpu ? usage->cpu_usec - q->idle_cpu : 0;
	bool works = used > q->idle_pause / 50;

	if (q->spent.is_set)
		q->idle_over += used;
	q->idle_pause = works ? QUOTA_LOOK_IDLE_USEC : MIN(q->idle_pause * 2, QUOTA_LOOK_IDLE_MOST_USEC);
	q->idle_cpu = usage->cpu_usec;
	q->look_at = now + q->idle_pause;
	if (!quota_is_spent(q, usage) && works)
		q->look_at = MIN(q->look_at, now + MAX(time_for(q, q->limits.value[LIMIT_cpu_total], usage->cpu_usec),
			10 * QUOTA_LOOK_LEAST_USEC));
	return q->spent.is_set && q->idle_over >= quota_grace(q);
}
