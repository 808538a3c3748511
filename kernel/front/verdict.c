/* SPDX-License-Identifier: Apache-2.0 */
/* verdict: from the reason for which a turn is ended to its verdict. */
#include "kernel/front/verdict.h"

#include "protocol/link/reason.h"

const char *const verdict_names[VERDICT_COUNT] = {
#define VERDICT(name, help) #name,
#include "kernel/front/verdict.def"
#undef VERDICT
};

const char *const verdict_state_names[VERDICT_STATE_COUNT] = { [VERDICT_KEPT] = "kept", [VERDICT_LOST] = "lost" };

static const enum verdict verdicts[RING_REASON_COUNT] = {
	[RING_REASON_INTERRUPT] = VERDICT_interrupted,
	[RING_REASON_WALL] = VERDICT_wall_limit,
	[RING_REASON_CPU] = VERDICT_cpu_limit,
	[RING_REASON_CPU_TOTAL] = VERDICT_cpu_limit,
	[RING_REASON_MEMORY] = VERDICT_memory_limit,
	[RING_REASON_OUTPUT] = VERDICT_output_limit,
	[RING_REASON_OUTPUT_MESSAGES] = VERDICT_output_limit,
	[RING_REASON_OUTPUT_TOTAL] = VERDICT_output_limit,
	[RING_REASON_OUTPUT_TOTAL_MESSAGES] = VERDICT_output_limit,
	[RING_REASON_INPUT] = VERDICT_wall_limit,
	[RING_REASON_SERVICE] = VERDICT_wall_limit,
	[RING_REASON_DISK] = VERDICT_error,
	[RING_REASON_DISK_FILES] = VERDICT_error,
};

enum verdict cause_verdict(const struct cause *c)
{
	return verdicts[c->reason];
}

const char *cause_ename(const struct cause *c, bool killed)
{
	return killed && c->reason == RING_REASON_MEMORY ? "MemoryLimitExceeded" : reason_row(c->reason)->class_name;
}
