/* SPDX-License-Identifier: Apache-2.0 */
/* intake: what arrives on the five sockets. Bytes are judged here; what is refused is logged and never answered. */
#include "kernel/front/intake.h"

#include <string.h>

#include "kernel/front/dispatch.h"
#include "kernel/front/state.h"
#include "protocol/base/log.h"
#include "protocol/wire/json.h"

#define SUBSCRIPTION_MAX 4096 /* bytes of a topic */
#define PER_ROUND 64 /* messages of one socket per round: no socket starves another */

static struct log_ratelimit refused_limit = { .interval_usec = USEC_PER_SEC };

static void refuse(const char *channel, const char *reason)
{
	log_limited(&refused_limit, LOG_LEVEL_WARNING, "a message on %s was dropped: %s", channel, reason);
}

/* 1 with a request, 0 when the socket is empty, -EAGAIN when a message was refused. */
static int take_request(struct front *f, enum connection_port port, struct request **ret)
{
	struct parcel parcel = { 0 };
	struct message m;
	struct error err = { 0 };
	int r = channels_recv(f->channels, port, &parcel);

	if (r <= 0)
		return 0;
	if (parcel.n == 0) {
		refuse(connection_port_names[port], "it is too large");
		return -EAGAIN;
	}
	r = message_parse(parcel.parts, parcel.n, f->key, f->replay, &m, &err);
	if (r != 0)
		refuse(connection_port_names[port], err.text);
	else
		*ret = request_new(&parcel, &m, port);
	parcel_deinit(&parcel);
	return r == 0 && *ret ? 1 : -EAGAIN;
}

static void welcome(struct front *f, uint64_t to, struct slice topic)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(SUBSCRIPTION_MAX * 8);
	struct outgoing out = { .msg_type = "iopub_welcome", .content = &content, .only = to };
	char text[SUBSCRIPTION_MAX + 1] = "";

	buffer_append_str(&content, "{\"subscription\":");
	json_encode_string(&content, topic);
	buffer_append_char(&content, '}');
	if (topic.len)
		memcpy(text, topic.data, topic.len);
	sender_publish(f->sender, text, &out);
}

/* UTF-8 without control characters, so that it can be said in JSON and sent back as a topic. */
static bool is_text(struct slice topic)
{
	_cleanup_(buffer_deinitp) struct buffer quoted = BUFFER_INIT(SUBSCRIPTION_MAX + 2);

	for (size_t i = 0; i < topic.len; i++)
		if (topic.data[i] == '"' || topic.data[i] == '\\')
			return false;
	buffer_append_char(&quoted, '"');
	buffer_append_slice(&quoted, topic);
	buffer_append_char(&quoted, '"');
	return !quoted.failed && json_is_valid(buffer_slice(&quoted));
}

/* A subscriber is known to the socket only once its welcome is next (wire.md 9). */
static void subscription(struct front *f, struct parcel *p)
{
	struct slice frame = p->n == 1 ? p->parts[0] : SLICE_NULL;
	struct slice topic;
	int r;

	if (frame.len < 1 || frame.len > SUBSCRIPTION_MAX + 1 || (frame.data[0] != 0 && frame.data[0] != 1))
		return;
	topic = slice_from(frame.data + 1, frame.len - 1);
	if (!is_text(topic))
		return;
	/* Output of before the subscription goes out without the new subscriber. */
	output_barrier(f->output, UINT64_MAX);
	r = channels_subscribe(f->channels, p->from, topic, frame.data[0] == 1);
	if (r < 0)
		refuse("iopub", r == -E2BIG ? "its sender has too many subscriptions" : strerror(-r));
	else if (frame.data[0] == 1)
		welcome(f, p->from, topic);
}

static bool service_iopub(struct front *f)
{
	struct parcel p = { 0 };
	int n = 0;

	while (n < PER_ROUND && channels_recv(f->channels, CONNECTION_IOPUB, &p) > 0) {
		subscription(f, &p);
		parcel_deinit(&p);
		n++;
	}
	return n == PER_ROUND;
}

static bool service_heartbeat(struct front *f)
{
	struct channels_frame frames[FRAMES_MAX];
	struct parcel p = { 0 };
	int n = 0;

	while (n < PER_ROUND && channels_recv(f->channels, CONNECTION_HB, &p) > 0) {
		for (size_t i = 0; i < p.n; i++)
			frames[i] = (struct channels_frame){ p.parts[i], false };
		if (p.n && channels_send(f->channels, CONNECTION_HB, p.from, frames, p.n) < 0)
			log_debug("a heartbeat was not sent back");
		parcel_deinit(&p);
		n++;
	}
	return n == PER_ROUND;
}

