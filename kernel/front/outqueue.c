/* SPDX-License-Identifier: Apache-2.0 */
/* outqueue: bytes on their way to one client. */
#include "kernel/front/outqueue.h"

#include <string.h>
#include <sys/socket.h>

#define CHUNK_BYTES ((size_t)8 << 10) /* holds all messages of a short turn */
#define WRITE_MAX 32                  /* chunks of one system call */

/* Either bytes of its own, of which [begin, end) are to be written, or shared ones. */
struct chunk {
	struct chunk *next;
	struct shared *shared;
	size_t begin;
	size_t end;
	size_t size;
	uint8_t bytes[];
};

struct shared *shared_new_owned(void *data, size_t len, size_t *total)
{
	struct shared *s = malloc(sizeof(*s));

	if (!s) {
		free(data);
		return NULL;
	}
	*s = (struct shared){ 1, total, slice_from(data, len) };
	*total += sizeof(*s) + len;
	return s;
}

struct shared *shared_new_copy(struct slice bytes, size_t *total)
{
	void *data = malloc(bytes.len);

	if (!data)
		return NULL;
	memcpy(data, bytes.data, bytes.len);
	return shared_new_owned(data, bytes.len, total);
}

struct shared *shared_unref(struct shared *s)
{
	if (s && --s->refs == 0) {
		*s->total -= sizeof(*s) + s->bytes.len;
		free((void *)(uintptr_t)s->bytes.data);
		free(s);
	}
	return NULL;
}

static struct chunk *add_chunk(struct outqueue *q, size_t size)
{
	struct chunk *c = malloc(sizeof(*c) + size);

	if (!c)
		return NULL;
	*c = (struct chunk){ .size = size };
	*q->total += sizeof(*c) + size;
	if (q->tail)
		q->tail->next = c;
	else
		q->head = c;
	q->tail = c;
	return c;
}

static void drop_head(struct outqueue *q)
{
	struct chunk *c = q->head;

	q->head = c->next;
	if (!q->head)
		q->tail = NULL;
	*q->total -= sizeof(*c) + c->size;
	(void)shared_unref(c->shared);
	free(c);
}

void outqueue_init(struct outqueue *q, size_t *total)
{
	*q = (struct outqueue){ .total = total };
}

void outqueue_deinit(struct outqueue *q)
{
	while (q->head)
		drop_head(q);
	q->bytes = 0;
}

uint8_t *outqueue_reserve(struct outqueue *q, size_t n)
{
	struct chunk *c = q->tail;
	uint8_t *at;

	if (!c || c->shared || c->size - c->end < n)
		c = add_chunk(q, MAX(n, CHUNK_BYTES));
	if (!c)
		return NULL;
	at = c->bytes + c->end;
	c->end += n;
	q->bytes += n;
	return at;
}

int outqueue_append(struct outqueue *q, struct slice bytes)
{
	uint8_t *at = outqueue_reserve(q, bytes.len);

	if (!at)
		return -ENOMEM;
	if (bytes.len)
		memcpy(at, bytes.data, bytes.len);
	return 0;
}

int outqueue_share(struct outqueue *q, struct shared *s)
{
	struct chunk *c = add_chunk(q, 0);

	if (!c)
		return -ENOMEM;
	s->refs++;
	c->shared = s;
	c->end = s->bytes.len;
	q->bytes += s->bytes.len;
	return 0;
}

static void consume(struct outqueue *q, size_t n)
{
	q->bytes -= n;
	while (q->head && n >= q->head->end - q->head->begin) {
		n -= q->head->end - q->head->begin;
		drop_head(q);
	}
	if (q->head)
		q->head->begin += n;
}

int outqueue_write(struct outqueue *q, int fd)
{
	while (q->head) {
		struct iovec iov[WRITE_MAX];
		struct msghdr m = { .msg_iov = iov };
		ssize_t n;

		for (struct chunk *c = q->head; c && m.msg_iovlen < WRITE_MAX; c = c->next) {
			const void *data = c->shared ? (const void *)c->shared->bytes.data : c->bytes;

			iov[m.msg_iovlen].iov_base = (char *)(uintptr_t)data + c->begin;
			iov[m.msg_iovlen++].iov_len = c->end - c->begin;
		}
		n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 1 : -errno;
		consume(q, (size_t)n);
	}
	return 0;
}
