/* SPDX-License-Identifier: Apache-2.0 */
/* test-message: the order of judgement, and that what is built is accepted. */
#include "tests/unit/test.h"

#include "protocol/wire/json.h"
#include "protocol/wire/message.h"

#define HEADER "{\"msg_id\":\"m\",\"session\":\"s\",\"msg_type\":\"execute_request\"}"

static struct sign_key *key;
static struct sign_key *no_key;

static int make_keys(void **state)
{
	(void)state;
	return sign_key_new(SLICE_NULL, SLICE_LIT("secret"), &key, NULL) |
	    sign_key_new(SLICE_NULL, SLICE_NULL, &no_key, NULL);
}

static int free_keys(void **state)
{
	(void)state;
	key = sign_key_free(key);
	no_key = sign_key_free(no_key);
	return 0;
}

/* identity, delimiter, signature, four texts, buffer; signed rightly unless signature is given */
static void make_parts(const char *const json[4], const char *signature, char hex[SIGN_HEX_MAX], struct slice parts[8])
{
	parts[0] = SLICE_LIT("client");
	parts[1] = SLICE_LIT(FRAMES_DELIMITER);
	for (size_t i = 0; i < 4; i++)
		parts[3 + i] = slice_str(json[i]);
	parts[7] = SLICE_LIT("\0raw\xff");
	parts[2] = signature ? slice_str(signature) : slice_from(hex, sign_make(key, parts + 3, 4, hex));
}

