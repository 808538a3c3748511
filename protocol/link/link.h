/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link: frames between a front and its worker over a unix stream socketpair (specs/link.md). Pure functions over bytes.
 *
 * Each frame: 16-byte header, then a msgpack array.
 *   0  u32 LE  body length in bytes
 *   4  u8      LINK_VERSION
 *   5  u8      type (enum link_type)
 *   6  u16 LE  reserved, 0
 *   8  u64 LE  UP: ring position: the output ring's head when the frame was made; the front publishes all output below
 *              it before it handles the frame (specs/link.md 4.3). DOWN: 0
 */
#ifndef HUSK_LINK_LINK_H
#define HUSK_LINK_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/buffer.h"
#include "protocol/base/msgpack.h"
#include "protocol/base/slice.h"

#define LINK_VERSION 1
#define LINK_HEADER_SIZE 16
#define LINK_MAX_BODY ((uint32_t)520 << 20)

/* Descriptors a worker is started with (specs/link.md 2). */
enum {
	LINK_FD_SOCKET = 3,   /* this link */
	LINK_FD_RING = 4,     /* memfd of the output ring, sealed against shrink, grow and seals */
	LINK_FD_DOORBELL = 5, /* eventfd: "look at the ring" */
	LINK_FD_STDOUT = 6,   /* read end of the pipe on fd 1 */
	LINK_FD_STDERR = 7,   /* read end of the pipe on fd 2 */
	LINK_FD_END = 8,
};

enum link_direction { LINK_DOWN, LINK_UP };

enum link_type {
	LINK_NONE = 0,
#define LINK(name, number, direction, max, fields) LINK_##name = (number),
#include "protocol/link/link.def"
#undef LINK
};

struct link_header {
	uint32_t body_len;
	enum link_type type;
	uint64_t ring_pos;
};

/* Positive results of link_header_parse(). */
enum {
	LINK_E_MORE = 1,    /* fewer than LINK_HEADER_SIZE bytes */
	LINK_E_VERSION = 2,
	LINK_E_TYPE = 3,    /* unknown, or wrong direction */
	LINK_E_SIZE = 4,    /* longer than this type may be */
	LINK_E_RESERVED = 5,
};

/* bytes: what is at the start of the stream; direction: the one expected to arrive. */
int link_header_parse(struct slice bytes, enum link_direction direction, struct link_header *ret) must_check;

/* Starts a frame: appends room for the header and returns its offset, to be given to link_frame_end(). */
size_t link_frame_begin(struct buffer *b);
/* Fills the header in. -EMSGSIZE when the body is longer than the type may be, or b->failed; then the frame is taken
 * back out of b, what was before it stays. */
int link_frame_end(struct buffer *b, size_t begin, enum link_type type, uint64_t ring_pos) must_check;

/* Opens a body: checks that it is one array with at least the minimum of fields of its type and nothing behind it
 * (msgpack-walks it once, depth-bounded). The reader is left at the first field. -EBADMSG otherwise. */
int link_body_open(enum link_type type, struct slice body, struct msgpack_reader *ret, uint32_t *ret_n) must_check;

const char *link_type_name(enum link_type type); /* "EXECUTE"; "unknown" */
const char *link_strerror(int reason);

/* EXECUTE flags (field 4). */
enum {
	LINK_EXEC_SILENT = 1,
	LINK_EXEC_STORE_HISTORY = 2,
	LINK_EXEC_ALLOW_STDIN = 4,
	LINK_EXEC_STOP_ON_ERROR = 8,
};

/* DISPLAY kinds (field 1). */
enum { LINK_DISPLAY_DATA = 0, LINK_DISPLAY_UPDATE = 1, LINK_DISPLAY_RESULT = 2 };

/* How a MIME value is written (DISPLAY field 3). */
enum { LINK_MIME_TEXT = 0, LINK_MIME_JSON = 1 };

/* REPLY status (field 1). */
enum { LINK_STATUS_OK = 0, LINK_STATUS_ERROR = 1, LINK_STATUS_ABORTED = 2 };

/* REPLY flags (field 9). */
enum { LINK_REPLY_MEMORY_REFUSED = 1 };

#endif
