/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch: from a queued request to its terminal reply and idle.
 *
 * Invariant: request_begin() publishes busy, exactly one of the reply functions sends the reply, request_finish()
 * publishes idle and frees. Whatever a worker does, each request passes all three.
 */
#include "kernel/front/dispatch.h"

#include <stdio.h>

#include "kernel/front/execute.h"
#include "kernel/front/info.h"
#include "kernel/front/intake.h"
#include "kernel/front/lanes.h"
#include "kernel/front/life.h"
#include "kernel/front/metadata.h"
#include "kernel/front/state.h"
#include "kernel/front/usage.h"
#include "kernel/front/uuid.h"
#include "kernel/sandbox/processes.h"
#include "protocol/base/log.h"
#include "protocol/link/reason.h"
#include "protocol/wire/json.h"

void request_start(struct front *f, struct request *r)
{
	execute_announce(f);
	r->started_usec = clock_monotonic_usec();
	r->began_ticks = processes_now();
	clock_iso8601(clock_realtime_usec(), r->started_iso);
}

void request_begin(struct front *f, struct request *r)
{
	if (r->started_usec)
		return;
	request_start(f, r);
	sender_status(f->sender, r->message.header.raw, "busy");
}

void request_finish(struct front *f, struct request *r)
{
	sender_status(f->sender, r->message.header.raw, "idle");
	turns_release(&f->turns, r->turn);
	(void)request_free(r);
}

/* "foo_request" becomes "foo_reply"; a type that husk does not know gets its reply named the same way. */
static void reply_type(const struct request *r, char text[128])
{
	const struct header *h = &r->message.header;
	const struct msgtype_info *info = msgtype_info(h->type);
	struct slice name = slice_from(h->msg_type.data + 1, h->msg_type.len - 2);
	static const char suffix[] = "_request";
	size_t n_suffix = sizeof(suffix) - 1;

	if (info->reply != MSGTYPE_UNKNOWN) {
		(void)snprintf(text, 128, "%s", msgtype_info(info->reply)->name);
		return;
	}
	if (name.len > 100 || memchr(name.data, '\\', name.len))
		name = SLICE_LIT("unknown");
	if (name.len > n_suffix && memcmp(name.data + name.len - n_suffix, suffix, n_suffix) == 0)
		name.len -= n_suffix;
	(void)snprintf(text, 128, "%.*s_reply", (int)name.len, name.data);
}

static void append_error(struct front *f, const struct request *r, struct buffer *content, const char *ename,
    const char *evalue)
{
	buffer_append_str(content, "{\"status\":\"error\",\"ename\":");
	json_encode_string(content, slice_str(ename));
	buffer_append_str(content, ",\"evalue\":");
	json_encode_string(content, slice_str(evalue));
	buffer_append_str(content, ",\"traceback\":[]");
	if (r->message.header.type == MSGTYPE_execute_request)
		buffer_printf(content, ",\"execution_count\":%u,\"user_expressions\":{},\"payload\":[]",
		    f->next_count - 1);
	buffer_append_char(content, '}');
}

void reply_content(struct front *f, struct request *r, struct buffer *content, struct slice metadata,
    const struct slice *buffers, size_t n_buffers)
{
	_cleanup_(buffer_deinitp) struct buffer instead = BUFFER_INIT(4096);
	char type[128];
	struct outgoing out = {
		.msg_type = type,
		.parent = r->message.header.raw,
		.metadata = metadata,
		.content = content,
		.buffers = buffers,
		.n_buffers = n_buffers,
		.subshell = r->message.header.subshell_id,
	};

	if (request_is_comm(r))
		return;
	if (content->failed) {
		append_error(f, r, &instead, "ReplyTooLarge", "the reply is larger than a message may be");
		out.content = &instead;
	}
	reply_type(r, type);
	sender_reply(f->sender, r->port, r->parcel.from, r->message.frames.identities, r->message.frames.n_identities, &out);
}

