/* SPDX-License-Identifier: Apache-2.0 */
/* outlet: output on its way from the worker to the clients, counted, and let through as far as limits allow (specs/limits.md 6). */
#ifndef HUSK_FRONT_OUTLET_H
#define HUSK_FRONT_OUTLET_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/front/flow.h"
#include "kernel/front/leftover.h"
#include "kernel/front/sender.h"

#define OUTLET_DRAIN_USEC (50 * USEC_PER_MSEC) /* between two looks at a worker whose output nobody wants any more */

struct front;
struct request;

struct outlet {
	struct flow background;   /* what belongs to no running turn, since the last one ended */
	bool background_told;     /* that there is too much of it */
	struct leftover_place place;
	uint64_t drain_at;
};

enum outlet_kind {
	OUTLET_COMMON,  /* left out when there is too much */
	OUTLET_LAST,    /* a result, an error, a question: it comes after what was kept of the end */
	OUTLET_CONTROL, /* only counted */
};

void outlet_init(struct front *f);
/* As sender_publish() (false: it was left out, and out is as it was). turn: the one that the worker named. */
bool outlet_publish(struct front *f, uint32_t turn, const char *topic, struct outgoing *out, enum outlet_kind kind);
/* The same count and judgement for what leaves in another way. */
bool outlet_admit(struct front *f, uint32_t turn, size_t bytes, enum outlet_kind kind);
/* Nothing more of this turn: says what was left out, and publishes what was kept of its end. Again: nothing. */
void outlet_close(struct front *f, struct request *r);
void outlet_turn_begins(struct front *f);
/* The worker's output is not read now: nobody wants it. */
bool outlet_is_shut(struct front *f);
void outlet_tick(struct front *f, uint64_t now);

#endif
