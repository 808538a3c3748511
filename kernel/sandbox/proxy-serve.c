/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy-serve: the proxy at work: one loop, one table of connections, each with a buffer of fixed size in each
 * direction. Whoever writes faster than the other side reads is not read from until there is room.
 *
 * What a tenant can reach is decided in two places: judge_target() compares with the rules before any name is asked
 * for, so names cannot be used to carry data out but below an allowed domain; judge_addresses() takes from the answer
 * what is public. The connection goes to the address that was judged, so that a name that means something else a moment
 * later gains nothing.
 */
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "kernel/sandbox/proxy-request.h"
#include "kernel/sandbox/proxy-resolver.h"
#include "kernel/sandbox/proxy.h"
#include "protocol/base/clock.h"
#include "protocol/base/log.h"

#define MAX_CONNECTIONS 128
#define MAX_ADDRESSES 4 /* of a name that are tried */
#define MAX_ACCEPTED_AT_ONCE 16
#define FLOW_BYTES ((size_t)64 << 10)
#define HEAD_BYTES ((size_t)32 << 10) /* read before a head has ended; with what is added to it, it fits in a flow */
#define HEAD_USEC (15 * USEC_PER_SEC)
#define RESOLVE_USEC (15 * USEC_PER_SEC)
#define CONNECT_USEC (8 * USEC_PER_SEC)
#define IDLE_USEC (600 * USEC_PER_SEC)
#define HALF_CLOSED_USEC (30 * USEC_PER_SEC)
#define REFUSAL_USEC (2 * USEC_PER_SEC) /* that a client has to read why */
#define ACCEPT_AGAIN_USEC (100 * USEC_PER_MSEC)
#define LOG_INTERVAL_USEC (5 * USEC_PER_SEC)
_Static_assert(HEAD_BYTES >= PROXY_REQUEST_MAX_HEAD && FLOW_BYTES >= HEAD_BYTES + 2 * TARGET_MAX_TEXT,
	       "a head must fit");

enum state { FREE, HEAD, RESOLVING, CONNECTING, RELAYING, REFUSING };
enum side { CLIENT, SERVER, SIDE_COUNT };

/* Bytes on their way. */
struct flow {
	size_t begin, end;
	bool is_ended; /* nothing more comes in */
	bool is_shut;  /* and the receiver was told */
	char data[FLOW_BYTES];
};

struct connection {
	enum state state;
	uint32_t generation; /* tells an event or answer for an earlier use of this place */
	int fd[SIDE_COUNT];
	uint32_t events[SIDE_COUNT];
	bool is_watched[SIDE_COUNT];
	uint64_t deadline_usec;
	struct proxy_request request; /* its slices are not used after the head was read */
	struct sockaddr_storage addresses[MAX_ADDRESSES];
	size_t n_addresses, next_address;
	uint64_t up_left;  /* bytes of the client that are still part of the request */
	struct flow *flow[SIDE_COUNT]; /* from that side */
};

struct proxy {
	const struct proxy_options *o;
	struct proxy_resolver *resolver;
	int epoll_fd;
	bool accepts;
	uint64_t accept_again_usec;
	size_t n_connections;
	struct log_ratelimit log;
	struct connection connections[MAX_CONNECTIONS];
};

/* In the events of the loop: the place of a connection, its generation and its side; or one of these. */
enum { KEY_LISTEN = MAX_CONNECTIONS, KEY_LIFELINE, KEY_RESOLVER };

static uint64_t key_of(const struct proxy *p, const struct connection *c, enum side side)
{
	return (uint64_t)c->generation << 32 | (uint64_t)side << 16 | (uint64_t)(c - p->connections);
}

static struct connection *find_connection(struct proxy *p, uint64_t key)
{
	struct connection *c = &p->connections[key & 0xffff];

	return c->state != FREE && c->generation == key >> 32 ? c : NULL;
}

static void watch_listener(struct proxy *p, bool accepts)
{
	struct epoll_event event = { .events = accepts ? EPOLLIN : 0, .data.u64 = KEY_LISTEN };

	if (p->accepts != accepts && epoll_ctl(p->epoll_fd, EPOLL_CTL_MOD, p->o->listen_fd, &event) == 0)
		p->accepts = accepts;
}

/* Closed descriptors leave the epoll set by themselves. */
static void close_side(struct connection *c, enum side side)
{
	closep(&c->fd[side]);
	c->fd[side] = -1;
	c->events[side] = 0;
}

static void close_connection(struct proxy *p, struct connection *c)
{
	close_side(c, CLIENT);
	close_side(c, SERVER);
	free(STEAL(c->flow[CLIENT]));
	free(STEAL(c->flow[SERVER]));
	c->state = FREE;
	c->generation++;
	p->n_connections--;
	watch_listener(p, true);
}

