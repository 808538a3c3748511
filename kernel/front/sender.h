/* SPDX-License-Identifier: Apache-2.0 */
/* sender: signs and sends what leaves the kernel: replies, iopub messages, stdin requests. Holds the key. */
#ifndef HUSK_FRONT_SENDER_H
#define HUSK_FRONT_SENDER_H

#include "kernel/front/channels.h"
#include "protocol/base/buffer.h"
#include "protocol/wire/header.h"
#include "protocol/wire/message.h"

struct sender;

/* Borrows channels and key; ident is the topic prefix "kernel.<uuid>". */
int sender_new(struct channels *ch, struct sign_key *key, const struct header_origin *origin, const char *ident,
    struct sender **ret) must_check;
struct sender *sender_free(struct sender *s);

struct outgoing {
	const char *msg_type;
	struct slice parent;    /* raw header of the request; empty: {} */
	struct slice metadata;  /* empty: {} */
	struct buffer *content; /* taken over: empty afterwards */
	const struct slice *buffers;
	size_t n_buffers;
	struct slice subshell;  /* raw token for the header, or SLICE_NULL */
	bool bulk;              /* iopub: may be dropped for a subscriber that does not read (wire.md 9.5) */
	uint64_t only;          /* iopub: to this connection alone; 0: to all */
};

/* To one client: identities come first, unchanged. port: shell, control or stdin. from: as in channels_send(). */
void sender_reply(struct sender *s, enum connection_port port, uint64_t from, const struct slice *identities,
    size_t n_identities, struct outgoing *out);

/* To all subscribers. topic NULL: "<ident>.<msg_type>". */
void sender_publish(struct sender *s, const char *topic, struct outgoing *out);

/* iopub status: "starting", "busy", "idle". */
void sender_status(struct sender *s, struct slice parent, const char *state);

/* True while output must wait: a subscriber holds more than the budget and has not stalled for too long yet. */
bool sender_is_blocked(struct sender *s, uint64_t now_usec);
/* While true nothing waits for slow subscribers: what exceeds the budget is dropped at once (an interrupt, the end). */
void sender_hurry(struct sender *s, bool hurry);
/* Tells each subscriber that reads again how much was dropped for it. */
void sender_report_dropped(struct sender *s);
uint64_t sender_deadline(const struct sender *s); /* when to ask sender_is_blocked() again; USEC_NEVER */

#endif
