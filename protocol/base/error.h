/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error: the reason a human needs, as a value.
 *
 * Functions return 0 on success, negative (-errno) when fatal and passed up, positive for an answer that is
 * documented at that function and handled by its caller. Where a human needs the reason, the last parameter is a
 * struct error *, filled on negative returns. No allocation: usable after fork, and small enough to cross a pipe in
 * one atomic write.
 */
#ifndef HUSK_BASE_ERROR_H
#define HUSK_BASE_ERROR_H

#include "protocol/base/util.h"

struct error {
	int code;       /* -errno */
	char text[508]; /* one sentence without a final dot, NUL-terminated, truncated when longer */
};

/* Fills err (may be NULL) and returns code, so that "return error_set(err, -EINVAL, ...)" is one expression. */
int error_set(struct error *err, int code, const char *format, ...) printf_like(3, 4);

/* Puts "prefix: " before the text that err already holds; returns err->code. */
int error_prefix(struct error *err, const char *format, ...) printf_like(2, 3);

#endif
