/* SPDX-License-Identifier: Apache-2.0 */
/* conn: one client's connection. */
#include "kernel/front/conn.h"

#include <string.h>
#include <sys/socket.h>

#include "protocol/wire/frames.h"

#define READS_PER_CALL 16      /* so that no client starves another */
#define COMMAND_MAX_BYTES 8192 /* of the handshake and of commands after it */

static const char *const socket_types[CONNECTION_PORT_COUNT] = {
	[CONNECTION_SHELL] = "ROUTER", [CONNECTION_IOPUB] = "XPUB", [CONNECTION_STDIN] = "ROUTER",
	[CONNECTION_CONTROL] = "ROUTER", [CONNECTION_HB] = "ROUTER",
};

struct conn *conn_new(int fd, enum connection_port port, uint64_t serial, const uint8_t *secret, struct conn_totals *totals)
{
	struct conn *c = calloc(1, sizeof(*c));
	uint8_t greeting[ZMTP_GREETING_SIZE];

	if (c) {
		*c = (struct conn){ .fd = fd, .port = port, .serial = serial, .readable = true, .deadline = USEC_NEVER };
		assembly_init(&c->in, &totals->partial, COMMAND_MAX_BYTES);
		outqueue_init(&c->out, &totals->unread);
		c->curve = secret ? curve_server_new(secret) : NULL;
		zmtp_greeting_write(secret ? ZMTP_CURVE : ZMTP_NULL, secret != NULL, greeting);
	}
	if (!c || (secret && !c->curve) || outqueue_append(&c->out, slice_from(greeting, sizeof(greeting))) < 0) {
		if (!c)
			(void)close(fd);
		return conn_free(c);
	}
	return c;
}

struct conn *conn_free(struct conn *c)
{
	if (!c)
		return NULL;
	(void)close(c->fd);
	assembly_deinit(&c->in);
	outqueue_deinit(&c->out);
	(void)curve_server_free(c->curve);
	for (size_t i = 0; i < c->n_topics; i++)
		free((void *)(uintptr_t)c->topics[i].data);
	free(c->topics);
	free(c->stash_base);
	free(c);
	return NULL;
}

/* ---- out ---- */

static int queue_frame(struct conn *c, uint8_t flags, struct slice body, struct shared *shared)
{
	uint8_t header[ZMTP_FRAME_HEADER_MAX], *at;
	size_t n = zmtp_frame_write(flags, body.len, header);

	if (shared)
		return outqueue_append(&c->out, slice_from(header, n)) < 0 ? -ENOMEM : outqueue_share(&c->out, shared);
	at = outqueue_reserve(&c->out, n + body.len);
	if (!at)
		return -ENOMEM;
	memcpy(at, header, n);
	if (body.len)
		memcpy(at + n, body.data, body.len);
	return 0;
}

/* The outer frame has no flags: they are inside the box. */
static int queue_sealed(struct conn *c, uint8_t flags, struct slice body)
{
	uint8_t header[ZMTP_FRAME_HEADER_MAX], *at;
	size_t n = zmtp_frame_write(0, body.len + CURVE_OVERHEAD, header);

	at = outqueue_reserve(&c->out, n + body.len + CURVE_OVERHEAD);
	if (!at)
		return -ENOMEM;
	memcpy(at, header, n);
	return curve_seal(c->curve, flags, body, at + n);
}

static int queue_any(struct conn *c, uint8_t flags, struct slice body, struct shared *shared)
{
	return c->curve && c->state == CONN_OPEN ? queue_sealed(c, flags, body) : queue_frame(c, flags, body, shared);
}

void conn_queue(struct conn *c, const struct slice *frames, struct shared *const *shared, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = queue_any(c, i + 1 < n ? ZMTP_FLAG_MORE : 0, frames[i], shared ? shared[i] : NULL);
	if (r < 0)
		c->broken = r;
}

void conn_write(struct conn *c)
{
	int r = c->broken ? c->broken : outqueue_write(&c->out, c->fd);

	c->write_blocked = r > 0;
	if (r < 0)
		c->broken = r;
}

/* ---- handshake ---- */

static bool is_welcome_peer(enum connection_port port, struct slice type)
{
	if (port == CONNECTION_IOPUB)
		return slice_equal_str(type, "SUB") || slice_equal_str(type, "XSUB");
	return slice_equal_str(type, "DEALER") || slice_equal_str(type, "REQ") || slice_equal_str(type, "ROUTER");
}

