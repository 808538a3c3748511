/* SPDX-License-Identifier: Apache-2.0 */
/* sender: signs and sends. The budget of slow subscribers is explained in channels.c and wire.md 9. */
#include "kernel/front/sender.h"

#include <stdio.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/base/log.h"

#define MAX_FRAMES (FRAMES_MAX_IDENTITIES + MESSAGE_PARTS + FRAMES_MAX)
#define OWN_FROM 1024 /* replies of this size on are handed over without a copy; on iopub all, because that counts them */

struct sender {
	struct channels *channels;
	struct sign_key *key;
	struct header_origin origin;
	char ident[64];
	uint64_t serial;
	struct buffer scratch;
	struct buffer header;
	size_t lowest;          /* of in-flight bytes since the budget was exceeded: falling means somebody reads */
	uint64_t stalled_since; /* when "lowest" last fell; 0: not over the budget */
	bool stalled;
	bool hurry;
	size_t n_dropped;
	struct channels_frame frames[MAX_FRAMES];
};

int sender_new(struct channels *ch, struct sign_key *key, const struct header_origin *origin, const char *ident,
    struct sender **ret)
{
	struct sender *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->channels = ch;
	s->key = key;
	s->origin = *origin;
	(void)snprintf(s->ident, sizeof(s->ident), "%s", ident);
	s->scratch = BUFFER_INIT(1 << 20);
	s->header = BUFFER_INIT(1 << 20);
	*ret = s;
	return 0;
}

struct sender *sender_free(struct sender *s)
{
	if (!s)
		return NULL;
	buffer_deinit(&s->scratch);
	buffer_deinit(&s->header);
	free(s);
	return NULL;
}

static size_t add_buffers(struct sender *s, size_t n, const struct outgoing *out)
{
	for (size_t i = 0; i < out->n_buffers && n < MAX_FRAMES; i++)
		s->frames[n++] = (struct channels_frame){ out->buffers[i], false };
	return n;
}

/* frames[0, n_head) are filled by the caller. */
static int send_signed(struct sender *s, enum connection_port port, size_t n_head, struct outgoing *out)
{
	struct slice parts[MESSAGE_PARTS];
	size_t n = n_head;
	char *content = NULL;
	int r = out->content->failed;

	buffer_reset(&s->header);
	buffer_reset(&s->scratch);
	header_build(&s->header, &s->origin, ++s->serial, clock_realtime_usec(), out->msg_type, out->subshell);
	if (r == 0)
		r = message_build(&s->scratch, s->key, buffer_slice(&s->header), out->parent, out->metadata,
		    buffer_slice(out->content), parts);
	if (r < 0)
		return r;
	for (size_t i = 0; i < MESSAGE_PARTS; i++)
		s->frames[n++] = (struct channels_frame){ parts[i], false };
	if (out->content->len >= (port == CONNECTION_IOPUB ? 1 : OWN_FROM)) {
		size_t len = buffer_steal(out->content, &content);

		s->frames[n - 1] = (struct channels_frame){ slice_from(content, len), true };
	}
	n = add_buffers(s, n, out);
	return channels_send(s->channels, port, s->frames, n);
}

static void sent(struct sender *s, const struct outgoing *out, int r)
{
	(void)s;
	if (r < 0 && r != -EHOSTUNREACH)
		log_error("cannot send %s: %s", out->msg_type, strerror(-r));
	buffer_reset(out->content);
}

void sender_reply(struct sender *s, enum connection_port port, const struct slice *identities, size_t n_identities,
    struct outgoing *out)
{
	size_t n = 0;

	for (; n < n_identities && n < FRAMES_MAX_IDENTITIES; n++)
		s->frames[n] = (struct channels_frame){ identities[n], false };
	sent(s, out, send_signed(s, port, n, out));
}

void sender_publish(struct sender *s, const char *topic, struct outgoing *out)
{
	char text[4200]; /* the welcome's topic is as long as the subscription */
	int len;

	if (topic)
		len = snprintf(text, sizeof(text), "%s", topic);
	else
		len = snprintf(text, sizeof(text), "%s.%s", s->ident, out->msg_type);
	s->frames[0] = (struct channels_frame){ slice_from(text, (size_t)MIN(len, (int)sizeof(text) - 1)), false };
	sent(s, out, send_signed(s, CONNECTION_IOPUB, 1, out));
}

void sender_status(struct sender *s, struct slice parent, const char *state)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(256);
	struct outgoing out = { .msg_type = "status", .parent = parent, .content = &content };

	buffer_append_str(&content, "{\"execution_state\":\"");
	buffer_append_str(&content, state);
	buffer_append_str(&content, "\"}");
	sender_publish(s, NULL, &out);
}

bool sender_is_blocked(struct sender *s, uint64_t now)
{
	size_t bytes = channels_in_flight(s->channels);

	if (bytes < SENDER_BUDGET_BYTES / 2 || (bytes < SENDER_BUDGET_BYTES && !s->stalled_since)) {
		s->stalled_since = 0;
		s->stalled = false;
		return false;
	}
	if (!s->stalled_since || bytes < s->lowest) {
		s->stalled_since = now;
		s->lowest = bytes;
	}
	s->stalled |= s->hurry || now >= s->stalled_since + SENDER_STALL_USEC;
	channels_notify_below(s->channels, SENDER_BUDGET_BYTES / 2);
	return !s->stalled;
}

void sender_hurry(struct sender *s, bool hurry)
{
	s->hurry = hurry;
}

bool sender_is_full(const struct sender *s)
{
	return channels_in_flight(s->channels) >= 2 * SENDER_BUDGET_BYTES;
}

bool sender_is_stalled(const struct sender *s)
{
	return s->stalled;
}

void sender_count_dropped(struct sender *s, size_t n_bytes)
{
	s->n_dropped += n_bytes;
}

size_t sender_recovered(struct sender *s)
{
	size_t n = s->n_dropped;

	if (!n || s->stalled || channels_in_flight(s->channels) >= SENDER_BUDGET_BYTES / 2)
		return 0;
	s->n_dropped = 0;
	return n;
}

uint64_t sender_deadline(const struct sender *s)
{
	return s->stalled_since && !s->stalled ? s->stalled_since + SENDER_STALL_USEC : USEC_NEVER;
}
