/* SPDX-License-Identifier: Apache-2.0 */
/* test-history-db: IPython's schema in real SQLite files, good and bad ones. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <ftw.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "kernel/front/history-db.h"
#include "protocol/wire/json.h"

static char dir[64];
static char path[128];

static int make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/husk-test-history-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/history.sqlite", dir);
	return 0;
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(name);
}

static int remove_dir(void **state)
{
	(void)state;
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void assert_answer(struct history_db *db, const char *question, const char *answer)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);

	history_db_query(db, slice_str(question), &out);
	assert_true(json_is_valid(buffer_slice(&out)));
	if (!slice_equal_str(buffer_slice(&out), answer))
		fail_msg("%s\n    is answered %.*s\n    and not     %s", question, (int)out.len, out.data, answer);
}

static void store(struct history_db *db, uint32_t line, const char *text, const char *output)
{
	history_db_store(db, line, slice_str(text), slice_str(text), output ? slice_str(output) : SLICE_NULL);
}

/* Runs SQL on a file; the first column of the first row. */
static void sql(const char *file, const char *text, char *ret, size_t size)
{
	sqlite3 *db;
	sqlite3_stmt *stmt = NULL;

	assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
	if (!ret) {
		assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	} else {
		assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
		(void)snprintf(ret, size, "%s", sqlite3_column_text(stmt, 0) ? (const char *)sqlite3_column_text(stmt, 0) : "NULL");
		(void)sqlite3_finalize(stmt);
	}
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void assert_sql(const char *file, const char *text, const char *value)
{
	char got[256];

	sql(file, text, got, sizeof(got));
	assert_string_equal(got, value);
}

#define TAIL "{\"hist_access_type\":\"tail\",\"n\":10,\"raw\":true,\"output\":false}"

static void test_memory_answers_what_was_stored(void **state)
{
	struct history_db *db = history_db_open(":memory:");

	(void)state;
	store(db, 1, "a = 1", NULL);
	store(db, 2, "a", "1");
	assert_answer(db, TAIL, "[[1,1,\"a = 1\"],[1,2,\"a\"]]");
	assert_answer(db, "{\"hist_access_type\":\"range\",\"session\":0,\"start\":1,\"stop\":3,\"raw\":true,\"output\":true}",
	    "[[0,1,[\"a = 1\",null]],[0,2,[\"a\",\"1\"]]]");
	history_db_close(db);
}

static void test_a_fresh_file_has_ipythons_tables_and_the_sessions_end(void **state)
{
	struct history_db *db = history_db_open(path);

	(void)state;
	store(db, 1, "x", NULL);
	store(db, 2, "y", "2");
	history_db_close(db);
	assert_sql(path, "SELECT group_concat(source_raw, ',') FROM history", "x,y");
	assert_sql(path, "SELECT num_cmds FROM sessions", "2");
	assert_sql(path, "SELECT end IS NOT NULL AND start LIKE '____-__-__ __:__:__.______' FROM sessions", "1");
	assert_sql(path, "SELECT count(*) FROM output_history", "0");
}

/* The statements of IPython 9's HistoryManager, with a session that it left. */
static void test_a_file_that_ipython_made_is_continued(void **state)
{
	struct history_db *db;

	(void)state;
	sql(path,
	    "CREATE TABLE IF NOT EXISTS sessions (session integer primary key autoincrement, start timestamp,"
	    " end timestamp, num_cmds integer, remark text);"
	    "CREATE TABLE IF NOT EXISTS history (session integer, line integer, source text, source_raw text,"
	    " PRIMARY KEY (session, line));"
	    "CREATE TABLE IF NOT EXISTS output_history (session integer, line integer, output text,"
	    " PRIMARY KEY (session, line));"
	    "INSERT INTO sessions VALUES (7, '2026-01-01 10:00:00.000000', NULL, NULL, '');"
	    "INSERT INTO history VALUES (7, 1, 'get_ipython().run_line_magic(''pwd'', '''')', '%pwd');"
	    "INSERT INTO output_history VALUES (7, 1, '''/x''');",
	    NULL, 0);
	db = history_db_open(path);
	store(db, 1, "new", NULL);
	assert_answer(db, TAIL, "[[7,1,\"%pwd\"],[8,1,\"new\"]]");
	assert_answer(db, "{\"hist_access_type\":\"range\",\"session\":-1,\"raw\":false,\"output\":true}",
	    "[[7,1,[\"get_ipython().run_line_magic('pwd', '')\",\"'/x'\"]]]");
	assert_answer(db, "{\"hist_access_type\":\"range\",\"session\":7,\"start\":1,\"stop\":2}", "[[7,1,\"%pwd\"]]");
	history_db_close(db);
	assert_sql(path, "SELECT session FROM sessions WHERE end IS NOT NULL", "8");
}

static void test_entries_may_share_a_transaction(void **state)
{
	struct history_db *db = history_db_open(path);

	(void)state;
	history_db_begin(db);
	store(db, 1, "one", NULL);
	assert_sql(path, "SELECT count(*) FROM history", "0");
	store(db, 2, "two", NULL);
	history_db_commit(db);
	assert_sql(path, "SELECT count(*) FROM history", "2");
	history_db_commit(db);
	history_db_close(db);
}

static void test_a_line_stored_again_replaces_itself(void **state)
{
	struct history_db *db = history_db_open(path);

	(void)state;
	store(db, 1, "one", "1");
	store(db, 1, "uno", NULL);
	assert_answer(db, TAIL, "[[1,1,\"uno\"]]");
	history_db_close(db);
}

static void test_a_corrupt_file_is_left_as_it_is(void **state)
{
	static const char junk[] = "this is not a database, but it is somebody's file and long enough to be read as one.....";
	struct history_db *db;
	char got[sizeof(junk)] = "";
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	(void)state;
	assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
	db = history_db_open(path);
	assert_non_null(db);
	store(db, 1, "kept in memory", NULL);
	assert_answer(db, TAIL, "[[1,1,\"kept in memory\"]]");
	history_db_close(db);
	assert_int_equal(pread(fd, got, sizeof(got), 0), sizeof(got));
	assert_string_equal(got, junk);
	assert_int_equal(lseek(fd, 0, SEEK_END), sizeof(junk));
	(void)close(fd);
}

static void test_a_file_with_other_tables_is_not_touched(void **state)
{
	struct history_db *db;

	(void)state;
	sql(path, "CREATE TABLE sessions (name text); INSERT INTO sessions VALUES ('mine');", NULL, 0);
	db = history_db_open(path);
	store(db, 1, "x", NULL);
	assert_answer(db, TAIL, "[[1,1,\"x\"]]");
	history_db_close(db);
	assert_sql(path, "SELECT group_concat(name) FROM sessions", "mine");
}

static void test_places_that_cannot_be_written_mean_memory(void **state)
{
	static const char *const places[] = { "/proc/husk/history.sqlite", "/dev/null/history.sqlite", "/" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct history_db *db = history_db_open(places[i]);

		assert_non_null(db);
		store(db, 1, "x", NULL);
		assert_answer(db, TAIL, "[[1,1,\"x\"]]");
		history_db_close(db);
	}
}

static void test_missing_directories_are_made(void **state)
{
	char deep[200];
	struct history_db *db;

	(void)state;
	(void)snprintf(deep, sizeof(deep), "%s/a/b/c/history.sqlite", dir);
	db = history_db_open(deep);
	store(db, 1, "x", NULL);
	history_db_close(db);
	assert_sql(deep, "SELECT source FROM history", "x");
}

static void fill(struct history_db *db)
{
	store(db, 1, "import os", NULL);
	store(db, 2, "os.getcwd()", "'/'");
	store(db, 3, "import os", NULL);
	store(db, 4, "print('caf\xc3\xa9')", NULL);
}

static void test_searches_use_globs_and_keep_their_order(void **state)
{
	struct history_db *db = history_db_open(":memory:");

	(void)state;
	fill(db);
	assert_answer(db, "{\"hist_access_type\":\"search\",\"pattern\":\"import*\"}", "[[1,1,\"import os\"],[1,3,\"import os\"]]");
	assert_answer(db, "{\"hist_access_type\":\"search\",\"pattern\":\"import*\",\"unique\":true}", "[[1,3,\"import os\"]]");
	assert_answer(db, "{\"hist_access_type\":\"search\",\"pattern\":\"*os*\",\"n\":1}", "[[1,3,\"import os\"]]");
	assert_answer(db, "{\"hist_access_type\":\"search\",\"pattern\":\"print('caf?')\"}", "[[1,4,\"print('caf\xc3\xa9')\"]]");
	assert_answer(db, "{\"hist_access_type\":\"search\",\"pattern\":\"nothing\"}", "[]");
	history_db_close(db);
}

static void test_odd_questions_get_a_list_and_do_no_harm(void **state)
{
	static const char *const questions[] = {
		"{}",
		"{\"hist_access_type\":\"nonsense\"}",
		"{\"hist_access_type\":5}",
		"{\"hist_access_type\":\"a name that is much longer than any kind there is\"}",
		"{\"hist_access_type\":\"\"}",
		"{\"hist_access_type\":\"tail\",\"n\":0}",
		"{\"hist_access_type\":\"tail\",\"n\":-5}",
		"{\"hist_access_type\":\"range\",\"session\":-9223372036854775808}",
		"{\"hist_access_type\":\"range\",\"session\":9223372036854775807,\"start\":-9223372036854775808}",
		"{\"hist_access_type\":\"range\",\"session\":99,\"start\":1,\"stop\":\"x\"}",
	};
	struct history_db *db = history_db_open(":memory:");

	(void)state;
	fill(db);
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++)
		assert_answer(db, questions[i], "[]");
	assert_answer(db, "{\"hist_access_type\":\"tail\",\"n\":null,\"unknown\":[1]}",
	    "[[1,1,\"import os\"],[1,2,\"os.getcwd()\"],[1,3,\"import os\"],[1,4,\"print('caf\xc3\xa9')\"]]");
	assert_answer(db, "{\"hist_access_type\":\"tail\",\"n\":99999999999}",
	    "[[1,1,\"import os\"],[1,2,\"os.getcwd()\"],[1,3,\"import os\"],[1,4,\"print('caf\xc3\xa9')\"]]");
	history_db_close(db);
}

