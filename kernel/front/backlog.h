/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backlog: what a slow subscriber may hold, and how long it may hold the kernel up (specs/wire.md 9.5). A pure table over
 * bytes and time, one for each subscriber.
 */
#ifndef HUSK_FRONT_BACKLOG_H
#define HUSK_FRONT_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/clock.h"

#define SENDER_BUDGET_BYTES ((size_t)64 << 20)
#define SENDER_STALL_USEC (2 * USEC_PER_SEC)

struct backlog {
	size_t lowest;        /* of its bytes since the budget was exceeded: falling means that it reads */
	uint64_t since;       /* when "lowest" last fell; 0: not over the budget */
	bool stalled;         /* it did not read for too long: output is dropped for it until half of the budget is free */
	size_t n_dropped;
};

/* Whether output waits for this subscriber, which holds so many bytes. hurry: nothing waits, what exceeds is dropped. */
bool backlog_blocks(struct backlog *b, size_t bytes, uint64_t now_usec, bool hurry);
uint64_t backlog_deadline(const struct backlog *b); /* when to ask again; USEC_NEVER */
/* Whether this subscriber does not get a message; counted. vital: what clients cannot do without has twice the room. */
bool backlog_drops(struct backlog *b, size_t bytes, size_t message_bytes, bool vital);
/* When the stall is over: how much was dropped since (and forgets it); 0 otherwise. */
size_t backlog_recovered(struct backlog *b, size_t bytes);

#endif
