/* SPDX-License-Identifier: Apache-2.0 */
/*
 * children: processes are told apart by when they began. The kernel tells that in ticks of 10 ms, so what began just before a turn may count
 * as the turn's.
 */
#include "kernel/front/children.h"

#include "kernel/front/state.h"
#include "kernel/sandbox/processes.h"
#include "kernel/sandbox/sandbox.h"
#include "protocol/base/log.h"

#define MIB ((uint64_t)1 << 20)

/* Without a sandbox what forks in between is found the second time. */
static void end_since(struct front *f, uint64_t since)
{
	if (f->worker_state != WORKER_READY)
		return;
	if (!f->source.sandbox) {
		if (processes_end_below(f->worker.pid, since) > 0)
			(void)processes_end_below(f->worker.pid, since);
	} else if (sandbox_end_others(f->source.sandbox, since) < 0) {
		log_warning("the processes beside the worker cannot be ended");
	}
}

void children_end_with(struct front *f, const struct request *r)
{
	end_since(f, r->began_ticks);
}

/* As few as are enough. Files in memory are nobody's, so the end of all processes may be no help. */
void children_relieve(struct front *f, const struct request *r, uint64_t limit, uint64_t used)
{
	uint64_t since = r ? r->began_ticks : 0;
	struct usage_others others;

	if (meter_read_others(&f->enforce.meter, since, &others) < 0 || others.bytes <= used / 2)
		return;
	if (others.recent_bytes + limit <= used)
		since = 0;
	log_warning("the processes beside the worker have %llu MiB of the kernel's memory, the largest, %d, %llu MiB: killing %s",
	    (unsigned long long)(others.bytes / MIB), (int)others.largest, (unsigned long long)(others.largest_bytes / MIB),
	    since ? "those that the turn has started" : "them all");
	end_since(f, since);
}
