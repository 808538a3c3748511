/* SPDX-License-Identifier: Apache-2.0 */
/* backlog: what a slow subscriber may hold. */
#include "kernel/front/backlog.h"

bool backlog_blocks(struct backlog *b, size_t bytes, uint64_t now, bool hurry)
{
	if (bytes < SENDER_BUDGET_BYTES / 2 || (bytes < SENDER_BUDGET_BYTES && !b->since)) {
		b->since = 0;
		b->stalled = false;
		return false;
	}
	if (!b->since || bytes < b->lowest) {
		b->since = now;
		b->lowest = bytes;
	}
	b->stalled |= hurry || now >= b->since + SENDER_STALL_USEC;
	return !b->stalled;
}

uint64_t backlog_deadline(const struct backlog *b)
{
	return b->since && !b->stalled ? b->since + SENDER_STALL_USEC : USEC_NEVER;
}

bool backlog_drops(struct backlog *b, size_t bytes, size_t message_bytes, bool vital)
{
	if (vital ? bytes < 2 * SENDER_BUDGET_BYTES : !b->stalled)
		return false;
	b->n_dropped += message_bytes;
	return true;
}

size_t backlog_recovered(struct backlog *b, size_t bytes)
{
	size_t n = b->n_dropped;

	if (!n || b->stalled || bytes >= SENDER_BUDGET_BYTES / 2)
		return 0;
	b->n_dropped = 0;
	return n;
}
