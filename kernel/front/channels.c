/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channels: the five sockets.
 *
 * Descriptors are watched edge-triggered: a connection says "look" once, stays in its port's list of ready ones until it
 * was read to the end, and is read only when the front asks for a message. So a full queue in the front stops the reading,
 * and the client's socket fills up. A client that does not read its replies is not read from either.
 *
 * Connections are closed in channels_recv() and channels_tick() alone; elsewhere they are only marked as broken.
 */
#include "kernel/front/channels.h"

#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "kernel/front/conn.h"
#include "kernel/front/listen.h"
#include "protocol/base/log.h"
#include "protocol/wire/frames.h"

#define MAX_EVENTS 64
#define ACCEPTS_PER_LOOK 64
#define OWN_DESCRIPTORS 128 /* which clients leave to the rest of the front */
#define RESUME_USEC (100 * USEC_PER_MSEC)
#define FLUSH_FROM ((size_t)128 << 10) /* so much is written without waiting for more */

TAILQ_HEAD(conn_list, conn);

/* What epoll hands back for a listening socket; everything else is a struct conn. */
struct listener {
	int fd;
	bool paused; /* out of descriptors */
	char unlink_path[320];
};

struct channels {
	int epoll_fd;
	struct listener listeners[CONNECTION_PORT_COUNT];
	struct conn_list conns[CONNECTION_PORT_COUNT]; /* newest first */
	struct conn_list ready[CONNECTION_PORT_COUNT];
	struct conn_list dirty; /* all of one port */
	size_t n_conns;
	size_t max_conns;
	uint64_t serial;
	struct conn_totals totals;
	uint64_t resume_at; /* of paused listening sockets; USEC_NEVER */
	bool has_curve;
	uint8_t curve_secret[CURVE_KEY_SIZE];
	char scratch[CONN_SCRATCH_BYTES];
};

static struct log_ratelimit closed_limit = { .interval_usec = USEC_PER_SEC };

/* ---- lists ---- */

static void set_ready(struct channels *ch, struct conn *c, bool ready)
{
	if (c->is_ready == ready)
		return;
	c->is_ready = ready;
	if (ready)
		TAILQ_INSERT_TAIL(&ch->ready[c->port], c, of_ready);
	else
		TAILQ_REMOVE(&ch->ready[c->port], c, of_ready);
}

static void set_dirty(struct channels *ch, struct conn *c, bool dirty)
{
	if (c->is_dirty == dirty)
		return;
	c->is_dirty = dirty;
	if (dirty)
		TAILQ_INSERT_TAIL(&ch->dirty, c, of_dirty);
	else
		TAILQ_REMOVE(&ch->dirty, c, of_dirty);
}

static bool is_paused(const struct conn *c)
{
	return c->port != CONNECTION_IOPUB && c->out.bytes > CONN_REPLIES_PAUSE_BYTES;
}

static void update_ready(struct channels *ch, struct conn *c)
{
	set_ready(ch, c, c->broken || ((c->readable || c->stash.len) && !is_paused(c)));
}

static void resume_listeners(struct channels *ch);

static void drop(struct channels *ch, struct conn *c, const struct error *err)
{
	if (err && err->text[0])
		log_limited(&closed_limit, LOG_LEVEL_WARNING, "a connection to %s was closed: %s",
		    connection_port_names[c->port], err->text);
	set_ready(ch, c, false);
	set_dirty(ch, c, false);
	TAILQ_REMOVE(&ch->conns[c->port], c, of_port);
	(void)conn_free(c);
	ch->n_conns--;
	resume_listeners(ch);
}

/* ---- start and end ---- */

