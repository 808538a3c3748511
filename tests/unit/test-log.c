/* SPDX-License-Identifier: Apache-2.0 */
/* test-log: lines on stderr, which is a file while a test looks. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "protocol/base/log.h"

static int saved_stderr = -1;
static int capture = -1;

static int start_capture(void **state)
{
	char path[] = "/tmp/husk-test-log.XXXXXX";

	(void)state;
	saved_stderr = dup(STDERR_FILENO);
	capture = mkostemp(path, O_CLOEXEC);
	(void)unlink(path);
	(void)unsetenv("JOURNAL_STREAM");
	return capture >= 0 && dup2(capture, STDERR_FILENO) >= 0 ? 0 : -1;
}

static int stop_capture(void **state)
{
	(void)state;
	(void)dup2(saved_stderr, STDERR_FILENO);
	(void)close(saved_stderr);
	return close(capture);
}

/* What was written since the last call. */
static const char *captured(void)
{
	static char text[8192];
	ssize_t n = pread(capture, text, sizeof(text) - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	assert_int_equal(ftruncate(capture, 0), 0);
	assert_int_equal(lseek(capture, 0, SEEK_SET), 0);
	return text;
}

static void test_a_line_names_program_and_process(void **state)
{
	char expected[64];

	(void)state;
	log_init("husk-test", LOG_LEVEL_INFO);
	log_warning("%d things in %s", 3, "a box");
	(void)snprintf(expected, sizeof(expected), "husk-test[%ld]: 3 things in a box\n", (long)getpid());
	assert_string_equal(captured(), expected);
}

static void test_levels_above_the_maximum_are_silent(void **state)
{
	(void)state;
	log_init("husk-test", LOG_LEVEL_WARNING);
	log_info("not written");
	log_debug("not written");
	assert_string_equal(captured(), "");
	log_error("written");
	assert_contains(captured(), ": written\n");
}

static void test_control_characters_cannot_forge_a_line(void **state)
{
	const char *text;

	(void)state;
	log_init("husk-test", LOG_LEVEL_INFO);
	log_info("a\nhusk-test[1]: forged\x1b[31m\x7f");
	text = captured();
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	assert_null(strchr(text, '\x1b'));
	assert_null(strchr(text, '\x7f'));
}

static void test_long_lines_are_cut_and_end(void **state)
{
	static char text[6000];
	const char *line;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	log_init("husk-test", LOG_LEVEL_INFO);
	log_info("%s", text);
	line = captured();
	assert_true(strlen(line) > 1500 && strlen(line) <= 2048);
	assert_int_equal(line[strlen(line) - 1], '\n');
}

static void test_errno_is_kept_and_can_be_logged(void **state)
{
	(void)state;
	log_init("husk-test", LOG_LEVEL_INFO);
	errno = ENOENT;
	log_info("it says: %m");
	assert_int_equal(errno, ENOENT);
	assert_contains(captured(), strerror(ENOENT));
}

static void test_a_peer_cannot_flood_the_log(void **state)
{
	struct log_ratelimit limit = { .interval_usec = UINT64_MAX / 4 };
	const char *text;

	(void)state;
	log_init("husk-test", LOG_LEVEL_INFO);
	for (int i = 0; i < 1000; i++)
		log_limited(&limit, LOG_LEVEL_INFO, "bad message");
	text = captured();
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	assert_int_equal(limit.n_suppressed, 999);
	limit.next_usec = 0;
	log_limited(&limit, LOG_LEVEL_INFO, "bad message");
	assert_contains(captured(), "bad message (and 999 more like it were not written)\n");
	assert_int_equal(limit.n_suppressed, 0);
}

static void test_the_journal_gets_levels_when_stderr_is_the_journal(void **state)
{
	char stream[64];
	struct stat st;

	(void)state;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	(void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
	log_init("husk-test", LOG_LEVEL_INFO);
	log_warning("x");
	assert_memory_equal(captured(), "<4>husk-test[", 13);
	assert_int_equal(setenv("JOURNAL_STREAM", "1:1", 1), 0);
	log_init("husk-test", LOG_LEVEL_INFO);
	log_warning("x");
	assert_memory_equal(captured(), "husk-test[", 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_line_names_program_and_process, start_capture, stop_capture),
		cmocka_unit_test_setup_teardown(test_levels_above_the_maximum_are_silent, start_capture, stop_capture),
		cmocka_unit_test_setup_teardown(test_control_characters_cannot_forge_a_line, start_capture, stop_capture),
		cmocka_unit_test_setup_teardown(test_long_lines_are_cut_and_end, start_capture, stop_capture),
		cmocka_unit_test_setup_teardown(test_errno_is_kept_and_can_be_logged, start_capture, stop_capture),
		cmocka_unit_test_setup_teardown(test_a_peer_cannot_flood_the_log, start_capture, stop_capture),
		cmocka_unit_test_setup_teardown(test_the_journal_gets_levels_when_stderr_is_the_journal, start_capture,
		    stop_capture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
