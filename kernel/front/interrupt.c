/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interrupt: the ladder from an exception to the end of the worker (specs/link.md 5).
 *
 * The shared words of the ring name the main shell's turn; the turns of subshells and of the debugger are named in frames.
 */
#include "kernel/front/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include "kernel/front/lanes.h"
#include "kernel/front/life.h"
#include "kernel/front/state.h"
#include "protocol/base/log.h"
#include "protocol/link/reason.h"

#define STAGE_1_STEPS 3u /* exceptions before the sticky trace */

/* The worker's own word; it decides how politely the ladder goes on, never whether it ends in the kill. */
uint32_t interrupt_times_raised(struct front *f)
{
	struct ring_shared *ring = output_ring(f->output);

	return ring ? atomic_load(&ring->interrupt_seen) : 0;
}

bool interrupt_was_raised(struct front *f, const struct request *r)
{
	return f->interrupt_turn != r->turn || interrupt_times_raised(f) != r->ladder.seen;
}

static void raise_in_main(struct front *f, const struct request *r)
{
	struct ring_shared *ring = output_ring(f->output);

	if (!ring)
		return;
	f->interrupt_turn = r->turn;
	atomic_store(&ring->interrupt_limit, r->cause.limit);
	atomic_store(&ring->interrupt_used, r->cause.used);
	atomic_store(&ring->interrupt_reason, (uint32_t)r->cause.reason);
	atomic_store(&ring->interrupt_stage, r->ladder.step < STAGE_1_STEPS ? 1 : 2);
	atomic_store(&ring->interrupt_turn, r->turn);
	worker_signal(&f->worker);
}

/* The worker reads its link at once, although the main shell is busy. */
static void raise_in_thread(struct front *f, const struct request *r)
{
	struct buffer *out = &f->main.peer.out;
	size_t begin = peer_begin(&f->main.peer);

	msgpack_write_array(out, 4);
	msgpack_write_u64(out, r->turn);
	msgpack_write_u64(out, r->cause.reason);
	msgpack_write_u64(out, r->cause.limit);
	msgpack_write_u64(out, r->cause.used);
	if (peer_end(&f->main.peer, begin, LINK_INTERRUPT) == 0 && f->main.current && peer_flush(&f->main.peer) >= 0)
		worker_signal(&f->worker);
}

static void raise_in(struct front *f, const struct lane *lane)
{
	if (lane->kind == LANE_MAIN)
		raise_in_main(f, lane->current);
	else
		raise_in_thread(f, lane->current);
}

static void signal_group(void)
{
	if (getpgrp() != getpid())
		return;
	(void)kill(0, SIGINT);
}

static void start(struct front *f, const struct lane *lane, uint64_t now)
{
	struct request *r = lane->current;
	struct ladder *l = &r->ladder;
	uint64_t grace = quota_grace(&f->enforce.quota);
	bool is_main = lane->kind == LANE_MAIN;

	*l = (struct ladder){ .running = true, .end = now + grace };
	l->polite = now + MIN(FRONT_INTERRUPT_POLITE_USEC, grace * 3 / 5);
	l->pause = MIN(FRONT_INTERRUPT_REPEAT_USEC, grace / 8);
	l->seen = r->raised_before; /* a SIGINT to the group may have reached the worker first */
	l->next = is_main ? now + MIN(FRONT_INTERRUPT_FIRST_USEC, grace / 8) : l->polite;
	f->interrupt_at = MIN(f->interrupt_at, MIN(l->next, l->end));
	if (is_main)
		sender_hurry(f->sender, true); /* its end must not wait for a client that does not read */
}

static void climb(struct front *f, struct lane *lane, const struct cause *cause)
{
	struct request *r = lane->current;

	if (!r->cause.is_set)
		r->cause = *cause;
	if (!r->ladder.running)
		start(f, lane, clock_monotonic_usec());
	raise_in(f, lane);
}

