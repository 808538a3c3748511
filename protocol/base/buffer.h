/* SPDX-License-Identifier: Apache-2.0 */
/* buffer: growable bytes with a bound. */
#ifndef HUSK_BASE_BUFFER_H
#define HUSK_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/base/slice.h"
#include "protocol/base/util.h"

/*
 * Embedded by value; zero bytes [0, len) are valid. max == 0 means BUFFER_MAX_DEFAULT. A failed append leaves the
 * content as it was and sets "failed", which stays set until buffer_reset(): callers may append a whole message and
 * check once.
 */
struct buffer {
	char *data;
	size_t len;
	size_t size;
	size_t max;
	int failed; /* 0, -ENOMEM or -EMSGSIZE */
};

#define BUFFER_MAX_DEFAULT ((size_t)1 << 30)
#define BUFFER_INIT(maximum) ((struct buffer){ .max = (maximum) })

void buffer_deinit(struct buffer *b);              /* accepts a zeroed buffer; leaves it zeroed but for max */
void buffer_reset(struct buffer *b);               /* len = 0, keeps the memory */
int buffer_reserve(struct buffer *b, size_t more); /* 0, -ENOMEM, -EMSGSIZE */
void buffer_append(struct buffer *b, const void *data, size_t len);
void buffer_append_slice(struct buffer *b, struct slice s);
void buffer_append_str(struct buffer *b, const char *s);
void buffer_append_char(struct buffer *b, char c);
void buffer_append_u64(struct buffer *b, uint64_t value); /* decimal digits */
void buffer_printf(struct buffer *b, const char *format, ...) printf_like(2, 3);
void buffer_consume(struct buffer *b, size_t len); /* drops the first len bytes */

/* Moves the bytes out: the caller frees *ret_data with free(). The buffer is empty afterwards. */
size_t buffer_steal(struct buffer *b, char **ret_data);

static inline struct slice buffer_slice(const struct buffer *b)
{
	return (struct slice){ b->data, b->len };
}

static inline void buffer_deinitp(struct buffer *b)
{
	buffer_deinit(b);
}

#endif
