/* SPDX-License-Identifier: Apache-2.0 */
/* session: a running kernel with its clients, and the exchange of one request with all that belongs to it. */
#ifndef HUSK_TESTS_BENCH_SESSION_H
#define HUSK_TESTS_BENCH_SESSION_H

#include "tests/bench/process.h"

#define SESSION_MAX_CLIENTS 16

/* What was seen of one request; a bit each. */
#define SEEN_BUSY (1U << 0)
#define SEEN_INPUT (1U << 1)
#define SEEN_RESULT (1U << 2)
#define SEEN_DISPLAY (1U << 3)
#define SEEN_ERROR (1U << 4)
#define SEEN_STREAM (1U << 5)
#define SEEN_IDLE (1U << 6)
#define SEEN_REPLY_OK (1U << 7)
#define SEEN_REPLY_ERROR (1U << 8)
#define SEEN_REPLY_OTHER (1U << 9)
#define SEEN_REPLY (SEEN_REPLY_OK | SEEN_REPLY_ERROR | SEEN_REPLY_OTHER)

struct exchange {
	uint64_t sent_usec, reply_usec, done_usec; /* done: reply, and idle at every client */
	unsigned int seen;
	uint64_t n_streams, text_bytes, text_lines; /* the least of all clients */
};

struct session {
	struct process_options options;
	struct process process;
	struct wire *wires[SESSION_MAX_CLIENTS];
	unsigned int n_wires;
	uint64_t timeout_usec;
	const char *trouble; /* why the last call failed, for a human */
};

/* Starts a kernel, connects n clients and waits for the first kernel_info_reply; its moment goes to ret_usec (may be
 * NULL). All return 0 or -errno with s->trouble set. */
int session_start(struct session *s, unsigned int n_clients, uint64_t *ret_usec) must_check;
void session_stop(struct session *s); /* kills; idempotent */

/* Sends a request and takes everything until its reply and, at every client, its idle have come. */
int session_exchange(struct session *s, enum wire_channel channel, const char *msg_type, const char *content,
		     struct exchange *ret_exchange) must_check;
int session_execute(struct session *s, const char *code, struct exchange *ret_exchange) must_check;

/* The two halves of it: send; take until all of `until` was seen. Between them one may do other things. */
int session_send(struct session *s, enum wire_channel channel, const char *msg_type, const char *content,
		 struct exchange *ret_exchange, char ret_id[WIRE_ID_SIZE]) must_check;
int session_collect(struct session *s, const char *id, unsigned int until, struct exchange *exchange) must_check;

#endif
