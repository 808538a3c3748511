/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turns: the headers of recent requests by turn id, for output that belongs to an earlier cell. Bounded: the oldest is
 * forgotten first, but never one that is held, because its request is still running.
 */
#ifndef HUSK_FRONT_TURNS_H
#define HUSK_FRONT_TURNS_H

#include <stdint.h>

#include "protocol/base/slice.h"

#define TURNS_MAX 4096u /* a power of two */
#define TURNS_MAX_BYTES ((size_t)4 << 20)
#define TURNS_MAX_HELD 72u /* at least two for each lane */

struct turns {
	struct {
		uint32_t turn;
		char *header;
		size_t len;
	} slots[TURNS_MAX];
	struct {
		uint32_t turn; /* 0: free */
		struct slice header;
	} held[TURNS_MAX_HELD];
	uint32_t last;   /* newest turn id given; 0: none yet */
	uint32_t oldest; /* oldest that may still be remembered */
	size_t n_bytes;
};

uint32_t turns_new(struct turns *t, struct slice header); /* copies the header; never 0 */
/* The header of that turn; the newest one's when the turn is 0, unknown or forgotten; SLICE_NULL before any. */
struct slice turns_header(const struct turns *t, uint32_t turn);
/* Until it is released, this header (borrowed) is found whatever comes after it. */
void turns_hold(struct turns *t, uint32_t turn, struct slice header);
void turns_release(struct turns *t, uint32_t turn);
void turns_deinit(struct turns *t);

#endif
