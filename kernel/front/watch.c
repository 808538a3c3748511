/* SPDX-License-Identifier: Apache-2.0 */
/* watch: descriptors in the loop. */
#include "kernel/front/watch.h"

#include <errno.h>
#include <sys/epoll.h>

#include "kernel/front/state.h"

int front_watch(struct front *f, struct watch *w, int fd, uint32_t events,
    void (*fn)(struct front *f, struct watch *w, uint32_t events))
{
	struct epoll_event e = { .events = events, .data.ptr = w };

	*w = (struct watch){ .fd = fd, .fn = fn, .events = events, .added = true };
	if (epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0) {
		w->added = false;
		return -errno;
	}
	return 0;
}

/* A descriptor whose other end has closed reports EPOLLHUP even for an empty set, so a paused one leaves epoll. */
void front_watch_set(struct front *f, struct watch *w, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = w };

	if (w->fd < 0 || w->events == events)
		return;
	w->events = events;
	if (!events && w->added)
		(void)epoll_ctl(f->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	else
		(void)epoll_ctl(f->epoll_fd, w->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w->fd, &e);
	w->added = events != 0;
}

void front_unwatch(struct front *f, struct watch *w)
{
	if (w->added)
		(void)epoll_ctl(f->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	*w = (struct watch){ .fd = -1 };
}