static bool watch(struct proxy *p, struct connection *c, enum side side, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u64 = key_of(p, c, side) };

	if (c->fd[side] < 0 || c->events[side] == events)
		return true;
	if (epoll_ctl(p->epoll_fd, c->is_watched[side] ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd[side], &event) < 0)
		return false;
	c->is_watched[side] = true;
	c->events[side] = events;
	return true;
}

static bool add_side(struct proxy *p, struct connection *c, enum side side, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u64 = key_of(p, c, side) };
	int yes = 1;

	c->fd[side] = fd;
	c->events[side] = events;
	c->is_watched[side] = true;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	return epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* ---- flows ---- */

static size_t flow_room(const struct flow *f)
{
	return FLOW_BYTES - f->end;
}

static void flow_append(struct flow *f, const void *data, size_t len)
{
	len = MIN(len, flow_room(f));
	if (len > 0)
		memcpy(f->data + f->end, data, len);
	f->end += len;
}

/* At most max bytes. True when something has come, or the end. A reset is an end: what came before it still goes on. */
static bool flow_pull(struct flow *f, int fd, uint64_t max)
{
	size_t room = (size_t)MIN((uint64_t)flow_room(f), max);
	ssize_t n;

	if (f->is_ended || room == 0)
		return false;
	n = recv(fd, f->data + f->end, room, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n > 0)
		f->end += (size_t)n;
	else
		f->is_ended = true;
	return true;
}

/* True when something has gone, or can go no more: what is for a receiver that is not there is dropped. */
static bool flow_push(struct flow *f, int fd)
{
	ssize_t n;

	if (f->begin == f->end)
		return false;
	n = send(fd, f->data + f->begin, f->end - f->begin, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	f->begin += n > 0 ? (size_t)n : 0;
	if (n < 0)
		f->is_ended = f->is_shut = true;
	if (n < 0 || f->begin == f->end)
		f->begin = f->end = 0;
	return true;
}

/* The end goes on when all before it has. */
static void flow_pass_end(struct flow *f, int fd)
{
	if (!f->is_ended || f->is_shut || f->begin != f->end)
		return;
	f->is_shut = true;
	(void)shutdown(fd, SHUT_WR);
}

/* ---- refusals ---- */

static void refuse(struct proxy *p, struct connection *c, unsigned status, const char *sentence)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(4096);
	struct flow *down = c->flow[SERVER];

	proxy_request_write_refusal(status, sentence, &out);
	close_side(c, SERVER);
	c->state = REFUSING;
	c->deadline_usec = clock_monotonic_usec() + REFUSAL_USEC;
	down->begin = down->end = 0;
	flow_append(down, out.data, out.len);
	down->is_ended = true;
	if (out.failed || !watch(p, c, CLIENT, EPOLLIN | EPOLLOUT))
		close_connection(p, c);
}

/*
 * A refusal that names the target: by the rules (403, and a line in the log), or because the network did not let it
 * through.
 */
static void refuse_target(struct proxy *p, struct connection *c, unsigned status, const char *format, ...)
    printf_like(4, 5);

static void refuse_target(struct proxy *p, struct connection *c, unsigned status, const char *format, ...)
{
	char target[TARGET_MAX_TEXT], reason[256], sentence[sizeof(target) + sizeof(reason) + 1];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	target_format(c->request.target.host, c->request.target.port, target);
	(void)snprintf(sentence, sizeof(sentence), "%s %s", target, reason);
	if (status == 403)
		log_limited(&p->log, LOG_LEVEL_WARNING, "refused: %s", sentence);
	refuse(p, c, status, sentence);
}

/* What the client still sends is read and dropped: else the answer could be lost in a reset. */
static void step_refusing(struct proxy *p, struct connection *c)
{
	struct flow *up = c->flow[CLIENT], *down = c->flow[SERVER];

	(void)flow_pull(up, c->fd[CLIENT], FLOW_BYTES);
	(void)flow_push(down, c->fd[CLIENT]);
	up->begin = up->end = 0;
	flow_pass_end(down, c->fd[CLIENT]);
	if ((down->is_shut && up->is_ended) ||
	    !watch(p, c, CLIENT, (up->is_ended ? 0 : EPOLLIN) | (down->is_shut ? 0 : EPOLLOUT)))
		close_connection(p, c);
}

/* ---- connections ---- */