static int poll_for(struct channels *ch, int fd, uint32_t events, void *data)
{
	struct epoll_event e = { .events = events, .data.ptr = data };

	return epoll_ctl(ch->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

static int open_port(struct channels *ch, enum connection_port port, struct connection *c, struct error *err)
{
	struct listener *l = &ch->listeners[port];
	int r = listen_open(c, port, l->unlink_path, sizeof(l->unlink_path), err);

	if (r < 0)
		return r;
	l->fd = r;
	r = poll_for(ch, l->fd, EPOLLIN, l);
	return r < 0 ? error_set(err, r, "cannot watch the sockets: %s", strerror(-r)) : 0;
}

static size_t max_conns(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= CHANNELS_CLIENTS_MAX + OWN_DESCRIPTORS)
		return CHANNELS_CLIENTS_MAX;
	return MAX((size_t)files.rlim_cur, (size_t)2 * OWN_DESCRIPTORS) - OWN_DESCRIPTORS;
}

static int set_up(struct channels *ch, struct connection *c, struct error *err)
{
	int r = 0;

	ch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (ch->epoll_fd < 0)
		return error_set(err, -errno, "cannot watch the sockets: %s", strerror(errno));
	ch->has_curve = c->has_curve;
	if (c->has_curve && curve_key_decode(c->curve_secretkey, ch->curve_secret) < 0)
		return error_set(err, -EINVAL, "curve_secretkey is not a key: 40 characters of Z85 are expected");
	for (int i = 0; r == 0 && i < CONNECTION_PORT_COUNT; i++)
		r = open_port(ch, (enum connection_port)i, c, err);
	return r;
}

int channels_new(struct connection *c, struct channels **ret, struct error *err)
{
	struct channels *ch = calloc(1, sizeof(*ch));
	int r;

	if (!ch)
		return error_set(err, -ENOMEM, "out of memory");
	ch->max_conns = max_conns();
	TAILQ_INIT(&ch->dirty);
	ch->resume_at = USEC_NEVER;
	for (int i = 0; i < CONNECTION_PORT_COUNT; i++) {
		TAILQ_INIT(&ch->conns[i]);
		TAILQ_INIT(&ch->ready[i]);
		ch->listeners[i].fd = -1;
	}
	r = set_up(ch, c, err);
	if (r < 0) {
		(void)channels_free(ch, 0);
		return r;
	}
	*ret = ch;
	return 0;
}

/* Writes what the sockets take; returns how many connections have more, and fills in the first of them. */
static nfds_t write_all(struct channels *ch, struct pollfd unwritten[MAX_EVENTS])
{
	struct conn *c;
	nfds_t n = 0;

	for (int i = 0; i < CONNECTION_PORT_COUNT; i++)
		TAILQ_FOREACH(c, &ch->conns[i], of_port) {
			conn_write(c);
			if (c->out.bytes && !c->broken && n < MAX_EVENTS)
				unwritten[n++] = (struct pollfd){ .fd = c->fd, .events = POLLOUT };
		}
	return n;
}

static void linger(struct channels *ch, int msec)
{
	uint64_t end = clock_monotonic_usec() + (uint64_t)msec * USEC_PER_MSEC, now;
	struct pollfd unwritten[MAX_EVENTS];
	nfds_t n;

	while ((n = write_all(ch, unwritten)) > 0 && (now = clock_monotonic_usec()) < end)
		(void)poll(unwritten, n, (int)((end - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC));
}

struct channels *channels_free(struct channels *ch, int linger_msec)
{
	if (!ch)
		return NULL;
	linger(ch, linger_msec);
	for (int i = 0; i < CONNECTION_PORT_COUNT; i++) {
		if (ch->listeners[i].fd >= 0)
			(void)close(ch->listeners[i].fd);
		ch->listeners[i].fd = -1;
		if (ch->listeners[i].unlink_path[0])
			(void)unlink(ch->listeners[i].unlink_path);
		while (!TAILQ_EMPTY(&ch->conns[i]))
			drop(ch, TAILQ_FIRST(&ch->conns[i]), NULL);
	}
	if (ch->epoll_fd >= 0)
		(void)close(ch->epoll_fd);
	sodium_memzero(ch->curve_secret, sizeof(ch->curve_secret));
	free(ch);
	return NULL;
}

/* ---- arrivals ---- */

/* The oldest connection that has not said who it is makes room: strangers cannot keep clients out. */
static bool drop_stranger(struct channels *ch)
{
	struct conn *c, *oldest = NULL;

	for (int i = 0; i < CONNECTION_PORT_COUNT; i++)
		TAILQ_FOREACH(c, &ch->conns[i], of_port)
			if (c->state != CONN_OPEN && (!oldest || c->serial < oldest->serial))
				oldest = c;
	if (oldest)
		drop(ch, oldest, NULL);
	return oldest != NULL;
}

static bool make_room(struct channels *ch)
{
	if (ch->n_conns < ch->max_conns || drop_stranger(ch))
		return true;
	log_limited(&closed_limit, LOG_LEVEL_WARNING, "a connection was refused: %zu clients are connected", ch->n_conns);
	return false;
}

static void add_conn(struct channels *ch, enum connection_port port, int fd)
{
	struct conn *c;

	if (!make_room(ch)) {
		(void)close(fd);
		return;
	}
	c = conn_new(fd, port, ++ch->serial, ch->has_curve ? ch->curve_secret : NULL, &ch->totals);
	if (!c)
		return;
	c->deadline = clock_monotonic_usec() + CONN_HANDSHAKE_USEC;
	if (poll_for(ch, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, c) < 0) {
		(void)conn_free(c);
		return;
	}
	TAILQ_INSERT_HEAD(&ch->conns[port], c, of_port);
	ch->n_conns++;
	conn_write(c); /* the greeting */
	update_ready(ch, c);
}

/* Without descriptors a listening socket would report its waiting client for ever. It is tried again when a connection
 * has ended, and after a while. */
static void pause_listener(struct channels *ch, struct listener *l, int code)
{
	log_limited(&closed_limit, LOG_LEVEL_WARNING, "cannot accept a connection: %s", strerror(-code));
	l->paused = epoll_ctl(ch->epoll_fd, EPOLL_CTL_DEL, l->fd, NULL) == 0;
	ch->resume_at = clock_monotonic_usec() + RESUME_USEC;
}

static void resume_listeners(struct channels *ch)
{
	ch->resume_at = USEC_NEVER;
	for (int i = 0; i < CONNECTION_PORT_COUNT; i++) {
		struct listener *l = &ch->listeners[i];

		if (!l->paused || l->fd < 0)
			continue;
		l->paused = poll_for(ch, l->fd, EPOLLIN, l) < 0;
		if (l->paused)
			ch->resume_at = clock_monotonic_usec() + RESUME_USEC;
	}
}

static void accept_some(struct channels *ch, struct listener *l)
{
	for (int i = 0; i < ACCEPTS_PER_LOOK; i++) {
		int r = listen_accept(l->fd);

		if (r >= 0)
			add_conn(ch, (enum connection_port)(l - ch->listeners), r);
		else if (r == -EAGAIN)
			return;
		else if ((r != -EMFILE && r != -ENFILE) || !drop_stranger(ch)) {
			pause_listener(ch, l, r);
			return;
		}
	}
}

int channels_fd(const struct channels *ch)
{
	return ch->epoll_fd;
}

static void on_events(struct channels *ch, struct conn *c, uint32_t events)
{
	if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		c->hung_up = true;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		c->readable = true;
	if ((events & EPOLLOUT) && c->write_blocked)
		conn_write(c);
	update_ready(ch, c);
}

static struct listener *listener_of(struct channels *ch, const void *data)
{
	for (int i = 0; i < CONNECTION_PORT_COUNT; i++)
		if (data == &ch->listeners[i])
			return &ch->listeners[i];
	return NULL;
}

/* Events of one call belong to living connections: accepting may drop one, so that comes last. */
void channels_look(struct channels *ch)
{
	struct epoll_event events[MAX_EVENTS];
	int n = epoll_wait(ch->epoll_fd, events, MAX_EVENTS, 0);

	for (int i = 0; i < n; i++)
		if (!listener_of(ch, events[i].data.ptr))
			on_events(ch, events[i].data.ptr, events[i].events);
	for (int i = 0; i < n; i++)
		if (listener_of(ch, events[i].data.ptr))
			accept_some(ch, listener_of(ch, events[i].data.ptr));
}

bool channels_readable(const struct channels *ch, enum connection_port port)
{
	return !TAILQ_EMPTY(&ch->ready[port]);
}

uint64_t channels_deadline(const struct channels *ch)
{
	uint64_t at = ch->resume_at;
	const struct conn *c;

	for (int i = 0; i < CONNECTION_PORT_COUNT; i++)
		TAILQ_FOREACH(c, &ch->conns[i], of_port)
			at = MIN(at, c->deadline);
	return at;
}

void channels_tick(struct channels *ch, uint64_t now)
{
	struct conn *c, *next;
	struct error err;

	if (now >= ch->resume_at)
		resume_listeners(ch);
	for (int i = 0; i < CONNECTION_PORT_COUNT; i++)
		for (c = TAILQ_FIRST(&ch->conns[i]); c; c = next) {
			next = TAILQ_NEXT(c, of_port);
			if (c->deadline > now)
				continue;
			if (c->is_ready) { /* it has gone on; it is this side that does not read, for a queue is full */
				c->deadline = now + (c->state == CONN_OPEN ? CONN_PARTIAL_USEC : CONN_HANDSHAKE_USEC);
				continue;
			}
			(void)error_set(&err, -ETIMEDOUT, "%s", c->state == CONN_OPEN ?
			    "a large message was not continued" : "the peer did not finish its handshake");
			drop(ch, c, &err);
		}
}

int channels_recv(struct channels *ch, enum connection_port port, struct parcel *ret)
{
	uint64_t now = clock_monotonic_usec();
	struct conn *c;

	while ((c = TAILQ_FIRST(&ch->ready[port]))) {
		struct error err = { 0 };
		struct parcel p = { 0 };
		int r;

		if (is_paused(c) && !c->broken) {
			set_ready(ch, c, false); /* it is back when its replies have left */
			continue;
		}
		r = conn_next(c, ch->scratch, now, &p, &err);

		if (r < 0 && r != -EAGAIN) {
			if (r == -ENOMEM && !err.text[0])
				(void)error_set(&err, r, "out of memory");
			conn_write(c); /* an answer that is still to go */
			drop(ch, c, &err);
			continue;
		}
		if (c->out.bytes && !c->write_blocked) /* of a handshake */
			conn_write(c);
		set_ready(ch, c, false);
		update_ready(ch, c); /* at the end: others have their turn */
		if (r == 1)
			*ret = p;
		if (r != 0)
			return r == 1;
	}
	return 0;
}

/* ---- departures ---- */

static void release(const struct channels_frame *frames, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (frames[i].owned)
			free((void *)(uintptr_t)frames[i].bytes.data);
}

/* A message as it is queued: large frames are put where several connections can share them. */
struct outbound {
	struct slice frames[FRAMES_MAX + FRAMES_MAX_IDENTITIES + 8];
	struct shared *shared[FRAMES_MAX + FRAMES_MAX_IDENTITIES + 8];
	size_t n;
	size_t n_bytes;
};

static struct outbound outbound; /* large, and in use only while one message is queued */

static int outbound_make(struct outbound *o, const struct channels_frame *frames, size_t n, size_t *total)
{
	int r = n > ARRAY_SIZE(o->frames) ? -EMSGSIZE : 0;

	o->n = o->n_bytes = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct slice bytes = frames[i].bytes;

		o->frames[i] = bytes;
		o->shared[i] = NULL;
		o->n_bytes += bytes.len;
		o->n = i + 1;
		if (bytes.len < CHANNELS_SHARE_FROM)
			continue;
		o->shared[i] = frames[i].owned ? shared_new_owned((void *)(uintptr_t)bytes.data, bytes.len, total) :
						 shared_new_copy(bytes, total);
		r = o->shared[i] ? 0 : -ENOMEM;
	}
	if (r < 0) /* those after the failed one are still to be released */
		release(frames + o->n, n - o->n);
	return r;
}

static void outbound_end(struct outbound *o, const struct channels_frame *frames)
{
	for (size_t i = 0; i < o->n; i++) {
		if (frames[i].bytes.len >= CHANNELS_SHARE_FROM)
			(void)shared_unref(o->shared[i]);
		else
			release(&frames[i], 1);
	}
}

/* Strict order between sockets: what waits for another one is written first. */
static void before_sending(struct channels *ch, enum connection_port port)
{
	struct conn *c = TAILQ_FIRST(&ch->dirty);

	if (c && c->port != port)
		channels_flush(ch);
}

static struct conn *most_unread(struct channels *ch)
{
	struct conn *c, *most = NULL;

	for (int i = 0; i < CONNECTION_PORT_COUNT; i++)
		TAILQ_FOREACH(c, &ch->conns[i], of_port)
			if (c->out.bytes > (most ? most->out.bytes : 0))
				most = c;
	return most;
}

/* However many clients do not read: the one for which most waits ends first. */
static void bound_unread(struct channels *ch)
{
	struct conn *c;

	while (ch->totals.unread > CHANNELS_UNREAD_MAX_BYTES && (c = most_unread(ch))) {
		log_limited(&closed_limit, LOG_LEVEL_WARNING, "a connection to %s was closed: %zu bytes wait for it, more than "
		    "for any other, and clients that do not read hold too much", connection_port_names[c->port], c->out.bytes);
		outqueue_deinit(&c->out);
		c->broken = -ENOBUFS;
		update_ready(ch, c);
	}
}

static void queue_to(struct channels *ch, struct conn *c, const struct outbound *o, size_t from)
{
	conn_queue(c, o->frames + from, o->shared + from, o->n - from);
	if (c->broken)
		update_ready(ch, c);
	else if (!c->write_blocked)
		set_dirty(ch, c, true);
	if (c->is_dirty && c->out.bytes >= FLUSH_FROM) {
		conn_write(c);
		if (c->broken)
			update_ready(ch, c);
	}
	bound_unread(ch);
}

static struct conn *find_client(struct channels *ch, enum connection_port port, uint64_t from, struct slice identity)
{
	struct conn *c, *newest = NULL;

	TAILQ_FOREACH(c, &ch->conns[port], of_port) {
		if (c->state != CONN_OPEN || c->broken || !slice_equal(slice_from(c->identity, c->n_identity), identity))
			continue;
		if (c->serial == from)
			return c;
		if (!newest)
			newest = c;
	}
	return newest;
}

int channels_send(struct channels *ch, enum connection_port port, uint64_t from, const struct channels_frame *frames,
    size_t n)
{
	struct outbound *o = &outbound;
	struct conn *c = n ? find_client(ch, port, from, frames[0].bytes) : NULL;
	int r;

	if (!c) {
		release(frames, n);
		return 0;
	}
	before_sending(ch, port);
	r = outbound_make(o, frames, n, &ch->totals.unread);
	if (r == 0)
		queue_to(ch, c, o, 1);
	outbound_end(o, frames);
	return r;
}

int channels_publish(struct channels *ch, const struct channels_frame *frames, size_t n, bool vital, uint64_t only)
{
	struct outbound *o = &outbound;
	struct conn *c;
	int r;

	before_sending(ch, CONNECTION_IOPUB);
	r = outbound_make(o, frames, n, &ch->totals.unread);
	TAILQ_FOREACH(c, &ch->conns[CONNECTION_IOPUB], of_port) {
		if (r < 0 || c->broken || (only && c->serial != only) || !conn_wants(c, o->frames[0]) ||
		    backlog_drops(&c->backlog, c->out.bytes, o->n_bytes, vital))
			continue;
		queue_to(ch, c, o, 0);
	}
	outbound_end(o, frames);
	return r;
}

void channels_flush(struct channels *ch)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&ch->dirty))) {
		set_dirty(ch, c, false);
		conn_write(c);
		update_ready(ch, c);
	}
}

