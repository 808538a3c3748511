/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upward: frames from the worker. Everything here is hostile input: each field is read with a type and a bound, JSON is
 * validated before it is signed, and the first violation ends the worker.
 */
#include "kernel/front/upward.h"

#include <stdio.h>
#include <sys/epoll.h>

#include "kernel/front/dispatch.h"
#include "kernel/front/execute.h"
#include "kernel/front/intake.h"
#include "kernel/front/life.h"
#include "kernel/front/state.h"
#include "kernel/front/watch.h"
#include "protocol/base/log.h"
#include "protocol/link/reason.h"
#include "protocol/wire/json.h"

#define MAX_UNREAD_ANSWERS 1024u
#define UNREAD_BYTES ((size_t)64 << 20)
#define MAX_OUT_BUFFERS (FRAMES_MAX - FRAMES_MAX_IDENTITIES - MESSAGE_PARTS)

static int bad(struct error *err, enum link_type type, const char *field)
{
	return error_set(err, -EBADMSG, "%s: %s is malformed", link_type_name(type), field);
}

static int read_turn(struct msgpack_reader *m, uint32_t *ret)
{
	uint64_t turn;

	if (msgpack_read_u64(m, &turn) < 0 || turn > UINT32_MAX)
		return -EBADMSG;
	*ret = (uint32_t)turn;
	return 0;
}

int upward_read_json(struct msgpack_reader *m, enum json_type type, struct slice *ret)
{
	*ret = SLICE_NULL;
	if (msgpack_read_if_nil(m))
		return 0;
	return msgpack_read_str_or_bin(m, ret) < 0 || json_type(*ret) != type || !json_is_valid(*ret) ? -EBADMSG : 0;
}

static int read_object(struct msgpack_reader *m, struct slice *ret)
{
	return upward_read_json(m, JSON_OBJECT, ret);
}

static int read_buffers(struct msgpack_reader *m, struct slice ret[MAX_OUT_BUFFERS], size_t *ret_n)
{
	uint32_t n;

	if (msgpack_read_array(m, &n) < 0 || n > MAX_OUT_BUFFERS)
		return -EBADMSG;
	for (uint32_t i = 0; i < n; i++)
		if (msgpack_read_bin(m, &ret[i]) < 0)
			return -EBADMSG;
	*ret_n = n;
	return 0;
}

/* A text from the worker into a fixed field, cut where it is too long. */
static void copy_text(char *to, size_t size, struct slice from)
{
	size_t n = MIN(from.len, size - 1);

	memcpy(to, from.data, n);
	to[n] = '\0';
}

static int read_interpreter(struct msgpack_reader *m, struct interpreter *in)
{
	const struct {
		const char *name;
		char *to;
		size_t size;
	} texts[] = {
		{ "executable", in->executable, sizeof(in->executable) },
		{ "version", in->version, sizeof(in->version) },
		{ "version_text", in->version_text, sizeof(in->version_text) },
		{ "ipython", in->ipython, sizeof(in->ipython) },
	};
	uint32_t n;

	if (msgpack_read_map(m, &n) < 0 || n > 64)
		return -EBADMSG;
	for (uint32_t i = 0; i < n; i++) {
		struct slice name, value;
		bool used = false;

		if (msgpack_read_str(m, &name) < 0)
			return -EBADMSG;
		for (size_t k = 0; !used && k < ARRAY_SIZE(texts); k++)
			if (slice_equal_str(name, texts[k].name) && msgpack_read_str(m, &value) == 0) {
				copy_text(texts[k].to, texts[k].size, value);
				used = true;
			}
		if (!used && slice_equal_str(name, "debugpy"))
			used = msgpack_read_bool(m, &in->debugpy) == 0;
		if (!used && msgpack_skip(m) < 0)
			return -EBADMSG;
	}
	return 0;
}

static int on_hello(struct front *f, struct lane *lane, struct peer_frame *frame, struct error *err)
{
	uint64_t version;

	if (f->worker_state != WORKER_STARTING || lane->kind != LANE_MAIN)
		return error_set(err, -EBADMSG, "HELLO came twice");
	if (msgpack_read_u64(&frame->fields, &version) < 0 || version != LINK_VERSION)
		return error_set(err, -EBADMSG, "the worker speaks another link version");
	if (read_interpreter(&frame->fields, &f->interpreter) < 0)
		return bad(err, frame->type, "the interpreter");
	f->interpreter.known = true;
	return 0;
}