/* Of the request to the server what is not there yet, and of what has come what is part of it. */
static void begin_relaying(struct proxy *p, struct connection *c)
{
	static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";

	if (c->request.is_connect)
		flow_append(c->flow[SERVER], established, sizeof(established) - 1);
	c->state = RELAYING;
	c->deadline_usec = clock_monotonic_usec() + IDLE_USEC;
	if (!watch(p, c, CLIENT, EPOLLIN | EPOLLOUT) || !watch(p, c, SERVER, EPOLLIN | EPOLLOUT))
		close_connection(p, c);
}

static socklen_t length_of(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/* One address after the other; error: of the one before, 0 at first. */
static void connect_next(struct proxy *p, struct connection *c, int error)
{
	close_side(c, SERVER);
	while (c->next_address < c->n_addresses) {
		const struct sockaddr_storage *address = &c->addresses[c->next_address++];
		int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		if (fd < 0 ||
		    (connect(fd, (const struct sockaddr *)address, length_of(address)) < 0 && errno != EINPROGRESS)) {
			error = errno;
			closep(&fd);
			continue;
		}
		c->state = CONNECTING;
		c->deadline_usec = clock_monotonic_usec() + CONNECT_USEC;
		if (!add_side(p, c, SERVER, fd, EPOLLOUT))
			close_connection(p, c);
		return;
	}
	refuse_target(p, c, error == ETIMEDOUT ? 504 : 502, "cannot be reached: %s", strerror(error));
}

static void step_connecting(struct proxy *p, struct connection *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(c->fd[SERVER], SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error)
		connect_next(p, c, error);
	else
		begin_relaying(p, c);
}

/* An address that this machine itself has: the kernel would take it as the source too. Nothing is sent by this. */
static bool is_own(const struct sockaddr_storage *address)
{
	_cleanup_(closep) int fd = socket(address->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage source;
	socklen_t len = sizeof(source);

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, length_of(address)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&source, &len) < 0)
		return false; /* unreachable: connecting says so */
	if (source.ss_family == AF_INET)
		return memcmp(&((struct sockaddr_in *)&source)->sin_addr,
			      &((const struct sockaddr_in *)address)->sin_addr, sizeof(struct in_addr)) == 0;
	return memcmp(&((struct sockaddr_in6 *)&source)->sin6_addr, &((const struct sockaddr_in6 *)address)->sin6_addr,
		      sizeof(struct in6_addr)) == 0;
}

/* Keeps what is public of a name's addresses; refuses when nothing is left. */
static void judge_addresses(struct proxy *p, struct connection *c, const struct proxy_answer *answer)
{
	const char *why = "no address";

	for (size_t i = 0; i < answer->n_addresses && c->n_addresses < MAX_ADDRESSES; i++) {
		const struct sockaddr_storage *address = &answer->address[i];

		if (!target_is_public((const struct sockaddr *)address, &why))
			continue;
		if (is_own(address)) {
			why = "an address of this machine";
			continue;
		}
		c->addresses[c->n_addresses++] = *address;
	}
	if (c->n_addresses > 0)
		connect_next(p, c, 0);
	else
		refuse_target(p, c, 403,
			      "leads to %s; network.allow of the profile %s would have to name the address itself", why,
			      p->o->profile);
}

static void take_answers(struct proxy *p)
{
	struct proxy_answer answer;

	while (proxy_resolver_take(p->resolver, &answer)) {
		struct connection *c = find_connection(p, answer.id);

		if (!c || c->state != RESOLVING)
			continue;
		if (answer.error)
			refuse_target(p, c, 502, "cannot be resolved: %s", gai_strerror(answer.error));
		else
			judge_addresses(p, c, &answer);
	}
}

static bool is_allowed(const struct proxy_options *o, const struct target *t)
{
	for (size_t i = 0; i < o->n_allow; i++)
		if (o->allow[i].port == t->port && (strcmp(o->allow[i].host, t->host) == 0 ||
		    (t->family == AF_UNSPEC && target_is_below(o->allow[i].host, t->host))))
			return true;
	return false;
}

/* An address that a rule names is the operator's wish, wherever it is. */
static void connect_to_literal(struct proxy *p, struct connection *c)
{
	const struct target *t = &c->request.target;
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(t->port), .sin6_addr = t->address.v6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(t->port), .sin_addr = t->address.v4 };

	if (t->family == AF_INET)
		memcpy(&c->addresses[0], &v4, sizeof(v4));
	else
		memcpy(&c->addresses[0], &v6, sizeof(v6));
	c->n_addresses = 1;
	connect_next(p, c, 0);
}

