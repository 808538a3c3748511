/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: what sandbox this machine and user can have, found by making each. */
#ifndef HUSK_FRONT_DOCTOR_H
#define HUSK_FRONT_DOCTOR_H

#include "kernel/front/options.h"
#include "kernel/sandbox/profile.h"

/* Writes to stdout, as a table or, when asked, JSON. The exit code: 0 when the profile can be had, 1 when not. */
int doctor_run(const struct options *o, const struct profile *profile);

#endif
