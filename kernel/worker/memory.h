/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: the limit that a worker keeps by itself (specs/link.md 6). The GIL must be held. Without memory_limit() nothing
 * here does or costs anything.
 *
 * RLIMIT_DATA alone does not do: when a small object is refused in the middle of the handling of an exception, CPython asks for
 * it again for ever (3.11 to 3.13 at least). So the allocator of small objects has a reserve above the limit, which it takes
 * in steps, and the refusal becomes a MemoryError at the next step of Python code, where it can be handled.
 */
#ifndef HUSK_WORKER_MEMORY_H
#define HUSK_WORKER_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/worker/exceptions.h"
#include "protocol/base/error.h"

#define MEMORY_LEAST ((uint64_t)1 << 20)
#define MEMORY_MOST ((uint64_t)1 << 46)

/* Lets the data segment grow by so many bytes from now on. Once. -ERANGE, -ENOTSUP (this interpreter's allocator cannot be
 * watched), -EPERM (the process is limited to less already). */
int memory_limit(uint64_t limit, struct error *err) must_check;
bool memory_is_limited(void);

/* A smaller limit while that turn runs. */
void memory_limit_turn(uint32_t turn, uint64_t limit);

/* Code of a turn begins, and has ended: what is refused in between is refused to it. */
void memory_enter(uint32_t turn);
void memory_leave(void);

/* While off, the worker builds its shell; what that took is not counted. */
void memory_count(bool on);

/* An error is about to be reported: all of the reserve may be used until the code's next beginning. */
void memory_make_room(void);

/* After an exception in the worker's own work: whether it was a MemoryError, which has been cleared, and there is more now. */
bool memory_try_again(void);

/* What a refusal is told with. */
struct cause memory_cause(void);

#endif