static void test_ranges_of_the_running_session_count_like_python(void **state)
{
	struct history_db *db = history_db_open(":memory:");

	(void)state;
	fill(db);
	assert_answer(db, "{\"hist_access_type\":\"range\",\"session\":0,\"start\":-1}", "[[0,4,\"print('caf\xc3\xa9')\"]]");
	assert_answer(db, "{\"hist_access_type\":\"range\",\"session\":0,\"start\":2,\"stop\":3}", "[[0,2,\"os.getcwd()\"]]");
	assert_answer(db, "{\"hist_access_type\":\"range\",\"session\":0,\"start\":3,\"stop\":-1}", "[[0,3,\"import os\"]]");
	assert_answer(db, "{\"hist_access_type\":\"range\",\"session\":0,\"start\":9,\"stop\":12}", "[]");
	history_db_close(db);
}

static void test_ill_formed_text_in_the_file_is_repaired_on_the_wire(void **state)
{
	struct history_db *db = history_db_open(":memory:");

	(void)state;
	history_db_store(db, 1, SLICE_LIT("\xff\x01\"\\"), SLICE_LIT("\xff\x01\"\\"), SLICE_NULL);
	assert_answer(db, TAIL, "[[1,1,\"\xef\xbf\xbd\\u0001\\\"\\\\\"]]");
	history_db_close(db);
}

