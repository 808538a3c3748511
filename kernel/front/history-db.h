/* SPDX-License-Identifier: Apache-2.0 */
/* history-db: the SQLite side of history; used by its thread alone. */
#ifndef HUSK_FRONT_HISTORY_DB_H
#define HUSK_FRONT_HISTORY_DB_H

#include "protocol/base/buffer.h"

struct history_db;

/* Never NULL but out of memory: a file that cannot be used is logged and replaced by memory. */
struct history_db *history_db_open(const char *path);
void history_db_close(struct history_db *db); /* accepts NULL; writes the session's end */

/* A transaction around several stores; both are optional. */
void history_db_begin(struct history_db *db);
void history_db_commit(struct history_db *db);

void history_db_store(struct history_db *db, uint32_t line, struct slice source, struct slice source_raw,
    struct slice output);
/* Appends the JSON list that answers a history_request's content; "[]" for what is unknown or fails. */
void history_db_query(struct history_db *db, struct slice request, struct buffer *out);

#endif
