/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec-helper: the C codec for the property tests. One JSON object per line in, one per line out; bytes are hexadecimal.
 *
 *   {"op": "parse", "scheme": s, "key": s, "frames": [hex...]}
 *      -> {"result": n, "reason": s} or {"result": 0, "identities": n, "header": hex, ..., "content": hex, "buffers": n,
 *          "msg_type": hex (decoded), "known": bool}
 *   {"op": "build", "scheme": s, "key": s, "session": s, "username": s, "msg_type": s, "serial": n, "usec": n,
 *    "parent": hex, "metadata": hex, "content": hex}                           -> {"frames": [hex...]}
 *   {"op": "encode", "text": hex}                                              -> {"token": hex}
 *   {"op": "decode", "token": hex}                                             -> {"text": hex} or {}
 *   {"op": "valid", "text": hex}                                               -> {"valid": bool}
 *   {"op": "connection", "text": hex}                                          -> {"error": s} or {"merged": hex}
 */
#include <stdio.h>

#include "protocol/base/util.h"
#include "protocol/wire/connection-file.h"
#include "protocol/wire/json.h"
#include "protocol/wire/message.h"

#define MAX_FRAMES 64

/* String member name of the line as decoded text. */
static void take_text(struct slice line, const char *name, struct buffer *out)
{
	struct slice value;

	buffer_reset(out);
	if (json_member(line, name, &value) == JSON_STRING)
		(void)!json_decode_string(value, out);
}

static void unhex(struct slice digits, struct buffer *out)
{
	for (size_t i = 0; i + 1 < digits.len; i += 2) {
		char pair[3] = { digits.data[i], digits.data[i + 1], 0 };

		buffer_append_char(out, (char)strtoul(pair, NULL, 16));
	}
}

static void take_bytes(struct slice line, const char *name, struct buffer *out)
{
	struct slice value;

	buffer_reset(out);
	if (json_member(line, name, &value) == JSON_STRING)
		unhex(slice_from(value.data + 1, value.len - 2), out);
}

static void put_bytes(struct buffer *out, struct slice bytes)
{
	buffer_append_char(out, '"');
	for (size_t i = 0; i < bytes.len; i++)
		buffer_printf(out, "%02x", (unsigned char)bytes.data[i]);
	buffer_append_char(out, '"');
}

static struct sign_key *take_key(struct slice line)
{
	_cleanup_(buffer_deinitp) struct buffer scheme = BUFFER_INIT(0), key = BUFFER_INIT(0);
	struct sign_key *k = NULL;

	take_text(line, "scheme", &scheme);
	take_text(line, "key", &key);
	if (sign_key_new(buffer_slice(&scheme), buffer_slice(&key), &k, NULL) < 0)
		exit(2);
	return k;
}

static void put_message(struct buffer *out, const struct message *m)
{
	static const char *const names[FRAMES_JSON_COUNT] = { "header", "parent", "metadata", "content" };
	_cleanup_(buffer_deinitp) struct buffer type = BUFFER_INIT(0);

	buffer_printf(out, "{\"result\":0,\"identities\":%zu,\"buffers\":%zu", m->frames.n_identities, m->frames.n_buffers);
	for (size_t i = 0; i < FRAMES_JSON_COUNT; i++) {
		buffer_printf(out, ",\"%s\":", names[i]);
		put_bytes(out, m->frames.json[i]);
	}
	(void)!json_decode_string(m->header.msg_type, &type);
	buffer_append_str(out, ",\"msg_type\":");
	put_bytes(out, buffer_slice(&type));
	buffer_printf(out, ",\"known\":%s}", m->header.type != MSGTYPE_UNKNOWN ? "true" : "false");
}

static void op_parse(struct slice line, struct buffer *out)
{
	_cleanup_(sign_key_freep) struct sign_key *key = take_key(line);
	struct buffer frames[MAX_FRAMES] = { 0 };
	struct slice parts[MAX_FRAMES], list = SLICE_NULL, name, value;
	struct json_iter it;
	struct message m;
	struct error err = { 0, "" };
	size_t n = 0;
	int r;

	(void)json_member(line, "frames", &list);
	for (it = json_iter(list); n < MAX_FRAMES && json_next(&it, &name, &value); n++) {
		unhex(slice_from(value.data + 1, value.len - 2), &frames[n]);
		parts[n] = buffer_slice(&frames[n]);
	}
	r = message_parse(parts, n, key, NULL, &m, &err);
	if (r == 0) {
		put_message(out, &m);
	} else {
		buffer_printf(out, "{\"result\":%d,\"reason\":", r);
		json_encode_string(out, slice_str(err.text));
		buffer_append_char(out, '}');
	}
	while (n > 0)
		buffer_deinit(&frames[--n]);
}