void reply_failure(struct front *f, struct request *r, const struct failure *why)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(1 << 20);
	_cleanup_(buffer_deinitp) struct buffer metadata = BUFFER_INIT(4096);
	const struct outcome how = { "error", why->verdict, why->state };

	append_error(f, r, &content, why->ename, why->evalue);
	if (r->message.header.type == MSGTYPE_execute_request)
		metadata_write(f, r, &how, &metadata);
	reply_content(f, r, &content, buffer_slice(&metadata), NULL, 0);
}

void reply_error(struct front *f, struct request *r, const char *ename, const char *evalue)
{
	const struct failure why = { ename, evalue, SLICE_NULL, VERDICT_error, VERDICT_KEPT };

	reply_failure(f, r, &why);
}

static void reply_and_finish(struct front *f, struct request *r, struct buffer *content)
{
	reply_content(f, r, content, SLICE_NULL, NULL, 0);
	request_finish(f, r);
}

static void refuse_for(struct front *f, struct request *r, const struct failure *why)
{
	request_begin(f, r);
	reply_failure(f, r, why);
	request_finish(f, r);
}

static void refuse_request(struct front *f, struct request *r, const char *ename, const char *evalue)
{
	const struct failure why = { ename, evalue, SLICE_NULL, VERDICT_error, VERDICT_KEPT };

	refuse_for(f, r, &why);
}

/* What the front answers alone. Each takes the request. */

static void answer_kernel_info(struct front *f, struct request *r)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(1 << 20);

	info_content(f, &content);
	reply_and_finish(f, r, &content);
}

static void answer_connect(struct front *f, struct request *r)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(4096);

	buffer_append_str(&content, "{\"status\":\"ok\"");
	for (int i = 0; i < CONNECTION_PORT_COUNT; i++)
		buffer_printf(&content, ",\"%s\":%d", connection_port_names[i], f->connection.ports[i]);
	buffer_append_char(&content, '}');
	reply_and_finish(f, r, &content);
}

static void answer_usage(struct front *f, struct request *r)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(1 << 16);

	usage_content(f, &content);
	reply_and_finish(f, r, &content);
}

static void answer_interrupt(struct front *f, struct request *r)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(256);

	interrupt_all(f, true);
	buffer_append_str(&content, "{\"status\":\"ok\"}");
	reply_and_finish(f, r, &content);
}

static void answer_shutdown(struct front *f, struct request *r)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(256);
	_cleanup_(buffer_deinitp) struct buffer copy = BUFFER_INIT(256);
	struct outgoing out = { .msg_type = "shutdown_reply", .parent = r->message.header.raw, .content = &copy };
	bool restart = json_get_bool(r->message.frames.json[FRAMES_CONTENT], "restart", false);

	buffer_printf(&content, "{\"status\":\"ok\",\"restart\":%s}", restart ? "true" : "false");
	buffer_append_slice(&copy, buffer_slice(&content));
	reply_content(f, r, &content, SLICE_NULL, NULL, 0);
	output_barrier(f->output, UINT64_MAX);
	sender_publish(f->sender, NULL, &out);
	request_finish(f, r);
	life_shutdown(f, 0, restart);
}

static void answer_history(struct front *f, struct request *r)
{
	r->count = (uint32_t)++f->history_serial;
	if (!history_ask(f->history, f->history_serial, r->message.frames.json[FRAMES_CONTENT])) {
		reply_error(f, r, "HistoryBusy", "the history file is too slow: too many requests wait for it");
		request_finish(f, r);
		return;
	}
	r->next = f->asking;
	f->asking = r;
}

void lane_tell(struct lane *lane, uint32_t id, struct slice rows)
{
	struct peer *p = &lane->peer;
	size_t begin = peer_begin(p);

	msgpack_write_array(&p->out, 2);
	msgpack_write_u64(&p->out, id);
	msgpack_write_bin(&p->out, rows);
	if (peer_end(p, begin, LINK_TOLD) < 0)
		log_warning("a history answer did not reach the worker");
}

