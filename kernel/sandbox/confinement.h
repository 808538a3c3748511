/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confinement: what a process does to itself between its fork and the execution of the worker (sandbox.md 4.2, steps 18 to 21). The steps are
 * those of layers.def from "session" on, in that order. Async-signal-safe: no allocation, no locks; the caller may be a fork of a
 * process with threads.
 */
#ifndef HUSK_SANDBOX_CONFINEMENT_H
#define HUSK_SANDBOX_CONFINEMENT_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "kernel/sandbox/layers.h"
#include "kernel/sandbox/limits.h"

#define CONFINEMENT_MAX_PATHS 96

/* A path that Landlock lets the process use; below it too. */
struct confinement_path {
	const char *path;
	bool writable;
	bool optional; /* not an error when it is not there */
};

struct confinement {
	enum sandbox_level level;
	const struct limits *limits;  /* processes, descriptors, file_size, memory as a lid (the worker lowers RLIMIT_DATA itself) */
	bool has_pid_namespace;       /* else RLIMIT_NPROC would count the user's other processes too */
	bool change_user;             /* to uid and gid; else they stay */
	uid_t uid;
	gid_t gid;
	bool host_network;            /* Landlock then has no rules for TCP */
	struct confinement_path paths[CONFINEMENT_MAX_PATHS];
	size_t n_paths;
	int fault;                    /* a layer that is to fail, or -1 */
};

/* Applies every step. *ret_layers gets the bit of each that was done. 0, or -errno with *ret_failed: then the caller ends itself. */
int confinement_apply(const struct confinement *c, uint32_t *ret_layers, enum layer *ret_failed) must_check;

/* The single steps, for the doctor and the tests. */
int confinement_rlimits(const struct confinement *c) must_check;
int confinement_drop_user(const struct confinement *c) must_check; /* securebits, bounding set, ids, capabilities; dumpable again */
int confinement_landlock(const struct confinement *c) must_check;  /* 1: this kernel has none (ABI 0) */
int confinement_seccomp(void) must_check;
int confinement_landlock_abi(void); /* 0: none */

#endif
