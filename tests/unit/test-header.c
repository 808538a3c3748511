/* SPDX-License-Identifier: Apache-2.0 */
/* test-header: headers received and sent (specs/wire.md 5). */
#include "tests/unit/test.h"

#include "protocol/wire/header.h"
#include "protocol/wire/json.h"

static void test_tokens_are_kept_as_received(void **state)
{
	struct slice text = SLICE_LIT(" { \"msg_id\" : \"\\u0061-1\" , \"session\":\"s\\\"\", \"username\":\"\xc3\xa9\", \"x\":{\"msg_id\":1},"
	    "\"msg_type\":\"execute_request\",\"subshell_id\":\"sub\"} ");
	struct header h;

	(void)state;
	assert_int_equal(header_parse(text, &h, NULL), 0);
	assert_true(slice_equal(h.raw, text));
	assert_slice_is(h.msg_id, "\"\\u0061-1\"");
	assert_slice_is(h.session, "\"s\\\"\"");
	assert_slice_is(h.msg_type, "\"execute_request\"");
	assert_slice_is(h.subshell_id, "\"sub\"");
	assert_int_equal(h.type, MSGTYPE_execute_request);
}

static void test_what_is_accepted_and_what_is_refused(void **state)
{
	static const struct {
		const char *text;
		enum msgtype type;
		const char *reason; /* NULL: accepted */
	} rows[] = {
		{ "{\"msg_id\":\"a\",\"session\":\"b\",\"msg_type\":\"status\"}", MSGTYPE_status, NULL },
		{ "{\"msg_id\":\"\",\"session\":\"\",\"msg_type\":\"\"}", MSGTYPE_UNKNOWN, NULL },
		{ "{\"msg_id\":\"a\",\"session\":\"b\",\"msg_type\":\"no_such\"}", MSGTYPE_UNKNOWN, NULL },
		{ "{\"msg_id\":\"a\",\"session\":\"b\",\"msg_type\":\"unknown\"}", MSGTYPE_UNKNOWN, NULL },
		{ "{\"msg_id\":\"a\",\"session\":\"b\",\"msg_type\":\"kernel_info\\u005frequest\"}", MSGTYPE_kernel_info_request,
		    NULL },
		{ "{\"\\u006dsg_id\":\"a\",\"session\":\"b\",\"msg_type\":\"error\"}", MSGTYPE_error, NULL },
		{ "{\"msg_id\":\"a\",\"session\":\"b\",\"msg_type\":\"status\",\"msg_type\":\"error\"}", MSGTYPE_error, NULL },
		{ "{\"msg_id\":\"a\",\"session\":\"b\",\"msg_type\":\"status\",\"subshell_id\":null}", MSGTYPE_status, NULL },
		{ "{\"msg_id\":\"a\",\"session\":\"b\",\"msg_type\":\"status\",\"subshell_id\":\"x\",\"subshell_id\":null}",
		    MSGTYPE_status, NULL },
		{ "{\"session\":\"b\",\"msg_type\":\"status\"}", 0, "msg_id is missing" },
		{ "{\"msg_id\":\"a\",\"msg_type\":\"status\"}", 0, "session is missing" },
		{ "{\"msg_id\":\"a\",\"session\":\"b\"}", 0, "msg_type is missing" },
		{ "{\"msg_id\":1,\"session\":\"b\",\"msg_type\":\"status\"}", 0, "msg_id is not a string" },
		{ "{\"msg_id\":\"a\",\"session\":null,\"msg_type\":\"status\"}", 0, "session is not a string" },
		{ "{\"msg_id\":\"a\",\"session\":\"b\",\"msg_type\":[]}", 0, "msg_type is not a string" },
		{ "{\"msg_id\":\"a\",\"session\":\"b\",\"msg_type\":\"status\",\"subshell_id\":5}", 0, "subshell_id is not a string" },
		{ "{}", 0, "msg_id is missing" },
		{ "[]", 0, "not a JSON object" },
		{ "", 0, "not a JSON object" },
		{ "{\"msg_id\":\"a\",\"session\":\"b\",\"msg_type\":\"status\"", 0, "not a JSON object" },
		{ "{\"msg_id\":\"a\",\"session\":\"b\",\"msg_type\":\"status\"}x", 0, "not a JSON object" },
		{ "{\"msg_id\":\"\xff\",\"session\":\"b\",\"msg_type\":\"status\"}", 0, "not a JSON object" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct header h;
		struct error err;
		int r = header_parse(slice_str(rows[i].text), &h, &err);

		assert_row(i, r == (rows[i].reason ? -EBADMSG : 0));
		if (rows[i].reason)
			assert_contains(err.text, rows[i].reason);
		else
			assert_row(i, h.type == rows[i].type && h.subshell_id.data == NULL);
	}
}

static void test_the_size_is_limited(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(0);
	struct header h;
	struct error err;

	(void)state;
	buffer_append_str(&b, "{\"msg_id\":\"a\",\"session\":\"b\",\"msg_type\":\"status\",\"pad\":\"");
	while (b.len < HEADER_MAX_BYTES - 2)
		buffer_append_char(&b, 'x');
	buffer_append_str(&b, "\"}");
	assert_int_equal(header_parse(buffer_slice(&b), &h, &err), 0);
	buffer_append_char(&b, ' ');
	assert_int_equal(header_parse(buffer_slice(&b), &h, &err), -EBADMSG);
	assert_contains(err.text, "65537");
}

static void test_built_headers_have_all_members(void **state)
{
	static const struct header_origin origin = { "2c5ea4c0-4067-11e9-8bad-9b9deafa1c2f", "a\"b", 4321 };
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(0);
	struct header h;

	(void)state;
	header_build(&b, &origin, 17, 1795266880123456, "status", SLICE_NULL);
	assert_slice_is(buffer_slice(&b), "{\"msg_id\":\"2c5ea4c0-4067-11e9-8bad-9b9deafa1c2f_4321_17\",\"msg_type\":\"status\","
	    "\"username\":\"a\\\"b\",\"session\":\"2c5ea4c0-4067-11e9-8bad-9b9deafa1c2f\","
	    "\"date\":\"2026-11-21T13:14:40.123456Z\",\"version\":\"5.5\"}");
	assert_int_equal(header_parse(buffer_slice(&b), &h, NULL), 0);
	buffer_reset(&b);
	header_build(&b, &origin, UINT64_MAX, 0, "error", SLICE_LIT("\"sub\""));
	assert_int_equal(header_parse(buffer_slice(&b), &h, NULL), 0);
	assert_slice_is(h.subshell_id, "\"sub\"");
	assert_int_equal(h.type, MSGTYPE_error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens_are_kept_as_received),
		cmocka_unit_test(test_what_is_accepted_and_what_is_refused),
		cmocka_unit_test(test_the_size_is_limited),
		cmocka_unit_test(test_built_headers_have_all_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
