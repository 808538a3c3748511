/* SPDX-License-Identifier: Apache-2.0 */
/* request: one message from a client, from its arrival to its terminal reply and idle. */
#ifndef HUSK_FRONT_REQUEST_H
#define HUSK_FRONT_REQUEST_H

#include <stdbool.h>

#include "kernel/front/channels.h"
#include "kernel/front/flow.h"
#include "kernel/front/interrupt.h"
#include "kernel/front/leftover.h"
#include "kernel/front/quota.h"
#include "protocol/base/clock.h"
#include "protocol/wire/message.h"

struct request {
	struct request *next;
	struct parcel parcel;   /* owns the bytes that message borrows */
	struct message message;
	enum connection_port port;
	uint32_t turn;          /* 0 until it begins */
	uint64_t started_usec;  /* monotonic; 0 until it begins */
	uint64_t began_ticks;   /* the same as processes_now(): before the worker has it */
	char started_iso[CLOCK_ISO8601_SIZE];
	uint32_t count;         /* execution count that execute_input said */
	struct slice code;      /* JSON token, borrowed from the parcel */
	bool silent;
	bool store_history;
	bool stop_on_error;
	bool allow_stdin;
	bool aborted;           /* waits only for its "aborted" reply */
	struct cause cause;     /* why it is being ended, if it is */
	struct ladder ladder;
	bool is_measured;       /* it is in the worker, and its clocks run */
	struct quota_turn quota;
	struct usage used;      /* when it has ended: CPU time of its own, the rest of the kernel */
	uint64_t wall_usec;
	struct flow flow;
	struct leftover *leftover; /* of its output; NULL: none */
	bool error_shown;       /* it has published its error */
	bool error_cut;         /* but for the most of it: it was too large */
	bool is_closed;         /* nothing more of its output is kept */
	uint32_t raised_before; /* interrupts that the worker had seen when it began */
	bool waits_for_input;
	uint32_t input_turn;    /* that asked for it: an outlived thread has an earlier one */
};

struct request *request_new(struct parcel *parcel, const struct message *m, enum connection_port port); /* takes the parcel */
struct request *request_free(struct request *r);

bool request_is_comm(const struct request *r); /* served by the worker, and never answered (wire.md 7.5) */
bool request_is_turn(const struct request *r); /* a cell or a comm message: code of the tenant that has a turn's limits */

/* FIFO with bounds in count and bytes. */
struct queue {
	struct request *head;
	struct request **tail;
	size_t n;
	size_t n_bytes;
};

#define QUEUE_MAX 4096
#define QUEUE_MAX_BYTES ((size_t)64 << 20)

void queue_init(struct queue *q);
void queue_push(struct queue *q, struct request *r);
struct request *queue_pop(struct queue *q); /* NULL when empty */
/* The first that is wanted; NULL when there is none. */
struct request *queue_take(struct queue *q, bool (*is_wanted)(const struct request *r));
bool queue_is_full(const struct queue *q);  /* by count, or by bytes when something is queued */

#endif