static int on_ready(struct front *f, struct lane *lane, struct peer_frame *frame, struct error *err)
{
	(void)frame;
	if (f->worker_state != WORKER_STARTING || lane->kind != LANE_MAIN || !f->interpreter.known)
		return error_set(err, -EBADMSG, "READY came out of order");
	f->worker_state = WORKER_READY;
	return 0;
}

static int on_fatal(struct front *f, struct lane *lane, struct peer_frame *frame, struct error *err)
{
	struct slice code, text;

	(void)lane;
	if (msgpack_read_str(&frame->fields, &code) < 0 || msgpack_read_str(&frame->fields, &text) < 0)
		return bad(err, frame->type, "the reason");
	/* A tenant can say it too, or bring it about: then it is the worker's death, not the kernel's. */
	if (f->worker_state != WORKER_STARTING)
		return error_set(err, -EBADMSG, "it has failed: %.*s", (int)MIN(text.len, 200), text.data);
	log_error("%.*s", (int)MIN(text.len, 1000), text.data);
	life_shutdown(f, 1, false);
	return 0;
}

static int append_mime(struct buffer *out, struct msgpack_reader *m, bool first)
{
	struct slice mime, value;
	uint64_t how;
	uint32_t n;

	if (msgpack_read_array(m, &n) < 0 || n != 3 || msgpack_read_str(m, &mime) < 0 ||
	    msgpack_read_u64(m, &how) < 0 || how > LINK_MIME_JSON || msgpack_read_str_or_bin(m, &value) < 0)
		return -EBADMSG;
	if (how == LINK_MIME_JSON && !json_is_valid(value))
		return -EBADMSG;
	if (!first)
		buffer_append_char(out, ',');
	json_encode_string(out, mime);
	buffer_append_char(out, ':');
	if (how == LINK_MIME_JSON)
		buffer_append_slice(out, value);
	else
		json_encode_string(out, value);
	return 0;
}

static int append_data(struct buffer *out, struct msgpack_reader *m)
{
	uint32_t n;

	if (msgpack_read_array(m, &n) < 0)
		return -EBADMSG;
	buffer_append_str(out, "\"data\":{");
	for (uint32_t i = 0; i < n; i++)
		if (append_mime(out, m, i == 0) < 0)
			return -EBADMSG;
	buffer_append_char(out, '}');
	return 0;
}

static void append_object(struct buffer *out, const char *name, struct slice json)
{
	buffer_printf(out, ",\"%s\":", name);
	buffer_append_slice(out, json.len ? json : SLICE_LIT("{}"));
}

static int on_display(struct front *f, struct lane *lane, struct peer_frame *frame, struct error *err)
{
	static const struct {
		const char *msg_type;
		const char *topic;
	} kinds[] = {
		[LINK_DISPLAY_DATA] = { "display_data", "display_data" },
		[LINK_DISPLAY_UPDATE] = { "update_display_data", "display_data" },
		[LINK_DISPLAY_RESULT] = { "execute_result", NULL },
	};
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(0);
	struct msgpack_reader *m = &frame->fields;
	struct outgoing out = { .content = &content };
	struct slice metadata, transient, buffers[MAX_OUT_BUFFERS];
	uint64_t kind, count = 0;
	uint32_t turn;

	(void)lane;
	if (read_turn(m, &turn) < 0 || msgpack_read_u64(m, &kind) < 0 || kind > LINK_DISPLAY_RESULT)
		return bad(err, frame->type, "turn or kind");
	if (!msgpack_read_if_nil(m) && msgpack_read_u64(m, &count) < 0)
		return bad(err, frame->type, "execution_count");
	buffer_append_char(&content, '{');
	if (append_data(&content, m) < 0)
		return bad(err, frame->type, "data");
	if (read_object(m, &metadata) < 0 || read_object(m, &transient) < 0 ||
	    read_buffers(m, buffers, &out.n_buffers) < 0)
		return bad(err, frame->type, "metadata, transient or buffers");
	append_object(&content, "metadata", metadata);
	if (kind != LINK_DISPLAY_RESULT || transient.len)
		append_object(&content, "transient", transient);
	if (kind == LINK_DISPLAY_RESULT)
		buffer_printf(&content, ",\"execution_count\":%llu", (unsigned long long)count);
	buffer_append_char(&content, '}');
	out.msg_type = kinds[kind].msg_type;
	out.bulk = kind != LINK_DISPLAY_RESULT;
	out.parent = turns_header(&f->turns, turn);
	out.buffers = buffers;
	(void)outlet_publish(f, turn, kinds[kind].topic, &out, kind == LINK_DISPLAY_RESULT ? OUTLET_LAST : OUTLET_COMMON);
	return 0;
}

