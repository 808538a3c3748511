/* SPDX-License-Identifier: Apache-2.0 */
/* peer: the front's end of one link. */
#include "kernel/front/peer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE PEER_LARGE_BYTES
#define FIRST_READ_SIZE ((size_t)32 << 10)
#define KEEP_SIZE ((size_t)1 << 20) /* read buffer kept between frames */

void peer_init(struct peer *p, int fd)
{
	*p = (struct peer){ .fd = fd, .out_fd = -1 };
	p->in = BUFFER_INIT((size_t)LINK_MAX_BODY + LINK_HEADER_SIZE + READ_SIZE);
	p->out = BUFFER_INIT((size_t)LINK_MAX_BODY + ((size_t)1 << 20));
}

void peer_deinit(struct peer *p)
{
	if (p->fd >= 0)
		(void)close(p->fd);
	if (p->out_fd >= 0)
		(void)close(p->out_fd);
	buffer_deinit(&p->in);
	buffer_deinit(&p->out);
	p->fd = p->out_fd = -1;
	p->in_used = p->skip = p->skipped = 0;
	p->is_accepted = false;
}

static void drop_used(struct peer *p)
{
	if (!p->in_used)
		return;
	buffer_consume(&p->in, p->in_used);
	p->in_used = 0;
	if (p->in.len == 0 && p->in.size > KEEP_SIZE)
		buffer_deinit(&p->in);
}

int peer_fill(struct peer *p)
{
	size_t size;
	ssize_t n;

	drop_used(p);
	/* Many small frames are one round's work, so few bytes; the rest of a large frame comes in larger pieces. */
	size = p->in.len >= FIRST_READ_SIZE || p->skip ? READ_SIZE : FIRST_READ_SIZE;
	if (buffer_reserve(&p->in, size) < 0)
		return -ENOMEM;
	n = recv(p->fd, p->in.data + p->in.len, size, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -ECONNRESET;
	if (n == 0)
		return -ECONNRESET;
	p->in.len += (size_t)n;
	return (int)n;
}

static struct slice unread(const struct peer *p)
{
	return p->in.len > p->in_used ? slice_from(p->in.data + p->in_used, p->in.len - p->in_used) : SLICE_NULL;
}

static void skip_some(struct peer *p)
{
	size_t n = MIN(p->skip, unread(p).len);

	p->in_used += n;
	p->skip -= n;
	p->skipped += n;
}

void peer_skip(struct peer *p, const struct peer_frame *large)
{
	p->is_accepted = false;
	p->skip = LINK_HEADER_SIZE + (size_t)large->body_len;
	skip_some(p);
}

size_t peer_take_skipped(struct peer *p)
{
	size_t n = p->skipped;

	p->skipped = 0;
	return n;
}

bool peer_is_inside(const struct peer *p)
{
	return p->skip || unread(p).len;
}

int peer_next(struct peer *p, struct peer_frame *ret, struct error *err)
{
	struct link_header header;
	struct slice bytes, body;
	int r;

	skip_some(p);
	bytes = unread(p);
	r = link_header_parse(bytes, LINK_UP, &header);

	if (r == LINK_E_MORE)
		return 0;
	if (r)
		return error_set(err, -EBADMSG, "bad link frame: %s", link_strerror(r));
	ret->type = header.type;
	ret->body_len = header.body_len;
	ret->ring_pos = header.ring_pos;
	if (header.body_len > PEER_LARGE_BYTES && !p->is_accepted) {
		p->is_accepted = true;
		return PEER_LARGE;
	}
	if (bytes.len < LINK_HEADER_SIZE + (size_t)header.body_len)
		return 0;
	p->is_accepted = false;
	body = slice_from(bytes.data + LINK_HEADER_SIZE, header.body_len);
	p->in_used += LINK_HEADER_SIZE + (size_t)header.body_len;
	if (link_body_open(header.type, body, &ret->fields, &ret->n_fields) < 0)
		return error_set(err, -EBADMSG, "bad body of a %s frame", link_type_name(header.type));
	return PEER_FRAME;
}

size_t peer_begin(struct peer *p)
{
	return link_frame_begin(&p->out);
}

static ssize_t write_some(struct peer *p)
{
	struct iovec iov = { p->out.data, p->out.len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	ssize_t n;

	if (p->out_fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &p->out_fd, sizeof(int));
	}
	n = sendmsg(p->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0 && p->out_fd >= 0) {
		(void)close(p->out_fd);
		p->out_fd = -1;
	}
	return n;
}

int peer_flush(struct peer *p)
{
	while (p->out.len && p->fd >= 0) {
		ssize_t n = write_some(p);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 1 : -errno;
		buffer_consume(&p->out, (size_t)n);
	}
	if (p->out.size > KEEP_SIZE)
		buffer_deinit(&p->out);
	p->n_asked = 0;
	return 0;
}

int peer_end(struct peer *p, size_t begin, enum link_type type)
{
	int r = link_frame_end(&p->out, begin, type, 0);

	if (r < 0) {
		p->out.len = begin;
		p->out.failed = 0;
		return r;
	}
	r = peer_flush(p);
	return r < 0 ? r : 0;
}
