/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: one lean Jupyter client.
 *
 * The work per message is one HMAC each way and a search for a few keys; nothing is parsed into a tree, and bytes go from
 * the socket to the check without a thread in between, so what is measured is the kernel. A kernel that is not there yet is
 * tried once a millisecond.
 */
#include "tests/bench/wire.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <nettle/hmac.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "protocol/zmtp/zmtp.h"

#define DELIMITER "<IDS|MSG>"
#define SIGNATURE_HEX_SIZE 64
#define READ_BYTES ((size_t)256 << 10)

enum line_state { LINE_CLOSED, LINE_GREETING, LINE_OPEN };

/* One connection. */
struct line {
	enum line_state state;
	int fd;
	char *in; /* bytes [begin, end) are not yet looked at */
	size_t begin, end, size;
	struct buffer out;
};

struct wire {
	struct line lines[WIRE_CHANNEL_COUNT];
	struct connection connection;
	bool connecting;
	struct hmac_sha256_ctx keyed;
	char session[WIRE_ID_SIZE];
	uint64_t n_sent;
};

static unsigned int wires_made;

static void frame_append(struct buffer *out, uint8_t flags, struct bytes body)
{
	uint8_t header[ZMTP_FRAME_HEADER_MAX];

	buffer_append(out, header, zmtp_frame_write(flags, body.size, header));
	buffer_append(out, body.data, body.size);
}

static int line_flush(struct line *line)
{
	while (line->state == LINE_OPEN && line->out.len) {
		ssize_t n = send(line->fd, line->out.data, line->out.len, MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		buffer_consume(&line->out, (size_t)n);
	}
	return line->out.failed;
}

/* 0: the kernel is not there yet. */
static int line_connect(struct wire *w, enum wire_channel channel)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)w->connection.ports[channel]) };
	struct line *line = &w->lines[channel];
	uint8_t greeting[ZMTP_GREETING_SIZE];
	int fd, on = 1;

	if (inet_pton(AF_INET, w->connection.ip, &address.sin_addr) != 1)
		return -EINVAL;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	zmtp_greeting_write(ZMTP_NULL, false, greeting);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
	    send(fd, greeting, sizeof(greeting), MSG_NOSIGNAL) != (ssize_t)sizeof(greeting)) {
		int r = errno == ECONNREFUSED || errno == ECONNRESET || errno == EPIPE ? 0 : -errno;

		(void)close(fd);
		return r;
	}
	line->fd = fd;
	line->state = LINE_GREETING;
	return 1;
}

static int lines_connect(struct wire *w)
{
	w->connecting = false;
	for (int i = 0; i < WIRE_CHANNEL_COUNT; i++) {
		int r = w->lines[i].state == LINE_CLOSED ? line_connect(w, (enum wire_channel)i) : 1;

		if (r < 0)
			return r;
		w->connecting |= r == 0;
	}
	return 0;
}

int wire_connect(struct wire *w, const struct connection *connection)
{
	w->connection = *connection;
	hmac_sha256_set_key(&w->keyed, strlen(connection->key), (const uint8_t *)connection->key);
	return lines_connect(w);
}

struct wire *wire_new(void)
{
	struct wire *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	for (int i = 0; i < WIRE_CHANNEL_COUNT; i++)
		w->lines[i] = (struct line){ .fd = -1, .out = BUFFER_INIT(0) };
	(void)snprintf(w->session, sizeof(w->session), "bench-%d-%u", (int)getpid(), wires_made++);
	return w;
}

struct wire *wire_free(struct wire *w)
{
	if (!w)
		return NULL;
	for (int i = 0; i < WIRE_CHANNEL_COUNT; i++) {
		if (w->lines[i].fd >= 0)
			(void)close(w->lines[i].fd);
		buffer_deinit(&w->lines[i].out);
		free(w->lines[i].in);
	}
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
	frame_append(&w->lines[channel].out, ZMTP_FLAG_MORE, (struct bytes){ DELIMITER, strlen(DELIMITER) });
	frame_append(&w->lines[channel].out, ZMTP_FLAG_MORE, (struct bytes){ hex, SIGNATURE_HEX_SIZE });
	for (int i = 0; i < 4; i++)
		frame_append(&w->lines[channel].out, i < 3 ? ZMTP_FLAG_MORE : 0, parts[i]);
	return line_flush(&w->lines[channel]);
}

/* Finds the delimiter, checks the signature over the four frames behind it and names them. */
static int message_verify(const struct wire *w, struct wire_message *m)
{
	char hex[SIGNATURE_HEX_SIZE + 1];
	struct bytes parts[4];
	int i = 0;

	while (i < m->n_frames && !bytes_equal(m->frames[i], DELIMITER))
		i++;
	if (i + 6 > m->n_frames)
		return -EBADMSG;
	for (int part = 0; part < 4; part++)
		parts[part] = m->frames[i + 2 + part];
	signature_make(w, parts, hex);
	if (!bytes_equal(m->frames[i + 1], hex))
		return -EBADMSG;
	m->header = parts[0];
	m->parent = parts[1];
	m->metadata = parts[2];
	m->content = parts[3];
	return 0;
}

