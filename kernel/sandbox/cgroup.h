/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup: the control groups of one kernel, v1 hierarchies or the unified one. Every path is resolved when it is made; afterwards all
 * goes through descriptors that are kept, so a front that has given up its user id can still read, set and kill.
 */
#ifndef HUSK_SANDBOX_CGROUP_H
#define HUSK_SANDBOX_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/sandbox/limits.h"
#include "kernel/sandbox/usage.h"
#include "protocol/base/error.h"

#define CGROUP_MAX_ATTACH 6

struct cgroup;

/*
 * Makes "husk-NAME" below this process' own group in each hierarchy that memory, pids, cpu and cpuacct need (or below parent, an absolute path
 * relative to each hierarchy's mount). On v2 the own group must be delegated (it is then left for a leaf of its own), or, as root, the
 * nearest group above that can have children is used.
 * -ENOTSUP with the reason and what to do about it when there are no groups that this process may make.
 */
int cgroup_new(const char *name, const char *parent, struct cgroup **ret, struct error *err) must_check;
struct cgroup *cgroup_free(struct cgroup *c); /* closes; removes nothing */

/* memory: soft threshold at the limit, hard above it (sandbox.md 3.1), no swap; processes; share of CPU. */
int cgroup_set_limits(struct cgroup *c, const struct limits *limits, struct error *err) must_check;

/* Descriptors, borrowed: a process that writes "0" to each is in the group. */
size_t cgroup_attach_fds(const struct cgroup *c, int fds[CGROUP_MAX_ATTACH]);

/* cpu, memory, processes, oom_kills; leaves the rest of usage as it is. No allocation, a few preads. */
int cgroup_read_usage(const struct cgroup *c, struct usage *usage) must_check;

/* Becomes readable for epoll(events) when memory has reached its soft threshold; the second takes the event. -1: no such thing here. */
int cgroup_memory_fd(const struct cgroup *c, uint32_t *ret_events);
bool cgroup_memory_take(struct cgroup *c); /* true when the threshold was reached since the last call */

/* SIGKILL for everything in it, repeated or at once as the kernel allows; not waited for. 0 when the group is empty afterwards or will be. */
int cgroup_kill(struct cgroup *c);
/* rmdir, again until it is empty or the bound of about 1 s is over; -EBUSY then. */
int cgroup_remove(struct cgroup *c);
const char *cgroup_describe(const struct cgroup *c); /* "v2 /user.slice/…", for the log and the doctor */

#endif
