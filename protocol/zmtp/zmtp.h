/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zmtp: the bytes of ZMTP 3.1 (RFC 23/ZMTP and RFC 37/ZMTP): greeting, frames, commands, properties. Pure functions over
 * bytes; who speaks when is the affair of kernel/front/conn.c. Peers that speak 3.0 are served, older ones are not.
 */
#ifndef HUSK_ZMTP_ZMTP_H
#define HUSK_ZMTP_ZMTP_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/slice.h"

#define ZMTP_GREETING_SIZE 64
#define ZMTP_FRAME_HEADER_MAX 9
#define ZMTP_NAME_MAX 255     /* bytes of the name of a command or a property */
#define ZMTP_IDENTITY_MAX 255
#define ZMTP_PING_CONTEXT_MAX 16

enum zmtp_mechanism { ZMTP_NULL, ZMTP_CURVE };

enum {
	ZMTP_FLAG_MORE = 1,
	ZMTP_FLAG_LONG = 2, /* only on the wire: the size has 8 bytes */
	ZMTP_FLAG_COMMAND = 4,
};

void zmtp_greeting_write(enum zmtp_mechanism mechanism, bool as_server, uint8_t ret[ZMTP_GREETING_SIZE]);

/* May be called with the first bytes of a greeting: 0 while they are those of a peer that can be served, -EPROTO as soon
 * as they are not. With all of them the mechanism is compared too. err says what the peer speaks instead. */
int zmtp_greeting_check(struct slice bytes, enum zmtp_mechanism mechanism, struct error *err) must_check;

struct zmtp_frame {
	uint8_t flags; /* ZMTP_FLAG_MORE, ZMTP_FLAG_COMMAND */
	uint64_t size; /* of the body, which follows the header */
};

/* The header at the begin of bytes: its size (2 or 9), 0 when more bytes are needed, -EPROTO for reserved flags, a command
 * with "more", or a size above INT64_MAX. */
int zmtp_frame_parse(struct slice bytes, struct zmtp_frame *ret) must_check;
/* Returns the size of the header: the short form where it suffices. */
size_t zmtp_frame_write(uint8_t flags, uint64_t size, uint8_t ret[ZMTP_FRAME_HEADER_MAX]);

/* A command's body is its name (length, bytes) and its data. -EPROTO when the name is empty or does not fit. */
int zmtp_command_parse(struct slice body, struct slice *ret_name, struct slice *ret_data) must_check;
void zmtp_command_begin(struct buffer *out, const char *name);

/* Takes one property off the begin of *rest: 1, 0 at the end, -EPROTO. */
int zmtp_property_next(struct slice *rest, struct slice *ret_name, struct slice *ret_value) must_check;
void zmtp_property_append(struct buffer *out, const char *name, struct slice value);
/* Property names are compared without regard to case. */
bool zmtp_property_is(struct slice name, const char *wanted);

#endif
