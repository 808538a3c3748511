/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outlet: output as far as limits allow.
 *
 * Once a turn has been told that it wrote too much, what it writes on is not even read, but for a little each OUTLET_DRAIN_USEC: a writer that
 * waits for room would otherwise never see its exception, and what it says of its end lies behind the rest. Between turns nothing is read.
 */
#include "kernel/front/outlet.h"

#include "kernel/front/lanes.h"
#include "kernel/front/life.h"
#include "kernel/front/state.h"
#include "kernel/sandbox/sandbox.h"
#include "protocol/base/log.h"

#define OVERHEAD_BYTES ((size_t)1 << 10) /* of a frame, besides what is published of it */

static const char *const stream_topics[] = { [RING_STDOUT] = "stream.stdout", [RING_STDERR] = "stream.stderr" };

/* Whose output it is: that turn's, while it runs; else that of whatever runs, for that can be told. NULL: nothing runs. */
static struct request *owner(struct front *f, uint32_t turn)
{
	struct request *any = NULL;

	for (size_t i = 0; i < f->n_lanes; i++) {
		struct lane *lane = front_lane(f, i);
		struct request *r = lane ? lane->current : NULL;

		if (!r || !r->is_measured)
			continue;
		if (r->turn == turn || (lane->aside && lane->aside->turn == turn))
			return r;
		if (!any)
			any = r;
	}
	return any;
}

static struct flow *flow_of(struct front *f, struct request *r)
{
	return r ? &r->flow : &f->outlet.background;
}

static bool is_strict(const struct front *f)
{
	return f->profile && f->profile->on_output == PROFILE_ON_OUTPUT_INTERRUPT;
}

static bool is_output(enum ring_reason reason)
{
	return reason >= RING_REASON_OUTPUT && reason <= RING_REASON_OUTPUT_TOTAL_MESSAGES;
}

/* It was told, or the whole kernel has nothing more to say. */
static bool is_mute(const struct front *f, const struct request *r)
{
	const struct cause *spent = enforce_spent(f);

	return (spent && is_output(spent->reason)) || (r && r->cause.is_set && is_output(r->cause.reason));
}

/* Judged at the end of this round of the loop, not in the middle of what is being read. */
static void count(struct front *f, const struct request *r, const struct flow *w, uint64_t bytes, uint64_t messages)
{
	struct quota *q = &f->enforce.quota;
	struct cause cause;

	q->output_bytes += bytes;
	q->output_messages += messages;
	if (r && r->ladder.running)
		return;
	if (flow_is_spent(w, is_strict(f) || !r, &cause) || quota_is_spent(q, &f->enforce.meter.total))
		enforce_soon(f);
}

static struct leftover *leftover_of(struct front *f, struct request *r)
{
	struct flow *w = &r->flow;

	if (!r->leftover && !r->is_closed &&
	    leftover_new(&f->outlet.place, r->turn, (size_t)flow_end_bytes(w), MAX(flow_tail_messages(w), 3u) - 2, &r->leftover) < 0)
		log_warning("no memory for the end of a turn's output");
	return r->leftover;
}

/* The head ends with a character, so that the end can begin with one. */
static size_t whole_characters(struct slice text, size_t n)
{
	size_t start = n;

	while (start && n - start < 3 && ((unsigned char)text.data[start] & 0xc0) == 0x80)
		start--;
	return ((unsigned char)text.data[start] & 0xc0) == 0x80 ? n : start;
}

static size_t admit_text(void *data, uint32_t turn, uint32_t stream, struct slice text)
{
	struct front *f = data;
	struct request *r = owner(f, turn);
	struct flow *w = flow_of(f, r);
	bool mute = is_mute(f, r);
	size_t n;

	if (output_tail(f->output) < f->outlet.stale_until) {
		f->enforce.quota.output_bytes += text.len;
		return 0;
	}
	if (mute)
		w->is_over = true;
	n = flow_text(w, text.len);
	count(f, r, w, text.len, 0);
	if (n == text.len)
		return n;
	n = whole_characters(text, n);
	if (!r || mute || !leftover_of(f, r))
		w->is_cut = true;
	else
		leftover_text(r->leftover, stream, slice_from(text.data + n, text.len - n));
	return n;
}

