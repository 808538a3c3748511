/* SPDX-License-Identifier: Apache-2.0 */
/* header: the header of a Jupyter message (specs/wire.md 5). */
#include "protocol/wire/header.h"

#include "protocol/base/clock.h"
#include "protocol/wire/json.h"

#define TYPE_NAME_MAX 64 /* longer ones are in no table */

static enum msgtype lookup_type(struct slice token)
{
	_cleanup_(buffer_deinitp) struct buffer name = BUFFER_INIT(TYPE_NAME_MAX);

	if (!memchr(token.data, '\\', token.len))
		return msgtype_lookup(slice_from(token.data + 1, token.len - 2));
	if (json_decode_string(token, &name) < 0)
		return MSGTYPE_UNKNOWN;
	return msgtype_lookup(buffer_slice(&name));
}

static int take_string(struct slice value, struct slice *ret, const char *name, struct error *err)
{
	if (json_type(value) != JSON_STRING)
		return error_set(err, -EBADMSG, "header: %s is not a string", name);
	*ret = value;
	return 0;
}

static int take_member(struct slice name, struct slice value, struct header *h, struct error *err)
{
	if (json_string_equals(name, "msg_id"))
		return take_string(value, &h->msg_id, "msg_id", err);
	if (json_string_equals(name, "session"))
		return take_string(value, &h->session, "session", err);
	if (json_string_equals(name, "msg_type"))
		return take_string(value, &h->msg_type, "msg_type", err);
	if (json_string_equals(name, "subshell_id")) {
		if (json_type(value) != JSON_NULL)
			return take_string(value, &h->subshell_id, "subshell_id", err);
		h->subshell_id = SLICE_NULL;
	}
	return 0;
}

static int check_required(const struct header *h, struct error *err)
{
	const char *missing = !h->msg_id.data ? "msg_id" : !h->session.data ? "session" : "msg_type";

	if (h->msg_id.data && h->session.data && h->msg_type.data)
		return 0;
	return error_set(err, -EBADMSG, "header: %s is missing", missing);
}

int header_parse(struct slice frame, struct header *ret, struct error *err)
{
	struct header h = { .raw = frame };
	struct slice name, value;
	struct json_iter it;
	int r;

	if (frame.len > HEADER_MAX_BYTES)
		return error_set(err, -EBADMSG, "header: %zu bytes, at most %d are accepted", frame.len, HEADER_MAX_BYTES);
	if (!json_is_valid_object(frame))
		return error_set(err, -EBADMSG, "header: not a JSON object");
	it = json_iter(frame);
	while (json_next(&it, &name, &value)) {
		r = take_member(name, value, &h, err);
		if (r < 0)
			return r;
	}
	r = check_required(&h, err);
	if (r < 0)
		return r;
	h.type = lookup_type(h.msg_type);
	*ret = h;
	return 0;
}

void header_build(struct buffer *out, const struct header_origin *origin, uint64_t serial, uint64_t realtime_usec,
    const char *msg_type, struct slice subshell)
{
	char date[CLOCK_ISO8601_SIZE];

	clock_iso8601(realtime_usec, date);
	buffer_append_str(out, "{\"msg_id\":\"");
	buffer_append_str(out, origin->session);
	buffer_append_char(out, '_');
	buffer_append_u64(out, origin->pid);
	buffer_append_char(out, '_');
	buffer_append_u64(out, serial);
	buffer_append_str(out, "\",\"msg_type\":");
	json_encode_string(out, slice_str(msg_type));
	buffer_append_str(out, ",\"username\":");
	json_encode_string(out, slice_str(origin->username));
	buffer_append_str(out, ",\"session\":\"");
	buffer_append_str(out, origin->session);
	buffer_append_str(out, "\",\"date\":\"");
	buffer_append(out, date, sizeof(date) - 1);
	buffer_append_str(out, "\",\"version\":\"" HEADER_PROTOCOL_VERSION "\"");
	if (subshell.len > 0) {
		buffer_append_str(out, ",\"subshell_id\":");
		buffer_append_slice(out, subshell);
	}
	buffer_append_char(out, '}');
}
