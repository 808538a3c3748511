/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assembly: from a client's bytes to its ZMTP frames, and from frames to messages. Memory grows with the bytes that came,
 * never with a size that was only announced; all unfinished messages of all clients share one budget.
 */
#ifndef HUSK_FRONT_ASSEMBLY_H
#define HUSK_FRONT_ASSEMBLY_H

#include "protocol/base/slice.h"
#include "protocol/base/util.h"
#include "protocol/zmtp/zmtp.h"

/* A received multipart message: owns its bytes. */
struct parcel {
	char *bytes;
	struct slice *parts; /* borrowed from bytes */
	size_t n;
	size_t n_bytes;
	uint64_t from;       /* the client's connection: where replies go first (channels_send()) */
};

void parcel_deinit(struct parcel *p);

#define ASSEMBLY_FREE_BYTES ((size_t)64 << 10)     /* which every client has, whatever the others do */
#define ASSEMBLY_TOTAL_MAX_BYTES ((size_t)1 << 30) /* what all unfinished messages may hold beyond those */

struct assembly {
	size_t *total;       /* bytes beyond the free ones that all clients hold */
	size_t max_frame;
	uint8_t header[ZMTP_FRAME_HEADER_MAX];
	size_t n_header;
	bool in_frame;
	struct zmtp_frame frame;
	uint64_t left;       /* of the frame's body */
	char *bytes;         /* kept frames, then the one that is being read */
	size_t size;
	size_t len;
	size_t begin;        /* where the frame being read begins */
	size_t *ends;        /* of kept frames */
	size_t n_ends;
	size_t ends_size;
	bool skip;           /* the message is too large: its frames are read and forgotten */
};

void assembly_init(struct assembly *a, size_t *total, size_t max_frame);
void assembly_deinit(struct assembly *a);

/*
 * Reads on at bytes; *ret_used of them were taken. 1: a frame is whole (a->frame, assembly_body()), and assembly_keep() or
 * assembly_drop() must follow; 0: all bytes were taken. -EPROTO: no frame; -EMSGSIZE: above max_frame; -ENOBUFS: above the
 * budget; -ENOMEM.
 */
int assembly_feed(struct assembly *a, struct slice bytes, size_t *ret_used) must_check;
/* For large bodies: where to read to directly, *ret_size bytes at most; NULL when that does not pay. Then _fed(). */
char *assembly_target(struct assembly *a, size_t *ret_size);
int assembly_fed(struct assembly *a, size_t n) must_check; /* as assembly_feed() */

struct slice assembly_body(const struct assembly *a);
void assembly_drop(struct assembly *a);
/* The frame becomes a part of the message; payload lies within its body. More than FRAMES_MAX of them or FRAMES_MAX_BYTES:
 * the message is skipped. */
int assembly_keep(struct assembly *a, struct slice payload) must_check;
/* Begins a message with a part that the client did not send: its identity. */
int assembly_open(struct assembly *a, struct slice part) must_check;
bool assembly_is_empty(const struct assembly *a); /* nothing of a message has come yet */
/* After the last frame: hands out the message, an empty parcel for one that was skipped. */
int assembly_finish(struct assembly *a, struct parcel *ret) must_check;
bool assembly_is_charged(const struct assembly *a); /* holds more than the free bytes */

#endif
