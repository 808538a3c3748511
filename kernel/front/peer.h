/* SPDX-License-Identifier: Apache-2.0 */
/* peer: the front's end of one link (specs/link.md 3): bounded reading, queued writing. What comes in is hostile. */
#ifndef HUSK_FRONT_PEER_H
#define HUSK_FRONT_PEER_H

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/link/link.h"

struct peer {
	int fd;            /* -1: closed */
	struct buffer in;
	size_t in_used;    /* bytes of "in" already handed out */
	bool is_accepted;  /* the large frame that is being read */
	size_t skip;       /* bytes to come of one that is not */
	size_t skipped;    /* bytes that have come, and nobody has asked for */
	struct buffer out; /* not yet written */
	unsigned n_asked;  /* answers that the worker wants, since "out" was empty */
	int out_fd;        /* descriptor that rides with the next bytes; -1 */
};

struct peer_frame {
	enum link_type type;
	uint32_t body_len;
	uint64_t ring_pos;
	struct msgpack_reader fields;
	uint32_t n_fields;
};

void peer_init(struct peer *p, int fd); /* takes the descriptor over */
void peer_deinit(struct peer *p);

/* Reads once. Bytes read, 0 when there is nothing, -ECONNRESET at the end of the link. */
int peer_fill(struct peer *p) must_check;

#define PEER_LARGE_BYTES ((size_t)256 << 10)

/* Results of peer_next() other than 0 (not yet) and -EBADMSG with err. */
enum {
	PEER_FRAME = 1, /* *ret: a complete frame, borrowed until the next call of peer_* */
	PEER_LARGE = 2, /* type and body_len of one above PEER_LARGE_BYTES that has begun; it is read unless peer_skip() follows */
};
int peer_next(struct peer *p, struct peer_frame *ret, struct error *err) must_check;
/* After PEER_LARGE: the frame is read, but not kept. */
void peer_skip(struct peer *p, const struct peer_frame *large);
size_t peer_take_skipped(struct peer *p); /* bytes that have come since the last call */
bool peer_is_inside(const struct peer *p); /* of a frame a part is still to come */

/* Writing: append a body between begin and end; end sends what the socket takes and keeps the rest. */
size_t peer_begin(struct peer *p);
int peer_end(struct peer *p, size_t begin, enum link_type type) must_check;
/* Whether a result of peer_end() means that the frame is written or queued. False: it was too large and nothing of it
 * left. A broken link counts as kept: the death that follows says more than an error here. */
static inline bool peer_is_kept(int r)
{
	return r != -EMSGSIZE && r != -ENOMEM && r != -EINVAL;
}
int peer_flush(struct peer *p) must_check; /* 0 all written, 1 some left, -errno */

#endif
