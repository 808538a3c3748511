/* SPDX-License-Identifier: Apache-2.0 */
/* enforce: limits while requests are in the worker and between them: when to look, and what to do about what is seen. */
#ifndef HUSK_FRONT_ENFORCE_H
#define HUSK_FRONT_ENFORCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "kernel/front/disk.h"
#include "kernel/front/meter.h"
#include "kernel/front/quota.h"
#include "protocol/base/error.h"

struct front;
struct lane;
struct request;

struct enforce {
	struct quota quota;
	struct meter meter;
	struct cgroup *cgroup;   /* borrowed; NULL: there is none */
	uint64_t at;             /* the next deadline or look */
	bool is_due;             /* whatever the deadlines are: something was counted that may be too much */
	uint64_t memory_base;    /* that this worker had when its first turn began, and what its shell has taken since */
	uint64_t shell_bytes;    /* as far as the base has them */
	bool has_memory_base;
	bool has_reports;        /* of memory, by the control group */
	bool memory_is_reported; /* and nothing has been seen of which none will come */
	uint64_t memory_again;   /* the next look at turns that were told of it */
	uint64_t oom_before;
	bool spent_told;         /* to what ran when a total was used up */
	bool in_debugger;
	struct disk disk;
};

/* limits: of the kernel. */
void enforce_init(struct front *f, const struct limits *limits);
void enforce_deinit(struct front *f);
int enforce_start(struct front *f) must_check; /* the sandbox is known now, if there is one */
void enforce_worker_started(struct front *f);
void enforce_worker_ended(struct front *f, const struct rusage *used); /* used: as meter_detach() has it */
bool enforce_was_oom(struct front *f); /* whether the kernel's memory was the death of a process since the worker's start */

/* The limits of a request: the kernel's, lowered by what its metadata asks. -EINVAL with a sentence. */
int enforce_read_limits(const struct front *f, struct request *r, struct error *err) must_check;
/* The total that the kernel has used up, so that no turn is begun; NULL. */
const struct cause *enforce_spent(const struct front *f);
void enforce_begin(struct front *f, struct request *r); /* it is in the worker */
void enforce_last_look(const struct front *f, struct request *r); /* it is about to end: what it has published was too much? */
void enforce_end(struct front *f, struct request *r);   /* it is not any more: what it used is measured */
void enforce_failed(struct front *f, const struct request *r); /* that was with an error */
void enforce_waits(struct front *f, struct request *r, bool waits); /* for an answer of its client */
void enforce_debugger(struct front *f, bool stopped);

void enforce_tick(struct front *f, uint64_t now); /* at f->enforce.at */

/* disk-watch.c says what it has seen. */
void enforce_disk_full(struct front *f, const struct cause *cause);
void enforce_disk_fine(struct front *f);
void enforce_end_background(struct front *f, const char *why); /* what runs between turns, with the worker */
void enforce_plan(struct front *f);                            /* when to look next */
void enforce_soon(struct front *f);                            /* at the end of this round of the loop */

#endif
