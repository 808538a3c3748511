/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz: what the fuzzers share. CHECK() holds in every build; a violated invariant is a finding like a crash. */
#ifndef HUSK_TESTS_FUZZ_H
#define HUSK_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "protocol/base/slice.h"

#define CHECK(claim) \
	do { \
		if (!(claim)) \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Input as a list: each element is a length of two bytes (little-endian, cut to what is left) and the bytes. */
static inline size_t fuzz_split(const uint8_t *data, size_t size, struct slice *ret_parts, size_t max)
{
	size_t n = 0;

	while (size >= 2 && n < max) {
		size_t len = (size_t)data[0] | (size_t)data[1] << 8;

		if (len > size - 2)
			len = size - 2;
		ret_parts[n++] = slice_from(data + 2, len);
		data += 2 + len;
		size -= 2 + len;
	}
	return n;
}

#endif
