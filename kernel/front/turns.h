/* SPDX-License-Identifier: Apache-2.0 */
/* turns: the headers of recent requests by turn id, for output that belongs to an earlier cell. Bounded. */
#ifndef HUSK_FRONT_TURNS_H
#define HUSK_FRONT_TURNS_H

#include <stdint.h>

#include "protocol/base/slice.h"

#define TURNS_MAX 4096u /* a power of two */
#define TURNS_MAX_BYTES ((size_t)4 << 20)

struct turns {
	struct {
		uint32_t turn;
		char *header;
		size_t len;
	} slots[TURNS_MAX];
	uint32_t last;   /* newest turn id given; 0: none yet */
	uint32_t oldest; /* oldest that may still be remembered */
	size_t n_bytes;
};

uint32_t turns_new(struct turns *t, struct slice header); /* copies the header; never 0 */
/* The header of that turn; the newest one's when the turn is 0, unknown or forgotten; SLICE_NULL before any. */
struct slice turns_header(const struct turns *t, uint32_t turn);
void turns_deinit(struct turns *t);

#endif
