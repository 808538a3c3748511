/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interrupt: the ladder from an exception to the end of the worker (specs/link.md 5), the same for a client's interrupt and for each limit.
 */
#ifndef HUSK_FRONT_INTERRUPT_H
#define HUSK_FRONT_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/front/verdict.h"

struct front;
struct lane;
struct request;

/* How far one request is up; embedded in it. */
struct ladder {
	bool running;
	bool is_hastened; /* its end has come before that of its grace */
	unsigned step;
	uint32_t seen;   /* of the ring, when its turn began */
	uint64_t pause;  /* between two exceptions, */
	uint64_t polite; /* but until then code that has caught its exception is left alone */
	uint64_t next;
	uint64_t end;    /* the worker is killed */
};

/* Whatever is running, in the main shell and in the subshells; group: and the processes of the front's process group. */
void interrupt_all(struct front *f, bool group);
/* The lane's current request has reached a limit. What was a reason before remains the one that counts. */
void interrupt_limit(struct front *f, struct lane *lane, const struct cause *cause);
/* It has had long enough to free memory: its grace is over. */
void interrupt_hasten(struct front *f, struct request *r);
uint64_t interrupt_deadline(const struct front *f);
void interrupt_tick(struct front *f, uint64_t now);
void interrupt_over(struct front *f, struct request *r); /* it has ended */
void interrupt_forget(struct front *f);                  /* the worker has gone */
/* By the worker's own account. */
uint32_t interrupt_times_raised(struct front *f);
bool interrupt_was_raised(struct front *f, const struct request *r); /* since its ladder began; of subshells it is not known: true */

#endif
