/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loan: memory for OpenBLAS, its work buffers and, where there are none to be had, its threads' stacks.
 *
 * What is lent is mapped shared, which RLIMIT_DATA does not count, and so neither soft nor hard limit has to leave room for it. But
 * two processes must not calculate in the same buffer: a forked child gets empty ones in their place. Any thread may ask, without
 * the GIL and in a library's constructor.
 */
#include "kernel/worker/loan.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "protocol/base/util.h"

#define EXPORT __attribute__((visibility("default")))

#define MIB ((size_t)1 << 20)
#define BUFFER_LEAST (16 * MIB) /* smaller requests are something else */
#define BUFFER_MOST (1024 * MIB)
#define STACK (8 * MIB)
#define GUARD ((size_t)64 << 10) /* the largest page that there is */
#define N_LOANS 256

typedef int (*create_func)(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);

static _Atomic bool is_open;
static struct {
	_Atomic(void *) start; /* NULL: free, or just being taken */
	_Atomic size_t size;   /* 0: free */
} loans[N_LOANS];

/* The names of the files: builds put a prefix or suffix to the names of their functions, and libblas.so.3 may be a link. */
static bool is_openblas(void *code)
{
	struct dl_find_object found;
	char path[PATH_MAX];

	if (_dl_find_object(code, &found) != 0 || found.dlfo_link_map->l_name == NULL)
		return false;
	if (strstr(found.dlfo_link_map->l_name, "openblas") != NULL)
		return true;
	return realpath(found.dlfo_link_map->l_name, path) != NULL && strstr(path, "openblas") != NULL;
}

static void *map(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset); /* NOLINT: it is an address */
}

static void *map_shared(void *address, size_t size, int flags)
{
	return map(address, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

/* NULL: there are too many, or no address space is left. */
static void *lend(size_t size)
{
	size_t i = 0;
	size_t none = 0;
	void *start;

	while (i < N_LOANS && !atomic_compare_exchange_strong(&loans[i].size, &none, size)) {
		none = 0;
		i++;
	}
	if (i == N_LOANS)
		return NULL;
	start = map_shared(NULL, size, 0);
	if (start == MAP_FAILED) {
		atomic_store(&loans[i].size, 0);
		return NULL;
	}
	atomic_store(&loans[i].start, start);
	return start;
}

/* Before it is unmapped: a child must not put anything in the place of what comes there next. */
static void forget(void *start)
{
	for (size_t i = 0; i < N_LOANS; i++) {
		void *expected = start;

		if (!atomic_compare_exchange_strong(&loans[i].start, &expected, NULL))
			continue;
		atomic_store(&loans[i].size, 0);
		return;
	}
}

/* What the parent has there is work in progress. Where it could not be replaced, both would calculate in it. */
static void part_from_parent(void)
{
	for (size_t i = 0; i < N_LOANS; i++) {
		void *start = atomic_load(&loans[i].start);
		size_t size = atomic_load(&loans[i].size);

		if (start == NULL)
			atomic_store(&loans[i].size, 0);
		else if (map_shared(start, size, MAP_FIXED) == MAP_FAILED)
			(void)munmap(start, size);
	}
}

void loan_open(void)
{
	if (!atomic_load(&is_open))
		atomic_store(&is_open, pthread_atfork(NULL, NULL, part_from_parent) == 0);
}

/* ---- what libc is asked for ---- */

static void *map_for(void *caller, void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	bool is_large = size >= BUFFER_LEAST && size <= BUFFER_MOST;
	int kind = flags & (MAP_TYPE | MAP_ANONYMOUS | MAP_FIXED);

	if (is_large && kind == (MAP_PRIVATE | MAP_ANONYMOUS) && atomic_load(&is_open) && is_openblas(caller)) {
		void *buffer = lend(size);

		if (buffer != NULL)
			return buffer;
	}
	return map(address, size, protection, flags, fd, offset);
}

EXPORT void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	return map_for(__builtin_return_address(0), address, size, protection, flags, fd, offset);
}

#undef mmap64
EXPORT void *mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	return map_for(__builtin_return_address(0), address, size, protection, flags, fd, offset);
}

EXPORT int munmap(void *address, size_t size)
{
	if (atomic_load(&is_open) && address != NULL)
		forget(address);
	return (int)syscall(SYS_munmap, address, size);
}

/* A thread with a stack on loan. */
static int create_on_loan(create_func create, pthread_t *thread, void *(*start)(void *), void *argument)
{
	char *stack = lend(STACK);
	pthread_attr_t attributes;
	int r;

	if (stack == NULL)
		return EAGAIN;
	r = mprotect(stack, GUARD, PROT_NONE) < 0 ? EAGAIN : pthread_attr_init(&attributes);
	if (r == 0) {
		r = pthread_attr_setstack(&attributes, stack + GUARD, STACK - GUARD);
		if (r == 0)
			r = create(thread, &attributes, start, argument);
		(void)pthread_attr_destroy(&attributes);
	}
	if (r != 0)
		(void)munmap(stack, STACK);
	return r;
}

EXPORT int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes, void *(*start)(void *),
    void *restrict argument)
{
	static _Atomic create_func next;
	int r;

	if (next == NULL)
		next = (create_func)dlsym(RTLD_NEXT, "pthread_create");
	r = next(thread, attributes, start, argument);
	if (r == EAGAIN && atomic_load(&is_open) && is_openblas(__builtin_return_address(0)))
		r = create_on_loan(next, thread, start, argument);
	return r;
}
