/* SPDX-License-Identifier: Apache-2.0 */
/* turn-limits: limits as JSON: those in force, and those that a request's metadata lowers (specs/limits.md 1.3, 2). Pure. */
#ifndef HUSK_FRONT_TURN_LIMITS_H
#define HUSK_FRONT_TURN_LIMITS_H

#include <stdbool.h>

#include "kernel/sandbox/limits.h"
#include "protocol/base/error.h"
#include "protocol/base/slice.h"

/*
 * metadata: of an execute_request, valid JSON. What its husk.limits names replaces the value in *limits, which are those of the kernel.
 * -EINVAL with a sentence that names limit, value and what is allowed; *limits may then be half changed.
 */
int turn_limits_lower(struct slice metadata, struct limits *limits, struct error *err) must_check;

/* {"wall": 120000000, ...}: each that limits something, in its unit. */
void turn_limits_write(const struct limits *limits, struct buffer *out);

#endif
