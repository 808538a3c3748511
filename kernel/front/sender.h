/* SPDX-License-Identifier: Apache-2.0 */
/* sender: signs and sends what leaves the kernel: replies, iopub messages, stdin requests. Holds the key. */
#ifndef HUSK_FRONT_SENDER_H
#define HUSK_FRONT_SENDER_H

#include "kernel/front/channels.h"
#include "protocol/base/buffer.h"
#include "protocol/wire/header.h"
#include "protocol/wire/message.h"

/* wire.md 9: what slow subscribers may hold, and how long a stall may hold the kernel up. */
#define SENDER_BUDGET_BYTES ((size_t)64 << 20)
#define SENDER_STALL_USEC (2 * USEC_PER_SEC)

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
};

/* To one client: identities come first, unchanged. port: shell, control or stdin. */
void sender_reply(struct sender *s, enum connection_port port, const struct slice *identities, size_t n_identities,
    struct outgoing *out);

/* To all subscribers. topic NULL: "<ident>.<msg_type>". */
void sender_publish(struct sender *s, const char *topic, struct outgoing *out);

/* iopub status: "starting", "busy", "idle". */
void sender_status(struct sender *s, struct slice parent, const char *state);

/* True while output must wait: subscribers hold more than the budget and the stall has not lasted too long yet. */
bool sender_is_blocked(struct sender *s, uint64_t now_usec);
/* True when output is to be dropped instead: nobody has read for SENDER_STALL_USEC with the budget exceeded. It stays so
 * until half of the budget is free. */
bool sender_is_stalled(const struct sender *s);
/* True when even what is never dropped otherwise is to be dropped: twice the budget. */
bool sender_is_full(const struct sender *s);
/* While true nothing waits for slow subscribers: what exceeds the budget is dropped at once (an interrupt, the end). */
void sender_hurry(struct sender *s, bool hurry);
void sender_count_dropped(struct sender *s, size_t n_bytes);
/* When the stall is over: how much was dropped since (and forgets it); 0 otherwise. */
size_t sender_recovered(struct sender *s);
uint64_t sender_deadline(const struct sender *s); /* when to ask sender_is_blocked() again; USEC_NEVER */

#endif
