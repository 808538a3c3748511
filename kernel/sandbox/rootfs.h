/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootfs: the file system of a sandbox, built by its pid 1 on an empty tmpfs (sandbox.md 4.2, steps 6 to 13). Nothing
 * in it is made by a
 * tenant while it is built, so no path can be a trap.
 */
#ifndef HUSK_SANDBOX_ROOTFS_H
#define HUSK_SANDBOX_ROOTFS_H

#include "kernel/sandbox/plan.h"
#include "protocol/base/error.h"

/*
 * Detached mounts of all trees of the plan; by who may read their sources: root before the user changes, else pid 1
 * itself. As root, what the tenant may write has its owner's files as the tenant's.
 */
int rootfs_open_trees(struct sandbox_plan *plan, struct error *err) must_check;

/* In a new mount namespace: builds and enters the root. The trees are given up. */
int rootfs_build(struct sandbox_plan *plan, struct error *err) must_check;
/* Then: the proc of the new pid namespace, then the end of the old root. */
int rootfs_mount_proc(const struct sandbox_plan *plan, struct error *err) must_check;
int rootfs_mount_workspace(const struct sandbox_plan *plan, struct error *err) must_check;
int rootfs_enter(const struct sandbox_plan *plan, struct error *err) must_check;

#endif
