/* SPDX-License-Identifier: Apache-2.0 */
/* execute: execute_request to the worker, its reply back, and the reply of a cell whose worker did not live to give one. */
#include "kernel/front/front.h"

#include <stdio.h>

#include "protocol/base/log.h"
#include "protocol/wire/json.h"

static void read_flags(struct request *r)
{
	struct slice content = r->message.frames.json[FRAMES_CONTENT];

	r->silent = json_get_bool(content, "silent", false);
	r->store_history = !r->silent && json_get_bool(content, "store_history", true);
	r->allow_stdin = json_get_bool(content, "allow_stdin", false);
	r->stop_on_error = json_get_bool(content, "stop_on_error", true);
}

static unsigned link_flags(const struct request *r)
{
	return (r->silent ? LINK_EXEC_SILENT : 0u) | (r->store_history ? LINK_EXEC_STORE_HISTORY : 0u) |
	    (r->allow_stdin ? LINK_EXEC_ALLOW_STDIN : 0u) | (r->stop_on_error ? LINK_EXEC_STOP_ON_ERROR : 0u);
}

static int send_execute(struct lane *lane, const struct request *r, struct slice code)
{
	const struct frames *m = &r->message.frames;
	struct buffer *out = &lane->peer.out;
	struct slice expressions;
	size_t begin = peer_begin(&lane->peer);

	request_write_head(out, 8, r);
	msgpack_write_u64(out, link_flags(r));
	msgpack_write_str(out, code);
	if (json_member(m->json[FRAMES_CONTENT], "user_expressions", &expressions) == JSON_OBJECT &&
	    expressions.len > 2)
		msgpack_write_bin(out, expressions);
	else
		msgpack_write_nil(out);
	msgpack_write_u64(out, r->count);
	return peer_end(&lane->peer, begin, LINK_EXECUTE);
}

static void publish_input(struct front *f, const struct request *r)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(0);
	struct outgoing out = {
		.msg_type = "execute_input",
		.parent = r->message.header.raw,
		.content = &content,
	};

	buffer_append_str(&content, "{\"code\":");
	buffer_append_slice(&content, r->code);
	buffer_append_str(&content, ",\"execution_count\":");
	buffer_append_u64(&content, r->count);
	buffer_append_char(&content, '}');
	sender_publish(f->sender, NULL, &out);
}

/*
 * The worker is sent its cell first; busy and execute_input follow with its first output, or after FRONT_ANNOUNCE_USEC.
 * A short cell then costs one wake-up of the sending thread and of the client instead of two.
 */
void execute_announce(struct front *f)
{
	struct request *r = STEAL(f->unannounced);

	if (!r)
		return;
	sender_status(f->sender, r->message.header.raw, "busy");
	if (!r->silent && r->code.len)
		publish_input(f, r);
}

static void refuse_execute(struct front *f, struct lane *lane, struct request *r, const char *why)
{
	lane->current = NULL;
	r->code = SLICE_NULL;
	execute_announce(f);
	request_begin(f, r);
	reply_error(f, r, "InvalidRequest", why);
	request_finish(f, r);
}

static int read_code(const struct request *r, struct slice *ret_token, struct buffer *ret_code)
{
	if (json_member(r->message.frames.json[FRAMES_CONTENT], "code", ret_token) != JSON_STRING)
		return -EINVAL;
	return json_decode_string(*ret_token, ret_code);
}

void execute_begin(struct front *f, struct lane *lane, struct request *r)
{
	_cleanup_(buffer_deinitp) struct buffer code = BUFFER_INIT(0);
	enum json_type kind;
	struct slice token;

	read_flags(r);
	kind = json_member(r->message.frames.json[FRAMES_CONTENT], "user_expressions", &token);
	if (kind != JSON_INVALID && kind != JSON_NULL && kind != JSON_OBJECT) {
		refuse_execute(f, lane, r, "execute_request: user_expressions is not an object");
		return;
	}
	if (read_code(r, &token, &code) < 0) {
		refuse_execute(f, lane, r, "execute_request: code is missing or not a string");
		return;
	}
	r->count = f->next_count;
	request_start(f, r);
	r->code = token;
	output_begin(f->output, r->turn, r->started_usec);
	f->unannounced = r;
	f->announce_at = r->started_usec + FRONT_ANNOUNCE_USEC;
	if (!peer_is_kept(send_execute(lane, r, buffer_slice(&code)))) {
		refuse_execute(f, lane, r, "execute_request: the message is larger than the worker's link allows");
		return;
	}
	if (lane->kind != LANE_MAIN)
		execute_announce(f);
}

static void reply_execute(struct front *f, struct request *r, struct buffer *content, const char *status,
    const char *verdict, const char *state)
{
	_cleanup_(buffer_deinitp) struct buffer metadata = BUFFER_INIT(4096);

	buffer_printf(&metadata,
	    "{\"started\":\"%s\",\"dependencies_met\":true,\"engine\":\"%s\",\"status\":\"%s\","
	    "\"husk\":{\"verdict\":\"%s\",\"state\":\"%s\",\"usage\":{\"wall_usec\":%llu,\"output_bytes\":%llu}}}",
	    r->started_iso, f->uuid, status, verdict, state,
	    (unsigned long long)(clock_monotonic_usec() - r->started_usec),
	    (unsigned long long)(output_total(f->output) - r->output_before));
	reply_content(f, r, content, buffer_slice(&metadata), NULL, 0);
}