static void test_an_answer_that_is_too_long_is_an_empty_list(void **state)
{
	struct history_db *db = history_db_open(":memory:");
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(40);

	(void)state;
	fill(db);
	history_db_query(db, SLICE_LIT(TAIL), &out);
	assert_slice_is(buffer_slice(&out), "[]");
	history_db_close(db);
}

static void test_results_of_a_long_session_are_not_kept_in_memory(void **state)
{
	struct history_db *db = history_db_open(path);
	char *result = malloc(100001);

	(void)state;
	assert_non_null(result);
	memset(result, 'r', 100000);
	result[100000] = '\0';
	for (uint32_t line = 1; line <= 400; line++)
		store(db, line, "x", result);
	assert_true(sqlite3_memory_used() < (sqlite3_int64)16 << 20);
	free(result);
	history_db_close(db);
}

static void test_no_database_answers_and_closes(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);

	(void)state;
	history_db_store(NULL, 1, SLICE_LIT("x"), SLICE_LIT("x"), SLICE_NULL);
	history_db_begin(NULL);
	history_db_commit(NULL);
	history_db_query(NULL, SLICE_LIT(TAIL), &out);
	assert_slice_is(buffer_slice(&out), "[]");
	history_db_close(NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_memory_answers_what_was_stored),
		T(test_a_fresh_file_has_ipythons_tables_and_the_sessions_end),
		T(test_a_file_that_ipython_made_is_continued),
		T(test_entries_may_share_a_transaction),
		T(test_a_line_stored_again_replaces_itself),
		T(test_a_corrupt_file_is_left_as_it_is),
		T(test_a_file_with_other_tables_is_not_touched),
		T(test_places_that_cannot_be_written_mean_memory),
		T(test_missing_directories_are_made),
		T(test_searches_use_globs_and_keep_their_order),
		T(test_odd_questions_get_a_list_and_do_no_harm),
		T(test_ranges_of_the_running_session_count_like_python),
		T(test_ill_formed_text_in_the_file_is_repaired_on_the_wire),
		T(test_an_answer_that_is_too_long_is_an_empty_list),
		T(test_results_of_a_long_session_are_not_kept_in_memory),
		T(test_no_database_answers_and_closes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
