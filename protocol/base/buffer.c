/* SPDX-License-Identifier: Apache-2.0 */
/* buffer: growable bytes with a bound. */
#include "protocol/base/buffer.h"

#include <stdarg.h>
#include <stdio.h>

#define BUFFER_MIN_SIZE 256

void buffer_deinit(struct buffer *b)
{
	size_t max = b->max;

	free(b->data);
	*b = BUFFER_INIT(max);
}

void buffer_reset(struct buffer *b)
{
	b->len = 0;
	b->failed = 0;
}

static size_t buffer_max(const struct buffer *b)
{
	return b->max ? b->max : BUFFER_MAX_DEFAULT;
}

static int buffer_grow(struct buffer *b, size_t need)
{
	size_t max = buffer_max(b), size = MAX(b->size, (size_t)BUFFER_MIN_SIZE);
	char *data;

	while (size < need)
		size = size > SIZE_MAX / 2 ? SIZE_MAX : size * 2;
	size = MIN(size, MAX(max, need));
	data = realloc(b->data, size);
	if (!data)
		return b->failed = -ENOMEM;
	b->data = data;
	b->size = size;
	return 0;
}

int buffer_reserve(struct buffer *b, size_t more)
{
	size_t max = buffer_max(b);

	if (b->failed)
		return b->failed;
	if (b->len > max || more > max - b->len)
		return b->failed = -EMSGSIZE;
	if (b->len + more <= b->size)
		return 0;
	return buffer_grow(b, b->len + more);
}

void buffer_append(struct buffer *b, const void *data, size_t len)
{
	if (buffer_reserve(b, len) < 0 || len == 0)
		return;
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

void buffer_append_slice(struct buffer *b, struct slice s)
{
	buffer_append(b, s.data, s.len);
}

void buffer_append_str(struct buffer *b, const char *s)
{
	buffer_append(b, s, strlen(s));
}

void buffer_append_char(struct buffer *b, char c)
{
	if (buffer_reserve(b, 1) < 0)
		return;
	b->data[b->len++] = c;
}

void buffer_append_u64(struct buffer *b, uint64_t value)
{
	char digits[20];
	size_t pos = sizeof(digits);

	do {
		digits[--pos] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	buffer_append(b, digits + pos, sizeof(digits) - pos);
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
	va_list args, again;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0) {
		b->failed = -EMSGSIZE;
	} else if (buffer_reserve(b, (size_t)n) == 0) {
		/* vsnprintf() writes a NUL, which is no part of the content and may lie beyond max. */
		if (b->size - b->len > (size_t)n || buffer_grow(b, b->len + (size_t)n + 1) == 0) {
			(void)vsnprintf(b->data + b->len, (size_t)n + 1, format, again);
			b->len += (size_t)n;
		}
	}
	va_end(again);
}

void buffer_consume(struct buffer *b, size_t len)
{
	len = MIN(len, b->len);
	if (len == 0)
		return;
	memmove(b->data, b->data + len, b->len - len);
	b->len -= len;
}

size_t buffer_steal(struct buffer *b, char **ret_data)
{
	size_t len = b->len;

	*ret_data = STEAL(b->data);
	*b = BUFFER_INIT(b->max);
	return len;
}
