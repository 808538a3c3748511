/* SPDX-License-Identifier: Apache-2.0 */
/* sender: signs and sends. */
#include "kernel/front/sender.h"

#include <stdio.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/base/log.h"

#define MAX_FRAMES (FRAMES_MAX_IDENTITIES + MESSAGE_PARTS + FRAMES_MAX)

struct sender {
	struct channels *channels;
	struct sign_key *key;
	struct header_origin origin;
	char ident[64];
	uint64_t serial;
	struct buffer scratch;
	struct buffer header;
	bool hurry;
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

/* frames[0, n_head) are filled by the caller. Returns the number of frames. */
static int sign(struct sender *s, size_t n_head, struct outgoing *out)
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
	if (out->content->len >= CHANNELS_SHARE_FROM) {
		size_t len = buffer_steal(out->content, &content);

		s->frames[n - 1] = (struct channels_frame){ slice_from(content, len), true };
	}
	return (int)add_buffers(s, n, out);
}

static void sent(const struct outgoing *out, int r)
{
	if (r < 0)
		log_error("cannot send %s: %s", out->msg_type, strerror(-r));
	buffer_reset(out->content);
}

void sender_reply(struct sender *s, enum connection_port port, uint64_t from, const struct slice *identities,
    size_t n_identities, struct outgoing *out)
{
	size_t n = 0;
	int r;

	for (; n < n_identities && n < FRAMES_MAX_IDENTITIES; n++)
		s->frames[n] = (struct channels_frame){ identities[n], false };
	r = sign(s, n, out);
	if (r > 0)
		r = channels_send(s->channels, port, from, s->frames, (size_t)r);
	sent(out, r);
}

void sender_publish(struct sender *s, const char *topic, struct outgoing *out)
{
	char text[4200]; /* the welcome's topic is as long as the subscription */
	int len, r;

	if (topic)
		len = snprintf(text, sizeof(text), "%s", topic);
	else
		len = snprintf(text, sizeof(text), "%s.%s", s->ident, out->msg_type);
	s->frames[0] = (struct channels_frame){ slice_from(text, (size_t)MIN(len, (int)sizeof(text) - 1)), false };
	r = sign(s, 1, out);
	if (r > 0)
		r = channels_publish(s->channels, s->frames, (size_t)r, !out->bulk, out->only);
	sent(out, r);
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
	return channels_hold(s->channels, now, s->hurry);
}

void sender_hurry(struct sender *s, bool hurry)
{
	s->hurry = hurry;
}

void sender_report_dropped(struct sender *s)
{
	_cleanup_(buffer_deinitp) struct buffer content = BUFFER_INIT(512);
	struct outgoing out = { .msg_type = "stream", .content = &content };
	size_t n;

	while (channels_recovered(s->channels, &out.only, &n)) {
		buffer_printf(&content, "{\"name\":\"stderr\",\"text\":\"\\n[husk: %zu bytes of output were dropped, "
		    "this client did not read]\\n\"}", n);
		sender_publish(s, "stream.stderr", &out);
	}
}

uint64_t sender_deadline(const struct sender *s)
{
	return channels_hold_deadline(s->channels);
}
