/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan: what one sandbox is to be. Filled by sandbox_start(), then inherited by fork: the keeper, the holder and the
 * child that becomes
 * a worker read it and send nothing of it anywhere.
 */
#ifndef HUSK_SANDBOX_PLAN_H
#define HUSK_SANDBOX_PLAN_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "kernel/sandbox/cgroup.h"
#include "kernel/sandbox/confinement.h"
#include "kernel/sandbox/profile.h"

#define PLAN_MAX_TREES 128
#define PLAN_TENANT_UID 1000 /* inside the sandbox, whatever it is outside */

/* A part of the host's file system that is seen in the sandbox. */
struct plan_tree {
	char source[PATH_MAX];
	char target[PATH_MAX]; /* absolute, as seen inside */
	int source_fd;         /* O_PATH, or -1: by path */
	int mount_fd;          /* a detached mount, -1: not made yet */
	bool writable;
	bool optional; /* what is not there on this host is left out */
	bool is_own;   /* of the front's user: in root mode its files are the tenant's inside (an id-mapped mount) */
	bool is_device;
};

struct sandbox_plan {
	const struct profile *profile;
	enum sandbox_level level;
	bool as_root;    /* holder, tenant and front have host ids of their own */
	uid_t front_uid; /* and gid; those of this process unless as_root */
	uid_t holder_uid;
	uid_t tenant_uid;
	gid_t own_gid;           /* of this process, as the host knows it */
	struct plan_tree *trees; /* PLAN_MAX_TREES */
	size_t n_trees;
	const char *const *argv; /* of the worker, as seen inside */
	const char *const *env;
	const char *cwd;  /* absolute; where the workspace is */
	int link_fd;      /* descriptor of a worker on which it waits before it is executed */
	int n_worker_fds; /* that the front passes; those of passed[] follow them */
	int passed[2];    /* the interpreter's record, its compiled code */
	size_t n_passed;
	char package_prefix[PATH_MAX];
	char own_workspace[64]; /* a directory of the host that goes with the kernel; "" */
	bool in_cgroup;
	int attach[CGROUP_MAX_ATTACH]; /* groups of v1, which pid 1 joins; into one of v2 it is born */
	size_t n_attach;
	int fault; /* an enum layer that is to fail, or -1 */
};

#endif