/* An answer goes back over the very link that asked; when that has gone, nobody waits for it. */
static bool worker_asked(struct front *f, uint64_t id, const struct buffer *rows)
{
	uint32_t link = (uint32_t)(id >> 32);

	if (!link)
		return false;
	if (f->main.link == link && f->main.peer.fd >= 0)
		lane_tell(&f->main, (uint32_t)id, buffer_slice(rows));
	if (f->debug.link == link && f->debug.peer.fd >= 0)
		lane_tell(&f->debug, (uint32_t)id, buffer_slice(rows));
	for (size_t i = 0; i < FRONT_MAX_SUBSHELLS; i++)
		if (f->subshells[i].link == link && f->subshells[i].peer.fd >= 0)
			lane_tell(&f->subshells[i], (uint32_t)id, buffer_slice(rows));
	return true;
}

void refuse_at_end(struct front *f, struct request *r)
{
	const struct failure why = { "KernelShutdown", "the kernel was shut down", SLICE_NULL, VERDICT_shutdown, VERDICT_LOST };

	if (r->message.header.type == MSGTYPE_execute_request && !r->started_usec)
		execute_aborted(f, r);
	else
		refuse_for(f, r, &why);
}

void refuse_asking(struct front *f)
{
	struct request *r;

	while ((r = f->asking)) {
		f->asking = r->next;
		refuse_at_end(f, r);
	}
}

void answer_histories(struct front *f)
{
	struct buffer rows = BUFFER_INIT(HISTORY_MAX_REPLY);
	uint64_t id;

	while (history_take(f->history, &id, &rows)) {
		struct request **at = &f->asking, *r;
		_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(HISTORY_MAX_REPLY + 64);

		if (worker_asked(f, id, &rows))
			continue;
		while (*at && (*at)->count != (uint32_t)id)
			at = &(*at)->next;
		r = *at;
		if (!r)
			continue;
		*at = r->next;
		buffer_append_str(&content, "{\"status\":\"ok\",\"history\":");
		buffer_append_slice(&content, buffer_slice(&rows));
		buffer_append_char(&content, '}');
		reply_and_finish(f, r, &content);
	}
	buffer_deinit(&rows);
}

static struct lane *subshell_by_id(struct front *f, struct slice id)
{
	for (size_t i = 0; i < FRONT_MAX_SUBSHELLS; i++)
		if (f->subshells[i].in_use && slice_equal_str(id, f->subshells[i].id))
			return &f->subshells[i];
	return NULL;
}

static void answer_create_subshell(struct front *f, struct request *r)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(256);
	struct lane *lane = NULL;

	for (size_t i = 0; !lane && i < FRONT_MAX_SUBSHELLS; i++)
		if (!f->subshells[i].in_use)
			lane = &f->subshells[i];
	if (!lane) {
		reply_error(f, r, "SubshellLimit", "a kernel has at most 32 subshells");
		request_finish(f, r);
		return;
	}
	lane_init(lane, LANE_SUBSHELL);
	lane->in_use = lane->eager = true;
	f->n_lanes = MAX(f->n_lanes, (size_t)(lane - f->subshells) + 3);
	lane->shell = ++f->n_subshells_made;
	uuid_new(lane->id);
	buffer_printf(&content, "{\"status\":\"ok\",\"subshell_id\":\"%s\"}", lane->id);
	reply_and_finish(f, r, &content);
}

static void close_subshell(struct front *f, struct lane *lane)
{
	const struct failure why = { "SubshellDeleted", "the subshell was deleted", SLICE_NULL, VERDICT_aborted, VERDICT_KEPT };
	struct request *r;

	while ((r = lane_end_current(f, lane))) {
		if (r->message.header.type == MSGTYPE_execute_request) {
			execute_failed(f, r, &why);
		} else {
			reply_failure(f, r, &why);
			request_finish(f, r);
		}
	}
	while ((r = queue_pop(&lane->queue)))
		refuse_for(f, r, &why);
	life_detach(f, lane);
	lane->in_use = false;
}

/* The id inside the content, without quotes; SLICE_NULL when there is none. Ids are plain ASCII, so no decoding. */
static struct slice wanted_subshell(const struct request *r)
{
	struct slice token;

	if (json_member(r->message.frames.json[FRAMES_CONTENT], "subshell_id", &token) != JSON_STRING)
		return SLICE_NULL;
	return slice_from(token.data + 1, token.len - 2);
}

