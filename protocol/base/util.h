/* SPDX-License-Identifier: Apache-2.0 */
/* util: cleanup attributes, ownership transfer, small helpers. The only macro header. */
#ifndef HUSK_BASE_UTIL_H
#define HUSK_BASE_UTIL_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define must_check __attribute__((warn_unused_result))
#define printf_like(f, a) __attribute__((format(printf, f, a)))

#define _cleanup_(fn) __attribute__((cleanup(fn)))

/* Transfer: the value leaves the owning variable, which is cleared. */
#define STEAL(p) \
	__extension__({ \
		__typeof__(p) steal_tmp_ = (p); \
		(p) = 0; \
		steal_tmp_; \
	})
#define STEAL_FD(fd) \
	__extension__({ \
		int steal_fd_ = (fd); \
		(fd) = -1; \
		steal_fd_; \
	})

static inline void freep(void *p)
{
	free(*(void **)p);
}

/* Closes *fd when it is >= 0; errno is kept. */
static inline void closep(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	errno = saved;
}

#endif