/* Types that only the front makes; a worker that sends one lies. */
static bool is_reserved(struct slice name)
{
	enum msgtype type = msgtype_lookup(name);

	if (name.len >= 6 && memcmp(name.data + name.len - 6, "_reply", 6) == 0)
		return true;
	return type == MSGTYPE_status || type == MSGTYPE_stream || type == MSGTYPE_execute_input ||
	    type == MSGTYPE_iopub_welcome;
}

static bool is_plain_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.data[i] < 0x21 || name.data[i] > 0x7e || name.data[i] == '"' || name.data[i] == '\\')
			return false;
	return name.len > 0 && name.len < 64;
}

/* While the code stands at a breakpoint its time does not run (limits.md 4). */
static void note_debug_event(struct front *f, struct slice content)
{
	struct slice event;

	if (json_member(content, "event", &event) != JSON_STRING)
		return;
	if (json_string_equals(event, "stopped"))
		enforce_debugger(f, true);
	else if (json_string_equals(event, "continued") || json_string_equals(event, "terminated") ||
	    json_string_equals(event, "exited"))
		enforce_debugger(f, false);
}

static int on_publish(struct front *f, struct lane *lane, struct peer_frame *frame, struct error *err)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(0);
	struct msgpack_reader *m = &frame->fields;
	struct outgoing out = { .content = &content };
	struct slice name, json, metadata, topic = SLICE_NULL, buffers[MAX_OUT_BUFFERS];
	char msg_type[64], topic_text[128];
	enum msgtype type;
	uint32_t turn;

	(void)lane;
	if (read_turn(m, &turn) < 0 || msgpack_read_str(m, &name) < 0 || !is_plain_name(name) || is_reserved(name))
		return bad(err, frame->type, "turn or msg_type");
	if (read_object(m, &json) < 0 || read_object(m, &metadata) < 0)
		return bad(err, frame->type, "content or metadata");
	if (!msgpack_read_if_nil(m) && (msgpack_read_str(m, &topic) < 0 || topic.len >= sizeof(topic_text)))
		return bad(err, frame->type, "topic");
	if (read_buffers(m, buffers, &out.n_buffers) < 0)
		return bad(err, frame->type, "buffers");
	buffer_append_slice(&content, json.len ? json : SLICE_LIT("{}"));
	copy_text(msg_type, sizeof(msg_type), name);
	copy_text(topic_text, sizeof(topic_text), topic.data ? topic : SLICE_LIT(""));
	out.msg_type = msg_type;
	out.bulk = true;
	out.parent = turns_header(&f->turns, turn);
	type = msgtype_lookup(name);
	dispatch_published(f, type, buffer_slice(&content), out.parent);
	if (type == MSGTYPE_debug_event)
		note_debug_event(f, buffer_slice(&content));
	out.metadata = metadata;
	out.buffers = buffers;
	(void)outlet_publish(f, turn, topic.data ? topic_text : NULL, &out,
	    type == MSGTYPE_debug_event ? OUTLET_CONTROL : OUTLET_COMMON);
	return 0;
}

/* In place of an error that is larger than what a turn may still say: its head. Once, for errors can be a flood too. */
static void publish_short_error(struct front *f, struct outgoing *out, struct slice ename, struct slice evalue)
{
	size_t before = out->content->len;

	buffer_reset(out->content);
	buffer_append_char(out->content, '{');
	execute_append_short_error(out->content, ename, evalue, before);
	buffer_append_char(out->content, '}');
	sender_publish(f->sender, NULL, out);
}

