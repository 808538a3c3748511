/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpus: the processors that a sandbox may use, as /sys shows them. Libraries count them there and warn where there is nothing; of the machine's
 * real /sys a sandbox sees none.
 */
#ifndef HUSK_SANDBOX_CPUS_H
#define HUSK_SANDBOX_CPUS_H

#include <sched.h>

#include "protocol/base/error.h"

#define CPUS_MOST 64 /* the root has room for; with more nothing is written */

/* Writes sys/devices/system/cpu below the current directory: each processor of the set is a core of one package. */
int cpus_write(const cpu_set_t *set, struct error *err) must_check;

#endif