void interrupt_all(struct front *f, bool group)
{
	const struct cause cause = CAUSE_INTERRUPT;

	if (f->worker_state != WORKER_READY)
		return;
	for (size_t i = 0; i < FRONT_MAX_SUBSHELLS; i++)
		if (f->subshells[i].in_use && f->subshells[i].current)
			climb(f, &f->subshells[i], &cause);
	if (!f->main.current)
		return;
	climb(f, &f->main, &cause);
	if (group)
		signal_group();
}

void interrupt_limit(struct front *f, struct lane *lane, const struct cause *cause)
{
	if (f->worker_state == WORKER_READY && lane->current)
		climb(f, lane, cause);
}

static void kill_late(struct front *f, const struct request *r)
{
	const struct quota *q = &f->enforce.quota;
	unsigned long long msec = (r->ladder.is_hastened ? quota_patience(q) : quota_grace(q)) / USEC_PER_MSEC;
	char why[REASON_MESSAGE_MAX];

	reason_message(r->cause.reason, r->cause.limit, r->cause.used, why);
	log_warning("the interrupted cell did not %s within %llu ms, killing the worker%s%s%s",
	    r->ladder.is_hastened ? "free memory" : "end", msec, why[0] ? " (" : "", why, why[0] ? ")" : "");
	f->killed_worker = true;
	interrupt_forget(f);
	life_condemn(f);
}

/* Where Python drops the exception of one call (__del__, a gc callback) it takes one for each of them, which may be many. */
static uint64_t pause_after(const struct ladder *l, bool is_main)
{
	if (!is_main)
		return l->pause;
	return MIN(l->step < STAGE_1_STEPS ? FRONT_INTERRUPT_FIRST_USEC : FRONT_INTERRUPT_STICKY_USEC, l->pause);
}

/* After the time that code has for its clean-up the exception is raised again and again, then comes the kill. */
static void step(struct front *f, const struct lane *lane, uint64_t now)
{
	struct ladder *l = &lane->current->ladder;

	if (lane->kind == LANE_MAIN && interrupt_times_raised(f) != l->seen && now < l->polite) {
		l->next = l->polite;
		l->step = STAGE_1_STEPS;
		return;
	}
	l->step++;
	l->next = now + pause_after(l, lane->kind == LANE_MAIN);
	raise_in(f, lane);
}

void interrupt_hasten(struct front *f, struct request *r)
{
	r->ladder.is_hastened = true;
	r->ladder.end = 0;
	f->interrupt_at = 0;
}

uint64_t interrupt_deadline(const struct front *f)
{
	return f->interrupt_at;
}

void interrupt_tick(struct front *f, uint64_t now)
{
	if (now < f->interrupt_at)
		return;
	f->interrupt_at = USEC_NEVER;
	for (size_t i = 0; i < f->n_lanes; i++) {
		struct lane *lane = front_lane(f, i);
		struct request *r = lane ? lane->current : NULL;

		if (!r || !r->ladder.running)
			continue;
		if (now >= r->ladder.end) {
			kill_late(f, r);
			return;
		}
		if (now >= r->ladder.next)
			step(f, lane, now);
		f->interrupt_at = MIN(f->interrupt_at, MIN(r->ladder.next, r->ladder.end));
	}
}

void interrupt_over(struct front *f, struct request *r)
{
	struct ring_shared *ring = output_ring(f->output);

	if (!r->ladder.running)
		return;
	r->ladder.running = false;
	if (f->interrupt_turn != r->turn)
		return;
	f->interrupt_turn = 0;
	sender_hurry(f->sender, f->ending);
	if (!ring)
		return;
	atomic_store(&ring->interrupt_turn, 0);
	atomic_store(&ring->interrupt_stage, 0);
}

void interrupt_forget(struct front *f)
{
	f->interrupt_at = USEC_NEVER;
	f->interrupt_turn = 0;
	for (size_t i = 0; i < f->n_lanes; i++) {
		struct lane *lane = front_lane(f, i);

		if (lane && lane->current)
			lane->current->ladder.running = false;
	}
}
