/* SPDX-License-Identifier: Apache-2.0 */
/* upward: frames from the worker. */
#ifndef HUSK_FRONT_UPWARD_H
#define HUSK_FRONT_UPWARD_H

#include "kernel/front/state.h"

/* A json field (specs/link.md 3.1) of that type; SLICE_NULL when it is nil. */
int upward_read_json(struct msgpack_reader *m, enum json_type type, struct slice *ret) must_check;
/* Reads once and handles what is whole; ends the worker at a violation. Bytes read, 0: none there, or negative. */
int upward_service(struct front *f, struct lane *lane);

#endif
