/* SPDX-License-Identifier: Apache-2.0 */
/* verdict: how a turn has ended, and why it is being ended (specs/limits.md 3). Pure. */
#ifndef HUSK_FRONT_VERDICT_H
#define HUSK_FRONT_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/link/ring.h"

enum verdict {
#define VERDICT(name, help) VERDICT_##name,
#include "kernel/front/verdict.def"
#undef VERDICT
	VERDICT_COUNT
};

extern const char *const verdict_names[VERDICT_COUNT];

/* What has become of the variables. */
enum verdict_state { VERDICT_KEPT, VERDICT_LOST, VERDICT_STATE_COUNT };

extern const char *const verdict_state_names[VERDICT_STATE_COUNT]; /* "kept", "lost" */

/* The first thing that was a reason to end a turn: a client's interrupt, or a limit. */
struct cause {
	bool is_set;
	enum ring_reason reason;
	uint64_t limit; /* what it is, and what was used, in the unit of reason.def */
	uint64_t used;
};

#define CAUSE_INTERRUPT ((struct cause){ .is_set = true, .reason = RING_REASON_INTERRUPT })

static inline bool cause_is_limit(const struct cause *c)
{
	return c->is_set && c->reason != RING_REASON_INTERRUPT;
}

/* The operating system's error, which code may handle as any other: a turn that does, and comes to its end, is ok. */
static inline bool cause_is_disk(const struct cause *c)
{
	return c->is_set && (c->reason == RING_REASON_DISK || c->reason == RING_REASON_DISK_FILES);
}

enum verdict cause_verdict(const struct cause *c);
/* Of the error in the reply. killed: the worker had to be killed, or was. */
const char *cause_ename(const struct cause *c, bool killed);

#endif
