/* SPDX-License-Identifier: Apache-2.0 */
/* test-history: the thread: jobs in, answers out, never in the way of the loop. */
#include "tests/unit/test.h"

#include <poll.h>
#include <sqlite3.h>

#include "kernel/front/history.h"
#include "protocol/base/clock.h"

#define TAIL SLICE_LIT("{\"hist_access_type\":\"tail\",\"n\":5000,\"raw\":true,\"output\":false}")

static struct history *make(const char *path)
{
	struct history *h;

	assert_int_equal(history_new(path, &h), 0);
	return h;
}

static void wait_for_answer(struct history *h, uint64_t id, struct buffer *answer)
{
	struct pollfd p = { .fd = history_fd(h), .events = POLLIN };
	uint64_t got = 0;

	assert_int_equal(poll(&p, 1, 20000), 1);
	assert_int_equal(history_take(h, &got, answer), 1);
	assert_int_equal(got, id);
}

static void test_questions_are_answered_after_what_was_stored_before(void **state)
{
	struct history *h = make(":memory:");
	struct buffer answer = BUFFER_INIT(0);

	(void)state;
	history_store(h, 1, SLICE_LIT("one"), SLICE_LIT("one"), SLICE_NULL);
	history_store(h, 2, SLICE_LIT("two"), SLICE_LIT("two"), SLICE_LIT("2"));
	assert_true(history_ask(h, 77, TAIL));
	wait_for_answer(h, 77, &answer);
	assert_slice_is(buffer_slice(&answer), "[[1,1,\"one\"],[1,2,\"two\"]]");
	assert_int_equal(history_take(h, &(uint64_t){ 0 }, &answer), 0);
	buffer_deinit(&answer);
	assert_null(history_free(h, USEC_PER_SEC));
}

static void test_a_history_that_was_never_used_has_no_thread_and_no_file(void **state)
{
	struct history *h = make("/nonexistent-husk/history.sqlite");
	struct pollfd p = { .fd = history_fd(h), .events = POLLIN };

	(void)state;
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_null(history_free(h, 0));
	assert_null(history_free(NULL, 0));
}

static void test_many_questions_come_back_each_once_and_in_order(void **state)
{
	struct history *h = make(":memory:");
	struct buffer answer = BUFFER_INIT(0);

	(void)state;
	for (uint64_t i = 1; i <= 500; i++)
		assert_true(history_ask(h, i, TAIL));
	for (uint64_t i = 1; i <= 500; i++)
		wait_for_answer(h, i, &answer);
	buffer_deinit(&answer);
	assert_null(history_free(h, USEC_PER_SEC));
}

static void test_the_end_writes_what_is_queued(void **state)
{
	char path[64] = "/tmp/husk-test-history-end-XXXXXX";
	struct history *h;
	sqlite3 *db;
	sqlite3_stmt *stmt;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	h = make(path);
	for (uint32_t i = 1; i <= 300; i++)
		history_store(h, i, SLICE_LIT("x"), SLICE_LIT("x"), SLICE_NULL);
	assert_null(history_free(h, 20 * USEC_PER_SEC));
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*), (SELECT num_cmds FROM sessions) FROM history", -1, &stmt,
			     NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(stmt, 0), 300);
	assert_int_equal(sqlite3_column_int(stmt, 1), 300);
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	(void)close(fd);
	assert_int_equal(unlink(path), 0);
}

/* Somebody holds the file: the loop's calls return, the queue is bounded, the end comes within its deadline. */
static void test_a_locked_file_delays_nobody_and_the_queue_is_bounded(void **state)
{
	static char big[HISTORY_MAX_BYTES / 8];
	char path[64] = "/tmp/husk-test-history-locked-XXXXXX";
	struct history *h;
	sqlite3 *db;
	int fd = mkstemp(path), taken = 0;

	(void)state;
	memset(big, 'x', sizeof(big));
	assert_true(fd >= 0);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE t (x); BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	h = make(path);
	for (uint64_t i = 0; i < 2 * HISTORY_MAX_JOBS; i++)
		taken += history_ask(h, i, TAIL);
	assert_true(taken >= HISTORY_MAX_JOBS && taken < HISTORY_MAX_JOBS + 10);
	assert_null(history_free(h, 1000));
	h = make(path);
	for (int i = 0; i < 20; i++)
		history_store(h, 1, slice_from(big, sizeof(big)), SLICE_NULL, SLICE_NULL);
	assert_null(history_free(h, 1000));
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	(void)close(fd);
	assert_int_equal(unlink(path), 0);
}

static void test_an_entry_larger_than_the_queue_is_refused(void **state)
{
	char *big = calloc(1, HISTORY_MAX_BYTES + 1);
	struct history *h = make(":memory:");

	(void)state;
	assert_non_null(big);
	assert_false(history_ask(h, 1, slice_from(big, HISTORY_MAX_BYTES + 1)));
	history_store(h, 1, slice_from(big, HISTORY_MAX_BYTES), slice_from(big, 1), SLICE_NULL);
	assert_null(history_free(h, USEC_PER_SEC));
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_questions_are_answered_after_what_was_stored_before),
		cmocka_unit_test(test_a_history_that_was_never_used_has_no_thread_and_no_file),
		cmocka_unit_test(test_many_questions_come_back_each_once_and_in_order),
		cmocka_unit_test(test_the_end_writes_what_is_queued),
		cmocka_unit_test(test_a_locked_file_delays_nobody_and_the_queue_is_bounded),
		cmocka_unit_test(test_an_entry_larger_than_the_queue_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
