/* SPDX-License-Identifier: Apache-2.0 */
/* slice: borrowed bytes. A slice never owns; it is valid as long as what it points into. */
#ifndef HUSK_BASE_SLICE_H
#define HUSK_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *data; /* may be NULL only when len is 0 */
	size_t len;
};

#define SLICE_LIT(s) ((struct slice){ "" s, sizeof(s) - 1 })
#define SLICE_NULL ((struct slice){ NULL, 0 })

static inline struct slice slice_from(const void *data, size_t len)
{
	return (struct slice){ data, len };
}

static inline struct slice slice_str(const char *s)
{
	return (struct slice){ s, strlen(s) };
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool slice_equal_str(struct slice a, const char *s)
{
	return slice_equal(a, slice_str(s));
}

#endif
