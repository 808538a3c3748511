/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine: the one step between "Python is up" and the first tenant byte, for executed and for forked workers alike.
 */
#ifndef HUSK_WORKER_CONFINE_H
#define HUSK_WORKER_CONFINE_H

#include "protocol/base/error.h"

/* Applies every layer of the sandbox that this worker was given. *ret_layers: NULL-ended names of those applied. -errno when a layer
 * could not be applied: the worker must not serve then. */
int confine(const char *const **ret_layers, struct error *err) must_check;

#endif