static void text_shown(void *data, uint32_t turn)
{
	struct front *f = data;
	struct request *r = owner(f, turn);
	struct flow *w = flow_of(f, r);

	flow_text_shown(w);
	count(f, r, w, 0, 1);
}

void outlet_init(struct front *f)
{
	static const struct output_gate gate = { admit_text, text_shown };
	struct leftover_place *place = &f->outlet.place;

	flow_init(&f->outlet.background, &f->enforce.quota.limits);
	f->outlet.drain_at = USEC_NEVER;
	*place = (struct leftover_place){ .workspace_fd = -1 };
	if (f->source.sandbox) {
		place->workspace_fd = sandbox_workspace_fd(f->source.sandbox);
		place->n_files = sandbox_outputs(f->source.sandbox, &place->files);
		place->name = sandbox_workspace_name(f->source.sandbox);
	}
	output_set_gate(f->output, &gate, f);
}

/* What was kept of the end leaves before what comes after it. */
static struct flow *open_flow(struct front *f, struct request *r, bool last)
{
	struct flow *w = flow_of(f, r);

	if (is_mute(f, r))
		w->is_over = w->is_cut = true;
	if (last && r && w->is_over)
		outlet_close(f, r);
	return w;
}

static bool admit(struct front *f, uint32_t turn, size_t bytes, enum outlet_kind kind)
{
	struct request *r = owner(f, turn);
	struct flow *w = open_flow(f, r, kind == OUTLET_LAST);
	bool shown = kind == OUTLET_LAST ? flow_last_message(w, bytes) : flow_message(w, bytes);

	count(f, r, w, bytes, 1);
	return shown || kind == OUTLET_CONTROL;
}

bool outlet_question(struct front *f, uint32_t turn, size_t bytes, bool alone)
{
	struct request *r = owner(f, turn);
	struct flow *w = open_flow(f, r, true);
	bool shown = flow_question(w, bytes, alone);

	count(f, r, w, bytes, 1);
	return shown;
}

bool outlet_reply(struct front *f, struct request *r, size_t bytes)
{
	bool shown = flow_part(&r->flow, bytes);

	count(f, r, &r->flow, bytes, 0);
	return shown;
}

bool outlet_publish(struct front *f, uint32_t turn, const char *topic, struct outgoing *out, enum outlet_kind kind)
{
	size_t bytes = out->content->len + out->metadata.len;
	struct request *r = owner(f, turn);

	for (size_t i = 0; i < out->n_buffers; i++)
		bytes += out->buffers[i].len;
	if (admit(f, turn, bytes, kind)) {
		sender_publish(f->sender, topic, out);
		return true;
	}
	if (r && !is_mute(f, r) && leftover_of(f, r))
		leftover_message(r->leftover, out->msg_type, buffer_slice(out->content));
	return false;
}

static bool is_beyond(struct front *f, const struct request *r, const struct flow *w, size_t bytes)
{
	const struct quota *q = &f->enforce.quota;
	uint64_t total = q->limits.value[LIMIT_output_total];

	return is_mute(f, r) || flow_is_beyond(w, bytes, is_strict(f) || !r) ||
	    (total != LIMITS_NONE && q->output_bytes + bytes >= total);
}

bool outlet_refuses(struct front *f, const struct lane *lane, size_t bytes)
{
	struct request *r = owner(f, lane->current ? lane->current->turn : 0);
	struct flow *w = flow_of(f, r);

	bytes -= MIN(bytes, OVERHEAD_BYTES);
	if (!is_beyond(f, r, w, bytes))
		return false;
	flow_left_out(w, 0, 1);
	count(f, r, w, 0, 1);
	if (r && !is_mute(f, r) && leftover_of(f, r))
		leftover_unread(r->leftover);
	return true;
}

