/* SPDX-License-Identifier: Apache-2.0 */
/* execute: execute_request to the worker, its reply back, and the reply of a cell whose worker did not live to give one. */
#include "kernel/front/execute.h"

#include <stdio.h>

#include "kernel/front/dispatch.h"
#include "kernel/front/metadata.h"
#include "kernel/front/state.h"
#include "kernel/front/upward.h"
#include "protocol/base/log.h"
#include "protocol/link/reason.h"
#include "protocol/wire/json.h"

#define SHORT_ERROR_BYTES ((size_t)512)

void execute_read_flags(struct request *r)
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
	uint64_t memory = r->quota.limits.value[LIMIT_memory];
	size_t begin = peer_begin(&lane->peer);

	request_write_head(out, memory == LIMITS_NONE ? 8 : 9, r);
	msgpack_write_u64(out, link_flags(r));
	msgpack_write_str(out, code);
	if (json_member(m->json[FRAMES_CONTENT], "user_expressions", &expressions) == JSON_OBJECT &&
	    expressions.len > 2)
		msgpack_write_bin(out, expressions);
	else
		msgpack_write_nil(out);
	msgpack_write_u64(out, r->count);
	if (memory != LIMITS_NONE)
		msgpack_write_u64(out, memory);
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

void execute_stop_queue(struct front *f, struct lane *lane, const struct request *r)
{
	if (r->stop_on_error && !r->silent)
		lane_abort_queue(f, lane);
}

static void refuse_execute(struct front *f, struct lane *lane, struct request *r, const char *why)
{
	lane->current = NULL;
	r->code = SLICE_NULL;
	execute_announce(f);
	execute_stop_queue(f, lane, r);
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
	enforce_begin(f, r);
	if (lane->kind != LANE_MAIN)
		execute_announce(f);
}

static void reply_execute(struct front *f, struct request *r, struct buffer *content, const struct outcome *outcome)
{
	_cleanup_(buffer_deinitp) struct buffer metadata = BUFFER_INIT(4096);
	struct outcome how = *outcome;

	if (f->lost_unsaid && how.verdict != VERDICT_aborted)
		how.state = VERDICT_LOST;
	if (how.state == VERDICT_LOST)
		f->lost_unsaid = false;
	metadata_write(f, r, &how, &metadata);
	reply_content(f, r, content, buffer_slice(&metadata), NULL, 0);
}

void execute_aborted(struct front *f, struct request *r)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(256);
	const struct outcome how = { "aborted", VERDICT_aborted, VERDICT_KEPT };

	request_begin(f, r);
	buffer_printf(&content, "{\"status\":\"aborted\",\"execution_count\":%u,\"user_expressions\":{},\"payload\":[]}",
	    f->next_count - 1);
	reply_execute(f, r, &content, &how);
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
	size_t error_bytes;
	bool is_cut;  /* only the beginning of the error is told */
	bool store;
	bool store_as_sent;
	struct slice source;
	struct slice source_raw;
	struct slice output;
	uint64_t flags; /* LINK_REPLY_* */
	uint64_t missing; /* bytes that would have made it too large for a frame */
};

