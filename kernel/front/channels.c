/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channels: the five ZeroMQ sockets.
 *
 * ZMQ_FD is edge-triggered in effect: it says "look", once, and a send may swallow the signal. So each socket remembers
 * that something happened on it (its descriptor was readable, or it was sent or received on), and nobody sleeps before
 * such a socket has been asked for ZMQ_EVENTS and said no (channels_readable()).
 *
 * The iopub socket has no high-water mark of its own: libzmq drops by message count and would drop an idle status as
 * readily as text. The bound is in bytes: a message is counted until libzmq lets go of its owned frame, and the sender
 * stops or drops above its budget (sender.c).
 */
#include "kernel/front/channels.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define FRAME_COST 96 /* what libzmq keeps for a frame besides its bytes */

struct in_flight {
	atomic_size_t bytes;
	atomic_size_t mark;
	int event_fd;
};

struct channels {
	void *context;
	void *sockets[CONNECTION_PORT_COUNT];
	int fds[CONNECTION_PORT_COUNT];
	bool touched[CONNECTION_PORT_COUNT]; /* since it last said that there is nothing to read */
	struct in_flight flight;
	char unlink_paths[CONNECTION_PORT_COUNT][320];
};

/* What travels with an owned frame. */
struct owned {
	struct in_flight *flight;
	size_t weight; /* bytes of the whole message; 0: not counted */
};

static const struct {
	int type;
	const char *name;
} kinds[CONNECTION_PORT_COUNT] = {
	[CONNECTION_SHELL] = { ZMQ_ROUTER, "shell" },
	[CONNECTION_IOPUB] = { ZMQ_XPUB, "iopub" },
	[CONNECTION_STDIN] = { ZMQ_ROUTER, "stdin" },
	[CONNECTION_CONTROL] = { ZMQ_ROUTER, "control" },
	[CONNECTION_HB] = { ZMQ_ROUTER, "heartbeat" },
};

void parcel_deinit(struct parcel *p)
{
	for (size_t i = 0; i < p->n; i++)
		(void)zmq_msg_close(&p->msgs[i]);
	free(p->msgs);
	free(p->parts);
	*p = (struct parcel){ 0 };
}

static int set_int(void *socket, int option, int value)
{
	return zmq_setsockopt(socket, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int configure_curve(void *socket, const struct connection *c)
{
	if (!c->has_curve)
		return 0;
	if (set_int(socket, ZMQ_CURVE_SERVER, 1) < 0 ||
	    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, c->curve_secretkey, strlen(c->curve_secretkey)) < 0)
		return -errno;
	return 0;
}

static int configure(void *socket, enum connection_port port, const struct connection *c)
{
	int64_t max = (int64_t)FRAMES_MAX_BYTES;
	int r = 0;

	r |= set_int(socket, ZMQ_LINGER, 1000);
	r |= set_int(socket, ZMQ_IPV6, strchr(c->ip, ':') != NULL);
	if (zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max, sizeof(max)) < 0)
		return -errno;
	if (kinds[port].type == ZMQ_ROUTER) {
		r |= set_int(socket, ZMQ_ROUTER_HANDOVER, 1);
		r |= set_int(socket, ZMQ_SNDHWM, 0);
	} else {
		r |= set_int(socket, ZMQ_XPUB_MANUAL, 1);
		r |= set_int(socket, ZMQ_SNDHWM, 0);
	}
	return r < 0 ? -EINVAL : configure_curve(socket, c);
}

static int read_back_port(void *socket)
{
	char endpoint[320];
	size_t size = sizeof(endpoint);
	const char *colon;

	if (zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) < 0)
		return -errno;
	colon = strrchr(endpoint, ':');
	return colon ? atoi(colon + 1) : -EINVAL;
}

/* ipc has no port 0: the first number whose path is free. */
static int choose_ipc_port(const struct connection *c, enum connection_port port)
{
	struct connection probe = *c;
	char endpoint[320];

	for (int n = 1; n < 10000; n++) {
		bool taken = false;

		for (int i = 0; i < CONNECTION_PORT_COUNT; i++)
			taken |= c->ports[i] == n;
		probe.ports[port] = n;
		if (taken || connection_endpoint(&probe, port, endpoint, sizeof(endpoint)) < 0)
			continue;
		if (access(endpoint + strlen("ipc://"), F_OK) < 0)
			return n;
	}
	return -EADDRINUSE;
}