/* After the kernel's greeting: who we are, and what we want. What was asked before leaves with it. */
static int line_greeted(struct wire *w, enum wire_channel channel)
{
	static const char *const types[] = {
		[WIRE_SHELL] = "DEALER", [WIRE_CONTROL] = "DEALER", [WIRE_STDIN] = "DEALER", [WIRE_IOPUB] = "SUB",
	};
	_cleanup_(buffer_deinitp) struct buffer ready = BUFFER_INIT(0), out = BUFFER_INIT(0);
	struct line *line = &w->lines[channel];

	zmtp_command_begin(&ready, "READY");
	zmtp_property_append(&ready, "Socket-Type", slice_str(types[channel]));
	if (channel != WIRE_IOPUB)
		zmtp_property_append(&ready, "Identity", slice_str(w->session));
	frame_append(&out, ZMTP_FLAG_COMMAND, (struct bytes){ ready.data, ready.len });
	if (channel == WIRE_IOPUB)
		frame_append(&out, 0, (struct bytes){ "\1", 1 });
	buffer_append_slice(&out, buffer_slice(&line->out));
	buffer_reset(&line->out);
	buffer_append_slice(&line->out, buffer_slice(&out));
	line->begin += ZMTP_GREETING_SIZE;
	line->state = LINE_OPEN;
	return line_flush(line);
}

/* One frame at offset "at" behind begin: its size with header, 0 when it is not whole, -EPROTO. */
static int64_t frame_at(const struct line *line, size_t at, struct zmtp_frame *ret_frame, struct bytes *ret_body)
{
	size_t n = line->end - line->begin - at;
	int header = zmtp_frame_parse(slice_from(line->in + line->begin + at, n), ret_frame);

	if (header <= 0)
		return header;
	if (ret_frame->size > n - (size_t)header)
		return 0;
	*ret_body = (struct bytes){ line->in + line->begin + at + header, (size_t)ret_frame->size };
	return header + (int64_t)ret_frame->size;
}

/* 1: a whole message. Commands before it are passed over. */
static int line_parse(struct line *line, struct wire_message *m)
{
	struct zmtp_frame frame;
	struct bytes body;
	size_t at = 0;
	int64_t n;

	m->n_frames = 0;
	while ((n = frame_at(line, at, &frame, &body)) > 0) {
		at += (size_t)n;
		if (frame.flags & ZMTP_FLAG_COMMAND) {
			line->begin += at;
			at = 0;
			continue;
		}
		if (m->n_frames == WIRE_MAX_FRAMES)
			return -EMSGSIZE;
		m->frames[m->n_frames++] = body;
		if (!(frame.flags & ZMTP_FLAG_MORE)) {
			m->size = at;
			return 1;
		}
	}
	return (int)n;
}

/* Reads what is there; 0: nothing. */
static int line_read(struct line *line)
{
	ssize_t n;

	if (line->begin == line->end)
		line->begin = line->end = 0;
	if (line->size - line->end < READ_BYTES && line->begin) {
		memmove(line->in, line->in + line->begin, line->end - line->begin);
		line->end -= line->begin;
		line->begin = 0;
	}
	if (line->size - line->end < READ_BYTES) {
		size_t size = MAX(line->size * 2, 2 * READ_BYTES);
		char *in = realloc(line->in, size);

		if (!in)
			return -ENOMEM;
		line->in = in;
		line->size = size;
	}
	n = recv(line->fd, line->in + line->end, line->size - line->end, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	line->end += (size_t)n;
	return n > 0 ? 1 : -ECONNRESET;
}

/* A kernel that is just starting may close what it has accepted; it is tried again. */
static void line_reset(struct wire *w, struct line *line)
{
	(void)close(line->fd);
	line->fd = -1;
	line->state = LINE_CLOSED;
	line->begin = line->end = 0;
	w->connecting = true;
}

int wire_receive(struct wire *w, enum wire_channel channel, struct wire_message *ret_message)
{
	struct wire_message *m = ret_message;
	struct line *line = &w->lines[channel];
	int r = 1;

	*m = (struct wire_message){ .wire = w, .channel = channel };
	while (line->state != LINE_CLOSED && r > 0) {
		if (line->state == LINE_GREETING && line->end - line->begin >= ZMTP_GREETING_SIZE) {
			r = line_greeted(w, channel);
			if (r < 0)
				return r;
		}
		r = line->state == LINE_OPEN ? line_parse(line, m) : 0;
		if (r > 0)
			return message_verify(w, m) < 0 ? -EBADMSG : 1;
		if (r == 0)
			r = line_read(line);
	}
	if (r == -ECONNRESET) {
		line_reset(w, line);
		return 0;
	}
	return MIN(r, 0);
}

void wire_message_close(struct wire_message *m)
{
	if (m->wire)
		m->wire->lines[m->channel].begin += m->size;
	m->wire = NULL;
}

int wire_wait(struct wire *const *wires, unsigned int n_wires, int timeout_ms)
{
	struct pollfd items[16 * WIRE_CHANNEL_COUNT];
	nfds_t n = 0;
	int ret;

	if (n_wires > 16)
		return -E2BIG;
	for (unsigned int i = 0; i < n_wires; i++) {
		if (wires[i]->connecting) {
			ret = lines_connect(wires[i]);
			if (ret < 0)
				return ret;
			timeout_ms = wires[i]->connecting ? MIN(timeout_ms, 1) : timeout_ms;
		}
		for (int channel = 0; channel < WIRE_CHANNEL_COUNT; channel++)
			if (wires[i]->lines[channel].fd >= 0)
				items[n++] = (struct pollfd){ .fd = wires[i]->lines[channel].fd, .events = POLLIN };
	}
	ret = poll(items, n, timeout_ms);
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