static int read_error(struct msgpack_reader *m, struct reply *r)
{
	const unsigned char *begin = m->pos;
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
	r->error_bytes = (size_t)(m->pos - begin);
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
	if (frame->n_fields > 9 && msgpack_read_u64(m, &r->flags) < 0)
		return -EBADMSG;
	if (frame->n_fields > 10 && msgpack_read_u64(m, &r->missing) < 0)
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

void execute_append_short_error(struct buffer *out, struct slice ename, struct slice evalue, size_t bytes)
{
	buffer_append_str(out, "\"ename\":");
	json_encode_string(out, slice_from(ename.data, MIN(ename.len, SHORT_ERROR_BYTES)));
	buffer_append_str(out, ",\"evalue\":");
	json_encode_string(out, slice_from(evalue.data, MIN(evalue.len, SHORT_ERROR_BYTES)));
	buffer_printf(out, ",\"traceback\":[\"[husk: %zu bytes of traceback are beyond the limit of output]\"]", bytes);
}

static void append_error(struct buffer *out, const struct reply *r)
{
	if (r->is_cut) {
		execute_append_short_error(out, r->ename, r->evalue, r->error_bytes);
		return;
	}
	buffer_append_str(out, "\"ename\":");
	json_encode_string(out, r->ename);
	buffer_append_str(out, ",\"evalue\":");
	json_encode_string(out, r->evalue);
	buffer_append_str(out, ",\"traceback\":");
	append_traceback(out, r->traceback, r->n_traceback);
}

/* In place of values that are left out: each name that was asked for has an error. */
static void append_no_expressions(struct buffer *out, const struct request *request)
{
	struct slice asked, name, value;
	struct json_iter it;
	char mark = '{';

	if (json_member(request->message.frames.json[FRAMES_CONTENT], "user_expressions", &asked) != JSON_OBJECT)
		asked = SLICE_LIT("{}");
	it = json_iter(asked);
	while (json_next(&it, &name, &value)) {
		buffer_append_char(out, mark);
		buffer_append_slice(out, name);
		buffer_append_str(out, ":{\"status\":\"error\",\"ename\":\"OutputLimitExceeded\",\"evalue\":\"the values of "
		    "user_expressions are beyond the limit of output\",\"traceback\":[]}");
		mark = ',';
	}
	if (mark == '{')
		buffer_append_char(out, mark);
	buffer_append_char(out, '}');
}

static void append_reply(struct buffer *out, const struct front *f, const struct request *request, const struct reply *r)
{
	static const char *const names[] = { "ok", "error", "aborted" };

	buffer_append_str(out, "{\"status\":\"");
	buffer_append_str(out, names[r->status]);
	buffer_append_str(out, "\",\"execution_count\":");
	buffer_append_u64(out, r->count);
	buffer_append_str(out, ",\"user_expressions\":");
	if (!r->expressions.len && r->missing && r->status == LINK_STATUS_OK)
		append_no_expressions(out, request);
	else
		buffer_append_slice(out, r->expressions.len ? r->expressions : SLICE_LIT("{}"));
	buffer_append_str(out, ",\"payload\":");
	buffer_append_slice(out, r->payload.len ? r->payload : SLICE_LIT("[]"));
	if (r->has_error || r->status == LINK_STATUS_ERROR) {
		buffer_append_char(out, ',');
		append_error(out, r);
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

static void publish_failure(struct front *f, const struct request *r, const struct failure *why)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(1 << 20);
	struct outgoing error = { .msg_type = "error", .parent = r->message.header.raw, .content = &content };

	buffer_append_char(&content, '{');
	append_failure(&content, why);
	buffer_append_char(&content, '}');
	sender_publish(f->sender, NULL, &error);
}

static void append_failed_reply(struct buffer *out, uint64_t count, const struct failure *why)
{
	buffer_printf(out, "{\"status\":\"error\",\"execution_count\":%llu,\"user_expressions\":{},\"payload\":[],",
	    (unsigned long long)count);
	append_failure(out, why);
	buffer_append_char(out, '}');
}

/*
 * After a limit there is an error, on iopub too: even when the cell has swallowed the exception and come to an end of its own, or when the
 * exception was raised where the worker has nothing to show of the cell.
 */
static void fail_anyway(struct front *f, const struct request *q, struct reply *r, struct buffer *content)
{
	char text[REASON_MESSAGE_MAX];
	const struct failure why = { cause_ename(&q->cause, false), text, SLICE_NULL, cause_verdict(&q->cause), VERDICT_KEPT };

	reason_message(q->cause.reason, q->cause.limit, q->cause.used, text);
	if (!q->error_shown)
		publish_failure(f, q, &why);
	append_failed_reply(content, r->count, &why);
	r->status = LINK_STATUS_ERROR;
}

/* The front's own timers decide, never the class of the exception, nor whether there was one; but for the memory that was refused in the worker. */
static enum verdict judge(const struct request *q, const struct reply *r)
{
	if (cause_is_limit(&q->cause))
		return cause_verdict(&q->cause);
	if (r->status == LINK_STATUS_OK)
		return VERDICT_ok;
	if (r->status == LINK_STATUS_ABORTED)
		return VERDICT_aborted;
	if (q->cause.is_set)
		return VERDICT_interrupted;
	return r->flags & LINK_REPLY_MEMORY_REFUSED ? VERDICT_memory_limit : VERDICT_error;
}

/* What code has made and the reply contains is output too (limits.md 6.8). */
static void judge_size(struct front *f, struct request *request, struct reply *r)
{
	size_t bytes = (r->expressions.len > 2 ? r->expressions.len : 0) + (r->payload.len > 2 ? r->payload.len : 0);

	r->is_cut = request->error_cut || r->error_bytes > request->flow.limit_bytes;
	if (r->missing)
		flow_left_out(&request->flow, (size_t)MIN(r->missing, (uint64_t)UINT32_MAX), 0);
	if (bytes && !outlet_reply(f, request, bytes)) {
		r->missing += bytes;
		r->expressions = r->payload = SLICE_NULL;
	}
}

int execute_replied(struct front *f, struct lane *lane, struct peer_frame *frame, struct error *err)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(0);
	struct reply r = { 0 };
	struct request *request = lane->current;
	struct outcome how = { .state = VERDICT_KEPT };

	if (read_reply(frame, &r) < 0)
		return error_set(err, -EBADMSG, "a field of REPLY is malformed");
	judge_size(f, request, &r);
	outlet_close(f, request);
	if (cause_is_disk(&request->cause) && r.status == LINK_STATUS_OK)
		request->cause = (struct cause){ 0 };
	enforce_last_look(f, request);
	store(f, request, &r);
	f->next_count = MAX((uint32_t)r.next_count, 1u);
	how.verdict = judge(request, &r);
	if (cause_is_limit(&request->cause) && (r.status != LINK_STATUS_ERROR || !request->error_shown))
		fail_anyway(f, request, &r, &content);
	else
		append_reply(&content, f, request, &r);
	how.status = r.status == LINK_STATUS_OK ? "ok" : "error";
	(void)lane_end_current(f, lane);
	if (r.status == LINK_STATUS_ERROR)
		enforce_failed(f, request);
	interrupt_over(f, request);
	/* Before the reply: what a client sends after it has seen the error runs (wire.md 7.8). */
	if (r.status == LINK_STATUS_ERROR)
		execute_stop_queue(f, lane, request);
	reply_execute(f, request, &content, &how);
	request_finish(f, request);
	output_idle(f->output);
	return 0;
}

void execute_failed(struct front *f, struct request *r, const struct failure *why)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(1 << 20);
	_cleanup_(buffer_deinitp) struct buffer sent = BUFFER_INIT(0);
	const struct outcome how = { "error", why->verdict, why->state };
	struct slice token, code;

	execute_announce(f);
	publish_failure(f, r, why);
	append_failed_reply(&content, r->count, why);
	if (r->store_history && read_code(r, &token, &sent) == 0) {
		code = without_newline(buffer_slice(&sent));
		history_store(f->history, r->count, code, code, SLICE_NULL);
		f->next_count = MAX(f->next_count, r->count + 1);
	}
	reply_execute(f, r, &content, &how);
	request_finish(f, r);
}

void execute_refused(struct front *f, struct request *r, const struct failure *why)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(1 << 20);
	const struct outcome how = { "error", why->verdict, why->state };

	request_begin(f, r);
	publish_failure(f, r, why);
	append_failed_reply(&content, f->next_count - 1, why);
	reply_execute(f, r, &content, &how);
	request_finish(f, r);
}