static int bind_one(struct channels *ch, enum connection_port port, struct connection *c, struct error *err)
{
	bool ipc = strcmp(c->transport, "ipc") == 0;
	char endpoint[320];
	int r;

	if (ipc && c->ports[port] == 0) {
		r = choose_ipc_port(c, port);
		if (r < 0)
			return error_set(err, r, "%s: no free ipc path after %s-1", kinds[port].name, c->ip);
		c->ports[port] = r;
	}
	if (connection_endpoint(c, port, endpoint, sizeof(endpoint)) < 0)
		return error_set(err, -ENAMETOOLONG, "%s: the address is too long", kinds[port].name);
	if (!ipc && c->ports[port] == 0)
		(void)snprintf(strrchr(endpoint, ':'), 3, ":*");
	if (zmq_bind(ch->sockets[port], endpoint) < 0) {
		int code = errno;

		return error_set(err, -code, "cannot bind the %s socket to %s: %s", kinds[port].name, endpoint,
		    zmq_strerror(code));
	}
	if (ipc)
		(void)snprintf(ch->unlink_paths[port], sizeof(ch->unlink_paths[port]), "%s",
		    endpoint + strlen("ipc://"));
	else if (c->ports[port] == 0)
		c->ports[port] = read_back_port(ch->sockets[port]);
	return 0;
}

static int open_one(struct channels *ch, enum connection_port port, struct connection *c, struct error *err)
{
	size_t size = sizeof(int);
	int r;

	ch->sockets[port] = zmq_socket(ch->context, kinds[port].type);
	if (!ch->sockets[port])
		return error_set(err, -errno, "cannot open the %s socket: %s", kinds[port].name,
		    zmq_strerror(errno));
	r = configure(ch->sockets[port], port, c);
	if (r < 0)
		return error_set(err, r, "cannot set up the %s socket%s: %s", kinds[port].name,
		    c->has_curve ? " (is the CURVE key valid?)" : "", zmq_strerror(-r));
	if (zmq_getsockopt(ch->sockets[port], ZMQ_FD, &ch->fds[port], &size) < 0)
		return error_set(err, -errno, "cannot poll the %s socket", kinds[port].name);
	return bind_one(ch, port, c, err);
}

int channels_new(struct connection *c, struct channels **ret, struct error *err)
{
	struct channels *ch = calloc(1, sizeof(*ch));
	int r = 0;

	if (!ch)
		return error_set(err, -ENOMEM, "out of memory");
	ch->flight.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ch->context = zmq_ctx_new();
	if (!ch->context || ch->flight.event_fd < 0)
		r = error_set(err, -errno, "cannot make a ZeroMQ context: %s", strerror(errno));
	for (int i = 0; r == 0 && i < CONNECTION_PORT_COUNT; i++)
		r = open_one(ch, (enum connection_port)i, c, err);
	for (int i = 0; i < CONNECTION_PORT_COUNT; i++)
		ch->touched[i] = true;
	if (r < 0) {
		(void)channels_free(ch, 0);
		return r;
	}
	*ret = ch;
	return 0;
}

struct channels *channels_free(struct channels *ch, int linger_msec)
{
	if (!ch)
		return NULL;
	for (int i = 0; i < CONNECTION_PORT_COUNT; i++) {
		if (!ch->sockets[i])
			continue;
		(void)set_int(ch->sockets[i], ZMQ_LINGER, linger_msec);
		(void)zmq_close(ch->sockets[i]);
		if (ch->unlink_paths[i][0])
			(void)unlink(ch->unlink_paths[i]);
	}
	if (ch->context)
		(void)zmq_ctx_term(ch->context);
	if (ch->flight.event_fd >= 0)
		(void)close(ch->flight.event_fd);
	free(ch);
	return NULL;
}

int channels_fd(const struct channels *ch, enum connection_port port)
{
	return ch->fds[port];
}

void channels_look(struct channels *ch, enum connection_port port)
{
	ch->touched[port] = true;
}

bool channels_readable(struct channels *ch, enum connection_port port)
{
	int events = 0;
	size_t size = sizeof(events);

	if (!ch->touched[port])
		return false;
	if (zmq_getsockopt(ch->sockets[port], ZMQ_EVENTS, &events, &size) < 0)
		return false;
	ch->touched[port] = (events & ZMQ_POLLIN) != 0;
	return ch->touched[port];
}

