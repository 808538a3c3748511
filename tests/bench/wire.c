/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: one lean Jupyter client.
 *
 * The work per message is one HMAC each way and a search for a few keys; nothing is parsed into a tree, so what is
 * measured is the kernel. Reconnecting once a millisecond keeps the moment at which a starting kernel is found sharp
 * (libzmq's default of 100 ms would round every cold start).
 */
#include "tests/bench/wire.h"

#include <nettle/hmac.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DELIMITER "<IDS|MSG>"
#define SIGNATURE_HEX_SIZE 64

struct wire {
	void *context;
	void *sockets[WIRE_CHANNEL_COUNT];
	struct hmac_sha256_ctx keyed;
	char session[WIRE_ID_SIZE];
	uint64_t n_sent;
};

static unsigned int wires_made;

static int socket_open(struct wire *w, enum wire_channel channel)
{
	int zero = 0, one = 1, ret;
	void *socket;

	socket = zmq_socket(w->context, channel == WIRE_IOPUB ? ZMQ_SUB : ZMQ_DEALER);
	if (!socket)
		return -errno;
	w->sockets[channel] = socket;
	ret = zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof(zero));
	ret |= zmq_setsockopt(socket, ZMQ_RCVHWM, &zero, sizeof(zero));
	ret |= zmq_setsockopt(socket, ZMQ_SNDHWM, &zero, sizeof(zero));
	ret |= zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &one, sizeof(one));
	if (channel == WIRE_IOPUB)
		ret |= zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
	else
		ret |= zmq_setsockopt(socket, ZMQ_ROUTING_ID, w->session, strlen(w->session));
	return ret < 0 ? -errno : 0;
}

int wire_connect(struct wire *w, const struct connection *connection)
{
	char address[128];

	hmac_sha256_set_key(&w->keyed, strlen(connection->key), (const uint8_t *)connection->key);
	for (int channel = 0; channel < WIRE_CHANNEL_COUNT; channel++) {
		(void)snprintf(address, sizeof(address), "tcp://%s:%d", connection->ip, connection->ports[channel]);
		if (zmq_connect(w->sockets[channel], address) < 0)
			return -errno;
	}
	return 0;
}

struct wire *wire_new(void)
{
	_cleanup_(wire_freep) struct wire *w = NULL;

	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->context = zmq_ctx_new();
	if (!w->context)
		return NULL;
	(void)snprintf(w->session, sizeof(w->session), "bench-%d-%u", (int)getpid(), wires_made++);
	for (int channel = 0; channel < WIRE_CHANNEL_COUNT; channel++) {
		int ret = socket_open(w, (enum wire_channel)channel);

		if (ret < 0) {
			errno = -ret;
			return NULL;
		}
	}
	return STEAL(w);
}

struct wire *wire_free(struct wire *w)
{
	if (!w)
		return NULL;
	for (int channel = 0; channel < WIRE_CHANNEL_COUNT; channel++)
		if (w->sockets[channel])
			(void)zmq_close(w->sockets[channel]);
	if (w->context)
		(void)zmq_ctx_term(w->context);
	free(w);
	return NULL;
}

static void signature_make(const struct wire *w, const struct bytes parts[4], char ret_hex[SIGNATURE_HEX_SIZE + 1])
{
	static const char digits[] = "0123456789abcdef";
	struct hmac_sha256_ctx state = w->keyed;
	uint8_t digest[SHA256_DIGEST_SIZE];

	for (int i = 0; i < 4; i++)
		hmac_sha256_update(&state, parts[i].size, (const uint8_t *)parts[i].data);
	hmac_sha256_digest(&state, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++) {
		ret_hex[2 * i] = digits[digest[i] >> 4];
		ret_hex[2 * i + 1] = digits[digest[i] & 15];
	}
	ret_hex[SIGNATURE_HEX_SIZE] = '\0';
}

int wire_send(struct wire *w, enum wire_channel channel, const char *msg_type, const char *content,
	      char ret_id[WIRE_ID_SIZE])
{
	char header[512], hex[SIGNATURE_HEX_SIZE + 1], date[32];
	struct timespec now;
	struct bytes parts[4];
	struct tm utc;
	int length;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &utc);
	(void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
	(void)snprintf(ret_id, WIRE_ID_SIZE, "%.40s-%llu", w->session, (unsigned long long)w->n_sent++);
	length = snprintf(header, sizeof(header),
			  "{\"msg_id\":\"%s\",\"session\":\"%s\",\"username\":\"bench\",\"date\":\"%s.%06ldZ\","
			  "\"msg_type\":\"%s\",\"version\":\"5.4\"}",
			  ret_id, w->session, date, now.tv_nsec / 1000, msg_type);
	parts[0] = (struct bytes){ header, (size_t)length };
	parts[1] = (struct bytes){ "{}", 2 };
	parts[2] = (struct bytes){ "{}", 2 };
	parts[3] = (struct bytes){ content, strlen(content) };
	signature_make(w, parts, hex);
	if (zmq_send(w->sockets[channel], DELIMITER, strlen(DELIMITER), ZMQ_SNDMORE) < 0 ||
	    zmq_send(w->sockets[channel], hex, SIGNATURE_HEX_SIZE, ZMQ_SNDMORE) < 0)
		return -errno;
	for (int i = 0; i < 4; i++)
		if (zmq_send(w->sockets[channel], parts[i].data, parts[i].size, i < 3 ? ZMQ_SNDMORE : 0) < 0)
			return -errno;
	return 0;
}

