/* SPDX-License-Identifier: Apache-2.0 */
/* murmur2: the hash that names cells. */
#ifndef HUSK_WORKER_MURMUR2_H
#define HUSK_WORKER_MURMUR2_H

#include <stdint.h>

#include "protocol/base/slice.h"

/* 32-bit MurmurHash2 as debuggers' clients compute it: the bytes of the tail are mixed in one step. */
uint32_t murmur2(struct slice bytes, uint32_t seed);

#endif
