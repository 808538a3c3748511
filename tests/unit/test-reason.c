/* SPDX-License-Identifier: Apache-2.0 */
/* test-reason: what people are told when a limit ends their turn. */
#include "tests/unit/test.h"

#include "protocol/link/reason.h"

static void test_messages_name_limit_used_and_setting(void **state)
{
	static const struct {
		uint32_t reason;
		uint64_t limit;
		uint64_t used;
		const char *text;
	} rows[] = {
		{ RING_REASON_WALL, 120000000, 120003400, "wall time of this turn: 120 s allowed, 120.003 s used; to have more, "
							  "ask for a larger limits.wall in the request or the kernel's profile" },
		{ RING_REASON_CPU_TOTAL, 500000, 1000000, "CPU time of this kernel: 0.5 s allowed, 1 s used; to have more, ask "
							  "for a larger limits.cpu_total in the kernel's profile" },
		{ RING_REASON_MEMORY, 268435456, 2684354560, "memory of this kernel: 256 MiB allowed, 2.5 GiB used; to have "
							     "more, ask for a larger limits.memory in the request or the kernel's profile" },
		{ RING_REASON_OUTPUT, 100, 1023, "output of this turn: 100 bytes allowed, 1023 bytes used; to have more, ask "
						 "for a larger limits.output in the request or the kernel's profile" },
		{ RING_REASON_OUTPUT_MESSAGES, 10000, 10001, "messages of output of this turn: 10000 allowed, 10001 used; to have "
							     "more, ask for a larger limits.output_messages in the request or the kernel's "
							     "profile" },
		{ RING_REASON_DISK, 1048576, 1572864, "disk space of the workspace: 1 MiB allowed, 1.5 MiB used; to have more, ask "
						      "for a larger limits.disk in the kernel's profile" },
		{ RING_REASON_DISK_FILES, 64, 65, "files in the workspace: 64 allowed, 65 used; to have more, ask for a larger "
						  "limits.disk_files in the kernel's profile" },
		{ RING_REASON_INTERRUPT, 1, 2, "" },
		{ RING_REASON_COUNT, 1, 2, "" },
		{ UINT32_MAX, 1, 2, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[REASON_MESSAGE_MAX];

		reason_message(rows[i].reason, rows[i].limit, rows[i].used, text);
		assert_string_equal(text, rows[i].text);
	}
}

static void test_the_largest_numbers_fit(void **state)
{
	(void)state;
	for (uint32_t reason = 0; reason < RING_REASON_COUNT; reason++) {
		char text[REASON_MESSAGE_MAX];

		reason_message(reason, UINT64_MAX, UINT64_MAX, text);
		if (reason != RING_REASON_INTERRUPT)
			assert_contains(text, "the kernel's profile");
	}
}

/* Of a row of limits.def, to the end of its line. */
static bool is_lowerable(const char *row)
{
	const char *yes = strstr(row, ", true, ");

	return yes != NULL && yes < strchr(row, '\n');
}

static void test_every_reason_is_named_as_its_limit(void **state)
{
	char *limits = test_read_file("kernel/sandbox/limits.def", NULL);

	(void)state;
	for (uint32_t reason = 0; reason < RING_REASON_COUNT; reason++) {
		char setting[REASON_SETTING_MAX];
		char row[REASON_SETTING_MAX + 16];

		reason_setting(reason, setting);
		(void)snprintf(row, sizeof(row), "LIMIT(%s,", setting);
		if (reason == RING_REASON_INTERRUPT) {
			assert_string_equal(setting, "");
			continue;
		}
		assert_contains(limits, row);
		assert_int_equal(is_lowerable(strstr(limits, row)), reason_row(reason)->asked == REASON_ASKED_REQUEST);
	}
	free(limits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_name_limit_used_and_setting),
		cmocka_unit_test(test_the_largest_numbers_fit),
		cmocka_unit_test(test_every_reason_is_named_as_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