static void judge_target(struct proxy *p, struct connection *c)
{
	int r;

	if (!is_allowed(p->o, &c->request.target)) {
		refuse_target(p, c, 403, "is not in network.allow of the profile %s", p->o->profile);
		return;
	}
	if (c->request.target.family != AF_UNSPEC) {
		connect_to_literal(p, c);
		return;
	}
	c->state = RESOLVING;
	c->deadline_usec = clock_monotonic_usec() + RESOLVE_USEC;
	r = watch(p, c, CLIENT, 0) ? proxy_resolver_ask(p->resolver, key_of(p, c, CLIENT), &c->request.target) : -EIO;
	if (r != 0)
		refuse_target(p, c, 503, "cannot be resolved now: %s",
			      r > 0 ? "too many names at a time" : strerror(-r));
}

/* What stands in the flow afterwards is what the server gets first. False when there is no memory. */
static bool rewrite_head(struct connection *c)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(FLOW_BYTES);
	struct flow *up = c->flow[CLIENT];
	size_t body = up->end - c->request.head_bytes;

	if (body > c->request.body_bytes)
		body = (size_t)c->request.body_bytes;
	if (!c->request.is_connect)
		proxy_request_write(&c->request, &out);
	buffer_append(&out, up->data + c->request.head_bytes, body);
	up->begin = up->end = 0;
	if (out.failed)
		return false;
	flow_append(up, out.data, out.len);
	c->up_left =
	    c->request.body_bytes == PROXY_REQUEST_TO_END ? PROXY_REQUEST_TO_END : c->request.body_bytes - body;
	return true;
}

static void step_head(struct proxy *p, struct connection *c)
{
	struct flow *up = c->flow[CLIENT];
	struct error err = { .code = 0 };
	unsigned status = 400;
	int r;

	(void)flow_pull(up, c->fd[CLIENT], HEAD_BYTES - up->end);
	r = proxy_request_parse(slice_from(up->data, up->end), &c->request, &status, &err);
	if (r < 0) {
		if (status == 403)
			log_limited(&p->log, LOG_LEVEL_WARNING, "refused: %s", err.text);
		refuse(p, c, status, err.text);
	} else if (r == 0 && !rewrite_head(c)) {
		refuse(p, c, 503, "not enough memory");
	} else if (r == 0) {
		judge_target(p, c);
	} else if (up->is_ended) {
		close_connection(p, c);
	}
}

static void step_relaying(struct proxy *p, struct connection *c)
{
	struct flow *up = c->flow[CLIENT], *down = c->flow[SERVER];
	size_t before = up->end;
	bool has_moved = flow_pull(up, c->fd[CLIENT], c->up_left);

	if (c->up_left != PROXY_REQUEST_TO_END)
		c->up_left -= up->end - before;
	has_moved |= flow_push(up, c->fd[SERVER]);
	has_moved |= flow_pull(down, c->fd[SERVER], FLOW_BYTES);
	has_moved |= flow_push(down, c->fd[CLIENT]);
	flow_pass_end(up, c->fd[SERVER]);
	flow_pass_end(down, c->fd[CLIENT]);
	if (has_moved)
		c->deadline_usec =
		    clock_monotonic_usec() + (up->is_shut || down->is_shut ? HALF_CLOSED_USEC : IDLE_USEC);
	if ((down->is_shut && (up->is_shut || !c->request.is_connect)) ||
	    !watch(p, c, CLIENT,
		   (up->is_ended || c->up_left == 0 || flow_room(up) == 0 ? 0 : EPOLLIN) |
		       (down->end > 0 ? EPOLLOUT : 0)) ||
	    !watch(p, c, SERVER, (down->is_ended || flow_room(down) == 0 ? 0 : EPOLLIN) | (up->end > 0 ? EPOLLOUT : 0)))
		close_connection(p, c);
}

/* A side of which nothing is wanted says for ever that it has ended. */
static void ignore_end(struct proxy *p, struct connection *c, enum side side)
{
	if (!c || c->fd[side] < 0 || c->events[side])
		return;
	(void)epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, c->fd[side], NULL);
	c->is_watched[side] = false;
}

static void on_connection(struct proxy *p, uint64_t key, uint32_t events)
{
	struct connection *c = find_connection(p, key);
	enum side side = key >> 16 & 0xffff ? SERVER : CLIENT;
	bool has_ended = events & (EPOLLHUP | EPOLLERR);

	if (!c)
		return;
	switch (c->state) {
	case HEAD:
		step_head(p, c);
		break;
	case CONNECTING:
		if (side == SERVER)
			step_connecting(p, c);
		else if (has_ended)
			close_connection(p, c);
		break;
	case RESOLVING:
		if (has_ended)
			close_connection(p, c);
		break;
	case RELAYING:
		step_relaying(p, c);
		if (has_ended)
			ignore_end(p, find_connection(p, key), side);
		break;
	case REFUSING:
		step_refusing(p, c);
		break;
	case FREE:
		break;
	}
}