#define UNKNOWN_SUBSHELL_SIZE 160

static void unknown_subshell(struct slice id, char text[UNKNOWN_SUBSHELL_SIZE])
{
	(void)snprintf(text, UNKNOWN_SUBSHELL_SIZE, "Unknown subshell_id '%.*s'", (int)MIN(id.len, 100), id.data ? id.data : "");
}

static void answer_delete_subshell(struct front *f, struct request *r)
{
	char text[UNKNOWN_SUBSHELL_SIZE];
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(256);
	struct lane *lane = subshell_by_id(f, wanted_subshell(r));

	if (!lane) {
		unknown_subshell(wanted_subshell(r), text);
		reply_error(f, r, "UnknownSubshellError", text);
		request_finish(f, r);
		return;
	}
	close_subshell(f, lane);
	buffer_append_str(&content, "{\"status\":\"ok\"}");
	reply_and_finish(f, r, &content);
}

static void answer_list_subshell(struct front *f, struct request *r)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(1 << 16);
	const char *comma = "";

	buffer_append_str(&content, "{\"status\":\"ok\",\"subshell_id\":[");
	for (size_t i = 0; i < FRONT_MAX_SUBSHELLS; i++) {
		if (!f->subshells[i].in_use)
			continue;
		buffer_printf(&content, "%s\"%s\"", comma, f->subshells[i].id);
		comma = ",";
	}
	buffer_append_str(&content, "]}");
	reply_and_finish(f, r, &content);
}

static void (*const answers[MSGTYPE_COUNT])(struct front *f, struct request *r) = {
	[MSGTYPE_kernel_info_request] = answer_kernel_info,
	[MSGTYPE_connect_request] = answer_connect,
	[MSGTYPE_usage_request] = answer_usage,
	[MSGTYPE_interrupt_request] = answer_interrupt,
	[MSGTYPE_shutdown_request] = answer_shutdown,
	[MSGTYPE_history_request] = answer_history,
	[MSGTYPE_create_subshell_request] = answer_create_subshell,
	[MSGTYPE_delete_subshell_request] = answer_delete_subshell,
	[MSGTYPE_list_subshell_request] = answer_list_subshell,
};

void request_write_head(struct buffer *out, uint32_t n_fields, const struct request *r)
{
	const struct frames *m = &r->message.frames;

	msgpack_write_array(out, n_fields);
	msgpack_write_u64(out, r->turn);
	msgpack_write_bin(out, r->message.header.raw);
	msgpack_write_array(out, (uint32_t)m->n_identities);
	for (size_t i = 0; i < m->n_identities; i++)
		msgpack_write_bin(out, m->identities[i]);
	msgpack_write_bin(out, m->json[FRAMES_METADATA]);
}

/* To the worker: everything but execute_request. False: it is too large for the link. */
static bool send_request(struct lane *lane, const struct request *r)
{
	const struct frames *m = &r->message.frames;
	struct buffer *out = &lane->peer.out;
	size_t begin = peer_begin(&lane->peer);

	request_write_head(out, 6, r);
	msgpack_write_bin(out, m->json[FRAMES_CONTENT]);
	msgpack_write_array(out, (uint32_t)m->n_buffers);
	for (size_t i = 0; i < m->n_buffers; i++)
		msgpack_write_bin(out, m->buffers[i]);
	return peer_is_kept(peer_end(&lane->peer, begin, LINK_REQUEST));
}

static void refuse_too_large(struct front *f, struct request *r)
{
	reply_error(f, r, "MessageTooLarge", "the request is larger than the worker's link allows");
	request_finish(f, r);
}

static void give_turn(struct front *f, struct request *r)
{
	f->served = true;
	r->raised_before = interrupt_times_raised(f);
	r->turn = turns_new(&f->turns, r->message.header.raw);
	turns_hold(&f->turns, r->turn, r->message.header.raw);
}

