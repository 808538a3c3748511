/* SPDX-License-Identifier: Apache-2.0 */
/* header: the header of a Jupyter message (specs/wire.md 5; messaging.rst "Message header"). */
#ifndef HUSK_WIRE_HEADER_H
#define HUSK_WIRE_HEADER_H

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/slice.h"
#include "protocol/wire/msgtype.h"

#define HEADER_PROTOCOL_VERSION "5.5"
#define HEADER_MAX_BYTES 65536 /* of a received header frame */

struct header {
	struct slice raw;        /* the frame itself, echoed as parent_header */
	struct slice msg_id;     /* string tokens with quotes, as received */
	struct slice session;
	struct slice msg_type;
	struct slice subshell_id; /* SLICE_NULL when absent or null */
	enum msgtype type;        /* MSGTYPE_UNKNOWN when not in msgtype.def */
};

/* frame must be a JSON object with string msg_id, session, msg_type. -EBADMSG otherwise, err says what. Validates
 * JSON. */
int header_parse(struct slice frame, struct header *ret, struct error *err) must_check;

/* What is equal in all headers that one kernel process sends. */
struct header_origin {
	char session[37]; /* UUID text */
	char username[64];
	unsigned pid;
};

/* Appends a header: msg_id is "<session>_<pid>_<serial>". subshell: raw token or SLICE_NULL. Pure: time is a
 * parameter. */
void header_build(struct buffer *out, const struct header_origin *origin, uint64_t serial, uint64_t realtime_usec,
    const char *msg_type, struct slice subshell);

#endif
