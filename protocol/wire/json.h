/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json: strict JSON (RFC 8259) over borrowed bytes: validation, member look-up without building a tree, string decoding
 * and encoding. Nothing here allocates but what it appends to a struct buffer.
 *
 * Why not a tree parser: the request's header is sent back byte for byte, code is copied as the token it came in, and
 * what a worker says must be validated at several hundred MB/s before it is signed (specs/wire.md 4).
 */
#ifndef HUSK_WIRE_JSON_H
#define HUSK_WIRE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/buffer.h"
#include "protocol/base/slice.h"
#include "protocol/base/util.h"

#define JSON_MAX_DEPTH 256

enum json_type {
	JSON_INVALID, /* also: no such member */
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

/* True when text is exactly one JSON value (surrounded by optional white space), valid UTF-8, depth <= JSON_MAX_DEPTH,
 * no NaN/Infinity, no duplicate check. Lone \ud800 escapes are accepted (RFC 8259 8.2). */
bool json_is_valid(struct slice text);
bool json_is_valid_object(struct slice text);

/* Type of the value that the slice starts with (after white space). */
enum json_type json_type(struct slice value);

/* A member of an object: raw value slice without surrounding white space; JSON_INVALID when absent or when text is not
 * an object. The last of duplicate names wins (as Python's json does). text must have passed json_is_valid(). name is
 * compared after decoding escapes. */
enum json_type json_member(struct slice text, const char *name, struct slice *ret_value);

/* Iteration, in order, over a valid object or array. Start with iter = json_iter(text). */
struct json_iter {
	const char *pos;
	const char *end;
	bool object;
};
struct json_iter json_iter(struct slice text);
/* False at the end. ret_name is the raw token with quotes; it is SLICE_NULL for arrays. */
bool json_next(struct json_iter *it, struct slice *ret_name, struct slice *ret_value);

/* Decodes a string token (with its quotes) and appends UTF-8; lone surrogates become U+FFFD. -EINVAL if it is none. */
int json_decode_string(struct slice token, struct buffer *out) must_check;

/* True when token is a string token that decodes to text (which has no NUL). */
bool json_string_equals(struct slice token, const char *text);

/* Conveniences over json_member(): value when the member is there and of that type, else fallback. */
bool json_get_bool(struct slice text, const char *name, bool fallback);
/* fallback also when it is not written as an integer, or out of range */
int64_t json_get_int(struct slice text, const char *name, int64_t fallback);

/* Appends a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD each maximal subpart; control
 * characters are escaped; everything else is copied. Fast path for plain ASCII. */
void json_encode_string(struct buffer *out, struct slice text);
/* Same without quotes, for streaming: an incomplete sequence at the end of text is left over; returns the number of
 * bytes consumed (text.len - 3 .. text.len). With final true, everything is consumed. Each byte of text is read before it
 * is judged and never again: text may be memory that another process changes meanwhile. */
size_t json_encode_chunk(struct buffer *out, struct slice text, bool final);

#endif