/* The kernel has used up a total: nothing of the tenant's is begun any more. What a comm message says has no reply. */
static void refuse_spent(struct front *f, struct request *r, const struct cause *spent)
{
	char text[REASON_MESSAGE_MAX];
	const struct failure why = { cause_ename(spent, false), text, SLICE_NULL, cause_verdict(spent), VERDICT_KEPT };

	reason_message(spent->reason, spent->limit, spent->used, text);
	if (r->message.header.type == MSGTYPE_execute_request)
		execute_refused(f, r, &why);
	else
		refuse_for(f, r, &why);
}

static void begin_in_worker(struct front *f, struct lane *lane, struct request *r)
{
	bool is_cell = r->message.header.type == MSGTYPE_execute_request;
	struct error err = { 0 };

	if (is_cell)
		execute_read_flags(r);
	if (request_is_turn(r) && enforce_spent(f)) {
		refuse_spent(f, r, enforce_spent(f));
		return;
	}
	if (enforce_read_limits(f, r, &err) < 0) {
		if (is_cell)
			execute_stop_queue(f, lane, r);
		refuse_request(f, r, "InvalidRequest", err.text);
		return;
	}
	lane->current = r;
	give_turn(f, r);
	if (is_cell) {
		execute_begin(f, lane, r);
		return;
	}
	request_begin(f, r);
	output_begin(f->output, r->turn, r->started_usec);
	if (send_request(lane, r)) {
		enforce_begin(f, r);
		return;
	}
	lane->current = NULL;
	refuse_too_large(f, r);
}

/* Whether the head of the queue can begin now. */
static bool is_ready(struct front *f, const struct lane *lane, const struct request *r)
{
	enum msgtype type = r->message.header.type;

	if (r->aborted)
		return true;
	if (type == MSGTYPE_kernel_info_request)
		return f->interpreter.known;
	if (!(msgtype_info(type)->flags & MSGTYPE_WORKER))
		return true;
	return f->worker_state == WORKER_READY && (lane->kind == LANE_MAIN || lane->peer.fd >= 0);
}

/* A known type on a channel that it does not belong to is an unknown one there (wire.md 6.1). */
static bool is_allowed(const struct request *r)
{
	unsigned channel = r->port == CONNECTION_CONTROL ? MSGTYPE_FROM_CONTROL : MSGTYPE_FROM_SHELL;

	return (msgtype_info(r->message.header.type)->from & channel) != 0;
}

static void begin(struct front *f, struct lane *lane, struct request *r)
{
	enum msgtype type = r->message.header.type;

	if (r->aborted) {
		execute_aborted(f, r);
	} else if (json_type(r->message.frames.json[FRAMES_CONTENT]) != JSON_OBJECT) {
		refuse_request(f, r, "InvalidRequest", "the content is not a JSON object");
	} else if (!is_allowed(r)) {
		refuse_request(f, r, "UnknownMessageType", "this kernel does not know that message type on this channel");
	} else if (answers[type]) {
		request_begin(f, r);
		answers[type](f, r);
	} else if (msgtype_info(type)->flags & MSGTYPE_WORKER) {
		begin_in_worker(f, lane, r);
	} else {
		refuse_request(f, r, "UnknownMessageType", "this kernel does not know that message type");
	}
}

/* 0 when the lane has what it needs of the worker, or will ask again; negative when its link cannot be made. */
static int lane_connect(struct front *f, struct lane *lane)
{
	if (lane->kind == LANE_MAIN || lane->peer.fd >= 0 || f->worker_state != WORKER_READY)
		return 0;
	return life_attach(f, lane, lane->kind == LANE_DEBUG ? "debug" : "subshell");
}

/* What still waits when the kernel ends is refused once the worker has gone (life_ending_tick()). */
void lane_advance(struct front *f, struct lane *lane)
{
	while (!lane->current && lane->queue.head && !f->ending) {
		struct request *r = lane->queue.head;
		int connected = lane_connect(f, lane);

		if (connected == -EAGAIN)
			return;
		if (connected < 0) {
			refuse_request(f, queue_pop(&lane->queue), "ResourceError", "cannot open a link for the thread");
			continue;
		}
		if (!is_ready(f, lane, r))
			return;
		begin(f, lane, queue_pop(&lane->queue));
	}
}

