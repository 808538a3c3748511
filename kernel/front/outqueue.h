/* SPDX-License-Identifier: Apache-2.0 */
/* outqueue: bytes on their way to one client. Small pieces are copied together; large ones are shared between clients. */
#ifndef HUSK_FRONT_OUTQUEUE_H
#define HUSK_FRONT_OUTQUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/base/slice.h"
#include "protocol/base/util.h"

/* Bytes with as many owners as there are references. total: what they and all queues together hold. */
struct shared {
	size_t refs;
	size_t *total;
	struct slice bytes;
};

struct shared *shared_new_copy(struct slice bytes, size_t *total); /* NULL when memory is short */
/* Takes malloc'ed data, also when it returns NULL. */
struct shared *shared_new_owned(void *data, size_t len, size_t *total);
struct shared *shared_unref(struct shared *s); /* accepts and returns NULL */

struct outqueue {
	struct chunk *head;
	struct chunk *tail;
	size_t bytes; /* not yet written */
	size_t *total;
};

void outqueue_init(struct outqueue *q, size_t *total);

void outqueue_deinit(struct outqueue *q);
/* Room for n contiguous bytes that the caller fills at once; NULL when memory is short. */
uint8_t *outqueue_reserve(struct outqueue *q, size_t n);
int outqueue_append(struct outqueue *q, struct slice bytes) must_check;
int outqueue_share(struct outqueue *q, struct shared *s) must_check; /* takes a reference of its own */
/* Writes until the queue is empty (0) or the socket is full (1); -errno when the peer has gone. */
int outqueue_write(struct outqueue *q, int fd) must_check;

#endif
