/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msgpack: a bounded cursor over msgpack bytes, and a writer into a struct buffer (msgpack-c's packer).
 *
 * The reader never allocates and never trusts a count: every str/bin/array/map length is checked against the bytes
 * that are left (each array element or map entry needs at least one, two bytes). Nesting is bounded by
 * MSGPACK_MAX_DEPTH in msgpack_skip(). Source: the msgpack specification (spec.md, 2017-08-09 and later).
 */
#ifndef HUSK_BASE_MSGPACK_H
#define HUSK_BASE_MSGPACK_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/buffer.h"
#include "protocol/base/slice.h"

#define MSGPACK_MAX_DEPTH 32

enum msgpack_type {
	MSGPACK_TYPE_NIL,
	MSGPACK_TYPE_BOOL,
	MSGPACK_TYPE_UINT, /* any non-negative integer encoding */
	MSGPACK_TYPE_INT,  /* a negative integer */
	MSGPACK_TYPE_DOUBLE,
	MSGPACK_TYPE_STR,
	MSGPACK_TYPE_BIN,
	MSGPACK_TYPE_ARRAY,
	MSGPACK_TYPE_MAP,
	MSGPACK_TYPE_EXT,
	MSGPACK_TYPE_END, /* no bytes left, or the next byte is not msgpack (0xc1) */
};

struct msgpack_reader {
	const unsigned char *pos;
	const unsigned char *end;
};

struct msgpack_reader msgpack_reader_init(struct slice bytes);
enum msgpack_type msgpack_peek(const struct msgpack_reader *r);

/* Each returns 0 and advances, or -EBADMSG (wrong type, truncated, out of range) and stays where it was. */
int msgpack_read_nil(struct msgpack_reader *r) must_check;
int msgpack_read_bool(struct msgpack_reader *r, bool *ret) must_check;
int msgpack_read_u64(struct msgpack_reader *r, uint64_t *ret) must_check;
int msgpack_read_i64(struct msgpack_reader *r, int64_t *ret) must_check;
int msgpack_read_double(struct msgpack_reader *r, double *ret) must_check;
int msgpack_read_str(struct msgpack_reader *r, struct slice *ret) must_check; /* UTF-8 is not checked here */
int msgpack_read_bin(struct msgpack_reader *r, struct slice *ret) must_check;
int msgpack_read_str_or_bin(struct msgpack_reader *r, struct slice *ret) must_check;
int msgpack_read_array(struct msgpack_reader *r, uint32_t *ret_n) must_check;
int msgpack_read_map(struct msgpack_reader *r, uint32_t *ret_n) must_check;
int msgpack_skip(struct msgpack_reader *r) must_check; /* one whole value; -EBADMSG beyond MSGPACK_MAX_DEPTH */
/* True and advances when the next value is nil. */
bool msgpack_read_if_nil(struct msgpack_reader *r);

void msgpack_write_nil(struct buffer *b);
void msgpack_write_bool(struct buffer *b, bool v);
void msgpack_write_u64(struct buffer *b, uint64_t v);
void msgpack_write_i64(struct buffer *b, int64_t v);
void msgpack_write_double(struct buffer *b, double v);
void msgpack_write_str(struct buffer *b, struct slice v);
void msgpack_write_bin(struct buffer *b, struct slice v);
void msgpack_write_array(struct buffer *b, uint32_t n);
void msgpack_write_map(struct buffer *b, uint32_t n);

#endif