/* An identity that begins with 0 is one that was made here: for a client that has none of its own. */
static void set_identity(struct conn *c, struct slice identity)
{
	if (identity.len && identity.len <= ZMTP_IDENTITY_MAX && identity.data[0] != 0) {
		memcpy(c->identity, identity.data, identity.len);
		c->n_identity = identity.len;
		return;
	}
	c->n_identity = 9;
	c->identity[0] = 0;
	memcpy(c->identity + 1, &c->serial, 8);
}

static int read_properties(struct conn *c, struct slice rest, struct error *err)
{
	struct slice name, value, identity = SLICE_NULL, type = SLICE_NULL;
	int r;

	while ((r = zmtp_property_next(&rest, &name, &value)) > 0) {
		if (zmtp_property_is(name, "Socket-Type"))
			type = value;
		else if (zmtp_property_is(name, "Identity"))
			identity = value;
	}
	if (r < 0)
		return error_set(err, r, "the peer's READY has broken properties");
	if (!is_welcome_peer(c->port, type))
		return error_set(err, -EPROTO, "the peer is a %.*s socket, which %s does not serve", (int)MIN(type.len, 20),
		    type.len ? type.data : "", connection_port_names[c->port]);
	set_identity(c, identity);
	return 0;
}

static void own_properties(const struct conn *c, struct buffer *out)
{
	zmtp_property_append(out, "Socket-Type", slice_str(socket_types[c->port]));
	if (c->port != CONNECTION_IOPUB)
		zmtp_property_append(out, "Identity", SLICE_NULL);
}

static int queue_command(struct conn *c, const struct buffer *body)
{
	return body->failed ? body->failed : queue_any(c, ZMTP_FLAG_COMMAND, buffer_slice(body), NULL);
}

static void open_conn(struct conn *c)
{
	c->state = CONN_OPEN;
	c->deadline = USEC_NEVER;
	c->in.max_frame = (c->port == CONNECTION_IOPUB ? CONN_SUBSCRIBER_MAX_BYTES : FRAMES_MAX_BYTES) +
	    (c->curve ? CURVE_OVERHEAD : 0);
}

static int handshake_null(struct conn *c, struct slice body, struct error *err)
{
	struct slice name, data;
	int r = zmtp_command_parse(body, &name, &data);

	if (r < 0 || !slice_equal_str(name, "READY"))
		return error_set(err, -EPROTO, "the peer sent no READY");
	r = read_properties(c, data, err);
	if (r == 0)
		open_conn(c);
	return r;
}

static int handshake_curve(struct conn *c, struct slice body, struct error *err)
{
	_cleanup_(buffer_deinitp) struct buffer reply = BUFFER_INIT(1024), properties = BUFFER_INIT(256);
	struct slice theirs;
	int r = curve_handshake(c->curve, body, &reply, &theirs);

	if (r < 0)
		return error_set(err, r, "the CURVE handshake failed: does the client have this kernel's public key?");
	if (r > 0) {
		r = read_properties(c, theirs, err);
		if (r < 0)
			return r;
		own_properties(c, &properties);
		r = curve_ready(c->curve, buffer_slice(&properties), &reply);
		if (r == 0)
			r = queue_command(c, &reply); /* READY itself is not in a MESSAGE */
		if (r == 0)
			open_conn(c);
		return r;
	}
	return queue_command(c, &reply);
}

static int greeted(struct conn *c)
{
	_cleanup_(buffer_deinitp) struct buffer ready = BUFFER_INIT(256);

	c->state = CONN_HANDSHAKE;
	if (c->curve)
		return 0;
	zmtp_command_begin(&ready, "READY");
	own_properties(c, &ready);
	return queue_command(c, &ready);
}

static int take_greeting(struct conn *c, struct slice *bytes, struct error *err)
{
	size_t n = MIN(bytes->len, ZMTP_GREETING_SIZE - c->n_greeting);
	int r;

	memcpy(c->greeting + c->n_greeting, bytes->data, n);
	c->n_greeting += n;
	*bytes = slice_from(bytes->data + n, bytes->len - n);
	r = zmtp_greeting_check(slice_from(c->greeting, c->n_greeting), c->curve ? ZMTP_CURVE : ZMTP_NULL, err);
	return r == 0 && c->n_greeting == ZMTP_GREETING_SIZE ? greeted(c) : r;
}

/* ---- commands and subscriptions ---- */

static int pong(struct conn *c, struct slice data)
{
	_cleanup_(buffer_deinitp) struct buffer reply = BUFFER_INIT(64);

	if (data.len < 2 || data.len > 2 + ZMTP_PING_CONTEXT_MAX)
		return -EPROTO;
	if (c->out.bytes > CONN_REPLIES_PAUSE_BYTES) /* which show that this side lives as soon as they are read */
		return 0;
	zmtp_command_begin(&reply, "PONG");
	buffer_append(&reply, data.data + 2, data.len - 2); /* behind the time-to-live */
	return queue_command(c, &reply);
}