static bool same_identities(const struct frames *a, const struct frames *b)
{
	if (a->n_identities != b->n_identities)
		return false;
	for (size_t i = 0; i < a->n_identities; i++)
		if (!slice_equal(a->identities[i], b->identities[i]))
			return false;
	return true;
}

/* The lane whose cell waits for input from this client; NULL: nobody asked it. */
static struct lane *waiting_lane(struct front *f, const struct frames *from)
{
	struct lane *lanes[FRONT_MAX_SUBSHELLS + 1] = { &f->main };

	for (size_t i = 0; i < FRONT_MAX_SUBSHELLS; i++)
		lanes[i + 1] = &f->subshells[i];
	for (size_t i = 0; i < ARRAY_SIZE(lanes); i++)
		if (lanes[i]->current && lanes[i]->current->waits_for_input &&
		    same_identities(&lanes[i]->current->message.frames, from))
			return lanes[i];
	return NULL;
}

static void input_reply(struct front *f, struct request *r)
{
	struct lane *lane = waiting_lane(f, &r->message.frames);
	_cleanup_(buffer_deinitp) struct buffer value = BUFFER_INIT(64 << 20);
	struct slice token;
	size_t begin;

	if (r->message.header.type != MSGTYPE_input_reply || !lane)
		return;
	/* A reply without a good value is one all the same: the cell must not wait for another. */
	if (json_member(r->message.frames.json[FRAMES_CONTENT], "value", &token) != JSON_STRING ||
	    json_decode_string(token, &value) < 0)
		buffer_reset(&value);
	enforce_waits(f, lane->current, false);
	begin = peer_begin(&lane->peer);
	msgpack_write_array(&lane->peer.out, 2);
	msgpack_write_u64(&lane->peer.out, lane->current->input_turn);
	msgpack_write_str(&lane->peer.out, buffer_slice(&value));
	if (peer_end(&lane->peer, begin, LINK_INPUT_REPLY) < 0)
		log_warning("an input value did not reach the worker");
}

static bool service_stdin(struct front *f)
{
	int n = 0, r;

	for (; n < PER_ROUND; n++) {
		struct request *request = NULL;

		r = take_request(f, CONNECTION_STDIN, &request);
		if (r == 0)
			return false;
		if (r > 0)
			input_reply(f, request);
		(void)request_free(request);
	}
	return true;
}

static bool service_requests(struct front *f, enum connection_port port, int max)
{
	for (int n = 0; n < max; n++) {
		struct request *request = NULL;
		int r;

		if (port == CONNECTION_SHELL && queue_is_full(&f->main.queue))
			return false;
		r = take_request(f, port, &request);
		if (r == 0)
			return false;
		if (r > 0)
			dispatch_route(f, request);
	}
	return true;
}

/* Bounded, because a client may go on sending: what fills a queue is all that can be meant. */
void intake_drain_shell(struct front *f)
{
	channels_look(f->channels);
	for (int i = 0; i < QUEUE_MAX / PER_ROUND && service_requests(f, CONNECTION_SHELL, PER_ROUND); i++)
		continue;
}

void intake_drain_stdin(struct front *f)
{
	channels_look(f->channels);
	for (int i = 0; i < QUEUE_MAX / PER_ROUND && service_stdin(f); i++)
		continue;
}

bool intake_is_pending(struct front *f)
{
	bool pending = false;

	for (int i = 0; i < CONNECTION_PORT_COUNT; i++) {
		if (i == CONNECTION_SHELL && queue_is_full(&f->main.queue))
			continue;
		pending |= channels_readable(f->channels, (enum connection_port)i);
	}
	return pending;
}

void intake_service(struct front *f)
{
	bool more = false;

	if (channels_readable(f->channels, CONNECTION_IOPUB))
		more |= service_iopub(f);
	if (channels_readable(f->channels, CONNECTION_HB))
		more |= service_heartbeat(f);
	if (channels_readable(f->channels, CONNECTION_CONTROL))
		more |= service_requests(f, CONNECTION_CONTROL, PER_ROUND);
	if (channels_readable(f->channels, CONNECTION_STDIN))
		more |= service_stdin(f);
	if (channels_readable(f->channels, CONNECTION_SHELL))
		more |= service_requests(f, CONNECTION_SHELL, PER_ROUND);
	f->again |= more;
}
