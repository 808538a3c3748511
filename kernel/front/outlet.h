/* SPDX-License-Identifier: Apache-2.0 */
/* outlet: output on its way from the worker to the clients, counted, and let through as far as limits allow (specs/limits.md 6). */
#ifndef HUSK_FRONT_OUTLET_H
#define HUSK_FRONT_OUTLET_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/front/flow.h"
#include "kernel/front/leftover.h"
#include "kernel/front/sender.h"

#define OUTLET_FRAME_BYTES ((size_t)1 << 20) /* that a frame may have, however low the limit of output */
#define OUTLET_DRAIN_USEC (50 * USEC_PER_MSEC)       /* between two looks at a worker whose output nobody wants any more */

struct front;
struct lane;
struct request;

struct outlet {
	struct flow background;   /* what belongs to no running turn, since the last one ended */
	bool background_told;     /* that there is too much of it */
	uint64_t stale_until;     /* text of the ring below that position waited when a turn began: too much of it, and not the turn's */
	struct leftover_place place;
	uint64_t drain_at;
	uint64_t finished; /* bytes of frames that were read on although their turn had been told */
};

enum outlet_kind {
	OUTLET_COMMON,  /* left out when there is too much */
	OUTLET_LAST,    /* a result, an error: it comes after what was kept of the end */
	OUTLET_CONTROL, /* only counted */
};

void outlet_init(struct front *f);
/* As sender_publish() (false: it was left out, and out is as it was). turn: the one that the worker named. */
bool outlet_publish(struct front *f, uint32_t turn, const char *topic, struct outgoing *out, enum outlet_kind kind);
/* A question is about to be asked. alone: no other waits for its answer. False: there is too much output, it is not asked. */
bool outlet_question(struct front *f, uint32_t turn, size_t bytes, bool alone);
/* The reply of a cell is to contain so many bytes that its code has made. False: it is to leave without them. */
bool outlet_reply(struct front *f, struct request *r, size_t bytes);
/* A frame of output with a body of so many bytes has begun. True: that is beyond the limit, and not worth keeping. */
bool outlet_refuses(struct front *f, const struct lane *lane, size_t bytes);
void outlet_skipped(struct front *f, const struct lane *lane, size_t bytes); /* so many of it have come */
/* The largest body of a frame that is no output but may contain some: LINK_MAX_BODY without a limit of output. */
size_t outlet_frame_limit(const struct front *f);
/* Nothing more of this turn: says what was left out, and publishes what was kept of its end. Again: nothing. */
void outlet_close(struct front *f, struct request *r);
void outlet_turn_begins(struct front *f);
/* The worker's output is not read now: nobody wants it. */
bool outlet_is_shut(struct front *f);
/* But for the rest of the frame that this lane's worker is in the middle of: it cannot be interrupted before. */
bool outlet_finishes(struct front *f, const struct lane *lane);
void outlet_finished(struct front *f, size_t bytes); /* were read from a worker whose output is shut */
void outlet_tick(struct front *f, uint64_t now);

#endif