void outlet_skipped(struct front *f, const struct lane *lane, size_t bytes)
{
	struct request *r = owner(f, lane->current ? lane->current->turn : 0);
	struct flow *w = flow_of(f, r);

	flow_left_out(w, bytes, 0);
	count(f, r, w, bytes, 0);
}

size_t outlet_frame_limit(const struct front *f)
{
	uint64_t limit = f->enforce.quota.limits.value[LIMIT_output];

	return (size_t)MIN(MAX(limit, (uint64_t)OUTLET_FRAME_BYTES), (uint64_t)LINK_MAX_BODY);
}

static void publish_text(struct front *f, const struct request *r, uint32_t stream, struct slice text)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(0);
	struct outgoing out = { .msg_type = "stream", .content = &content, .bulk = true };

	out.parent = r ? r->message.header.raw : turns_header(&f->turns, 0);
	buffer_printf(&content, "{\"name\":\"%s\",\"text\":", stream == RING_STDERR ? "stderr" : "stdout");
	json_encode_string(&content, text);
	buffer_append_char(&content, '}');
	sender_publish(f->sender, stream_topics[stream], &out);
}

static void tell_gap(struct front *f, struct request *r, const struct leftover *l)
{
	_cleanup_(buffer_deinitp) struct buffer notice = BUFFER_INIT(4096);

	r->is_closed = true;
	r->flow.is_cut = true;
	leftover_describe(l, &notice);
	publish_text(f, r, RING_STDERR, buffer_slice(&notice));
}

void outlet_close(struct front *f, struct request *r)
{
	struct leftover *l = STEAL(r->leftover);
	struct slice text;
	uint32_t stream;

	if (!l)
		return;
	output_barrier(f->output, 0); /* the head leaves first */
	if (leftover_has_gap(l))
		tell_gap(f, r, l);
	r->flow.end_bytes += leftover_tail_bytes(l);
	for (unsigned i = 0; leftover_piece(l, i, &stream, &text); i++)
		publish_text(f, r, stream, text);
	(void)leftover_free(l);
}

void outlet_turn_begins(struct front *f)
{
	if (f->outlet.background.is_over)
		f->outlet.stale_until = output_head(f->output);
	flow_init(&f->outlet.background, &f->enforce.quota.limits);
	f->outlet.background_told = false;
	f->outlet.finished = 0;
}

static bool is_idle(struct front *f)
{
	return owner(f, 0) == NULL;
}

bool outlet_is_shut(struct front *f)
{
	if (f->ending || f->worker_state != WORKER_READY)
		return false;
	for (size_t i = 0; i < f->n_lanes; i++) {
		struct lane *lane = front_lane(f, i);

		if (lane && lane->current && lane->current->ladder.running && is_output(lane->current->cause.reason))
			return true;
	}
	return (f->outlet.background.is_over || is_mute(f, NULL)) && is_idle(f);
}

bool outlet_finishes(struct front *f, const struct lane *lane)
{
	return lane->peer.fd >= 0 && !is_idle(f) && f->outlet.finished < LINK_MAX_BODY && peer_is_inside(&lane->peer);
}

void outlet_finished(struct front *f, size_t bytes)
{
	f->outlet.finished += bytes;
}

static void tell_background(struct front *f)
{
	f->outlet.background_told = true;
	output_barrier(f->output, 0);
	publish_text(f, NULL, RING_STDERR, SLICE_LIT("\n[husk: the limit of output was reached between two cells; nothing more is "
	    "read until the next one]\n"));
}

void outlet_tick(struct front *f, uint64_t now)
{
	if (f->outlet.background.is_over && !f->outlet.background_told && is_idle(f))
		tell_background(f);
	if (!outlet_is_shut(f) || is_idle(f)) {
		f->outlet.drain_at = USEC_NEVER;
		return;
	}
	if (f->outlet.drain_at == USEC_NEVER)
		f->outlet.drain_at = now + OUTLET_DRAIN_USEC;
	if (now < f->outlet.drain_at)
		return;
	f->outlet.drain_at = now + OUTLET_DRAIN_USEC;
	(void)life_pull_output(f);
	life_pull_pipes(f);
}
