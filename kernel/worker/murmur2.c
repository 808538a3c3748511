/* SPDX-License-Identifier: Apache-2.0 */
/* murmur2: the hash that names cells. */
#include "kernel/worker/murmur2.h"

#define FACTOR 0x5bd1e995U

static uint32_t little_endian(const char *data, size_t len)
{
	uint32_t word = 0;

	for (size_t i = 0; i < len; i++)
		word |= (uint32_t)(unsigned char)data[i] << (8 * i);
	return word;
}

uint32_t murmur2(struct slice bytes, uint32_t seed)
{
	uint32_t hash = seed ^ (uint32_t)bytes.len;

	for (; bytes.len >= 4; bytes.data += 4, bytes.len -= 4) {
		uint32_t word = little_endian(bytes.data, 4) * FACTOR;

		hash = (hash * FACTOR) ^ ((word ^ word >> 24) * FACTOR);
	}
	if (bytes.len > 0)
		hash = (hash ^ little_endian(bytes.data, bytes.len)) * FACTOR;
	hash = (hash ^ hash >> 13) * FACTOR;
	return hash ^ hash >> 15;
}