static int parcel_grow(struct parcel *p, size_t *size)
{
	size_t more = *size ? *size * 2 : 8;
	zmq_msg_t *msgs = realloc(p->msgs, more * sizeof(*msgs));
	struct slice *parts;

	if (!msgs)
		return -ENOMEM;
	p->msgs = msgs;
	parts = realloc(p->parts, more * sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	p->parts = parts;
	*size = more;
	return 0;
}

static void parcel_add(struct parcel *p, zmq_msg_t *msg)
{
	(void)zmq_msg_init(&p->msgs[p->n]);
	(void)zmq_msg_move(&p->msgs[p->n], msg);
	p->n_bytes += zmq_msg_size(&p->msgs[p->n]);
	p->n++;
}

/* The slices are taken last: a zmq_msg_t keeps small frames inside itself, and the array moved while it grew. */
static void parcel_finish(struct parcel *p)
{
	for (size_t i = 0; i < p->n; i++)
		p->parts[i] = slice_from(zmq_msg_data(&p->msgs[i]), zmq_msg_size(&p->msgs[i]));
}

int channels_recv(struct channels *ch, enum connection_port port, struct parcel *ret)
{
	struct parcel p = { 0 };
	bool refused = false, more = true;
	size_t size = 0;
	zmq_msg_t msg;

	ch->touched[port] = true;
	while (more) {
		(void)zmq_msg_init(&msg);
		if (zmq_msg_recv(&msg, ch->sockets[port], ZMQ_DONTWAIT) < 0) {
			int code = errno;

			(void)zmq_msg_close(&msg);
			parcel_deinit(&p);
			return code == EAGAIN || code == EINTR ? 0 : -code;
		}
		more = zmq_msg_more(&msg) != 0;
		refused |= p.n >= FRAMES_MAX || p.n_bytes + zmq_msg_size(&msg) > FRAMES_MAX_BYTES;
		if (!refused && p.n == size)
			refused = parcel_grow(&p, &size) < 0;
		if (refused)
			parcel_deinit(&p);
		else
			parcel_add(&p, &msg);
		(void)zmq_msg_close(&msg);
	}
	parcel_finish(&p);
	*ret = p;
	return 1;
}

/* Runs in a thread of libzmq. */
static void owned_release(void *data, void *hint)
{
	struct owned *o = hint;
	struct in_flight *flight = o->flight;
	size_t before = atomic_fetch_sub(&flight->bytes, o->weight);
	size_t mark = atomic_load(&flight->mark);
	uint64_t one = 1;

	if (mark && before - o->weight < mark && atomic_exchange(&flight->mark, 0)) {
		ssize_t n = write(flight->event_fd, &one, sizeof(one));

		(void)n;
	}
	free(data);
	free(o);
}

static int frame_to_msg(struct channels *ch, const struct channels_frame *f, size_t weight, zmq_msg_t *msg)
{
	struct owned *o;

	if (!f->owned) {
		if (zmq_msg_init_size(msg, f->bytes.len) < 0)
			return -ENOMEM;
		if (f->bytes.len)
			memcpy(zmq_msg_data(msg), f->bytes.data, f->bytes.len);
		return 0;
	}
	o = malloc(sizeof(*o));
	if (!o)
		return -ENOMEM;
	*o = (struct owned){ &ch->flight, weight };
	atomic_fetch_add(&ch->flight.bytes, weight);
	if (zmq_msg_init_data(msg, (void *)(uintptr_t)f->bytes.data, f->bytes.len, owned_release, o) < 0) {
		atomic_fetch_sub(&ch->flight.bytes, weight);
		free(o);
		return -ENOMEM;
	}
	return 0;
}

static size_t weigh(const struct channels_frame *frames, size_t n)
{
	size_t weight = n * FRAME_COST;

	for (size_t i = 0; i < n; i++)
		weight += frames[i].bytes.len;
	return weight;
}

int channels_send(struct channels *ch, enum connection_port port, const struct channels_frame *frames, size_t n)
{
	size_t weight = port == CONNECTION_IOPUB ? weigh(frames, n) : 0;
	zmq_msg_t msg;
	int r = 0;

	ch->touched[port] = true;
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = frame_to_msg(ch, &frames[i], frames[i].owned ? STEAL(weight) : 0, &msg);
		if (r < 0) {
			if (frames[i].owned)
				free((void *)(uintptr_t)frames[i].bytes.data);
			continue;
		}
		if (zmq_msg_send(&msg, ch->sockets[port], ZMQ_DONTWAIT | (i + 1 < n ? ZMQ_SNDMORE : 0)) < 0) {
			r = -errno;
			(void)zmq_msg_close(&msg);
		}
	}
	return r;
}

size_t channels_in_flight(const struct channels *ch)
{
	return atomic_load(&ch->flight.bytes);
}

void channels_notify_below(struct channels *ch, size_t mark)
{
	uint64_t one = 1;

	atomic_store(&ch->flight.mark, mark);
	/* The fall may have come just before: nobody would tell of it any more. */
	if (mark && atomic_load(&ch->flight.bytes) < mark && atomic_exchange(&ch->flight.mark, 0))
		(void)!write(ch->flight.event_fd, &one, sizeof(one));
}

int channels_notify_fd(const struct channels *ch)
{
	return ch->flight.event_fd;
}

int channels_subscribe(struct channels *ch, struct slice topic, bool on)
{
	int option = on ? ZMQ_SUBSCRIBE : ZMQ_UNSUBSCRIBE;

	ch->touched[CONNECTION_IOPUB] = true;
	return zmq_setsockopt(ch->sockets[CONNECTION_IOPUB], option, topic.data ? topic.data : "", topic.len) < 0 ?
	    -errno :
	    0;
}