/* A subscription by command gets the form that it has as a message. */
static int subscription_parcel(uint8_t kind, struct slice topic, struct parcel *ret)
{
	*ret = (struct parcel){ .bytes = malloc(1 + topic.len), .parts = malloc(sizeof(struct slice)) };
	if (!ret->bytes || !ret->parts) {
		parcel_deinit(ret);
		return -ENOMEM;
	}
	ret->bytes[0] = (char)kind;
	if (topic.len)
		memcpy(ret->bytes + 1, topic.data, topic.len);
	ret->n = 1;
	ret->n_bytes = 1 + topic.len;
	ret->parts[0] = slice_from(ret->bytes, ret->n_bytes);
	return 1;
}

static int command(struct conn *c, struct slice body, struct parcel *ret, struct error *err)
{
	struct slice name, data;
	int r = zmtp_command_parse(body, &name, &data);

	if (r == 0 && slice_equal_str(name, "PING"))
		r = pong(c, data);
	else if (r == 0 && c->port == CONNECTION_IOPUB && slice_equal_str(name, "SUBSCRIBE"))
		r = subscription_parcel(1, data, ret);
	else if (r == 0 && c->port == CONNECTION_IOPUB && slice_equal_str(name, "CANCEL"))
		r = subscription_parcel(0, data, ret);
	else if (r == 0 && slice_equal_str(name, "ERROR"))
		return -ECONNRESET;
	return r < 0 ? error_set(err, r, "the peer sent a broken command") : r;
}

bool conn_wants(const struct conn *c, struct slice topic)
{
	if (c->all_topics)
		return true;
	for (size_t i = 0; i < c->n_topics; i++)
		if (topic.len >= c->topics[i].len && memcmp(topic.data, c->topics[i].data, c->topics[i].len) == 0)
			return true;
	return false;
}

static size_t find_topic(const struct conn *c, struct slice topic)
{
	size_t i = 0;

	while (i < c->n_topics && !slice_equal(c->topics[i], topic))
		i++;
	return i;
}

int conn_subscribe(struct conn *c, struct slice topic, bool on)
{
	size_t at = find_topic(c, topic);

	if (on && at == c->n_topics) {
		struct slice *topics = c->n_topics >= CONN_TOPICS_MAX ?
		    NULL :
		    realloc(c->topics, (c->n_topics + 1) * sizeof(*topics));
		char *copy = topics ? malloc(topic.len + 1) : NULL;

		if (topics)
			c->topics = topics;
		if (!copy)
			return c->n_topics >= CONN_TOPICS_MAX ? -E2BIG : -ENOMEM;
		if (topic.len)
			memcpy(copy, topic.data, topic.len);
		c->topics[c->n_topics++] = slice_from(copy, topic.len);
	} else if (!on && at < c->n_topics) {
		free((void *)(uintptr_t)c->topics[at].data);
		c->topics[at] = c->topics[--c->n_topics];
	}
	c->all_topics = find_topic(c, SLICE_LIT("")) < c->n_topics;
	return 0;
}

/* ---- in ---- */

static int message_frame(struct conn *c, uint8_t flags, struct slice payload, struct parcel *ret)
{
	int r = assembly_keep(&c->in, payload);

	if (r < 0 || (flags & ZMTP_FLAG_MORE))
		return r;
	r = assembly_finish(&c->in, ret);
	ret->from = c->serial;
	return r < 0 ? r : 1;
}

/* What a command or a frame of a message says is copied before the frame is dropped or kept. */
static int whole_frame(struct conn *c, struct parcel *ret, struct error *err)
{
	struct slice body = assembly_body(&c->in);
	uint8_t flags = c->in.frame.flags;
	int r;

	if (c->state == CONN_HANDSHAKE) {
		if (!(flags & ZMTP_FLAG_COMMAND))
			return error_set(err, -EPROTO, "the peer sent a message before its handshake");
		r = c->curve ? handshake_curve(c, body, err) : handshake_null(c, body, err);
		assembly_drop(&c->in);
		return r;
	}
	if (c->curve) {
		if (c->in.skip)
			return error_set(err, -EMSGSIZE, "a message is larger than %zu bytes", FRAMES_MAX_BYTES);
		r = curve_open(c->curve, (uint8_t *)(uintptr_t)body.data, body.len, &flags, &body);
		if (r < 0)
			return error_set(err, r, "a frame does not belong to this CURVE connection");
	}
	if (!(flags & ZMTP_FLAG_COMMAND))
		return message_frame(c, flags, body, ret);
	if (body.len > COMMAND_MAX_BYTES)
		return error_set(err, -EPROTO, "a command has %zu bytes, at most %d are allowed", body.len, COMMAND_MAX_BYTES);
	r = command(c, body, ret, err);
	ret->from = c->serial;
	assembly_drop(&c->in);
	return r;
}

