/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep: ends whatever a worker has left running below the front: asked first, then killed. It never waits: the loop
 * calls
 * it at its deadline and after each SIGCHLD, and serves its sockets meanwhile.
 */
#ifndef HUSK_FRONT_SWEEP_H
#define HUSK_FRONT_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/clock.h"

#define SWEEP_TERM_USEC (200 * USEC_PER_MSEC) /* from SIGTERM to the first SIGKILL */
#define SWEEP_KILL_USEC (100 * USEC_PER_MSEC) /* from one SIGKILL to the next: what forks meanwhile is found then */
#define SWEEP_KILLS 5u
#define SWEEP_SANDBOX_USEC (2 * USEC_PER_SEC) /* that a sandbox has to become empty */

struct sandbox;

struct sweep {
	bool running;
	struct sandbox *sandbox; /* that is emptied; NULL: what is below this process */
	bool emptied;
	unsigned n_kills;
	uint64_t next; /* while it is running */
};

/* Only while no worker runs: all children are reaped and meant; in a sandbox everything but its pid 1. */
void sweep_start(struct sweep *s, struct sandbox *sandbox, uint64_t now);
void sweep_emptied(struct sweep *s); /* the sandbox has said so, or has ended */
bool sweep_tick(struct sweep *s, uint64_t now); /* true: it has come to its end with this call */
void sweep_wait(void);                          /* the same where there is no loop: blocks for at most 0.7 s */

#endif
