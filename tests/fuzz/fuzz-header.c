/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-header: any header frame; what is accepted consists of JSON strings, and what is built is accepted. */
#include "protocol/wire/header.h"
#include "protocol/wire/json.h"
#include "tests/fuzz/fuzz.h"

static void check_built(struct slice text, struct slice subshell)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
	struct header_origin origin = { .session = "0a1b", .pid = 7 };
	struct header again;

	memcpy(origin.username, text.data, text.len < 63 ? text.len : 63);
	header_build(&out, &origin, text.len, text.len << 30, "status", subshell);
	CHECK(header_parse(buffer_slice(&out), &again, NULL) == 0 && again.type == MSGTYPE_status);
	CHECK(slice_equal(again.subshell_id, subshell));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_from(data, size);
	struct header h = { .type = MSGTYPE_COUNT };
	struct error err = { .code = 0 };

	if (header_parse(text, &h, &err) < 0) {
		CHECK(err.code == -EBADMSG && err.text[0] != '\0' && h.type == MSGTYPE_COUNT);
		return 0;
	}
	CHECK(json_is_valid_object(text) && slice_equal(h.raw, text) && h.type < MSGTYPE_COUNT);
	CHECK(json_type(h.msg_id) == JSON_STRING && json_is_valid(h.msg_id));
	CHECK(json_type(h.session) == JSON_STRING && json_is_valid(h.session));
	CHECK(json_type(h.msg_type) == JSON_STRING && json_is_valid(h.msg_type));
	CHECK(h.subshell_id.len == 0 || json_is_valid(h.subshell_id));
	check_built(text, h.subshell_id);
	return 0;
}
