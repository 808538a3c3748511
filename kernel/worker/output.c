/* SPDX-License-Identifier: Apache-2.0 */
/* output: the worker's end of the output ring and of the pipes on fd 1 and 2. */
#include "kernel/worker/output.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "kernel/worker/hooks.h"
#include "kernel/worker/peer.h"
#include "kernel/worker/pyapi.h"
#include "protocol/link/link.h"
#include "protocol/link/ring.h"

/* How long one sleep for room lasts: signals and the front's end are looked at in between. */
#define WAIT_SLICE_NSEC 50000000L

static struct ring_writer writer;
static uint32_t current_turn;
static unsigned n_waiting; /* threads in wait_for_room() */
static uint64_t given_back; /* head at the last output_give_back() */

#define GIVE_BACK_BYTES ((size_t)256 << 10) /* written since then: worth a system call */

static int check_ring(int fd, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(err, -errno, "descriptor %d, the output ring, is not open", fd);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < RING_SHARED_SIZE)
		return error_set(err, -EINVAL, "descriptor %d is not an output ring of %zu bytes", fd, RING_SHARED_SIZE);
	return 0;
}

/* Both readers of a pipe may find it emptied by the other. */
static int set_nonblocking(int fd, struct error *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return error_set(err, -errno, "descriptor %d, the read end of an output pipe, is not open", fd);
	return 0;
}

int output_attach(struct error *err)
{
	struct ring_shared *old = writer.shared;
	void *map;
	int r = check_ring(LINK_FD_RING, err);

	if (r < 0)
		return r;
	map = mmap(NULL, RING_SHARED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, LINK_FD_RING, 0);
	if (map == MAP_FAILED)
		return error_set(err, -errno, "cannot map the output ring");
	ring_writer_init(&writer, map);
	given_back = writer.head;
	n_waiting = 0;
	if (old != NULL)
		(void)munmap(old, RING_SHARED_SIZE);
	r = set_nonblocking(LINK_FD_STDOUT, err);
	return r < 0 ? r : set_nonblocking(LINK_FD_STDERR, err);
}

void output_set_turn(uint32_t turn)
{
	current_turn = turn;
}

uint32_t output_get_turn(void)
{
	return current_turn;
}

uint64_t output_position(void)
{
	return writer.head;
}

struct ring_shared *output_shared(void)
{
	return writer.shared;
}

/* The front is gone when the link has been hung up: nobody will ever make room. */
static void exit_without_front(void)
{
	struct pollfd link = { .fd = LINK_FD_SOCKET };

	if (poll(&link, 1, 0) == 1 && (link.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
		_exit(0);
}

static void sleep_for_room(uint32_t seq)
{
	struct timespec slice = { .tv_nsec = WAIT_SLICE_NSEC };
	PyThreadState *thread = PyEval_SaveThread();

	(void)syscall(SYS_futex, &writer.shared->reader_seq, FUTEX_WAIT, seq, &slice, NULL, 0);
	exit_without_front();
	PyEval_RestoreThread(thread);
}

/* 0, or -1 with an exception of a signal handler; "signals" false: handlers run later. */
static int wait_for_room(bool signals)
{
	struct ring_shared *shared = writer.shared;
	uint32_t seq = atomic_load(&shared->reader_seq);

	/* The reader makes room, bumps reader_seq, then looks at writer_waits: one of us sees the other. */
	n_waiting++;
	atomic_store(&shared->writer_waits, 1);
	if (writer.head - atomic_load(&shared->tail) >= RING_DATA_SIZE ||
	    writer.mark_head - atomic_load(&shared->mark_tail) >= RING_N_MARKS) {
		(void)eventfd_write(LINK_FD_DOORBELL, 1);
		sleep_for_room(seq);
	}
	if (--n_waiting == 0)
		atomic_store(&shared->writer_waits, 0);
	return signals ? PyErr_CheckSignals() : 0;
}

static int put(uint32_t turn, uint32_t stream, struct slice text, bool signals)
{
	while (text.len > 0) {
		bool ring = false;
		size_t n = ring_write(&writer, turn, stream, text.data, text.len, &ring);

		if (ring)
			(void)eventfd_write(LINK_FD_DOORBELL, 1);
		text.data += n;
		text.len -= n;
		if (text.len > 0 && wait_for_room(signals) < 0)
			return -1;
	}
	return 0;
}

/* ---- memory of the ring ---- */

bool output_is_spread(void)
{
	return writer.shared != NULL && !hooks_in_child() && writer.head - given_back >= GIVE_BACK_BYTES;
}

/* [start, end) of the ring's positions, less than the ring's size; whole pages only. */
static void punch(uint64_t start, uint64_t end)
{
	const uint64_t page = 4096;
	uint64_t first = (start + page - 1) / page * page, last = end / page * page;

	while (first < last) {
		uint64_t offset = first % RING_DATA_SIZE, n = MIN(last - first, RING_DATA_SIZE - offset);

		(void)fallocate(LINK_FD_RING, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		    (off_t)(offsetof(struct ring_shared, data) + offset), (off_t)n);
		first += n;
	}
}

/* This process is the only writer and the GIL is held, so head stands still; tail only moves on. What is not between them
 * holds nothing that anybody wants. */
void output_give_back(void)
{
	uint64_t tail = atomic_load(&writer.shared->tail);

	if (tail > writer.head || writer.head - tail > RING_DATA_SIZE)
		return;
	punch(writer.head, tail + RING_DATA_SIZE);
	given_back = writer.head;
}

static void drain_pipe(int fd, uint32_t stream)
{
	char chunk[16384];

	for (size_t total = 0; total < OUTPUT_DRAIN_MAX;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		if (peer_flush_held() < 0)
			PyErr_Clear(); /* the link is closed: the next frame says so */
		(void)put(current_turn, stream, slice_from(chunk, (size_t)n), false);
		total += (size_t)n;
	}
}

static void drain_pipes(void)
{
	drain_pipe(LINK_FD_STDOUT, RING_STDOUT);
	drain_pipe(LINK_FD_STDERR, RING_STDERR);
}

void output_drain(void)
{
	PyThreadState *thread;

	if (hooks_in_child())
		return;
	/* A full pipe makes fflush() wait for the front: not with the GIL. */
	thread = PyEval_SaveThread();
	(void)fflush(NULL);
	PyEval_RestoreThread(thread);
	(void)hooks_take_barrier();
	drain_pipes();
}

static int write_to_descriptor(int fd, struct slice text)
{
	while (text.len > 0) {
		PyThreadState *thread = PyEval_SaveThread();
		ssize_t n = write(fd, text.data, text.len);
		int error = errno;

		PyEval_RestoreThread(thread);
		if (n < 0 && error != EINTR) {
			errno = error;
			PyErr_SetFromErrno(PyExc_OSError);
			return -1;
		}
		if (n < 0 && PyErr_CheckSignals() < 0)
			return -1;
		text.data += MAX(n, 0);
		text.len -= (size_t)MAX(n, 0);
	}
	return 0;
}

int output_write(uint32_t turn, uint32_t stream, struct slice text)
{
	if (hooks_in_child() || writer.shared == NULL)
		return write_to_descriptor(stream == RING_STDERR ? 2 : 1, text);
	if (hooks_take_barrier())
		drain_pipes();
	if (peer_flush_held() < 0)
		return -1;
	return put(turn, stream, text, true);
}
