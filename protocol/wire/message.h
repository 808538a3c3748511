/* SPDX-License-Identifier: Apache-2.0 */
/* message: judge a received multipart message, or build the five signed frames of one to send. Pure. */
#ifndef HUSK_WIRE_MESSAGE_H
#define HUSK_WIRE_MESSAGE_H

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/wire/frames.h"
#include "protocol/wire/header.h"
#include "protocol/wire/sign.h"

struct message {
	struct frames frames;
	struct header header;
};

/* Positive results of message_parse(): the message is dropped and logged, never answered (specs/wire.md 3.3). */
enum {
	MESSAGE_E_FRAMES = 1,   /* err->text says which rule */
	MESSAGE_E_SIGNATURE,
	MESSAGE_E_REPLAY,
	MESSAGE_E_JSON,         /* header, parent or metadata is no valid JSON object, or content no valid JSON */
	MESSAGE_E_HEADER,
};

/* Order: frame limits, delimiter, HMAC over raw bytes, replay, JSON validity of all four frames, header fields.
 * replay may be NULL. Slices of ret are borrowed from parts. */
int message_parse(const struct slice *parts, size_t n_parts, const struct sign_key *key, struct sign_replay *replay,
    struct message *ret, struct error *err) must_check;

/* The frames of an outgoing message after its identities or topic: delimiter, signature, header, parent, metadata,
 * content. The signature is appended to scratch, which must outlive ret_parts and stay as it is; the four texts may lie
 * in scratch as well (header_build() appends to the same buffer). Empty texts become "{}". */
#define MESSAGE_PARTS 6
int message_build(struct buffer *scratch, const struct sign_key *key, struct slice header, struct slice parent,
    struct slice metadata, struct slice content, struct slice ret_parts[MESSAGE_PARTS]) must_check;

#endif