static int on_error(struct front *f, struct lane *lane, struct peer_frame *frame, struct error *err)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(0);
	struct msgpack_reader *m = &frame->fields;
	struct outgoing out = { .msg_type = "error", .content = &content };
	struct slice ename, evalue, line;
	struct request *r;
	uint32_t turn, n;
	bool is_cut;

	if (read_turn(m, &turn) < 0 || msgpack_read_str(m, &ename) < 0 || msgpack_read_str(m, &evalue) < 0 ||
	    msgpack_read_array(m, &n) < 0)
		return bad(err, frame->type, "a field");
	buffer_append_str(&content, "{\"ename\":");
	json_encode_string(&content, ename);
	buffer_append_str(&content, ",\"evalue\":");
	json_encode_string(&content, evalue);
	buffer_append_str(&content, ",\"traceback\":[");
	for (uint32_t i = 0; i < n; i++) {
		if (msgpack_read_str(m, &line) < 0)
			return bad(err, frame->type, "the traceback");
		if (i)
			buffer_append_char(&content, ',');
		json_encode_string(&content, line);
	}
	buffer_append_str(&content, "]}");
	out.parent = turns_header(&f->turns, turn);
	r = lane->current && lane->current->turn == turn ? lane->current : NULL;
	is_cut = !outlet_publish(f, turn, NULL, &out, OUTLET_LAST);
	if (is_cut && r && !r->error_shown)
		publish_short_error(f, &out, ename, evalue);
	if (r) {
		r->error_shown = true;
		r->error_cut = is_cut;
	}
	return 0;
}

static bool is_outstanding(const struct request *r, uint32_t turn, bool execute)
{
	return r && r->turn == turn && (r->message.header.type == MSGTYPE_execute_request) == execute;
}

/* The cell or the other request of the turn that the frame names first. */
static int outstanding(struct lane *lane, struct peer_frame *frame, bool execute, struct request **ret, struct error *err)
{
	uint32_t turn;

	if (read_turn(&frame->fields, &turn) < 0)
		return bad(err, frame->type, "turn");
	if (is_outstanding(lane->current, turn, execute))
		*ret = lane->current;
	else if (is_outstanding(lane->aside, turn, execute))
		*ret = lane->aside;
	else
		return error_set(err, -EBADMSG, "%s for turn %u, which is not outstanding", link_type_name(frame->type),
		    turn);
	return 0;
}

static int on_reply(struct front *f, struct lane *lane, struct peer_frame *frame, struct error *err)
{
	struct request *r;

	if (outstanding(lane, frame, true, &r, err) < 0)
		return -EBADMSG;
	return execute_replied(f, lane, frame, err);
}

static int on_await(struct front *f, struct lane *lane, struct peer_frame *frame, struct error *err)
{
	struct request *r;

	if (outstanding(lane, frame, true, &r, err) < 0)
		return -EBADMSG;
	lane->awaits = true;
	lane_advance_aside(f, lane);
	return 0;
}

static void end_answered(struct front *f, struct lane *lane, struct request *r)
{
	if (r == lane->aside)
		lane->aside = NULL;
	else
		(void)lane_end_current(f, lane);
	interrupt_over(f, r);
}

/* It was answered, but after a limit. */
static void fail_answered(struct front *f, struct request *r)
{
	char text[REASON_MESSAGE_MAX];

	reason_message(r->cause.reason, r->cause.limit, r->cause.used, text);
	reply_error(f, r, cause_ename(&r->cause, false), text);
}

static int on_answer(struct front *f, struct lane *lane, struct peer_frame *frame, struct error *err)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(0);
	struct slice json, metadata, buffers[MAX_OUT_BUFFERS];
	struct request *r;
	size_t n_buffers;

	if (outstanding(lane, frame, false, &r, err) < 0)
		return -EBADMSG;
	if (read_object(&frame->fields, &json) < 0 || read_object(&frame->fields, &metadata) < 0 ||
	    read_buffers(&frame->fields, buffers, &n_buffers) < 0)
		return bad(err, frame->type, "content, metadata or buffers");
	end_answered(f, lane, r);
	if (cause_is_limit(&r->cause) && !cause_is_disk(&r->cause)) {
		fail_answered(f, r);
	} else if (msgtype_info(r->message.header.type)->reply != MSGTYPE_UNKNOWN) {
		buffer_append_slice(&content, json.len ? json : SLICE_LIT("{}"));
		reply_content(f, r, &content, metadata, buffers, n_buffers);
	}
	request_finish(f, r);
	if (lane->current)
		lane_advance_aside(f, lane);
	else
		output_idle(f->output);
	return 0;
}

