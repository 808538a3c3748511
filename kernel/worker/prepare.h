/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prepare: finds an interpreter and what belongs to it for a worker that will run in a sandbox, where it could not look
 * for them itself
 * (specs/link.md 2.5).
 */
#ifndef HUSK_WORKER_PREPARE_H
#define HUSK_WORKER_PREPARE_H

#include "kernel/worker/interpreter.h"

/* Nothing of the user's own search paths counts: in a sandbox there is no such user. */
void prepare_environment(void);

/*
 * Writes to stdout, each ended by a NUL: executable, binary, prefix, base prefix, exec prefix, core, and the path of
 * the file of compiled code, which is made
 * when it is missing ("": there is no cache directory). The record goes to record_fd.
 */
int prepare_write(const struct interpreter *i, const char *core, const char *cache_dir, int dir_fd, int record_fd,
		  struct error *err) must_check;

/* The record as prepare_write() left it. */
int prepare_read(int record_fd, struct interpreter *ret, struct error *err) must_check;

#endif
