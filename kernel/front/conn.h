/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn: one client's connection: the ZMTP handshake, messages in, bytes out, and what the client may hold. Which socket it
 * belongs to decides what it must be: DEALER, REQ or ROUTER, or SUB or XSUB at iopub.
 */
#ifndef HUSK_FRONT_CONN_H
#define HUSK_FRONT_CONN_H

#include <stdbool.h>
#include <sys/queue.h>

#include "kernel/front/assembly.h"
#include "kernel/front/backlog.h"
#include "kernel/front/outqueue.h"
#include "protocol/base/clock.h"
#include "protocol/base/error.h"
#include "protocol/wire/connection-file.h"
#include "protocol/zmtp/curve.h"

#define CONN_HANDSHAKE_USEC (30 * USEC_PER_SEC)
#define CONN_PARTIAL_USEC (60 * USEC_PER_SEC) /* a large unfinished message must go on within this time */
#define CONN_REPLIES_PAUSE_BYTES ((size_t)16 << 20) /* unread replies beyond which nothing more is read from a client */
#define CONN_TOPICS_MAX 256
#define CONN_SUBSCRIBER_MAX_BYTES ((size_t)64 << 10) /* of a frame that a subscriber sends */
#define CONN_SCRATCH_BYTES ((size_t)64 << 10)

enum conn_state { CONN_GREETING, CONN_HANDSHAKE, CONN_OPEN };

struct conn {
	TAILQ_ENTRY(conn) of_port;
	TAILQ_ENTRY(conn) of_ready;
	TAILQ_ENTRY(conn) of_dirty;
	bool is_ready;     /* in the list of those that may have something to read */
	bool is_dirty;     /* in the list of those that have something to write */
	int fd;
	enum connection_port port;
	enum conn_state state;
	uint64_t serial;
	uint64_t deadline; /* monotonic; USEC_NEVER */
	bool readable;     /* the socket was not read to its end since it was last reported */
	bool hung_up;      /* so a short read is not the end of what it has to say */
	bool write_blocked;
	int broken;        /* -errno: to be closed */
	struct slice stash; /* bytes read and not yet looked at; malloc'ed from stash_base */
	char *stash_base;
	struct assembly in;
	struct outqueue out;
	struct curve_server *curve; /* NULL: the NULL mechanism */
	uint8_t greeting[ZMTP_GREETING_SIZE];
	size_t n_greeting;
	char identity[ZMTP_IDENTITY_MAX];
	size_t n_identity;
	struct slice *topics; /* malloc'ed, each with malloc'ed bytes */
	size_t n_topics;
	bool all_topics;      /* the empty one is among them */
	struct backlog backlog;
};

/* What all connections hold together. */
struct conn_totals {
	size_t partial; /* of unfinished messages, as assembly_init() has it */
	size_t unread;  /* of what waits to be written */
};

/* Takes fd, non-blocking. secret: of CURVE, or NULL. NULL: out of memory. */
struct conn *conn_new(int fd, enum connection_port port, uint64_t serial, const uint8_t *secret, struct conn_totals *totals);
struct conn *conn_free(struct conn *c); /* returns NULL */

/*
 * The next message: 1; 0 when there is none for now; -EAGAIN when there may be more but others should have their turn; other
 * negative codes: to be closed (-ECONNRESET: it has gone; else err says why). At iopub a message is a subscription: one part,
 * its first byte 1 or 0. scratch has CONN_SCRATCH_BYTES.
 */
int conn_next(struct conn *c, char *scratch, uint64_t now_usec, struct parcel *ret, struct error *err) must_check;

/* One message of n frames; shared[i], when not NULL, has the bytes of frame i. A message that cannot be queued whole breaks
 * the connection. */
void conn_queue(struct conn *c, const struct slice *frames, struct shared *const *shared, size_t n);
void conn_write(struct conn *c); /* what is queued, as far as the socket takes it */

bool conn_wants(const struct conn *c, struct slice topic); /* a subscriber that wants this topic */
int conn_subscribe(struct conn *c, struct slice topic, bool on) must_check; /* -E2BIG: too many topics */

#endif
