/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure: a process that measures the workspace where it is a directory of the host, with the keeper's rights. It sends
 * its answer to the front by itself, so that the keeper waits for nobody.
 */
#ifndef HUSK_SANDBOX_MEASURE_H
#define HUSK_SANDBOX_MEASURE_H

#include <sys/types.h>

#include "kernel/sandbox/plan.h"
#include "kernel/sandbox/tree-size.h"

struct measure {
	pid_t pid; /* 0: none */
	int pidfd; /* readable: it has ended; -1: none */
	bool again; /* another one was ordered meanwhile: the front has had its answer before the keeper knew */
};

struct measure_answer {
	int32_t error; /* 0 or -errno: then size is nothing */
	struct tree_size size;
};

/* Whether the workspace is a directory of the host, and has a limit. */
bool measure_is_needed(const struct sandbox_plan *plan);

/* One after the other. control: where the struct measure_answer goes. */
void measure_start(const struct sandbox_plan *plan, int control, struct measure *m);
/* It has ended; answers for one that could not. */
void measure_reap(const struct sandbox_plan *plan, int control, struct measure *m);
void measure_end(struct measure *m);

#endif