/* ---- subscribers ---- */

static struct conn *find_subscriber(struct channels *ch, uint64_t from)
{
	struct conn *c;

	TAILQ_FOREACH(c, &ch->conns[CONNECTION_IOPUB], of_port)
		if (c->serial == from)
			return c;
	return NULL;
}

int channels_subscribe(struct channels *ch, uint64_t from, struct slice topic, bool on)
{
	struct conn *c = find_subscriber(ch, from);

	return c ? conn_subscribe(c, topic, on) : -ENOTCONN;
}

bool channels_hold(struct channels *ch, uint64_t now, bool hurry)
{
	bool hold = false;
	struct conn *c;

	TAILQ_FOREACH(c, &ch->conns[CONNECTION_IOPUB], of_port)
		hold |= backlog_blocks(&c->backlog, c->out.bytes, now, hurry);
	return hold;
}

uint64_t channels_hold_deadline(const struct channels *ch)
{
	uint64_t at = USEC_NEVER;
	const struct conn *c;

	TAILQ_FOREACH(c, &ch->conns[CONNECTION_IOPUB], of_port)
		at = MIN(at, backlog_deadline(&c->backlog));
	return at;
}

bool channels_recovered(struct channels *ch, uint64_t *ret_from, size_t *ret_n_dropped)
{
	struct conn *c;

	TAILQ_FOREACH(c, &ch->conns[CONNECTION_IOPUB], of_port) {
		size_t n = backlog_recovered(&c->backlog, c->out.bytes);

		if (!n)
			continue;
		*ret_n_dropped = n;
		*ret_from = c->serial;
		return true;
	}
	return false;
}

size_t channels_queued(const struct channels *ch)
{
	const struct conn *c;
	size_t most = 0;

	TAILQ_FOREACH(c, &ch->conns[CONNECTION_IOPUB], of_port)
		most = MAX(most, c->out.bytes);
	return most;
}
