/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output: text of the worker (ring and pipes) to iopub stream messages: coalesced by time and size, UTF-8 repaired,
 * in order (specs/link.md 4, wire.md 9).
 */
#ifndef HUSK_FRONT_OUTPUT_H
#define HUSK_FRONT_OUTPUT_H

#include <stdbool.h>

#include "kernel/front/sender.h"
#include "kernel/front/turns.h"
#include "protocol/base/clock.h"
#include "protocol/link/ring.h"

#define OUTPUT_DELAY_USEC (20 * USEC_PER_MSEC)
#define OUTPUT_MESSAGE_BYTES ((size_t)256 << 10)
#define OUTPUT_TAIL_BYTES 4096u /* of stderr, kept for the report of a death */

struct output;

int output_new(struct turns *turns, struct output **ret) must_check;
struct output *output_free(struct output *o);
/* The worker is started before the key is read, hence before there is a sender; nothing is pulled until this. */
void output_set_sender(struct output *o, struct sender *s);

/* Who may keep text back. */
struct output_gate {
	/* How many bytes of this piece of text are published, from its beginning; the rest is the gate's. It may be shared memory. */
	size_t (*admit)(void *data, uint32_t turn, uint32_t stream, struct slice text);
	void (*shown)(void *data, uint32_t turn); /* a message of text has left */
};
void output_set_gate(struct output *o, const struct output_gate *gate, void *data);

/* A worker was started: its ring (made here, a memfd for the worker) and the read ends of its pipes (borrowed). */
int output_attach(struct output *o, const int pipes[2], int *ret_ring_fd) must_check;
void output_detach(struct output *o); /* its worker is gone and everything was pulled */
struct ring_shared *output_ring(struct output *o);

/* A turn begins: text waits up to OUTPUT_DELAY_USEC from now, without waking the front before. */
void output_begin(struct output *o, uint32_t turn, uint64_t now_usec);
/* Publishes ring text below the position (UINT64_MAX: all there is), then what is pending. */
void output_barrier(struct output *o, uint64_t ring_pos);
/* After a barrier: whether there was text up to that position at all. */
bool output_has_reached(const struct output *o, uint64_t ring_pos);
/* The turn has ended and everything was published: from now on the first byte rings. */
void output_idle(struct output *o);

/* The ring's head. A frame that was made before the text below it lies in the link by now: who handles the link before a pull, and
 * lets that pull go no further than this, lets no text overtake a frame (specs/link.md 4.3). */
uint64_t output_head(struct output *o);
uint64_t output_tail(const struct output *o); /* all text below it has been taken */
void output_limit_next_pull(struct output *o, uint64_t head);
/* The doorbell rang, a pipe is readable, or the deadline passed. Bounded work; true when there may be more. */
bool output_pull(struct output *o, uint64_t now_usec);
bool output_pull_pipe(struct output *o, int which, uint64_t now_usec);
uint64_t output_deadline(const struct output *o);
/* A pull found slow subscribers and did nothing: to be called again when they have caught up. */
bool output_is_held(const struct output *o);
/* The worker wrote indices or marks into the ring that no honest writer makes. */
bool output_is_broken(const struct output *o);

/* Everything that a dead worker left. */
void output_drain_all(struct output *o);

/* Last text on stderr; borrowed. */
struct slice output_stderr_tail(struct output *o);

#endif
