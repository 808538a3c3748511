/* SPDX-License-Identifier: Apache-2.0 */
/* json-private: what json.c (structure) and json-string.c (strings) share. */
#ifndef HUSK_WIRE_JSON_PRIVATE_H
#define HUSK_WIRE_JSON_PRIVATE_H

#include "protocol/wire/json.h"

typedef unsigned char byte;

struct scanner {
	const byte *pos;
	const byte *end;
};

/* No arithmetic on a null pointer, not even by 0. */
static inline struct scanner scanner_init(struct slice text)
{
	const byte *start = (const byte *)(text.data ? text.data : "");

	return (struct scanner){ start, start + text.len };
}

/* pos is at the opening quote; true and behind the closing one when the string is valid. */
bool json_scan_string(struct scanner *s);

/* The first byte that is '"', '\\', a control character or not ASCII; end when there is none. */
const byte *json_skip_plain(const byte *p, const byte *end);

#endif
