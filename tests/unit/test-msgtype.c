/* SPDX-License-Identifier: Apache-2.0 */
/* test-msgtype: the table of message types, against the one in specs/wire.md 6 and against the limits in 10. */
#include "tests/unit/test.h"

#include "protocol/base/msgpack.h"
#include "protocol/link/link.h"
#include "protocol/link/ring.h"
#include "protocol/wire/connection-file.h"
#include "protocol/wire/frames.h"
#include "protocol/wire/header.h"
#include "protocol/wire/json.h"
#include "protocol/wire/msgtype.h"
#include "tests/unit/markdown.h"

static void test_every_name_is_found_again(void **state)
{
	(void)state;
	for (unsigned t = 1; t < MSGTYPE_COUNT; t++) {
		const struct msgtype_info *info = msgtype_info((enum msgtype)t);

		assert_row(t, msgtype_lookup(slice_str(info->name)) == t);
		assert_row(t, msgtype_lookup(slice_from(info->name, strlen(info->name) - 1)) == MSGTYPE_UNKNOWN);
	}
}

static void test_other_names_are_unknown(void **state)
{
	static const char *const names[] = { "", "unknown", "none", "Execute_request", "execute_request ", "status\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_row(i, msgtype_lookup(slice_str(names[i])) == MSGTYPE_UNKNOWN);
	assert_int_equal(msgtype_lookup(slice_from("status\0", 7)), MSGTYPE_UNKNOWN);
	assert_int_equal(msgtype_lookup(SLICE_NULL), MSGTYPE_UNKNOWN);
}

static void test_numbers_outside_the_table_are_unknown(void **state)
{
	(void)state;
	assert_string_equal(msgtype_info(MSGTYPE_UNKNOWN)->name, "unknown");
	assert_string_equal(msgtype_info(MSGTYPE_COUNT)->name, "unknown");
	assert_string_equal(msgtype_info((enum msgtype)-1)->name, "unknown");
	assert_int_equal(msgtype_info(MSGTYPE_UNKNOWN)->from, 0);
}

static void test_requests_have_the_reply_of_their_name(void **state)
{
	(void)state;
	for (unsigned t = 1; t < MSGTYPE_COUNT; t++) {
		const struct msgtype_info *info = msgtype_info((enum msgtype)t);
		const char *suffix = strstr(info->name, "_request");
		const char *reply = msgtype_info(info->reply)->name;

		if (!suffix || t == MSGTYPE_input_request) {
			assert_row(t, info->reply == MSGTYPE_UNKNOWN);
			continue;
		}
		assert_row(t, info->from & (MSGTYPE_FROM_SHELL | MSGTYPE_FROM_CONTROL));
		assert_row(t, strncmp(reply, info->name, (size_t)(suffix - info->name)) == 0);
		assert_string_equal(reply + (suffix - info->name), "_reply");
		assert_row(t, msgtype_info(info->reply)->from == 0);
	}
}

static void test_whatever_a_client_sends_is_served_by_one_side(void **state)
{
	(void)state;
	for (unsigned t = 1; t < MSGTYPE_COUNT; t++) {
		const struct msgtype_info *info = msgtype_info((enum msgtype)t);
		unsigned served = info->flags & (MSGTYPE_FRONT | MSGTYPE_WORKER);

		assert_row(t, info->from ? served == MSGTYPE_FRONT || served == MSGTYPE_WORKER : served == 0);
		assert_row(t, !(info->flags & MSGTYPE_ABORTS) || t == MSGTYPE_execute_request);
	}
}

static void format_from(const struct msgtype_info *info, char text[64])
{
	static const char *const names[] = { "shell", "control", "stdin" };

	text[0] = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (info->from & 1u << i)
			(void)snprintf(text + strlen(text), 64 - strlen(text), "%s%s", text[0] ? ", " : "", names[i]);
	if (text[0] == '\0')
		(void)snprintf(text, 64, "kernel only");
}

static void test_the_specification_has_the_same_table(void **state)
{
	_cleanup_(freep) char *text = test_read_file("specs/wire.md", NULL);
	struct markdown_table table;
	unsigned n = 0;

	(void)state;
	assert_true(markdown_find_table(text, "## 6. Message types", &table));
	while (markdown_next_row(&table)) {
		enum msgtype t = msgtype_lookup(slice_str(table.cells[0]));
		const struct msgtype_info *info = msgtype_info(t);
		char from[64];

		if (t != ++n)
			fail_msg("specs/wire.md 6: \"%s\" is not row %u of msgtype.def", table.cells[0], n);
		format_from(info, from);
		assert_string_equal(table.cells[1], from);
		assert_string_equal(table.cells[2], info->reply ? msgtype_info(info->reply)->name : "-");
		assert_string_equal(table.cells[3],
		    info->flags & MSGTYPE_FRONT ? "front" : info->flags & MSGTYPE_WORKER ? "worker" : "-");
		assert_string_equal(table.cells[4], info->flags & MSGTYPE_ABORTS ? "yes" : "-");
		assert_string_equal(table.cells[5], info->flags & MSGTYPE_IOPUB ? "yes" : "-");
	}
	assert_int_equal(n, MSGTYPE_COUNT - 1);
}

static void test_the_specification_has_the_limits_of_the_headers(void **state)
{
#define LIMIT(name) { "`" #name "`", (uint64_t)(name) }
	static const struct {
		const char *name;
		uint64_t value;
	} limits[] = {
		LIMIT(FRAMES_MAX), LIMIT(FRAMES_MAX_IDENTITIES), LIMIT(FRAMES_MAX_BYTES), LIMIT(FRAMES_MAX_JSON),
		LIMIT(HEADER_MAX_BYTES), LIMIT(JSON_MAX_DEPTH), LIMIT(SIGN_REPLAY_MAX), LIMIT(SIGN_KEY_MAX),
		LIMIT(CONNECTION_FILE_MAX_BYTES), LIMIT(LINK_MAX_BODY), LIMIT(MSGPACK_MAX_DEPTH), LIMIT(RING_DATA_SIZE),
		LIMIT(RING_N_MARKS),
	};
	_cleanup_(freep) char *text = test_read_file("specs/wire.md", NULL);
	struct markdown_table table;
	unsigned n_found = 0;

	(void)state;
	assert_true(markdown_find_table(text, "## 10. Limits", &table));
	while (markdown_next_row(&table)) {
		for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
			char value[32];

			if (strcmp(table.cells[2], limits[i].name) != 0)
				continue;
			(void)snprintf(value, sizeof(value), "%llu", (unsigned long long)limits[i].value);
			assert_string_equal(table.cells[1], value);
			n_found++;
		}
	}
	assert_int_equal(n_found, ARRAY_SIZE(limits));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_name_is_found_again),
		cmocka_unit_test(test_other_names_are_unknown),
		cmocka_unit_test(test_numbers_outside_the_table_are_unknown),
		cmocka_unit_test(test_requests_have_the_reply_of_their_name),
		cmocka_unit_test(test_whatever_a_client_sends_is_served_by_one_side),
		cmocka_unit_test(test_the_specification_has_the_same_table),
		cmocka_unit_test(test_the_specification_has_the_limits_of_the_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
