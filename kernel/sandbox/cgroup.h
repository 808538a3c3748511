/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup: the control groups of one kernel, v1 hierarchies or the unified one. Every path is resolved when it is
 * made; afterwards all goes through descriptors that are kept, so a front that has given up its user id can still
 * read, set and kill. Only removal needs the rights of whoever made them: a fork that kept those calls
 * cgroup_remove() on its copy.
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
#define CGROUP_NAME_MAX 64 /* of NAME, without NUL: letters, digits, "-", "_", and "." but not in front */

struct cgroup;

/*
 * Makes "husk-NAME" below this process' own group in each hierarchy that memory, pids, cpu and cpuacct need (or below
 * parent, an absolute path relative to each hierarchy's mount, which exists). On v2 the own group must be delegated
 * (all of its processes are then moved to a leaf below it, for a group with controllers may not have processes of its
 * own); else the nearest group above that has what is needed is used, where this process may write there. name NULL:
 * a name that tells later kernels whose it was, for cgroup_remove_stale(). -ENOTSUP with the reason and what to do
 * about it when there are no groups that this process may make.
 */
int cgroup_new(const char *name, const char *parent, struct cgroup **ret, struct error *err) must_check;
struct cgroup *cgroup_free(struct cgroup *c); /* closes; removes nothing */

/* Memory: soft threshold at the limit, hard above it (sandbox.md 3.1), no swap; processes; share of CPU. */
int cgroup_set_limits(struct cgroup *c, const struct limits *limits, struct error *err) must_check;

/*
 * Memory alone, again: quota bytes (or LIMITS_NONE) beyond base, which is what the kernel had before its first turn.
 * -EBUSY where more than the new hard limit is in use; the limits are then as they were.
 */
int cgroup_set_memory(struct cgroup *c, uint64_t quota, uint64_t base, struct error *err) must_check;

/* Descriptors, borrowed: a process of one thread that writes "0" to each is in the group. */
size_t cgroup_attach_fds(const struct cgroup *c, int fds[CGROUP_MAX_ATTACH]);
/*
 * The same in two parts, for joining a group of v2 costs a grace period but being born into it does not: the
 * directory for clone3(CLONE_INTO_CGROUP), -1 where all is v1, and the descriptors of v1.
 */
int cgroup_birth_fd(const struct cgroup *c);
size_t cgroup_attach_v1_fds(const struct cgroup *c, int fds[CGROUP_MAX_ATTACH]);

/*
 * cpu, memory, processes, oom_kills. No allocation, a few preads. memory_bytes leaves out the cache of files, which
 * the kernel takes back when memory is short; memory_peak_bytes is the kernel's own number where it keeps one, and
 * includes that cache.
 */
int cgroup_read_usage(struct cgroup *c, struct usage *usage) must_check;
/*
 * The same at a fifth of the cost, for the beginning and the end of a turn: as long as the group has used less than 1 ms of
 * CPU time since all was read, and its memory is the same to 1 MiB, what takes long to read counts as unchanged.
 */
int cgroup_glance(struct cgroup *c, struct usage *usage) must_check;

/*
 * Has the event of the threshold that is set told from now on. On v1 the kernel takes a grace period for that
 * (10 ms and more): this is for a process that nobody waits for. The event is that of all forks. Each
 * cgroup_set_memory() ends the event before.
 */
int cgroup_watch_memory(struct cgroup *c, struct error *err) must_check;
/* The same by a thread that waits. setresuid() would wait for it too. */
int cgroup_watch_memory_aside(struct cgroup *c, struct error *err) must_check;
/* The same for c's life. Readable when memory may have reached its soft threshold. */
int cgroup_memory_fd(const struct cgroup *c);
/*
 * Takes the event. 1: memory that cannot be taken back is at the threshold; 0: it is not; -errno: no event will come.
 */
int cgroup_memory_take(struct cgroup *c) must_check;

/*
 * On v2 the kernel puts whoever takes memory above the threshold to sleep, up to 2 s each time, and no signal wakes it:
 * one who was told to unwind could not. ease moves the threshold up, most of the way to the hard limit; hold moves it
 * back, once memory is below it again. Nothing to do on v1.
 */
int cgroup_memory_ease(struct cgroup *c) must_check;
int cgroup_memory_hold(struct cgroup *c) must_check; /* 0: it is where it belongs; 1: not yet */

/*
 * SIGKILL for everything in it, at once or, where the kernel cannot, until nothing is listed (bounded; needs the
 * right to signal the processes, which cannot fork meanwhile). Not waited for. -EBUSY when processes were left.
 */
int cgroup_kill(struct cgroup *c) must_check;
/*
 * rmdir, again until it is empty or the bound of about 1 s is over; -EBUSY then. Groups that are gone already are no
 * error.
 */
int cgroup_remove(struct cgroup *c) must_check;
/*
 * Kills and removes groups beside this one whose name (of cgroup_new(NULL)) is that of a process that is gone.
 * Returns their number.
 */
unsigned cgroup_remove_stale(const struct cgroup *c);

const char *cgroup_describe(const struct cgroup *c); /* "v2 /user.slice/…", for the log and the doctor */

#endif