static int explain(struct conn *c, int r, struct error *err)
{
	if (r == -EMSGSIZE)
		return error_set(err, r, "a frame of %llu bytes is announced, at most %zu are allowed",
		    (unsigned long long)c->in.frame.size, c->in.max_frame);
	if (r == -ENOBUFS)
		return error_set(err, r, "unfinished messages of all clients hold more than %zu bytes",
		    ASSEMBLY_TOTAL_MAX_BYTES);
	return r == -EPROTO ? error_set(err, r, "the peer sent an impossible frame") : r;
}

static int consume(struct conn *c, struct slice *bytes, struct parcel *ret, struct error *err)
{
	size_t used = 0;
	int r;

	if (c->state == CONN_GREETING)
		return take_greeting(c, bytes, err);
	if (c->state == CONN_OPEN && c->port != CONNECTION_IOPUB && assembly_is_empty(&c->in)) {
		r = assembly_open(&c->in, slice_from(c->identity, c->n_identity));
		if (r < 0)
			return explain(c, r, err);
	}
	r = assembly_feed(&c->in, *bytes, &used);
	if (r < 0)
		return explain(c, r, err);
	*bytes = slice_from(bytes->data + used, bytes->len - used);
	return r > 0 ? whole_frame(c, ret, err) : 0;
}

/* Until a message is whole or the bytes are used up. */
static int consume_all(struct conn *c, struct slice *bytes, struct parcel *ret, struct error *err)
{
	int r = 0;

	while (r == 0 && bytes->len)
		r = consume(c, bytes, ret, err);
	return r;
}

static int consume_stash(struct conn *c, struct parcel *ret, struct error *err)
{
	int r = consume_all(c, &c->stash, ret, err);

	if (c->stash.len == 0) {
		free(c->stash_base);
		c->stash_base = NULL;
	}
	return r;
}

static int keep_stash(struct conn *c, struct slice rest)
{
	c->stash_base = malloc(rest.len);
	if (!c->stash_base)
		return -ENOMEM;
	memcpy(c->stash_base, rest.data, rest.len);
	c->stash = slice_from(c->stash_base, rest.len);
	return 0;
}

/* A short read of a connection that has not hung up means that it was read to its end. */
static ssize_t receive(struct conn *c, void *data, size_t size)
{
	ssize_t n;

	do
		n = recv(c->fd, data, size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return -ECONNRESET;
	if ((n < 0 && errno == EAGAIN) || (n > 0 && (size_t)n < size && !c->hung_up))
		c->readable = false;
	if (n < 0)
		return errno == EAGAIN ? 0 : -ECONNRESET;
	return n;
}

static int fill(struct conn *c, char *scratch, struct parcel *ret, struct error *err)
{
	size_t size;
	char *target = assembly_target(&c->in, &size);
	ssize_t n = receive(c, target ? target : scratch, target ? size : CONN_SCRATCH_BYTES);
	struct slice bytes;
	int r;

	if (n <= 0)
		return (int)n;
	if (target) {
		r = assembly_fed(&c->in, (size_t)n);
		return r > 0 ? whole_frame(c, ret, err) : r;
	}
	bytes = slice_from(scratch, (size_t)n);
	r = consume_all(c, &bytes, ret, err);
	if (r >= 0 && bytes.len && keep_stash(c, bytes) < 0) {
		parcel_deinit(ret);
		return -ENOMEM;
	}
	return r;
}

/* A message that is larger than what everybody may hold must make progress. */
static void watch_progress(struct conn *c, uint64_t now)
{
	if (c->state == CONN_OPEN)
		c->deadline = assembly_is_charged(&c->in) ? now + CONN_PARTIAL_USEC : USEC_NEVER;
}

int conn_next(struct conn *c, char *scratch, uint64_t now, struct parcel *ret, struct error *err)
{
	int r = c->broken;

	if (r == 0 && c->stash.len)
		r = consume_stash(c, ret, err);
	for (int i = 0; r == 0 && c->readable && i < READS_PER_CALL; i++)
		r = fill(c, scratch, ret, err);
	watch_progress(c, now);
	return r == 0 && c->readable ? -EAGAIN : r;
}