/* Each thread of a worker waits for its answer: so many that are not read have been asked for by a lie, and get none. */
static bool is_answered(struct lane *lane)
{
	return lane->peer.n_asked++ < MAX_UNREAD_ANSWERS || lane->peer.out.len < UNREAD_BYTES;
}

static int tell_no_input(struct lane *lane, uint32_t turn)
{
	size_t begin;

	if (!is_answered(lane))
		return 0;
	begin = peer_begin(&lane->peer);
	msgpack_write_array(&lane->peer.out, 2);
	msgpack_write_u64(&lane->peer.out, turn);
	msgpack_write_nil(&lane->peer.out);
	return peer_end(&lane->peer, begin, LINK_INPUT_REPLY);
}

static int on_ask_input(struct front *f, struct lane *lane, struct peer_frame *frame, struct error *err)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(0);
	struct outgoing out = { .msg_type = "input_request", .content = &content };
	struct request *r = lane->current;
	struct slice prompt;
	bool password;
	uint32_t turn;

	if (read_turn(&frame->fields, &turn) < 0 || msgpack_read_str(&frame->fields, &prompt) < 0 ||
	    msgpack_read_bool(&frame->fields, &password) < 0)
		return bad(err, frame->type, "a field");
	if (!r || !r->allow_stdin || r->message.header.type != MSGTYPE_execute_request ||
	    !outlet_question(f, turn, prompt.len, !r->waits_for_input)) {
		(void)!tell_no_input(lane, turn);
		return 0;
	}
	/* The worker asks one question at a time, so an earlier one was given up (interrupted). It counts the answers. */
	if (r->waits_for_input)
		(void)!tell_no_input(lane, r->input_turn);
	enforce_waits(f, r, false);
	intake_drain_stdin(f); /* replies that came before the question are no answers to it */
	buffer_append_str(&content, "{\"prompt\":");
	json_encode_string(&content, prompt);
	buffer_printf(&content, ",\"password\":%s}", password ? "true" : "false");
	out.parent = r->message.header.raw;
	enforce_waits(f, r, true);
	r->input_turn = turn;
	sender_reply(f->sender, CONNECTION_STDIN, 0, r->message.frames.identities, r->message.frames.n_identities, &out);
	return 0;
}

/* The last request on control; an empty object when there was none, or when it was too large to be kept. */
static struct slice control_parent(const struct front *f)
{
	return f->control_parent.len && !f->control_parent.failed ? buffer_slice(&f->control_parent) : SLICE_LIT("{}");
}

static int on_ask(struct front *f, struct lane *lane, struct peer_frame *frame, struct error *err)
{
	uint64_t id;
	struct slice what, args;

	if (msgpack_read_u64(&frame->fields, &id) < 0 || id > UINT32_MAX ||
	    msgpack_read_str(&frame->fields, &what) < 0 || read_object(&frame->fields, &args) < 0)
		return bad(err, frame->type, "a field");
	if (!is_answered(lane))
		return 0;
	if (slice_equal_str(what, "control")) {
		lane_tell(lane, (uint32_t)id, control_parent(f));
		return 0;
	}
	if (!slice_equal_str(what, "history"))
		return error_set(err, -EBADMSG, "ASK for something the front does not have");
	if (!history_ask(f->history, id | (uint64_t)lane->link << 32, args.len ? args : SLICE_LIT("{}")))
		lane_tell(lane, (uint32_t)id, SLICE_LIT("[]"));
	return 0;
}

