/* SPDX-License-Identifier: Apache-2.0 */
/* proxy-request: the head of a request to the HTTP proxy, and what goes on to the server. Pure. */
#ifndef HUSK_SANDBOX_PROXY_REQUEST_H
#define HUSK_SANDBOX_PROXY_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/sandbox/target.h"
#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/slice.h"

#define PROXY_REQUEST_MAX_HEAD ((size_t)16 << 10)
#define PROXY_REQUEST_MAX_HEADERS 128
#define PROXY_REQUEST_TO_END UINT64_MAX

struct proxy_request {
	bool is_connect;
	struct target target;
	size_t head_bytes;      /* up to and with the empty line */
	uint64_t body_bytes;    /* that belong to the request; PROXY_REQUEST_TO_END: all that follows (CONNECT, chunked) */
	/* of a plain request, slices of the head */
	struct slice method;
	struct slice path;      /* begins with "/" or "?", or is empty */
	struct slice version;
	struct slice headers;   /* lines with their ends, without the empty one */
};

/*
 * 0; 1 when the head has not all come; negative with *ret_status, an HTTP status, and a sentence: -EBADMSG what is no
 * request to a proxy (400, 431 when it is too long), -EPERM one whose Host header is another place than its target
 * (403).
 */
int proxy_request_parse(struct slice bytes, struct proxy_request *ret, unsigned *ret_status,
			struct error *err) must_check;

/*
 * The head of a plain request as the server gets it: the path alone, Host from the target, without what is meant for
 * the proxy, and with "Connection: close", for each connection carries one request.
 */
void proxy_request_write(const struct proxy_request *request, struct buffer *out);

/*
 * An answer of the proxy itself. The sentence is the reason too, for that is all of the answer to CONNECT that clients
 * show.
 */
void proxy_request_write_refusal(unsigned status, const char *sentence, struct buffer *out);

#endif
