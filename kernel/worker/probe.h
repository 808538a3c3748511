/* SPDX-License-Identifier: Apache-2.0 */
/* probe: runs an interpreter once to learn what it is. */
#ifndef HUSK_WORKER_PROBE_H
#define HUSK_WORKER_PROBE_H

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"

/* Appends what "path -I -c PROBE" writes to stdout. It has INTERPRETER_PROBE_SEC; its stderr is ours. -EBADMSG when it fails,
 * -ETIMEDOUT, -EMSGSIZE (out is full). */
int probe_run(const char *path, struct buffer *out, struct error *err) must_check;

#endif
