/* SPDX-License-Identifier: Apache-2.0 */
/* layout: which parts of the host a sandbox shows, where, and what its worker is told by argv and environment. */
#ifndef HUSK_SANDBOX_LAYOUT_H
#define HUSK_SANDBOX_LAYOUT_H

#include "kernel/sandbox/environment.h"
#include "kernel/sandbox/plan.h"

/*
 * Fills trees, argv, env and cwd of the plan for its level. What they point to lives as long as the process: a plan is
 * made once.
 */
int layout_fill(struct sandbox_plan *plan, const struct environment *environment, struct error *err) must_check;

#endif