/*
 * What a cell awaits may be the answer to a comm message, so those do not wait for its end, nor for what waits for it: as in
 * ipykernel. The pipes' text goes on to belong to the cell.
 */
void lane_advance_aside(struct front *f, struct lane *lane)
{
	struct request *r;

	if (!lane->awaits || f->ending || f->worker_state != WORKER_READY)
		return;
	while (!lane->aside && (r = queue_take(&lane->queue, request_is_comm))) {
		if (json_type(r->message.frames.json[FRAMES_CONTENT]) != JSON_OBJECT) {
			refuse_request(f, r, "InvalidRequest", "the content is not a JSON object");
			continue;
		}
		if (enforce_spent(f)) {
			refuse_spent(f, r, enforce_spent(f));
			continue;
		}
		(void)!enforce_read_limits(f, r, NULL);
		give_turn(f, r);
		request_begin(f, r);
		if (send_request(lane, r))
			lane->aside = r;
		else
			refuse_too_large(f, r);
	}
}

struct request *lane_end_current(struct front *f, struct lane *lane)
{
	struct request *r = lane->current;

	lane->current = STEAL(lane->aside);
	lane->awaits = false;
	if (r) {
		outlet_close(f, r);
		enforce_end(f, r);
	}
	if (lane->current)
		enforce_begin(f, lane->current); /* beside the cell its time was the cell's */
	return r;
}

void front_advance(struct front *f)
{
	/* Before the main shell begins with something long: a subshell's thread is made by the main thread. */
	for (size_t i = 0; i < FRONT_MAX_SUBSHELLS; i++)
		if (f->subshells[i].in_use && f->subshells[i].eager && !f->ending)
			(void)lane_connect(f, &f->subshells[i]);
	lane_advance(f, &f->main);
	lane_advance(f, &f->debug);
	for (size_t i = 0; i < FRONT_MAX_SUBSHELLS; i++)
		if (f->subshells[i].in_use)
			lane_advance(f, &f->subshells[i]);
}

void lane_abort_queue(struct front *f, struct lane *lane)
{
	intake_drain_shell(f);
	for (struct request *r = lane->queue.head; r; r = r->next)
		r->aborted |= (msgtype_info(r->message.header.type)->flags & MSGTYPE_ABORTS) != 0;
}

void lane_refuse_queue(struct front *f, struct lane *lane, const struct failure *why)
{
	struct request *r;

	while ((r = queue_pop(&lane->queue)))
		refuse_for(f, r, why);
}

/* The shell that a header names; NULL: one that does not exist. */
static struct lane *named_shell(struct front *f, struct slice id)
{
	return id.len ? subshell_by_id(f, slice_from(id.data + 1, id.len - 2)) : &f->main;
}

void dispatch_published(struct front *f, enum msgtype type, struct slice content, struct slice header)
{
	struct slice id;
	struct lane *lane;

	if (type != MSGTYPE_comm_open && type != MSGTYPE_comm_msg && type != MSGTYPE_comm_close)
		return;
	if (type == MSGTYPE_comm_close) {
		comm_routes_forget(&f->comm_routes, content);
		return;
	}
	lane = named_shell(f, json_member(header, "subshell_id", &id) == JSON_STRING ? id : SLICE_NULL);
	if (lane && header.len)
		comm_routes_note(&f->comm_routes, content, lane->shell);
}

/* The shell that has asked for what this comm_msg or comm_close says, if it is still there; else NULL. */
static struct lane *asking_shell(struct front *f, const struct request *r)
{
	enum msgtype type = r->message.header.type;
	struct slice content = r->message.frames.json[FRAMES_CONTENT];
	uint32_t shell;

	if ((type != MSGTYPE_comm_msg && type != MSGTYPE_comm_close) ||
	    !comm_routes_take(&f->comm_routes, content, &shell))
		return NULL;
	if (type == MSGTYPE_comm_close)
		comm_routes_forget(&f->comm_routes, content);
	if (shell == f->main.shell)
		return &f->main;
	for (size_t i = 0; i < FRONT_MAX_SUBSHELLS; i++)
		if (f->subshells[i].in_use && f->subshells[i].shell == shell)
			return &f->subshells[i];
	return NULL;
}