static struct bytes frame_bytes(zmq_msg_t *frame)
{
	return (struct bytes){ zmq_msg_data(frame), zmq_msg_size(frame) };
}

/* Finds the delimiter, checks the signature over the four frames behind it and names them. */
static int message_verify(const struct wire *w, struct wire_message *m)
{
	char hex[SIGNATURE_HEX_SIZE + 1];
	struct bytes parts[4];
	int i = 0;

	while (i < m->n_frames && !bytes_equal(frame_bytes(&m->frames[i]), DELIMITER))
		i++;
	if (i + 6 > m->n_frames)
		return -EBADMSG;
	for (int part = 0; part < 4; part++)
		parts[part] = frame_bytes(&m->frames[i + 2 + part]);
	signature_make(w, parts, hex);
	if (!bytes_equal(frame_bytes(&m->frames[i + 1]), hex))
		return -EBADMSG;
	m->header = parts[0];
	m->parent = parts[1];
	m->metadata = parts[2];
	m->content = parts[3];
	return 0;
}

int wire_receive(struct wire *w, enum wire_channel channel, struct wire_message *ret_message)
{
	struct wire_message *m = ret_message;
	int ret;

	m->n_frames = 0;
	for (;;) {
		zmq_msg_t *frame;

		if (m->n_frames == WIRE_MAX_FRAMES) {
			wire_message_close(m);
			return -EMSGSIZE;
		}
		frame = &m->frames[m->n_frames];
		(void)zmq_msg_init(frame);
		if (zmq_msg_recv(frame, w->sockets[channel], ZMQ_DONTWAIT) < 0) {
			ret = -errno;
			(void)zmq_msg_close(frame);
			wire_message_close(m);
			return ret == -EAGAIN || ret == -EINTR ? 0 : ret;
		}
		m->n_frames++;
		if (!zmq_msg_more(frame))
			break;
	}
	ret = message_verify(w, m);
	if (ret < 0) {
		wire_message_close(m);
		return ret;
	}
	return 1;
}

void wire_message_close(struct wire_message *m)
{
	for (int i = 0; i < m->n_frames; i++)
		(void)zmq_msg_close(&m->frames[i]);
	m->n_frames = 0;
}

int wire_wait(struct wire *const *wires, unsigned int n_wires, int timeout_ms)
{
	zmq_pollitem_t items[16 * WIRE_CHANNEL_COUNT];
	int n = 0, ret;

	if (n_wires > 16)
		return -E2BIG;
	for (unsigned int i = 0; i < n_wires; i++)
		for (int channel = 0; channel < WIRE_CHANNEL_COUNT; channel++)
			items[n++] = (zmq_pollitem_t){ .socket = wires[i]->sockets[channel], .events = ZMQ_POLLIN };
	ret = zmq_poll(items, n, timeout_ms);
	if (ret < 0)
		return errno == EINTR ? 0 : -errno;
	return ret > 0;
}

bool json_string(struct bytes json, const char *key, struct bytes *ret_value)
{
	const char *end = json.data + json.size, *p, *close;
	char quoted[64];
	int length;

	length = snprintf(quoted, sizeof(quoted), "\"%s\"", key);
	p = memmem(json.data, json.size, quoted, (size_t)length);
	if (!p)
		return false;
	for (p += length; p < end && (*p == ':' || *p == ' '); p++)
		;
	if (p == end || *p != '"')
		return false;
	close = memchr(p + 1, '"', (size_t)(end - p - 1));
	if (!close)
		return false;
	*ret_value = (struct bytes){ p + 1, (size_t)(close - p - 1) };
	return true;
}

bool bytes_equal(struct bytes a, const char *text)
{
	return a.size == strlen(text) && memcmp(a.data, text, a.size) == 0;
}

bool bytes_contain(struct bytes haystack, const char *needle)
{
	return memmem(haystack.data, haystack.size, needle, strlen(needle));
}
