/* SPDX-License-Identifier: Apache-2.0 */
/* test: what the unit tests share. cmocka wants its standard headers first. */
#ifndef HUSK_TESTS_UNIT_TEST_H
#define HUSK_TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/buffer.h"
#include "protocol/base/slice.h"

/* A row of a table says which one it is when it fails. */
#define assert_row(row, claim) \
	do { \
		if (!(claim)) \
			fail_msg("row %zu: %s", (size_t)(row), #claim); \
	} while (0)

static inline void assert_slice_is(struct slice s, const char *text)
{
	if (!slice_equal_str(s, text))
		fail_msg("\"%.*s\" is not \"%s\"", (int)s.len, s.data, text);
}

static inline void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" does not contain \"%s\"", text, part);
}

/* xorshift64*: the same numbers in each run. */
static inline uint64_t test_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

static inline uint64_t test_random_below(uint64_t *state, uint64_t n)
{
	return test_random(state) % n;
}

/* A file of the source tree as one NUL-terminated text; the caller frees it. */
static inline char *test_read_file(const char *name, size_t *ret_len)
{
	const char *top = getenv("top_srcdir");
	char path[512];
	FILE *file;
	char *text;
	long size;

	(void)snprintf(path, sizeof(path), "%s/%s", top ? top : ".", name);
	file = fopen(path, "rb");
	if (!file)
		fail_msg("%s cannot be opened; run from the top or set top_srcdir", path);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	size = ftell(file);
	assert_true(size >= 0);
	rewind(file);
	text = calloc(1, (size_t)size + 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, (size_t)size, file), (size_t)size);
	assert_int_equal(fclose(file), 0);
	if (ret_len)
		*ret_len = (size_t)size;
	return text;
}

#endif