static void enqueue(struct front *f, struct lane *lane, struct request *r)
{
	queue_push(&lane->queue, r);
	if (request_is_comm(r))
		lane_advance_aside(f, lane);
}

static void append_hex(struct buffer *out, struct slice bytes)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < bytes.len; i++) {
		buffer_append_char(out, digits[(unsigned char)bytes.data[i] >> 4]);
		buffer_append_char(out, digits[(unsigned char)bytes.data[i] & 15]);
	}
}

static void append_identities(struct buffer *out, const struct frames *m)
{
	for (size_t i = 0; i < m->n_identities; i++) {
		buffer_append_str(out, i ? ",\"" : "\"");
		append_hex(out, m->identities[i]);
		buffer_append_char(out, '"');
	}
}

/* What kernel.get_parent("control") gives, content and metadata only when they are small. */
static void remember_control(struct front *f, const struct request *r)
{
	const struct frames *m = &r->message.frames;
	struct slice metadata = m->json[FRAMES_METADATA], content = m->json[FRAMES_CONTENT];
	struct buffer *out = &f->control_parent;

	if (metadata.len + content.len > CONTROL_PARENT_BYTES)
		metadata = content = SLICE_LIT("{}");
	buffer_reset(out);
	buffer_append_str(out, "{\"header\":");
	buffer_append_slice(out, r->message.header.raw);
	buffer_append_str(out, ",\"metadata\":");
	buffer_append_slice(out, metadata);
	buffer_append_str(out, ",\"content\":");
	buffer_append_slice(out, content);
	buffer_append_str(out, ",\"identities\":[");
	append_identities(out, m);
	buffer_append_str(out, "]}");
}

/* What lets code that stands at a breakpoint go on; its time runs from now on (limits.md 4). */
static void note_debug_request(struct front *f, const struct request *r)
{
	static const char *const commands[] = { "continue", "next", "stepIn", "stepOut", "disconnect" };
	struct slice command;

	if (json_member(r->message.frames.json[FRAMES_CONTENT], "command", &command) != JSON_STRING)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (json_string_equals(command, commands[i]))
			enforce_debugger(f, false);
}

static void route_control(struct front *f, struct request *r)
{
	enum msgtype type = r->message.header.type;

	remember_control(f, r);
	if (type == MSGTYPE_debug_request) {
		note_debug_request(f, r);
		if (queue_is_full(&f->debug.queue))
			refuse_request(f, r, "QueueFull", "too many debug requests wait");
		else
			queue_push(&f->debug.queue, r);
	} else if (json_type(r->message.frames.json[FRAMES_CONTENT]) == JSON_OBJECT && is_allowed(r) && answers[type] &&
	    !(type == MSGTYPE_kernel_info_request && !f->interpreter.known)) {
		request_begin(f, r);
		answers[type](f, r);
	} else if (queue_is_full(&f->main.queue)) {
		refuse_request(f, r, "QueueFull", "too many requests wait");
	} else {
		enqueue(f, &f->main, r);
	}
}

static void refuse_unknown_subshell(struct front *f, struct request *r)
{
	struct slice id = r->message.header.subshell_id;
	char text[UNKNOWN_SUBSHELL_SIZE];

	unknown_subshell(slice_from(id.data + 1, id.len - 2), text);
	refuse_request(f, r, "UnknownSubshellError", text);
}

void dispatch_route(struct front *f, struct request *r)
{
	struct lane *lane;

	if (r->port == CONNECTION_CONTROL) {
		route_control(f, r);
		return;
	}
	if (f->ending) {
		refuse_at_end(f, r);
		return;
	}
	lane = asking_shell(f, r);
	if (!lane)
		lane = named_shell(f, r->message.header.subshell_id);
	if (!lane) {
		refuse_unknown_subshell(f, r);
		return;
	}
	if (lane != &f->main && queue_is_full(&lane->queue)) {
		refuse_request(f, r, "QueueFull", "too many requests wait in this subshell");
		return;
	}
	enqueue(f, lane, r);
}
