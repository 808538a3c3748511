/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history: the input history in the file and schema that IPython uses (jupyter-client messaging.rst "History"; IPython's
 * HistoryManager), written and asked by one thread, so that a locked or slow file delays nothing but history.
 */
#ifndef HUSK_FRONT_HISTORY_H
#define HUSK_FRONT_HISTORY_H

#include <stdbool.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"

#define HISTORY_MAX_JOBS 1024
#define HISTORY_MAX_BYTES ((size_t)16 << 20)
#define HISTORY_MAX_ROWS 100000
#define HISTORY_MAX_REPLY ((size_t)32 << 20)

struct history;

/* path: the SQLite file, or ":memory:". Nothing is opened and no thread runs before the first job. */
int history_new(const char *path, struct history **ret) must_check;
/* Waits at most wait_usec for what is queued. Returns NULL. */
struct history *history_free(struct history *h, uint64_t wait_usec);

/* One executed cell. output may be SLICE_NULL. Dropped (and counted in the log) when the queue is full. */
void history_store(struct history *h, uint32_t line, struct slice source, struct slice source_raw, struct slice output);

/* A question in the form of history_request's content (valid JSON). False: refused, the queue is full. */
bool history_ask(struct history *h, uint64_t id, struct slice request);
/* An answer, if there is one: 1 with the JSON text of the "history" list in ret (initialised by the caller). */
int history_take(struct history *h, uint64_t *ret_id, struct buffer *ret) must_check;
int history_fd(const struct history *h); /* readable when history_take() has something */

#endif
