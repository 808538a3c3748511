/* SPDX-License-Identifier: Apache-2.0 */
/* interrupt: the ladder from an exception to the end of the worker (specs/link.md 5). */
#include "kernel/front/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include "kernel/front/front.h"
#include "protocol/base/log.h"

/* The worker's own word; it decides how politely the ladder goes on, never whether it ends in the kill. */
uint32_t interrupt_times_raised(struct front *f)
{
	struct ring_shared *ring = output_ring(f->output);

	return ring ? atomic_load(&ring->interrupt_seen) : 0;
}

static void raise_now(struct front *f, unsigned stage)
{
	struct ring_shared *ring = output_ring(f->output);

	if (!ring)
		return;
	atomic_store(&ring->interrupt_reason, 0);
	atomic_store(&ring->interrupt_stage, stage);
	atomic_store(&ring->interrupt_turn, f->interrupt_turn);
	worker_signal(&f->worker);
}

static void signal_group(void)
{
	if (getpgrp() != getpid())
		return;
	(void)kill(0, SIGINT);
}

static struct request *subshell_request(const struct front *f, size_t i)
{
	return f->subshells[i].in_use ? f->subshells[i].current : NULL;
}

/* The shared words name one turn, the main shell's. The others are named in frames (specs/link.md 5.5). */
static bool interrupt_one(struct front *f, struct request *r)
{
	size_t begin = peer_begin(&f->main.peer);

	msgpack_write_array(&f->main.peer.out, 1);
	msgpack_write_u64(&f->main.peer.out, r->turn);
	return peer_end(&f->main.peer, begin, LINK_INTERRUPT) == 0;
}

/* The worker reads its link at once, although the main shell is busy. */
static void interrupts_sent(struct front *f)
{
	if (f->main.current && peer_flush(&f->main.peer) >= 0)
		worker_signal(&f->worker);
}

static void interrupt_subshells(struct front *f, uint64_t now)
{
	bool sent = false;

	for (size_t i = 0; i < FRONT_MAX_SUBSHELLS; i++) {
		struct request *r = subshell_request(f, i);

		if (!r)
			continue;
		if (!r->interrupted) {
			r->interrupted = true;
			r->interrupt_next = now + FRONT_INTERRUPT_POLITE_USEC;
			r->interrupt_end = now + FRONT_INTERRUPT_GRACE_USEC;
			f->subshells_at = MIN(f->subshells_at, r->interrupt_next);
		}
		sent |= interrupt_one(f, r);
	}
	if (sent)
		interrupts_sent(f);
}

void interrupt_all(struct front *f, bool group)
{
	struct request *r = f->main.current;
	uint64_t now = clock_monotonic_usec();

	if (f->worker_state != WORKER_READY)
		return;
	interrupt_subshells(f, now);
	if (!r)
		return;
	if (!f->interrupt_turn || f->interrupt_turn != r->turn) {
		f->interrupt_turn = r->turn;
		f->interrupt_seen = r->raised_before; /* a SIGINT to the group may have reached the worker first */
		f->interrupt_step = 0;
		f->interrupt_polite = now + FRONT_INTERRUPT_POLITE_USEC;
		f->interrupt_end = now + FRONT_INTERRUPT_GRACE_USEC;
		f->interrupt_next = now + 60 * USEC_PER_MSEC;
		r->interrupted = true;
		sender_hurry(f->sender, true); /* its end must not wait for a client that does not read */
	}
	raise_now(f, f->interrupt_step < 3 ? 1 : 2);
	if (group)
		signal_group();
}

static void kill_interrupted(struct front *f)
{
	log_warning("the interrupted cell did not end within %llu s, killing the worker",
	    FRONT_INTERRUPT_GRACE_USEC / USEC_PER_SEC);
	f->killed_worker = true;
	f->interrupt_turn = 0;
	f->subshells_at = USEC_NEVER;
	life_condemn(f);
}

/* After the time that code has for its clean-up the exception is raised again and again, then comes the kill. */
static void subshells_tick(struct front *f, uint64_t now)
{
	bool sent = false;

	f->subshells_at = USEC_NEVER;
	for (size_t i = 0; i < FRONT_MAX_SUBSHELLS; i++) {
		struct request *r = subshell_request(f, i);

		if (!r || !r->interrupted)
			continue;
		if (now >= r->interrupt_end) {
			kill_interrupted(f);
			return;
		}
		if (now >= r->interrupt_next) {
			r->interrupt_next = now + FRONT_INTERRUPT_REPEAT_USEC;
			sent |= interrupt_one(f, r);
		}
		f->subshells_at = MIN(f->subshells_at, MIN(r->interrupt_next, r->interrupt_end));
	}
	if (sent)
		interrupts_sent(f);
}

void interrupt_tick(struct front *f, uint64_t now)
{
	if (now >= f->subshells_at)
		subshells_tick(f, now);
	if (!f->interrupt_turn || now < MIN(f->interrupt_next, f->interrupt_end))
		return;
	if (now >= f->interrupt_end) {
		kill_interrupted(f);
		return;
	}
	if (interrupt_times_raised(f) != f->interrupt_seen && now < f->interrupt_polite) {
		f->interrupt_next = f->interrupt_polite;
		f->interrupt_step = 3;
		return;
	}
	f->interrupt_step++;
	f->interrupt_next = now + (f->interrupt_step < 3 ? 60 * USEC_PER_MSEC : FRONT_INTERRUPT_REPEAT_USEC);
	raise_now(f, f->interrupt_step < 3 ? 1 : 2);
}

void interrupt_over(struct front *f, uint32_t turn)
{
	struct ring_shared *ring = output_ring(f->output);

	if (f->interrupt_turn != turn || !turn)
		return;
	f->interrupt_turn = 0;
	sender_hurry(f->sender, f->ending);
	if (ring) {
		atomic_store(&ring->interrupt_turn, 0);
		atomic_store(&ring->interrupt_stage, 0);
	}
}
