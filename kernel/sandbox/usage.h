/* SPDX-License-Identifier: Apache-2.0 */
/* usage: what a kernel uses, measured. One structure whoever measures it. */
#ifndef HUSK_SANDBOX_USAGE_H
#define HUSK_SANDBOX_USAGE_H

#include <stdint.h>
#include <sys/types.h>

#include "protocol/base/util.h"

/* Sums over all processes of a kernel since its start (cpu), or now. */
struct usage {
	uint64_t cpu_user_usec;
	uint64_t cpu_system_usec;
	uint64_t cpu_usec;          /* at least as exact as the sum of the two */
	uint64_t memory_bytes;
	uint64_t memory_peak_bytes;
	uint64_t processes;         /* and threads */
	uint64_t oom_kills;
};

#define USAGE_MAX_PROCESSES 16384u

/*
 * The same without control groups: from a directory descriptor of a proc that shows the kernel's processes and no
 * others (or, with root_pid > 0, from all descendants of that process there). usage is that of the call before, zero
 * at first: time never falls, and peak memory is the highest sum that was seen here. Time of processes that have been
 * waited for counts with those that waited; of one whose parent ignores SIGCHLD it is lost.
 *
 * Pages that forked processes share count for each of them, so the sum of memory is an upper bound; when it is above
 * exact_above (UINT64_MAX: never), the kernel is asked to share them out, for which it walks all of their page tables.
 * 1 when there were more processes than are looked at.
 */
int usage_read_proc(int proc_fd, pid_t root_pid, uint64_t exact_above, struct usage *usage) must_check;

/* Memory of the processes beside the worker, each with its share alone of what others have too, where that can be seen. */
struct usage_others {
	uint64_t bytes;
	uint64_t recent_bytes; /* of those that have begun at `since` or later (processes_now()) */
	pid_t largest;         /* as that proc numbers them; 0: none has any */
	uint64_t largest_bytes;
};

int usage_read_others(int proc_fd, pid_t root_pid, pid_t worker, uint64_t since, struct usage_others *ret) must_check;

#endif
