/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history-db: IPython's history schema.
 *
 * The session's row is made with the first job, not at start: a kernel that runs nothing leaves no trace. A damaged or
 * unwritable file is left as it is: this kernel's history is then in memory.
 */
#include "kernel/front/history-db.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "kernel/front/history.h"
#include "protocol/base/log.h"
#include "protocol/wire/json.h"

struct history_db {
	sqlite3 *sql;
	sqlite3_int64 session;
	uint32_t last_line;
	unsigned n_stored;
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS sessions (session integer primary key autoincrement, start timestamp,"
    " end timestamp, num_cmds integer, remark text);"
    "CREATE TABLE IF NOT EXISTS history (session integer, line integer, source text, source_raw text,"
    " PRIMARY KEY (session, line));"
    "CREATE TABLE IF NOT EXISTS output_history (session integer, line integer, output text,"
    " PRIMARY KEY (session, line));"
    "PRAGMA temp_store = FILE;" /* results may be large and many: a page cache of the front, the rest on disk, unlinked */
    "CREATE TEMP TABLE results (line integer primary key, output text);";

static void timestamp(char text[32])
{
	struct timespec now;
	struct tm tm;
	size_t n;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)localtime_r(&now.tv_sec, &tm);
	n = strftime(text, 32, "%Y-%m-%d %H:%M:%S", &tm);
	(void)snprintf(text + n, 32 - n, ".%06ld", now.tv_nsec / 1000);
}

static void make_parents(const char *path)
{
	char copy[1024];

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return;
	for (char *p = strchr(copy + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		(void)mkdir(copy, 0755);
		*p = '/';
	}
}

static sqlite3_stmt *prepare(struct history_db *db, const char *sql)
{
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(db->sql, sql, -1, &stmt, NULL) != SQLITE_OK)
		log_warning("history: %s", sqlite3_errmsg(db->sql));
	return stmt;
}

static bool run(struct history_db *db, sqlite3_stmt *stmt)
{
	bool ok = stmt && sqlite3_step(stmt) == SQLITE_DONE;

	if (stmt && !ok)
		log_warning("history: %s", sqlite3_errmsg(db->sql));
	(void)sqlite3_finalize(stmt);
	return ok;
}

static bool begin_session(struct history_db *db)
{
	sqlite3_stmt *stmt;
	char now[32];

	if (sqlite3_exec(db->sql, schema, NULL, NULL, NULL) != SQLITE_OK)
		return false;
	stmt = prepare(db, "INSERT INTO sessions VALUES (NULL, ?, NULL, NULL, '')");
	timestamp(now);
	if (!stmt)
		return false;
	(void)sqlite3_bind_text(stmt, 1, now, -1, SQLITE_TRANSIENT);
	if (!run(db, stmt))
		return false;
	db->session = sqlite3_last_insert_rowid(db->sql);
	return true;
}

static bool open_at(struct history_db *db, const char *path)
{
	if (strcmp(path, ":memory:") != 0)
		make_parents(path);
	if (sqlite3_open_v2(path, &db->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) ==
	    SQLITE_OK) {
		(void)sqlite3_busy_timeout(db->sql, 5000);
		(void)sqlite3_exec(db->sql, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
		if (begin_session(db))
			return true;
	}
	if (strcmp(path, ":memory:") != 0)
		log_warning("history is kept in memory: cannot use %s: %s", path, sqlite3_errmsg(db->sql));
	(void)sqlite3_close(db->sql);
	db->sql = NULL;
	return false;
}

struct history_db *history_db_open(const char *path)
{
	struct history_db *db = calloc(1, sizeof(*db));

	if (db && !open_at(db, path) && !open_at(db, ":memory:")) {
		free(db);
		return NULL;
	}
	return db;
}

void history_db_close(struct history_db *db)
{
	sqlite3_stmt *stmt;
	char now[32];

	if (!db)
		return;
	stmt = prepare(db, "UPDATE sessions SET end = ?, num_cmds = ? WHERE session = ?");
	timestamp(now);
	if (stmt) {
		(void)sqlite3_bind_text(stmt, 1, now, -1, SQLITE_TRANSIENT);
		(void)sqlite3_bind_int(stmt, 2, (int)db->n_stored);
		(void)sqlite3_bind_int64(stmt, 3, db->session);
		(void)run(db, stmt);
	}
	(void)sqlite3_close(db->sql);
	free(db);
}

static void run_plain(struct history_db *db, const char *sql)
{
	if (db && sqlite3_exec(db->sql, sql, NULL, NULL, NULL) != SQLITE_OK)
		log_warning("history: %s", sqlite3_errmsg(db->sql));
}

void history_db_begin(struct history_db *db)
{
	run_plain(db, "BEGIN");
}

void history_db_commit(struct history_db *db)
{
	if (db && !sqlite3_get_autocommit(db->sql))
		run_plain(db, "COMMIT");
}

static void bind_slice(sqlite3_stmt *stmt, int i, struct slice s)
{
	(void)sqlite3_bind_text(stmt, i, s.data ? s.data : "", (int)s.len, SQLITE_TRANSIENT);
}

static void store_result(struct history_db *db, uint32_t line, struct slice output)
{
	sqlite3_stmt *stmt = prepare(db, "INSERT OR REPLACE INTO temp.results VALUES (?, ?)");

	if (!stmt)
		return;
	(void)sqlite3_bind_int64(stmt, 1, line);
	bind_slice(stmt, 2, output);
	(void)run(db, stmt);
}

void history_db_store(struct history_db *db, uint32_t line, struct slice source, struct slice source_raw,
    struct slice output)
{
	sqlite3_stmt *stmt;

	if (!db)
		return;
	stmt = prepare(db, "INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?)");
	if (!stmt)
		return;
	(void)sqlite3_bind_int64(stmt, 1, db->session);
	(void)sqlite3_bind_int64(stmt, 2, line);
	bind_slice(stmt, 3, source);
	bind_slice(stmt, 4, source_raw);
	if (run(db, stmt))
		db->n_stored++;
	db->last_line = MAX(db->last_line, line);
	if (output.data)
		store_result(db, line, output);
}

/* What a history_request asks for, with every default filled in. */
struct question {
	bool raw, output, unique, has_n, search_raw;
	int64_t n, session, start, stop;
	bool has_stop;
	struct slice pattern_token;
};

static void append_row(struct buffer *out, const struct question *q, sqlite3_stmt *stmt)
{
	buffer_append_str(out, out->len > 1 ? ",[" : "[");
	buffer_printf(out, "%lld,%lld,", (long long)sqlite3_column_int64(stmt, 0),
	    (long long)sqlite3_column_int64(stmt, 1));
	if (q->output)
		buffer_append_char(out, '[');
	json_encode_string(out, slice_from(sqlite3_column_text(stmt, 2), (size_t)sqlite3_column_bytes(stmt, 2)));
	if (q->output) {
		buffer_append_char(out, ',');
		if (sqlite3_column_type(stmt, 3) == SQLITE_NULL)
			buffer_append_str(out, "null");
		else
			json_encode_string(out,
			    slice_from(sqlite3_column_text(stmt, 3), (size_t)sqlite3_column_bytes(stmt, 3)));
		buffer_append_char(out, ']');
	}
	buffer_append_char(out, ']');
}

/* Rows come newest first where a limit counts from the end, so an outer SELECT turns them round. */
static void run_query(struct history_db *db, const struct question *q, const char *sql, const sqlite3_int64 *ints,
    int n_ints, const char *pattern, struct buffer *out)
{
	sqlite3_stmt *stmt = prepare(db, sql);
	int i = 1;

	if (!stmt)
		return;
	if (pattern)
		(void)sqlite3_bind_text(stmt, i++, pattern, -1, SQLITE_TRANSIENT);
	for (int k = 0; k < n_ints; k++)
		(void)sqlite3_bind_int64(stmt, i++, ints[k]);
	for (int rows = 0; rows < HISTORY_MAX_ROWS && !out->failed && sqlite3_step(stmt) == SQLITE_ROW; rows++)
		append_row(out, q, stmt);
	(void)sqlite3_finalize(stmt);
}

#define COLUMNS "history.session, history.line, history.%s, output_history.output"
#define TABLES "history LEFT JOIN output_history USING (session, line)"

static const char *source_column(const struct question *q)
{
	return q->raw ? "source_raw" : "source";
}

static void query_tail(struct history_db *db, const struct question *q, struct buffer *out)
{
	const sqlite3_int64 ints[] = { db->session, q->has_n ? q->n : 1000 };
	char sql[512];

	(void)snprintf(sql, sizeof(sql),
	    "SELECT * FROM (SELECT " COLUMNS ", history.session = ?1 AS mine FROM " TABLES
	    " ORDER BY mine DESC, history.session DESC, history.line DESC LIMIT ?2) ORDER BY mine, 1, 2",
	    source_column(q));
	run_query(db, q, sql, ints, 2, NULL, out);
}

static void query_search(struct history_db *db, const struct question *q, struct buffer *out)
{
	const sqlite3_int64 ints[] = { q->has_n ? q->n : HISTORY_MAX_ROWS };
	_cleanup_(buffer_deinitp) struct buffer pattern = BUFFER_INIT(1 << 20);
	char sql[768];

	if (q->pattern_token.len == 0)
		buffer_append_char(&pattern, '*');
	else if (json_decode_string(q->pattern_token, &pattern) < 0)
		return;
	buffer_append_char(&pattern, '\0');
	if (pattern.failed)
		return;
	(void)snprintf(sql, sizeof(sql),
	    "SELECT * FROM (SELECT " COLUMNS "%s FROM " TABLES " WHERE history.source_raw GLOB ?1 %s"
	    " ORDER BY history.session DESC, history.line DESC LIMIT ?2) ORDER BY 1, 2",
	    source_column(q), q->unique ? ", MAX(history.session * 131072 + history.line)" : "",
	    q->unique ? "GROUP BY history.source_raw" : "");
	run_query(db, q, sql, ints, 1, pattern.data, out);
}

/* The running session answers as session 0, with line 0 (always empty) in front, as IPython's in-memory lists do. */
static void query_running(struct history_db *db, const struct question *q, struct buffer *out)
{
	int64_t n = (int64_t)db->last_line + 1;
	int64_t start = q->start < 0 ? q->start + n : q->start;
	int64_t stop = !q->has_stop || q->stop == 0 || q->stop > n ? n : q->stop < 0 ? q->stop + n : q->stop;
	const sqlite3_int64 ints[] = { db->session, start, stop };
	char sql[512];

	if (start <= 0 && stop > 0)
		buffer_append_str(out, q->output ? "[0,0,[\"\",null]]" : "[0,0,\"\"]");
	(void)snprintf(sql, sizeof(sql),
	    "SELECT 0, history.line, history.%s, results.output FROM history LEFT JOIN temp.results USING (line)"
	    " WHERE history.session = ?1 AND history.line >= ?2 AND history.line < ?3 ORDER BY 2",
	    source_column(q));
	run_query(db, q, sql, ints, 3, NULL, out);
}

static void query_range(struct history_db *db, const struct question *q, struct buffer *out)
{
	sqlite3_int64 session = q->session <= 0 ? q->session + db->session : q->session;
	const sqlite3_int64 ints[] = { session, q->start, q->has_stop && q->stop ? q->stop : INT64_MAX };
	char sql[512];

	if (session == db->session) {
		query_running(db, q, out);
		return;
	}
	(void)snprintf(sql, sizeof(sql),
	    "SELECT " COLUMNS " FROM " TABLES
	    " WHERE history.session = ?1 AND history.line >= ?2 AND history.line < ?3 ORDER BY 2",
	    source_column(q));
	run_query(db, q, sql, ints, 3, NULL, out);
}

/* husk's own: the running session as one row [number, 0, ""], for the shell's history manager. */
static void query_session(struct history_db *db, const struct question *q, struct buffer *out)
{
	(void)q;
	buffer_printf(out, "[%lld,0,\"\"]", (long long)db->session);
}

static struct question parse_question(struct slice request)
{
	struct question q = { 0 };
	struct slice value;

	q.raw = json_get_bool(request, "raw", true);
	q.output = json_get_bool(request, "output", false);
	q.unique = json_get_bool(request, "unique", false);
	q.has_n = json_member(request, "n", &value) == JSON_NUMBER;
	q.n = json_get_int(request, "n", 1000);
	q.n = q.n < 0 ? 0 : MIN(q.n, HISTORY_MAX_ROWS);
	q.session = json_get_int(request, "session", 0);
	q.start = json_get_int(request, "start", 0);
	q.has_stop = json_member(request, "stop", &value) == JSON_NUMBER;
	q.stop = json_get_int(request, "stop", 0);
	if (json_member(request, "pattern", &value) == JSON_STRING)
		q.pattern_token = value;
	return q;
}

void history_db_query(struct history_db *db, struct slice request, struct buffer *out)
{
	static const struct {
		const char *name;
		void (*fn)(struct history_db *db, const struct question *q, struct buffer *out);
	} kinds[] = { { "tail", query_tail }, { "range", query_range }, { "search", query_search },
		{ "session", query_session } };
	struct question q = parse_question(request);
	char name[16] = "";
	struct slice token;

	if (json_member(request, "hist_access_type", &token) == JSON_STRING && token.len - 2 < sizeof(name))
		(void)snprintf(name, sizeof(name), "%.*s", (int)token.len - 2, token.data + 1);
	buffer_append_char(out, '[');
	for (size_t i = 0; db && i < ARRAY_SIZE(kinds); i++)
		if (strcmp(name, kinds[i].name) == 0)
			kinds[i].fn(db, &q, out);
	buffer_append_char(out, ']');
	if (out->failed) {
		buffer_reset(out);
		buffer_append_str(out, "[]");
	}
}
