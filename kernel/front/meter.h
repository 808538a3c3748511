/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meter: what a kernel uses, by the means that there are: its sandbox (a control group, or its proc); else what is in /proc. CPU time only grows, whatever
 * becomes of the processes that have used it.
 */
#ifndef HUSK_FRONT_METER_H
#define HUSK_FRONT_METER_H

#include <stdbool.h>
#include <sys/resource.h>
#include <time.h>

#include "kernel/sandbox/usage.h"

struct sandbox;

#define METER_STALE_USEC 1000 /* CPU time that a worker may use until all is read again, where that can be told */
#define METER_STALE_WALL_USEC 10000 /* and the time that may pass, where what it has started may work instead of it */

struct meter {
	struct sandbox *sandbox; /* borrowed: it knows what runs in it; NULL: there is none, what is below the front counts */
	int proc_fd;             /* without a sandbox: of /proc, opened when it is needed */
	pid_t pid;               /* the worker's; 0: none */
	int stat_fd;             /* without a sandbox */
	clockid_t clock;         /* the worker's; CLOCK_MONOTONIC: not known */
	uint64_t stat_at;        /* of that clock, when stat was read */
	uint64_t all_at;         /* of that clock, when all was read in a sandbox without groups; 0: never */
	uint64_t all_wall;       /* and when that was */
	struct usage raw;        /* at the last look, */
	struct usage total;      /* and what was made of it */
};

void meter_init(struct meter *m);
void meter_deinit(struct meter *m);
void meter_attach(struct meter *m, pid_t pid); /* a worker was started, or the pid of one in a sandbox is known */
/* It has been waited for. used: its own and its children's; NULL where nobody knows. */
void meter_detach(struct meter *m, const struct rusage *used);
/* all: of all processes; else the worker's own figures are good enough, and cheap. What cannot be read stays as it was. */
const struct usage *meter_read(struct meter *m, bool all);
int meter_read_others(struct meter *m, uint64_t since, struct usage_others *ret) must_check; /* beside the worker */
/* For the beginning and the end of a turn: what cannot have changed by more than METER_STALE_USEC of CPU time is as it was. */
const struct usage *meter_glance(struct meter *m, bool all);

#endif