void execute_aborted(struct front *f, struct request *r)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(256);

	request_begin(f, r);
	buffer_printf(&content, "{\"status\":\"aborted\",\"execution_count\":%u,\"user_expressions\":{},\"payload\":[]}",
	    f->next_count - 1);
	reply_execute(f, r, &content, "aborted", "aborted", "kept");
	request_finish(f, r);
}

/* What REPLY said (specs/link.md 3). Slices are borrowed from the frame. */
struct reply {
	uint64_t status;
	uint64_t count;
	uint64_t next_count;
	struct slice payload;
	struct slice expressions;
	bool has_error;
	struct slice ename;
	struct slice evalue;
	struct msgpack_reader traceback;
	uint32_t n_traceback;
	bool store;
	bool store_as_sent;
	struct slice source;
	struct slice source_raw;
	struct slice output;
};

static int read_error(struct msgpack_reader *m, struct reply *r)
{
	uint32_t n;

	if (msgpack_read_if_nil(m))
		return 0;
	r->has_error = true;
	if (msgpack_read_array(m, &n) < 0 || n < 3 || msgpack_read_str(m, &r->ename) < 0 ||
	    msgpack_read_str(m, &r->evalue) < 0)
		return -EBADMSG;
	r->traceback = *m;
	if (msgpack_read_array(&r->traceback, &r->n_traceback) < 0 || msgpack_skip(m) < 0)
		return -EBADMSG;
	for (; n > 3; n--)
		if (msgpack_skip(m) < 0)
			return -EBADMSG;
	return 0;
}

static int read_history(struct msgpack_reader *m, struct reply *r)
{
	uint32_t n;

	if (msgpack_read_if_nil(m))
		return 0;
	r->store = true;
	if (msgpack_peek(m) == MSGPACK_TYPE_BOOL)
		return msgpack_read_bool(m, &r->store_as_sent);
	if (msgpack_read_array(m, &n) < 0 || n != 2 || msgpack_read_str(m, &r->source) < 0 ||
	    msgpack_read_str(m, &r->source_raw) < 0)
		return -EBADMSG;
	return 0;
}

static int read_reply(struct peer_frame *frame, struct reply *r)
{
	struct msgpack_reader *m = &frame->fields;

	if (msgpack_read_u64(m, &r->status) < 0 || r->status > LINK_STATUS_ABORTED ||
	    msgpack_read_u64(m, &r->count) < 0 || msgpack_read_u64(m, &r->next_count) < 0 ||
	    r->count > UINT32_MAX || r->next_count > UINT32_MAX || upward_read_json(m, JSON_ARRAY, &r->payload) < 0 ||
	    upward_read_json(m, JSON_OBJECT, &r->expressions) < 0 || read_error(m, r) < 0 || read_history(m, r) < 0)
		return -EBADMSG;
	if (frame->n_fields > 8 && !msgpack_read_if_nil(m) && msgpack_read_str(m, &r->output) < 0)
		return -EBADMSG;
	return 0;
}

static void append_traceback(struct buffer *out, struct msgpack_reader lines, uint32_t n)
{
	struct slice line;

	buffer_append_char(out, '[');
	for (uint32_t i = 0; i < n && msgpack_read_str(&lines, &line) == 0; i++) {
		if (i)
			buffer_append_char(out, ',');
		json_encode_string(out, line);
	}
	buffer_append_char(out, ']');
}

static void append_reply(struct buffer *out, const struct front *f, const struct reply *r)
{
	static const char *const names[] = { "ok", "error", "aborted" };

	buffer_append_str(out, "{\"status\":\"");
	buffer_append_str(out, names[r->status]);
	buffer_append_str(out, "\",\"execution_count\":");
	buffer_append_u64(out, r->count);
	buffer_append_str(out, ",\"user_expressions\":");
	buffer_append_slice(out, r->expressions.len ? r->expressions : SLICE_LIT("{}"));
	buffer_append_str(out, ",\"payload\":");
	buffer_append_slice(out, r->payload.len ? r->payload : SLICE_LIT("[]"));
	if (r->has_error || r->status == LINK_STATUS_ERROR) {
		buffer_append_str(out, ",\"ename\":");
		json_encode_string(out, r->ename);
		buffer_append_str(out, ",\"evalue\":");
		json_encode_string(out, r->evalue);
		buffer_append_str(out, ",\"traceback\":");
		append_traceback(out, r->traceback, r->n_traceback);
		buffer_printf(out, ",\"engine_info\":{\"engine_uuid\":\"%s\",\"engine_id\":-1,\"method\":\"execute\"}",
		    f->uuid);
	}
	buffer_append_char(out, '}');
}

