/* SPDX-License-Identifier: Apache-2.0 */
/* test-comm-routes: which shell answers belong to. */
#include "tests/unit/test.h"

#include "kernel/front/comm-routes.h"

static struct comm_routes routes;

static int fresh(void **state)
{
	(void)state;
	comm_routes_deinit(&routes);
	return 0;
}

static void note(const char *content, uint32_t shell)
{
	comm_routes_note(&routes, slice_str(content), shell);
}

/* The shell, -1: nobody has asked. */
static int take(const char *content)
{
	uint32_t shell;

	return comm_routes_take(&routes, slice_str(content), &shell) ? (int)shell : -1;
}

static void test_an_answer_goes_to_the_shell_that_asked_last(void **state)
{
	(void)state;
	assert_int_equal(take("{\"comm_id\":\"a\"}"), -1);
	note("{\"comm_id\":\"a\",\"data\":{}}", 3);
	assert_int_equal(take("{\"comm_id\":\"a\",\"data\":1}"), 3);
	assert_int_equal(take("{\"comm_id\":\"b\"}"), -1);
	note("{\"comm_id\":\"a\"}", 0);
	assert_int_equal(take("{\"comm_id\":\"a\"}"), 0);
	assert_int_equal(take("{\"comm_id\":\"a\"}"), 0);
}

static void test_an_answer_that_names_its_question_goes_to_who_asked_it_once(void **state)
{
	(void)state;
	note("{\"comm_id\":\"a\",\"data\":{\"content\":{\"id\":\"q1\"}}}", 1);
	note("{\"comm_id\":\"a\",\"data\":{\"content\":{\"id\":\"q2\"}}}", 2);
	note("{\"comm_id\":\"b\",\"data\":{\"content\":{\"id\":\"q1\"}}}", 5);
	assert_int_equal(take("{\"comm_id\":\"a\",\"data\":{\"content\":{\"id\":\"q1\",\"x\":0}}}"), 1);
	assert_int_equal(take("{\"comm_id\":\"a\",\"data\":{\"content\":{\"id\":\"q1\"}}}"), 2);
	assert_int_equal(take("{\"comm_id\":\"a\",\"data\":{\"content\":{\"id\":\"other\"}}}"), 2);
	assert_int_equal(take("{\"comm_id\":\"b\",\"data\":{\"content\":{\"id\":\"q1\"}}}"), 5);
}

static void test_a_closed_comm_has_no_route(void **state)
{
	(void)state;
	note("{\"comm_id\":\"a\",\"data\":{\"content\":{\"id\":\"q\"}}}", 1);
	comm_routes_forget(&routes, SLICE_LIT("{\"comm_id\":\"a\"}"));
	comm_routes_forget(&routes, SLICE_LIT("{\"comm_id\":\"never\"}"));
	assert_int_equal(take("{\"comm_id\":\"a\"}"), -1);
	assert_int_equal(take("{\"comm_id\":\"a\",\"data\":{\"content\":{\"id\":\"q\"}}}"), -1);
}

static void test_an_id_is_its_text_however_it_is_escaped(void **state)
{
	(void)state;
	note("{\"comm_id\":\"\\u00e9/\"}", 4);
	assert_int_equal(take("{\"comm_id\":\"\xc3\xa9\\/\"}"), 4);
}

static void test_contents_without_an_id_are_nobodys(void **state)
{
	static const char *const contents[] = { "{}", "[]", "1", "{\"comm_id\":1}", "{\"comm_id\":null}" };

	(void)state;
	note("{\"comm_id\":\"\"}", 7);
	for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		note(contents[i], 1);
		assert_row(i, take(contents[i]) == -1);
	}
	assert_int_equal(take("{\"comm_id\":\"\"}"), 7);
}

static void test_an_id_of_any_length_is_survived(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(0);

	(void)state;
	buffer_append_str(&content, "{\"comm_id\":\"");
	for (int i = 0; i < 100000; i++)
		buffer_append_char(&content, 'x');
	buffer_append_str(&content, "\"}");
	note("{\"comm_id\":\"a\"}", 1);
	comm_routes_note(&routes, buffer_slice(&content), 2);
	assert_int_equal(take("{\"comm_id\":\"a\"}"), 1);
}

static void test_memory_is_bounded_and_the_newest_are_remembered(void **state)
{
	char content[64];
	unsigned found = 0;

	(void)state;
	for (unsigned i = 0; i < 20 * COMM_ROUTES_MAX; i++) {
		(void)snprintf(content, sizeof(content), "{\"comm_id\":\"%u\"}", i);
		note(content, i);
	}
	for (unsigned i = 19 * COMM_ROUTES_MAX; i < 20 * COMM_ROUTES_MAX; i++) {
		int shell;

		(void)snprintf(content, sizeof(content), "{\"comm_id\":\"%u\"}", i);
		shell = take(content);
		assert_true(shell == -1 || shell == (int)i);
		found += shell != -1;
		assert_true(shell != -1 || i < 20 * COMM_ROUTES_MAX - COMM_ROUTES_WAYS);
	}
	assert_true(found > COMM_ROUTES_MAX / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_an_answer_goes_to_the_shell_that_asked_last, fresh),
		cmocka_unit_test_setup(test_an_answer_that_names_its_question_goes_to_who_asked_it_once, fresh),
		cmocka_unit_test_setup(test_a_closed_comm_has_no_route, fresh),
		cmocka_unit_test_setup(test_an_id_is_its_text_however_it_is_escaped, fresh),
		cmocka_unit_test_setup(test_contents_without_an_id_are_nobodys, fresh),
		cmocka_unit_test_setup(test_an_id_of_any_length_is_survived, fresh),
		cmocka_unit_test_setup_teardown(test_memory_is_bounded_and_the_newest_are_remembered, fresh, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
