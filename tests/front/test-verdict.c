/* SPDX-License-Identifier: Apache-2.0 */
/* test-verdict: verdicts and limits, and the tables of specs/limits.md. */
#include "tests/unit/test.h"

#include "kernel/front/verdict.h"
#include "kernel/sandbox/limits.h"
#include "protocol/link/reason.h"
#include "tests/unit/markdown.h"

static void test_each_limit_has_its_own_kind_of_verdict(void **state)
{
	static const struct {
		enum ring_reason reason;
		enum verdict verdict;
		const char *ename;
		const char *killed;
	} rows[] = {
		{ RING_REASON_INTERRUPT, VERDICT_interrupted, "KeyboardInterrupt", "KeyboardInterrupt" },
		{ RING_REASON_WALL, VERDICT_wall_limit, "WallTimeLimitExceeded", "WallTimeLimitExceeded" },
		{ RING_REASON_INPUT, VERDICT_wall_limit, "WallTimeLimitExceeded", "WallTimeLimitExceeded" },
		{ RING_REASON_SERVICE, VERDICT_wall_limit, "WallTimeLimitExceeded", "WallTimeLimitExceeded" },
		{ RING_REASON_CPU, VERDICT_cpu_limit, "CpuTimeLimitExceeded", "CpuTimeLimitExceeded" },
		{ RING_REASON_CPU_TOTAL, VERDICT_cpu_limit, "CpuTimeLimitExceeded", "CpuTimeLimitExceeded" },
		{ RING_REASON_MEMORY, VERDICT_memory_limit, "MemoryError", "MemoryLimitExceeded" },
		{ RING_REASON_OUTPUT, VERDICT_output_limit, "OutputLimitExceeded", "OutputLimitExceeded" },
		{ RING_REASON_OUTPUT_MESSAGES, VERDICT_output_limit, "OutputLimitExceeded", "OutputLimitExceeded" },
		{ RING_REASON_OUTPUT_TOTAL, VERDICT_output_limit, "OutputLimitExceeded", "OutputLimitExceeded" },
		{ RING_REASON_OUTPUT_TOTAL_MESSAGES, VERDICT_output_limit, "OutputLimitExceeded", "OutputLimitExceeded" },
		{ RING_REASON_DISK, VERDICT_error, "OSError", "OSError" },
		{ RING_REASON_DISK_FILES, VERDICT_error, "OSError", "OSError" },
	};

	(void)state;
	assert_int_equal(ARRAY_SIZE(rows), RING_REASON_COUNT);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cause cause = { .is_set = true, .reason = rows[i].reason };

		assert_row(i, cause_verdict(&cause) == rows[i].verdict);
		assert_row(i, cause_is_limit(&cause) == (rows[i].reason != RING_REASON_INTERRUPT));
		assert_string_equal(cause_ename(&cause, false), rows[i].ename);
		assert_string_equal(cause_ename(&cause, true), rows[i].killed);
	}
}

static void test_no_cause_is_no_limit(void **state)
{
	const struct cause none = { 0 };

	(void)state;
	assert_false(cause_is_limit(&none));
}

static void test_the_specification_has_the_same_limits(void **state)
{
	static const char *const units[] = { "us", "bytes", "number", "%" };
	_cleanup_(freep) char *text = test_read_file("specs/limits.md", NULL);
	struct markdown_table table;
	int n = 0;

	(void)state;
	assert_true(markdown_find_table(text, "## 1. Limits", &table));
	for (; markdown_next_row(&table); n++) {
		const struct limit_row *row = &limit_rows[n];
		const uint64_t values[] = { row->fallback, row->least, row->most };

		assert_string_equal(table.cells[0], row->name);
		assert_string_equal(table.cells[1], units[row->unit]);
		for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
			uint64_t said = 0;

			assert_int_equal(values[i] == LIMITS_NONE, strcmp(table.cells[2 + i], "none") == 0);
			assert_int_equal(limit_parse(n, slice_str(table.cells[2 + i]), &said, NULL), 0);
			assert_int_equal(said, values[i]);
		}
		assert_string_equal(table.cells[5], row->lowerable ? "yes" : "-");
	}
	assert_int_equal(n, LIMIT_COUNT);
}

static void test_the_specification_has_the_same_verdicts(void **state)
{
	static const char *const help[] = {
#define VERDICT(name, help) help,
#include "kernel/front/verdict.def"
#undef VERDICT
	};
	_cleanup_(freep) char *text = test_read_file("specs/limits.md", NULL);
	struct markdown_table table;
	int n = 0;

	(void)state;
	assert_true(markdown_find_table(text, "## 3. Verdicts", &table));
	for (; markdown_next_row(&table); n++) {
		assert_string_equal(table.cells[0], verdict_names[n]);
		assert_string_equal(table.cells[1], help[n]);
	}
	assert_int_equal(n, VERDICT_COUNT);
}

static void test_the_schema_knows_every_name(void **state)
{
	_cleanup_(freep) char *text = test_read_file("specs/limits.md", NULL);
	char *schema = strstr(text, "```json"), *end = schema ? strstr(schema, "\n```\n") : NULL;
	char name[64];

	(void)state;
	assert_non_null(end);
	*end = '\0';
	for (int i = 0; i < VERDICT_COUNT; i++) {
		(void)snprintf(name, sizeof(name), "\"%s\"", verdict_names[i]);
		assert_contains(schema, name);
	}
	for (int i = 0; i < VERDICT_STATE_COUNT; i++) {
		(void)snprintf(name, sizeof(name), "\"%s\"", verdict_state_names[i]);
		assert_contains(schema, name);
	}
	for (int i = 0; i < LIMIT_COUNT; i++) {
		(void)snprintf(name, sizeof(name), "%c%s%c", i ? '|' : '(', limit_rows[i].name, i == LIMIT_COUNT - 1 ? ')' : '|');
		assert_contains(schema, name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_limit_has_its_own_kind_of_verdict),
		cmocka_unit_test(test_no_cause_is_no_limit),
		cmocka_unit_test(test_the_specification_has_the_same_limits),
		cmocka_unit_test(test_the_specification_has_the_same_verdicts),
		cmocka_unit_test(test_the_schema_knows_every_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