static void take_origin(struct slice line, struct header_origin *origin)
{
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(0);

	*origin = (struct header_origin){ .pid = 4321 };
	take_text(line, "session", &text);
	memcpy(origin->session, text.data, MIN(text.len, sizeof(origin->session) - 1));
	take_text(line, "username", &text);
	if (text.len > 0)
		memcpy(origin->username, text.data, MIN(text.len, sizeof(origin->username) - 1));
}

static void op_build(struct slice line, struct buffer *out)
{
	_cleanup_(sign_key_freep) struct sign_key *key = take_key(line);
	_cleanup_(buffer_deinitp) struct buffer scratch = BUFFER_INIT(0), parent = BUFFER_INIT(0), type = BUFFER_INIT(0);
	_cleanup_(buffer_deinitp) struct buffer metadata = BUFFER_INIT(0), content = BUFFER_INIT(0);
	struct slice parts[MESSAGE_PARTS];
	struct header_origin origin;

	take_origin(line, &origin);
	take_text(line, "msg_type", &type);
	buffer_append_char(&type, '\0');
	take_bytes(line, "parent", &parent);
	take_bytes(line, "metadata", &metadata);
	take_bytes(line, "content", &content);
	header_build(&scratch, &origin, (uint64_t)json_get_int(line, "serial", 0), (uint64_t)json_get_int(line, "usec", 0),
	    type.data, SLICE_NULL);
	if (message_build(&scratch, key, buffer_slice(&scratch), buffer_slice(&parent), buffer_slice(&metadata),
	    buffer_slice(&content), parts) < 0)
		exit(2);
	buffer_append_str(out, "{\"frames\":[");
	for (size_t i = 0; i < MESSAGE_PARTS; i++) {
		buffer_append_str(out, i ? "," : "");
		put_bytes(out, parts[i]);
	}
	buffer_append_str(out, "]}");
}

static void op_encode(struct slice line, struct buffer *out)
{
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(0), token = BUFFER_INIT(0);

	take_bytes(line, "text", &text);
	json_encode_string(&token, buffer_slice(&text));
	buffer_append_str(out, "{\"token\":");
	put_bytes(out, buffer_slice(&token));
	buffer_append_char(out, '}');
}

static void op_decode(struct slice line, struct buffer *out)
{
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(0), token = BUFFER_INIT(0);

	take_bytes(line, "token", &token);
	if (json_decode_string(buffer_slice(&token), &text) < 0) {
		buffer_append_str(out, "{}");
		return;
	}
	buffer_append_str(out, "{\"text\":");
	put_bytes(out, buffer_slice(&text));
	buffer_append_char(out, '}');
}

static void op_valid(struct slice line, struct buffer *out)
{
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(0);

	take_bytes(line, "text", &text);
	buffer_printf(out, "{\"valid\":%s}", json_is_valid(buffer_slice(&text)) ? "true" : "false");
}

static void op_connection(struct slice line, struct buffer *out)
{
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(0), merged = BUFFER_INIT(0);
	struct connection c;
	struct error err;

	take_bytes(line, "text", &text);
	if (connection_parse(buffer_slice(&text), &c, &err) < 0) {
		buffer_append_str(out, "{\"error\":");
		json_encode_string(out, slice_str(err.text));
	} else {
		if (connection_merge(buffer_slice(&text), &c, &merged) < 0)
			exit(2);
		buffer_append_str(out, "{\"merged\":");
		put_bytes(out, buffer_slice(&merged));
	}
	buffer_append_char(out, '}');
}

static const struct {
	const char *name;
	void (*run)(struct slice line, struct buffer *out);
} operations[] = {
	{ "parse", op_parse },
	{ "build", op_build },
	{ "encode", op_encode },
	{ "decode", op_decode },
	{ "valid", op_valid },
	{ "connection", op_connection },
};

static int answer(struct slice line, struct buffer *out)
{
	_cleanup_(buffer_deinitp) struct buffer name = BUFFER_INIT(0);

	if (!json_is_valid_object(line))
		return -EINVAL;
	take_text(line, "op", &name);
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
		if (!slice_equal_str(buffer_slice(&name), operations[i].name))
			continue;
		operations[i].run(line, out);
		return out->failed;
	}
	return -EINVAL;
}

int main(void)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
	_cleanup_(freep) char *line = NULL;
	size_t size = 0;
	ssize_t n;

	while ((n = getline(&line, &size, stdin)) > 0) {
		buffer_reset(&out);
		if (answer(slice_from(line, (size_t)n), &out) < 0) {
			(void)fprintf(stderr, "codec-helper: cannot answer %.200s", line);
			return 2;
		}
		buffer_append_char(&out, '\n');
		if (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout) != 0)
			return 1;
	}
	return 0;
}
