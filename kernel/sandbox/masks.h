/* SPDX-License-Identifier: Apache-2.0 */
/* masks: a /proc that tells of the sandbox's processes, and little of the machine. */
#ifndef HUSK_SANDBOX_MASKS_H
#define HUSK_SANDBOX_MASKS_H

#include "kernel/sandbox/limits.h"

/*
 * Covers, below "proc" in the current directory, what is not for a tenant; files that programs expect say what the
 * sandbox has.
 */
int masks_apply(const struct limits *limits, struct error *err) must_check;

#endif
