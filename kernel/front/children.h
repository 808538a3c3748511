/* SPDX-License-Identifier: Apache-2.0 */
/* children: what the tenant has running beside its worker, when a limit is reached (specs/limits.md 5.5, 5.6). */
#ifndef HUSK_FRONT_CHILDREN_H
#define HUSK_FRONT_CHILDREN_H

#include <stdint.h>

struct front;
struct request;

void children_end_with(struct front *f, const struct request *r); /* a limit has ended it, and nothing else runs */
/* The kernel has used too much memory: that of others than the worker, where they have the most of it. r: whose turn it is; NULL: none. */
void children_relieve(struct front *f, const struct request *r, uint64_t limit, uint64_t used);

#endif
