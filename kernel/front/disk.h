/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk: a workspace in a directory of the host, which nothing but looks can bound (specs/limits.md 9). When to have it
 * measured and what the answer says, pure; disk-watch.c asks and acts.
 */
#ifndef HUSK_FRONT_DISK_H
#define HUSK_FRONT_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/front/verdict.h"
#include "kernel/sandbox/limits.h"
#include "kernel/sandbox/tree-size.h"
#include "protocol/base/clock.h"

#define DISK_SLACK_BYTES ((uint64_t)1 << 20) /* that a turn which began above the limit may add, to tidy up */
#define DISK_SLACK_FILES UINT64_C(16)
#define DISK_HIDDEN_USEC (1 * USEC_PER_SEC) /* that a turn has to show what was hidden when it began */
#define DISK_LOOK_USEC (250 * USEC_PER_MSEC)      /* between two looks while a turn runs */
#define DISK_LOOK_NEAR_USEC (20 * USEC_PER_MSEC)  /* the same near the limit, and above it */
#define DISK_LOOK_IDLE_USEC (1 * USEC_PER_SEC)    /* the first look after a turn; each that finds no growth doubles it, */
#define DISK_LOOK_IDLE_MOST_USEC (32 * USEC_PER_SEC) /* up to this */
#define DISK_SHARE 20u                            /* a look costs one part in so many of the time, */
#define DISK_SHARE_NEAR 4u                        /* near the limit in so many, */
#define DISK_SHARE_IDLE 100u                      /* and between turns */

struct disk {
	bool is_watched; /* else all that follows means nothing */
	uint64_t limit_bytes;
	uint64_t limit_files;
	struct tree_size size; /* as of the last answer */
	bool is_known;         /* there was one */
	int error;             /* of the last answer, which was none */
	uint64_t look_at;      /* USEC_NEVER: while one is under way too */
	bool is_asked;
	uint64_t asked_at;
	uint64_t cost;       /* of the last look */
	bool is_running;     /* a turn runs */
	bool begins;         /* the next answer says what there was at its beginning, or at its end */
	uint64_t most_bytes; /* that it may have: the limit, or a little more than it began with */
	uint64_t most_files;
	bool was_cut;        /* it began with something that could not be counted */
	uint64_t began_at;
	uint64_t idle_pause;
	bool is_warned; /* it grew beyond the limit between turns */
};

enum disk_answer { DISK_FINE, DISK_TURNS_END, DISK_ALL_ENDS };

void disk_init(struct disk *d, const struct limits *limits, bool is_watched);
void disk_turn_begins(struct disk *d, uint64_t now); /* where none runs */
void disk_turn_ends(struct disk *d, uint64_t now);   /* the last one */
void disk_asked(struct disk *d, uint64_t now);
/* size: NULL when it could not be measured. cause: of the turns that are to end. */
enum disk_answer disk_answered(struct disk *d, const struct tree_size *size, uint64_t now, struct cause *ret);

#endif