static int on_exit_asked(struct front *f, struct lane *lane, struct peer_frame *frame, struct error *err)
{
	uint64_t code, now = clock_monotonic_usec();

	(void)lane;
	if (msgpack_read_u64(&frame->fields, &code) < 0)
		return bad(err, frame->type, "code");
	if (f->worker_state == WORKER_STARTING)
		return error_set(err, -EBADMSG, "EXIT came before READY");
	if (f->worker_state == WORKER_LEAVING)
		return 0;
	f->tenant_exit = true;
	f->worker_state = WORKER_LEAVING; /* nothing is begun in it any more; the REPLY of this turn comes next */
	f->exit_deadline = now + FRONT_SHUTDOWN_GRACE_USEC;
	if (f->options->on_crash != ON_CRASH_RESPAWN) {
		f->ending_not_before = now + FRONT_EXIT_DELAY_USEC;
		life_shutdown(f, 0, false);
	}
	return 0;
}

typedef int handler_fn(struct front *f, struct lane *lane, struct peer_frame *frame, struct error *err);

static int handle(struct front *f, struct lane *lane, struct peer_frame *frame, struct error *err)
{
	static const struct {
		enum link_type type;
		handler_fn *fn;
	} handlers[] = {
		{ LINK_REPLY, on_reply },
		{ LINK_DISPLAY, on_display },
		{ LINK_PUBLISH, on_publish },
		{ LINK_ERROR, on_error },
		{ LINK_ANSWER, on_answer },
		{ LINK_AWAIT, on_await },
		{ LINK_ASK_INPUT, on_ask_input },
		{ LINK_ASK, on_ask },
		{ LINK_EXIT, on_exit_asked },
		{ LINK_HELLO, on_hello },
		{ LINK_READY, on_ready },
		{ LINK_FATAL, on_fatal },
	};

	execute_announce(f);
	output_barrier(f->output, frame->ring_pos);
	if (!output_has_reached(f->output, frame->ring_pos))
		return error_set(err, -EBADMSG, "a frame speaks of ring text that was never written");
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
		if (handlers[i].type == frame->type)
			return handlers[i].fn(f, lane, frame, err);
	return error_set(err, -EBADMSG, "a frame that only the front sends");
}

/* Before it is whole: memory is only for what can be published. */
static int judge_large(struct front *f, struct lane *lane, const struct peer_frame *frame, struct error *err)
{
	size_t most = outlet_frame_limit(f);

	if (frame->type == LINK_DISPLAY || frame->type == LINK_PUBLISH) {
		if (outlet_refuses(f, lane, frame->body_len))
			peer_skip(&lane->peer, frame);
		return 0;
	}
	if (frame->body_len <= most)
		return 0;
	return error_set(err, -EBADMSG, "a %s frame of %u bytes: with this limit of output %zu are allowed", link_type_name(frame->type),
	    frame->body_len, most);
}

/* Before the frame behind it is handled, which may be the turn's last. */
static int next_frame(struct front *f, struct lane *lane, struct peer_frame *ret, struct error *err)
{
	int r = peer_next(&lane->peer, ret, err);
	size_t skipped = peer_take_skipped(&lane->peer);

	if (skipped)
		outlet_skipped(f, lane, skipped);
	return r;
}

int upward_service(struct front *f, struct lane *lane)
{
	struct error err = { 0 };
	int filled, r = 0;

	if (f->violation.code) {
		front_watch_set(f, &lane->watch, 0); /* nothing that it says counts any more */
		return -EBADMSG;
	}
	filled = peer_fill(&lane->peer);
	if (filled > 0 && f->blocked)
		outlet_finished(f, (size_t)filled);
	while (lane->peer.fd >= 0) {
		struct peer_frame frame;

		r = next_frame(f, lane, &frame, &err);
		if (r == PEER_FRAME)
			r = handle(f, lane, &frame, &err);
		else if (r == PEER_LARGE)
			r = judge_large(f, lane, &frame, &err);
		else
			break;
		if (r < 0)
			break;
	}
	if (r < 0)
		life_violation(f, &err);
	else if (filled < 0 && lane->kind != LANE_MAIN)
		life_lane_closed(f, lane);
	else if (filled < 0)
		front_watch_set(f, &lane->watch, 0); /* its death follows as SIGCHLD */
	if (filled < 0 && lane->kind == LANE_MAIN && !f->ending && !f->tenant_exit)
		life_condemn(f);
	return r < 0 ? r : filled;
}