static void test_judgement(void **state)
{
	static const struct {
		const char *json[4];
		const char *signature;
		int result;
		const char *reason;
	} rows[] = {
		{ { HEADER, "{}", "{}", "{\"code\":\"1\"}" }, NULL, 0, NULL },
		{ { HEADER, "{}", "{}", "{}" }, "", MESSAGE_E_SIGNATURE, "missing" },
		{ { HEADER, "{}", "{}", "{}" }, "00", MESSAGE_E_SIGNATURE, "wrong" },
		{ { "not json", "{", "", "\xff" }, "bad", MESSAGE_E_SIGNATURE, "wrong" }, /* before JSON is looked at */
		{ { "not json", "{}", "{}", "{}" }, NULL, MESSAGE_E_JSON, "header" },
		{ { "[]", "{}", "{}", "{}" }, NULL, MESSAGE_E_JSON, "header" },
		{ { HEADER, "[]", "{}", "{}" }, NULL, MESSAGE_E_JSON, "parent_header is not" },
		{ { HEADER, "{}", "", "{}" }, NULL, MESSAGE_E_JSON, "metadata is not" },
		{ { HEADER, "{}", "{}", "{\"a\":NaN}" }, NULL, MESSAGE_E_JSON, "content is not JSON" },
		{ { HEADER, "{}", "{}", "{\"a\":\"\xed\xa0\x80\"}" }, NULL, MESSAGE_E_JSON, "content is not JSON" },
		{ { HEADER, "{}", "{}", "[1]" }, NULL, 0, NULL }, /* to be answered with an error */
		{ { HEADER, "{}", "{}", "[1" }, NULL, MESSAGE_E_JSON, "content is not JSON" },
		{ { "{}", "{}", "{}", "{}" }, NULL, MESSAGE_E_HEADER, "msg_id is missing" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct slice parts[8];
		char hex[SIGN_HEX_MAX];
		struct message m;
		struct error err = { 0, "" };

		make_parts(rows[i].json, rows[i].signature, hex, parts);
		assert_row(i, message_parse(parts, 8, key, NULL, &m, &err) == rows[i].result);
		if (rows[i].reason)
			assert_contains(err.text, rows[i].reason);
	}
}

static void test_an_accepted_message_gives_all_its_parts(void **state)
{
	static const char *const json[4] = { HEADER, "{\"p\":1}", "{\"m\":2}", "{\"c\":3}" };
	struct slice parts[8];
	char hex[SIGN_HEX_MAX];
	struct message m;

	(void)state;
	make_parts(json, NULL, hex, parts);
	assert_int_equal(message_parse(parts, 8, key, NULL, &m, NULL), 0);
	assert_int_equal(m.frames.n_identities, 1);
	assert_slice_is(m.frames.identities[0], "client");
	assert_slice_is(m.frames.json[FRAMES_PARENT], "{\"p\":1}");
	assert_slice_is(m.frames.json[FRAMES_METADATA], "{\"m\":2}");
	assert_slice_is(m.frames.json[FRAMES_CONTENT], "{\"c\":3}");
	assert_int_equal(m.frames.n_buffers, 1);
	assert_true(slice_equal(m.frames.buffers[0], SLICE_LIT("\0raw\xff")));
	assert_slice_is(m.header.raw, HEADER);
	assert_int_equal(m.header.type, MSGTYPE_execute_request);
}

static void test_the_shape_is_judged_first(void **state)
{
	struct slice parts[] = { SLICE_LIT("x"), SLICE_LIT("y") };
	struct message m;
	struct error err;

	(void)state;
	assert_int_equal(message_parse(parts, 2, key, NULL, &m, &err), MESSAGE_E_FRAMES);
	assert_contains(err.text, FRAMES_DELIMITER);
	assert_int_equal(message_parse(parts, 0, key, NULL, &m, &err), MESSAGE_E_FRAMES);
}

static void test_a_message_is_served_once(void **state)
{
	static const char *const json[4] = { HEADER, "{}", "{}", "{}" };
	static const char *const bad[4] = { HEADER, "{}", "{}", "{\"x\":1}" };
	struct sign_replay *replay = sign_replay_new();
	struct slice parts[8];
	char hex[SIGN_HEX_MAX];
	struct message m;
	struct error err;

	(void)state;
	/* A wrong signature must not use up the right one. */
	make_parts(json, NULL, hex, parts);
	parts[6] = slice_str(bad[3]);
	assert_int_equal(message_parse(parts, 8, key, replay, &m, &err), MESSAGE_E_SIGNATURE);
	parts[6] = slice_str(json[3]);
	assert_int_equal(message_parse(parts, 8, key, replay, &m, &err), 0);
	assert_int_equal(message_parse(parts, 8, key, replay, &m, &err), MESSAGE_E_REPLAY);
	/* The buffers are not signed: changing them does not make it another message. */
	assert_int_equal(message_parse(parts, 7, key, replay, &m, &err), MESSAGE_E_REPLAY);
	make_parts(bad, NULL, hex, parts);
	assert_int_equal(message_parse(parts, 8, key, replay, &m, &err), 0);
	sign_replay_free(replay);
}

static void test_without_a_key_any_signature_goes_and_nothing_is_a_replay(void **state)
{
	static const char *const json[4] = { HEADER, "{}", "{}", "{}" };
	struct sign_replay *replay = sign_replay_new();
	struct slice parts[8];
	char hex[SIGN_HEX_MAX];
	struct message m;

	(void)state;
	make_parts(json, "whatever", hex, parts);
	assert_int_equal(message_parse(parts, 8, no_key, replay, &m, NULL), 0);
	assert_int_equal(message_parse(parts, 8, no_key, replay, &m, NULL), 0);
	parts[2] = SLICE_NULL;
	assert_int_equal(message_parse(parts, 8, no_key, replay, &m, NULL), 0);
	sign_replay_free(replay);
}

static void test_built_messages_are_accepted(void **state)
{
	static const struct header_origin origin = { .session = "abc", .username = "kernel", .pid = 1 };
	const struct sign_key *keys[] = { key, no_key };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		_cleanup_(buffer_deinitp) struct buffer scratch = BUFFER_INIT(0);
		struct slice parts[MESSAGE_PARTS];
		struct message m;

		/* The header is built into the very buffer that then grows. */
		header_build(&scratch, &origin, i, 0, "status", SLICE_NULL);
		scratch.data = realloc(scratch.data, scratch.len);
		assert_non_null(scratch.data);
		scratch.size = scratch.len;
		assert_int_equal(message_build(&scratch, keys[i], buffer_slice(&scratch), SLICE_LIT(HEADER), SLICE_NULL,
		    SLICE_LIT("{\"execution_state\":\"busy\"}"), parts), 0);
		assert_int_equal(message_parse(parts, MESSAGE_PARTS, keys[i], NULL, &m, NULL), 0);
		assert_int_equal(m.header.type, MSGTYPE_status);
		assert_slice_is(m.frames.json[FRAMES_PARENT], HEADER);
		assert_slice_is(m.frames.json[FRAMES_METADATA], "{}");
		assert_int_equal(m.frames.signature.len, i == 0 ? 64 : 0);
	}
}

static void test_a_full_scratch_is_reported(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer scratch = BUFFER_INIT(10);
	struct slice parts[MESSAGE_PARTS];

	(void)state;
	assert_int_equal(message_build(&scratch, key, SLICE_LIT(HEADER), SLICE_NULL, SLICE_NULL, SLICE_NULL, parts), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judgement),
		cmocka_unit_test(test_an_accepted_message_gives_all_its_parts),
		cmocka_unit_test(test_the_shape_is_judged_first),
		cmocka_unit_test(test_a_message_is_served_once),
		cmocka_unit_test(test_without_a_key_any_signature_goes_and_nothing_is_a_replay),
		cmocka_unit_test(test_built_messages_are_accepted),
		cmocka_unit_test(test_a_full_scratch_is_reported),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
