/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota: the clocks of a turn and of a kernel, and what they say about limits (specs/limits.md 4). Pure: time and what was measured are
 * parameters; what to do about a limit is enforce.c's.
 */
#ifndef HUSK_FRONT_QUOTA_H
#define HUSK_FRONT_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/front/verdict.h"
#include "kernel/sandbox/limits.h"
#include "kernel/sandbox/usage.h"
#include "protocol/base/clock.h"

#define QUOTA_LOOK_LEAST_USEC (2 * USEC_PER_MSEC)     /* between two looks at the CPU time */
#define QUOTA_LOOK_MEMORY_USEC (100 * USEC_PER_MSEC)  /* between two looks at the memory, where nobody reports it */
#define QUOTA_LOOK_IDLE_USEC (1 * USEC_PER_SEC)       /* first look after a turn; each that finds nothing doubles it, */
#define QUOTA_LOOK_IDLE_MOST_USEC (32 * USEC_PER_SEC) /* up to this */
#define QUOTA_GRACE_USEC (5 * USEC_PER_SEC)           /* where the profile does not limit it */
#define QUOTA_PATIENCE_USEC (2 * USEC_PER_SEC)        /* that a turn has to shrink after its MemoryError, */
#define QUOTA_MEMORY_PAUSE_USEC (500 * USEC_PER_MSEC) /* between two looks whether it has, or a quarter of the grace */
#define QUOTA_PATIENCE_OF_GRACE(grace) ((grace) / 5 * 2) /* or this, where it is longer */
#define QUOTA_MEMORY_SLACK_BYTES ((uint64_t)1 << 20)  /* that a turn which began above the limit may add, to tidy up */

struct quota_clock {
	uint64_t used;
	uint64_t since; /* USEC_NEVER: it stands still */
};

/* Of one request that is in a worker. */
struct quota_turn {
	struct limits limits;
	enum limit timed;       /* the limit of its wall time: wall or service; LIMIT_COUNT: none */
	struct quota_clock wall;
	struct quota_clock input;
	struct usage before;
};

/* Its limits are set already. */
void quota_turn_begin(struct quota_turn *t, enum limit timed, uint64_t now);
void quota_turn_restart(struct quota_turn *t, uint64_t now); /* its time begins now */
/* It waits for an answer, or stands in the debugger; or goes on. */
void quota_turn_wait(struct quota_turn *t, bool waits, uint64_t now);
uint64_t quota_turn_wall(const struct quota_turn *t, uint64_t now);

/* When the wall time or the time for input is over; USEC_NEVER. */
uint64_t quota_turn_deadline(const struct quota_turn *t);
bool quota_turn_is_late(const struct quota_turn *t, uint64_t now, struct cause *ret);
/* CPU time and memory. base: memory that does not count. */
bool quota_turn_is_spent(const struct quota_turn *t, const struct usage *usage, uint64_t base, struct cause *ret);

/* Whether it has more memory than at its begin, beyond what it may add to free something. */
bool quota_turn_has_grown(const struct quota_turn *t, const struct usage *usage);

/* Of the kernel. */
struct quota {
	struct limits limits;    /* the profile's */
	unsigned percent;        /* of one processor that the kernel can use at most */
	struct cause spent;      /* a total is used up; set for ever */
	uint64_t output_bytes;
	uint64_t output_messages;
	uint64_t look_at;        /* USEC_NEVER: no look is due */
	uint64_t idle_pause;
	uint64_t idle_cpu;       /* at the last look between turns */
	uint64_t idle_over;      /* used between turns after the total was spent */
};

uint64_t quota_grace(const struct quota *q);
uint64_t quota_patience(const struct quota *q); /* after which a turn that has too much memory is not waited for any longer */
uint64_t quota_memory_pause(const struct quota *q); /* between two looks at one that was told */
void quota_init(struct quota *q, const struct limits *limits, unsigned n_processors);
/* Whether it has nearly as many processes as it may. */
bool quota_is_crowded(const struct quota *q, const struct usage *usage);
/* Whether anything of it has to be looked at while a turn runs. */
bool quota_needs_looks(const struct limits *limits, bool memory_is_reported);
/* A total of CPU time or output was reached; sets spent. */
bool quota_is_spent(struct quota *q, const struct usage *usage);

/* While turns run: when to look again, as far as this turn and the total are concerned. */
uint64_t quota_next_look(const struct quota *q, const struct quota_turn *t, const struct usage *usage, bool memory_is_reported,
    uint64_t now);
/*
 * Between turns. What works in the background is seen at the next look; when nothing does, looks become rare. True: the total was spent before
 * and the kernel has gone on to work for as long as a turn may (grace): only the end of its processes stops it.
 */
bool quota_idle_look(struct quota *q, const struct usage *usage, uint64_t now);
void quota_idle_begin(struct quota *q, const struct usage *usage, uint64_t now);

#endif