static struct slice without_newline(struct slice s)
{
	while (s.len && s.data[s.len - 1] == '\n')
		s.len--;
	return s;
}

/* Text from the worker as UTF-8 (link.md 3.4): other programs read the history file and trust it. */
static struct slice repaired(struct slice text, struct buffer *out)
{
	_cleanup_(buffer_deinitp) struct buffer token = BUFFER_INIT(0);

	json_encode_string(&token, text);
	if (token.failed || json_decode_string(buffer_slice(&token), out) < 0)
		return SLICE_LIT("");
	return out->data ? buffer_slice(out) : SLICE_LIT("");
}

static void store(struct front *f, const struct request *request, const struct reply *r)
{
	_cleanup_(buffer_deinitp) struct buffer sent = BUFFER_INIT(0);
	_cleanup_(buffer_deinitp) struct buffer source = BUFFER_INIT(0);
	_cleanup_(buffer_deinitp) struct buffer raw = BUFFER_INIT(0);
	_cleanup_(buffer_deinitp) struct buffer output = BUFFER_INIT(0);
	struct slice code, token, result = SLICE_NULL;

	if (!r->store || !request->store_history)
		return;
	if (r->output.data)
		result = repaired(r->output, &output);
	if (r->store_as_sent && read_code(request, &token, &sent) == 0) {
		code = without_newline(buffer_slice(&sent));
		history_store(f->history, request->count, code, code, result);
	} else {
		history_store(f->history, request->count, repaired(r->source, &source), repaired(r->source_raw, &raw),
		    result);
	}
}

int execute_replied(struct front *f, struct lane *lane, struct peer_frame *frame, struct error *err)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(0);
	struct reply r = { 0 };
	struct request *request = lane->current;
	const char *verdict = "ok";

	if (read_reply(frame, &r) < 0)
		return error_set(err, -EBADMSG, "a field of REPLY is malformed");
	append_reply(&content, f, &r);
	if (r.status == LINK_STATUS_ERROR)
		verdict = request->interrupted ? "interrupted" : "error";
	else if (r.status == LINK_STATUS_ABORTED)
		verdict = "aborted";
	store(f, request, &r);
	f->next_count = MAX((uint32_t)r.next_count, 1u);
	(void)lane_end_current(lane);
	interrupt_over(f, request->turn);
	/* Before the reply: what a client sends after it has seen the error runs (wire.md 7.8). */
	if (r.status == LINK_STATUS_ERROR && request->stop_on_error && !request->silent)
		lane_abort_queue(f, lane);
	reply_execute(f, request, &content, r.status == LINK_STATUS_OK ? "ok" : "error", verdict, "kept");
	request_finish(f, request);
	output_idle(f->output);
	return 0;
}

/* One traceback line per line of the detail, after the sentence. */
static void append_failure_traceback(struct buffer *out, const struct failure *why)
{
	struct slice rest = why->detail;
	_cleanup_(buffer_deinitp) struct buffer head = BUFFER_INIT(4096);

	buffer_printf(&head, "%s: %s", why->ename, why->evalue);
	buffer_append_char(out, '[');
	json_encode_string(out, buffer_slice(&head));
	while (rest.len) {
		const char *end = memchr(rest.data, '\n', rest.len);
		size_t n = end ? (size_t)(end - rest.data) : rest.len;

		buffer_append_char(out, ',');
		json_encode_string(out, slice_from(rest.data, n));
		n += end != NULL;
		rest = slice_from(rest.data + n, rest.len - n);
	}
	buffer_append_char(out, ']');
}

static void append_failure(struct buffer *out, const struct failure *why)
{
	buffer_append_str(out, "\"ename\":");
	json_encode_string(out, slice_str(why->ename));
	buffer_append_str(out, ",\"evalue\":");
	json_encode_string(out, slice_str(why->evalue));
	buffer_append_str(out, ",\"traceback\":");
	append_failure_traceback(out, why);
}

void execute_failed(struct front *f, struct request *r, const struct failure *why)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(1 << 20);
	_cleanup_(buffer_deinitp) struct buffer published = BUFFER_INIT(1 << 20);
	struct outgoing error = { .msg_type = "error", .parent = r->message.header.raw, .content = &published };
	_cleanup_(buffer_deinitp) struct buffer sent = BUFFER_INIT(0);
	struct slice token, code;

	execute_announce(f);
	buffer_append_char(&published, '{');
	append_failure(&published, why);
	buffer_append_char(&published, '}');
	sender_publish(f->sender, NULL, &error);
	buffer_printf(&content, "{\"status\":\"error\",\"execution_count\":%u,\"user_expressions\":{},\"payload\":[],",
	    r->count);
	append_failure(&content, why);
	buffer_append_char(&content, '}');
	if (r->store_history && read_code(r, &token, &sent) == 0) {
		code = without_newline(buffer_slice(&sent));
		history_store(f->history, r->count, code, code, SLICE_NULL);
		f->next_count = MAX(f->next_count, r->count + 1);
	}
	reply_execute(f, r, &content, "error", why->verdict, why->state);
	request_finish(f, r);
}
