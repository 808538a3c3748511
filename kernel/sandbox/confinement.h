/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confinement: what a process does to itself between its fork and the execution of the worker. The steps are
 * those of layers.def from "session" on, in that order. Async-signal-safe: no allocation, no locks; the caller may be a fork of a
 * process with threads, but must have one thread itself.
 */
#ifndef HUSK_SANDBOX_CONFINEMENT_H
#define HUSK_SANDBOX_CONFINEMENT_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "kernel/sandbox/layers.h"
#include "kernel/sandbox/limits.h"

#define CONFINEMENT_MAX_PATHS 96
#define CONFINEMENT_RESTRICTED_ABI 6 /* of Landlock: the first that keeps signals and abstract sockets within */

/* A path that Landlock lets the process use; below it too. Devices and terminals need writable. */
struct confinement_path {
	const char *path;
	bool writable;
	bool optional; /* not an error when it is not there, or out of this user's reach */
};

struct confinement {
	enum sandbox_level level;
	const struct limits *limits;  /* processes, descriptors, file_size, cpu_total, memory as a lid (the worker lowers RLIMIT_DATA itself) */
	bool has_pid_namespace;       /* else, and without a user id of its own, RLIMIT_NPROC would count the user's other processes too */
	uint64_t n_other_tasks;       /* those that it has now, where they would; 0: not counted, no limit then */
	bool change_user;             /* to uid and gid; else they stay */
	uid_t uid;
	gid_t gid;
	bool host_network;            /* in level "restricted" there are else no sockets but pairs */
	struct confinement_path paths[CONFINEMENT_MAX_PATHS];
	size_t n_paths;
	int fault;                    /* a layer that is to fail, or -1 */
};

/* Applies every step of the level. *ret_layers gets the bit of each that was done. 0, or -errno with *ret_failed: then the caller ends itself. */
int confinement_apply(const struct confinement *c, uint32_t *ret_layers, enum layer *ret_failed) must_check;

/* The single steps, for the doctor and the tests. */
int confinement_session(void) must_check;
int confinement_rlimits(const struct confinement *c) must_check;
int confinement_drop_user(const struct confinement *c) must_check; /* securebits, bounding set, ids, capabilities; dumpable again */
/*
 * 1: none in this kernel, or none (ABI 1) that would let files be moved between directories; in the full levels, where mounts decide what is
 * there. -EOPNOTSUPP in level "restricted", which has nothing else, when it is older than CONFINEMENT_RESTRICTED_ABI.
 */
int confinement_landlock(const struct confinement *c) must_check;
int confinement_landlock_as(const struct confinement *c, int abi) must_check; /* as on a kernel of that ABI, for the tests */
/* After a failure: the first path that this user cannot reach and should, which is what Landlock then failed for; or NULL. */
const char *confinement_missing_path(const struct confinement *c);
int confinement_seccomp(const struct confinement *c) must_check;
int confinement_landlock_abi(void); /* 0: none */

#endif
