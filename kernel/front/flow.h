/* SPDX-License-Identifier: Apache-2.0 */
/* flow: how much output a turn has made, and how much of it is published (specs/limits.md 6). Pure. */
#ifndef HUSK_FRONT_FLOW_H
#define HUSK_FRONT_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/front/verdict.h"
#include "kernel/sandbox/limits.h"

#define FLOW_TAIL_BYTES ((uint64_t)256 << 10) /* of the end, at most, and at most a quarter of the limit */
#define FLOW_TAIL_MESSAGES 32u                /* the same in messages */
#define FLOW_HARD 8u                          /* times the limit: then even what is only counted is too much */

struct flow {
	uint64_t limit_bytes;
	uint64_t limit_messages;
	uint64_t bytes;    /* made */
	uint64_t messages;
	uint64_t shown_bytes; /* published */
	uint64_t shown_messages;
	uint64_t last_bytes; /* of these, beyond the head */
	uint64_t last_messages;
	uint64_t end_bytes; /* of kept text, published because nothing was missing before it */
	bool is_over;      /* something did not fit the head: from then on nothing does, but the end */
	bool is_cut;       /* something is left out for good */
};

void flow_init(struct flow *w, const struct limits *limits);
uint64_t flow_tail_bytes(const struct flow *w);
uint64_t flow_end_bytes(const struct flow *w); /* of these, what kept text may still take */
unsigned flow_tail_messages(const struct flow *w);

/* Text was made: how many bytes of it are published, from its beginning. */
size_t flow_text(struct flow *w, size_t len);
void flow_text_shown(struct flow *w); /* a message of text has left */
/* A message was made. True: it is published. */
bool flow_message(struct flow *w, size_t bytes);
/* One that ends the turn (a result, an error): it is published after the head too, as far as the part for the end reaches. */
bool flow_last_message(struct flow *w, size_t bytes);
/* A part of a message that leaves in any case: the same, but it is no message of its own. */
bool flow_part(struct flow *w, size_t bytes);
/* One that a person answers. alone: nothing else waits for an answer; then a small one is published after the head too. */
bool flow_question(struct flow *w, size_t bytes, bool alone);

/* So much will be beyond the limit, which is seen when it is announced. Then, as it comes, or without its ever coming: */
bool flow_is_beyond(const struct flow *w, size_t bytes, bool strict);
void flow_left_out(struct flow *w, size_t bytes, unsigned messages);

/* Too much in any case; strict: already when something had to be left out. */
bool flow_is_spent(const struct flow *w, bool strict, struct cause *ret);

#endif