static void on_expired(struct proxy *p, struct connection *c)
{
	if (c->state == RESOLVING)
		refuse_target(p, c, 504, "cannot be resolved: no answer in time");
	else if (c->state == CONNECTING)
		connect_next(p, c, ETIMEDOUT);
	else if (c->state == HEAD && c->flow[CLIENT]->end > 0)
		refuse(p, c, 408, "the head of the request did not come in time");
	else
		close_connection(p, c);
}

static struct connection *find_free(struct proxy *p)
{
	for (size_t i = 0; i < MAX_CONNECTIONS; i++)
		if (p->connections[i].state == FREE)
			return &p->connections[i];
	return NULL;
}

/* False: not now. */
static bool accept_one(struct proxy *p)
{
	struct connection *c = find_free(p);
	int fd = c ? accept4(p->o->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) : -1;

	if (fd < 0 && c && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
		return false;
	if (fd < 0) { /* descriptors or connections have run out */
		watch_listener(p, false);
		p->accept_again_usec = clock_monotonic_usec() + ACCEPT_AGAIN_USEC;
		return false;
	}
	*c = (struct connection){ .state = HEAD, .generation = c->generation, .fd = { -1, -1 } };
	p->n_connections++;
	c->flow[CLIENT] = calloc(1, sizeof(struct flow));
	c->flow[SERVER] = calloc(1, sizeof(struct flow));
	c->deadline_usec = clock_monotonic_usec() + HEAD_USEC;
	if (!add_side(p, c, CLIENT, fd, EPOLLIN) || !c->flow[CLIENT] || !c->flow[SERVER])
		close_connection(p, c);
	return true;
}

/* Ends what has taken too long; returns the time until the next deadline in ms, -1: none. */
static int expire(struct proxy *p)
{
	uint64_t now = clock_monotonic_usec(), next = USEC_NEVER;

	for (size_t i = 0; i < MAX_CONNECTIONS; i++)
		if (p->connections[i].state != FREE && p->connections[i].deadline_usec <= now)
			on_expired(p, &p->connections[i]);
	for (size_t i = 0; i < MAX_CONNECTIONS; i++)
		if (p->connections[i].state != FREE)
			next = MIN(next, p->connections[i].deadline_usec);
	if (!p->accepts && p->n_connections < MAX_CONNECTIONS) {
		if (p->accept_again_usec <= now)
			watch_listener(p, true);
		else
			next = MIN(next, p->accept_again_usec);
	}
	return next == USEC_NEVER ? -1 : next <= now ? 0 : (int)((next - now) / USEC_PER_MSEC + 1);
}

static int add_to_loop(struct proxy *p, int fd, uint64_t key)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = key };

	return epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int loop(struct proxy *p)
{
	struct epoll_event events[32];

	for (;;) {
		int n = epoll_wait(p->epoll_fd, events, ARRAY_SIZE(events), expire(p));

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++) {
			uint64_t key = events[i].data.u64;

			if (key == KEY_LIFELINE)
				return 0;
			if (key == KEY_RESOLVER)
				take_answers(p);
			else if (key == KEY_LISTEN)
				for (int k = 0; k < MAX_ACCEPTED_AT_ONCE && accept_one(p); k++)
					continue;
			else
				on_connection(p, key, events[i].events);
		}
	}
}

int proxy_serve(const struct proxy_options *options, struct error *err)
{
	struct proxy *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return error_set(err, -ENOMEM, "proxy: not enough memory");
	p->o = options;
	p->accepts = true;
	p->log.interval_usec = LOG_INTERVAL_USEC;
	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	r = p->epoll_fd < 0 ? -errno : proxy_resolver_new(&p->resolver);
	for (size_t i = 0; i < MAX_CONNECTIONS; i++)
		p->connections[i].generation = 1; /* keys of connections differ from the others */
	if (r == 0)
		r = add_to_loop(p, options->listen_fd, KEY_LISTEN);
	if (r == 0)
		r = add_to_loop(p, options->lifeline_fd, KEY_LIFELINE);
	if (r == 0)
		r = add_to_loop(p, proxy_resolver_fd(p->resolver), KEY_RESOLVER);
	if (r == 0)
		r = loop(p);
	/* Threads may still use the resolver: the end of the process frees all. */
	return r < 0 ? error_set(err, r, "proxy: it cannot go on: %s", strerror(-r)) : 0;
}
