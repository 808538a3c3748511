/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output: the worker's end of the output ring and of the pipes on fd 1 and 2 (specs/link.md 4). The GIL must be held;
 * it is released while the ring is full.
 */
#ifndef HUSK_WORKER_OUTPUT_H
#define HUSK_WORKER_OUTPUT_H

#include "protocol/base/error.h"
#include "protocol/base/slice.h"

/* Maps the ring of LINK_FD_RING. */
int output_attach(struct error *err) must_check;

void output_set_turn(uint32_t turn);
uint32_t output_get_turn(void);

/* The ring's head: the position that a frame made now carries. */
uint64_t output_position(void);

/* The shared interrupt words (specs/link.md 5.1); NULL before output_attach(). */
struct ring_shared *output_shared(void);

/* Writes all of text, after the pipes when a barrier is due. -1 with the exception of a signal handler that ran while
 * the ring was full. In a forked child it goes to fd 1 or 2. */
int output_write(uint32_t turn, uint32_t stream, struct slice text) must_check;

/* Whether the ring may have many resident pages, and giving those back that hold no unread text. */
bool output_is_spread(void);
void output_give_back(void);

/* fflush(NULL), then the pipes into the ring, at most OUTPUT_DRAIN_MAX bytes of each. */
#define OUTPUT_DRAIN_MAX ((size_t)8 << 20)
void output_drain(void);

#endif
