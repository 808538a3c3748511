/* SPDX-License-Identifier: Apache-2.0 */
/* peer: the worker's end of its links: whole frames in and out, for Python. */
#include "kernel/worker/peer.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "kernel/worker/hooks.h"
#include "kernel/worker/output.h"
#include "kernel/worker/pack.h"
#include "kernel/worker/uplink.h"
#include "protocol/base/clock.h"

#define READ_SIZE ((size_t)65536)   /* asked for at once, and kept between frames */
#define KEEP_SIZE ((size_t)1 << 20) /* a write buffer up to this size is kept */
#define MAX_DESCRIPTORS 4           /* waiting for the ATTACH they belong to */

struct peer {
	int fd;
	bool reading; /* a thread is inside peer_recv() */
	struct buffer in;
	int fds[MAX_DESCRIPTORS];
	unsigned n_fds;
	pthread_mutex_t lock; /* of writing; taken without the GIL when it is not free */
	struct buffer held;   /* whole frames that leave with the next one, or before the next wait */
};

#define HELD_MAX ((size_t)64 << 10)
#define GIVE_BACK_USEC (100 * USEC_PER_MSEC) /* idle time after which the ring's pages go */

static struct peer *peers[PEER_MAX];
static struct buffer spare; /* for encoding; whoever encodes takes it */
static PyObject *closed_class;
static PyObject *too_large_class;
static size_t frame_limit = LINK_MAX_BODY;
static bool something_held; /* perhaps: on some link */

int peer_init(void)
{
	if (closed_class == NULL)
		closed_class = PyErr_NewExceptionWithDoc("_husk.Closed", "The other end of a link is gone.", NULL, NULL);
	if (too_large_class == NULL)
		too_large_class = PyErr_NewExceptionWithDoc("_husk.TooLarge", "A frame has more bytes than it may have.",
		    PyExc_ValueError, NULL);
	return closed_class != NULL && too_large_class != NULL ? 0 : -1;
}

PyObject *peer_too_large_class(void)
{
	return too_large_class;
}

size_t peer_limit(size_t bytes)
{
	if (bytes > 0)
		frame_limit = MIN(bytes, (size_t)LINK_MAX_BODY);
	return frame_limit;
}

PyObject *peer_closed_class(void)
{
	return closed_class;
}

/* ---- the table ---- */

static struct peer *peer_free(struct peer *p)
{
	if (p == NULL)
		return NULL;
	for (unsigned i = 0; i < p->n_fds; i++)
		(void)close(p->fds[i]);
	buffer_deinit(&p->in);
	buffer_deinit(&p->held);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
	return NULL;
}

static struct peer **peer_slot(int fd)
{
	struct peer **unused = NULL;

	for (size_t i = 0; i < PEER_MAX; i++) {
		if (peers[i] != NULL && peers[i]->fd == fd)
			return &peers[i];
		if (peers[i] == NULL && unused == NULL)
			unused = &peers[i];
	}
	return unused;
}

/* The state of this link, made when there is none. NULL with an exception. */
static struct peer *peer_get(int fd)
{
	struct peer **slot = peer_slot(fd);

	if (slot == NULL) {
		PyErr_Format(PyExc_OSError, "%d links are open, no more are allowed", PEER_MAX);
		return NULL;
	}
	if (*slot == NULL) {
		*slot = calloc(1, sizeof(**slot));
		if (*slot == NULL) {
			PyErr_NoMemory();
			return NULL;
		}
		(*slot)->fd = fd;
		(*slot)->in.max = LINK_MAX_BODY + LINK_HEADER_SIZE + READ_SIZE;
		(void)pthread_mutex_init(&(*slot)->lock, NULL);
	}
	return *slot;
}

/* The number names a new link, or none: what was read from the old one is void. */
static void peer_forget(int fd)
{
	struct peer **slot = peer_slot(fd);

	/* A mutex that somebody holds stays; it is the writer's, who will find the link closed. */
	if (slot == NULL || *slot == NULL || pthread_mutex_trylock(&(*slot)->lock) != 0)
		return;
	(void)pthread_mutex_unlock(&(*slot)->lock);
	*slot = peer_free(*slot);
}

void peer_adopt(void)
{
	for (size_t i = 0; i < PEER_MAX; i++) {
		if (peers[i] == NULL)
			continue;
		/* Its lock may be held by a thread that does not exist here. */
		(void)pthread_mutex_init(&peers[i]->lock, NULL);
		peers[i]->n_fds = 0;
		peers[i] = peer_free(peers[i]);
	}
}

static int set_closed(int fd)
{
	PyErr_Format(closed_class, "the other end of link %d is gone", fd);
	return -1;
}

static int set_broken(int fd, const char *reason)
{
	PyErr_Format(PyExc_ValueError, "the other end of link %d broke the protocol: %s", fd, reason);
	return -1;
}

static int refuse_in_child(int fd)
{
	if (!hooks_in_child())
		return 0;
	PyErr_Format(closed_class, "link %d belongs to the process that this one was forked from", fd);
	return -1;
}

/* ---- in ---- */

/* Bytes to ask for: the rest of the frame at the front of the buffer, or a piece. 0: a whole frame is there. */
static int frame_missing(struct peer *p, size_t *ret_missing)
{
	struct link_header header;
	size_t size;
	int r = link_header_parse(buffer_slice(&p->in), LINK_DOWN, &header);

	if (r == LINK_E_MORE) {
		*ret_missing = READ_SIZE;
		return 0;
	}
	if (r != 0)
		return set_broken(p->fd, link_strerror(r));
	size = LINK_HEADER_SIZE + (size_t)header.body_len;
	*ret_missing = p->in.len >= size ? 0 : MAX(size - p->in.len, READ_SIZE);
	return 0;
}

static void take_descriptors(struct peer *p, struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (p->n_fds < MAX_DESCRIPTORS)
				p->fds[p->n_fds++] = fd;
			else
				(void)close(fd);
		}
	}
}

/* Bytes read, 0 at the end, or -errno. */
static ssize_t read_some(struct peer *p, int flags)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * MAX_DESCRIPTORS)];
	} control;
	struct iovec iov = { p->in.data + p->in.len, p->in.size - p->in.len };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(p->fd, &message, flags | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	p->in.len += (size_t)n;
	take_descriptors(p, &message);
	return n;
}

/* 1: the link is readable; 0: time has passed or "also" is readable; -EINTR; -errno. */
static int poll_link(int fd, uint64_t deadline, int also)
{
	struct pollfd fds[2] = { { .fd = fd, .events = POLLIN }, { .fd = also, .events = POLLIN } };
	int timeout = -1;
	int r;

	if (deadline != USEC_NEVER) {
		uint64_t now = clock_monotonic_usec();
		uint64_t left = deadline > now ? (deadline - now + 999) / USEC_PER_MSEC : 0;

		timeout = (int)MIN(left, (uint64_t)INT32_MAX);
	}
	r = poll(fds, 2, timeout);
	if (r < 0)
		return -errno;
	/* The other descriptor wins: a busy link must not starve what the caller waits for. */
	return fds[1].revents == 0 && fds[0].revents != 0;
}

/* 1: bytes came; 0: time has passed or "also"; -1 with an exception. Called with room in the buffer. */
static int wait_for_bytes(struct peer *p, uint64_t deadline, int also)
{
	for (;;) {
		PyThreadState *thread = PyEval_SaveThread();
		ssize_t r = deadline == USEC_NEVER && also < 0 ? 1 : poll_link(p->fd, deadline, also);

		if (r == 1) {
			r = read_some(p, deadline == USEC_NEVER && also < 0 ? 0 : MSG_DONTWAIT);
			if (r == 0)
				r = -EPIPE;
			else if (r == -EAGAIN) /* the socket is non-blocking, or somebody else has read */
				r = poll_link(p->fd, deadline, -1) < 0 ? -EINTR : -EAGAIN;
		}
		PyEval_RestoreThread(thread);
		if (r == -EPIPE)
			return set_closed(p->fd);
		if (r >= 0)
			return r > 0;
		if (r != -EINTR && r != -EAGAIN) {
			errno = (int)-r;
			PyErr_SetFromErrno(PyExc_OSError);
			return -1;
		}
		if (PyErr_CheckSignals() < 0)
			return -1;
	}
}

static PyObject *take_descriptor_list(struct peer *p, enum link_type type)
{
	_py_ref_ PyObject *list = PyList_New(0);
	_py_ref_ PyObject *number = NULL;
	int fd;

	if (list == NULL || type != LINK_ATTACH)
		return STEAL(list);
	if (p->n_fds == 0) {
		(void)set_broken(p->fd, "no descriptor came with ATTACH");
		return NULL;
	}
	fd = p->fds[0];
	memmove(p->fds, p->fds + 1, --p->n_fds * sizeof(p->fds[0]));
	peer_forget(fd);
	number = PyLong_FromLong(fd);
	if (number == NULL || PyList_Append(list, number) < 0) {
		(void)close(fd);
		return NULL;
	}
	return STEAL(list);
}

static PyObject *decode_fields(struct peer *p, enum link_type type, struct slice body)
{
	_py_ref_ PyObject *fields = NULL;
	struct msgpack_reader reader;
	uint32_t n;

	if (link_body_open(type, body, &reader, &n) < 0) {
		(void)set_broken(p->fd, "the body of a frame is not what its type says");
		return NULL;
	}
	fields = PyList_New((Py_ssize_t)n);
	for (uint32_t i = 0; fields != NULL && i < n; i++) {
		PyObject *field = pack_decode(&reader);

		if (field == NULL || PyList_SetItem(fields, (Py_ssize_t)i, field) < 0)
			return NULL;
	}
	return STEAL(fields);
}

/* The frame at the front of the buffer, which is whole. */
static PyObject *take_frame(struct peer *p)
{
	_py_ref_ PyObject *fields = NULL;
	_py_ref_ PyObject *descriptors = NULL;
	struct link_header header;
	size_t size;

	if (link_header_parse(buffer_slice(&p->in), LINK_DOWN, &header) != 0)
		return NULL; /* not reached: frame_missing() has parsed it */
	size = LINK_HEADER_SIZE + (size_t)header.body_len;
	fields = decode_fields(p, header.type, slice_from(p->in.data + LINK_HEADER_SIZE, header.body_len));
	if (fields == NULL && PyErr_ExceptionMatches(PyExc_MemoryError))
		return NULL; /* it is there still when there is memory again */
	buffer_consume(&p->in, size);
	if (p->in.len == 0 && p->in.size > 2 * READ_SIZE)
		buffer_deinit(&p->in);
	if (fields == NULL)
		return NULL;
	descriptors = take_descriptor_list(p, header.type);
	if (descriptors == NULL)
		return NULL;
	return Py_BuildValue("(iOO)", (int)header.type, fields, descriptors);
}

static PyObject *recv_frame(struct peer *p, uint64_t deadline, int also)
{
	bool spread = p->fd == LINK_FD_SOCKET && deadline == USEC_NEVER && output_is_spread();

	for (;;) {
		size_t missing;
		int r = frame_missing(p, &missing);

		if (r < 0)
			return NULL;
		if (missing == 0)
			return take_frame(p);
		if (buffer_reserve(&p->in, missing) < 0)
			return PyErr_NoMemory();
		r = wait_for_bytes(p, spread ? clock_monotonic_usec() + GIVE_BACK_USEC : deadline, also);
		if (r < 0)
			return NULL;
		if (r == 0 && spread) {
			output_give_back();
			spread = false;
			continue;
		}
		if (r == 0)
			Py_RETURN_NONE;
	}
}

static int flush_held(struct peer *p);

PyObject *peer_recv(int fd, uint64_t timeout_usec, int also)
{
	struct peer *p;
	PyObject *frame;
	uint64_t deadline = USEC_NEVER;

	if (refuse_in_child(fd) < 0 || (p = peer_get(fd)) == NULL)
		return NULL;
	if (p->reading) {
		PyErr_Format(PyExc_RuntimeError, "link %d is being read by another thread", fd);
		return NULL;
	}
	if (timeout_usec != USEC_NEVER)
		deadline = clock_monotonic_usec() + timeout_usec;
	if (flush_held(p) < 0)
		return NULL;
	p->reading = true;
	frame = recv_frame(p, deadline, also);
	p->reading = false;
	if (frame == NULL && fd != LINK_FD_SOCKET && PyErr_ExceptionMatches(closed_class))
		peer_forget(fd);
	return frame;
}

int peer_pending(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	struct peer *p;

	if (refuse_in_child(fd) < 0 || (p = peer_get(fd)) == NULL)
		return -1;
	return p->in.len > 0 || (poll(&poll_fd, 1, 0) == 1 && poll_fd.revents != 0);
}

/* ---- out ---- */

static int write_frame(struct peer *p, struct slice frame)
{
	PyThreadState *thread;
	int r = -EAGAIN;

	/* The usual case: nobody else is writing, and the socket has room. */
	if (pthread_mutex_trylock(&p->lock) == 0) {
		r = uplink_send_now(p->fd, &frame);
		if (r != -EAGAIN) {
			(void)pthread_mutex_unlock(&p->lock);
			return r;
		}
		thread = PyEval_SaveThread();
	} else {
		thread = PyEval_SaveThread();
		(void)pthread_mutex_lock(&p->lock);
	}
	r = uplink_send(p->fd, frame);
	(void)pthread_mutex_unlock(&p->lock);
	PyEval_RestoreThread(thread);
	return r;
}

static bool is_upward(enum link_type type)
{
	static const struct {
		enum link_type type;
		enum link_direction direction;
	} types[] = {
#define LINK(name, number, direction, max, fields) { LINK_##name, LINK_##direction },
#include "protocol/link/link.def"
#undef LINK
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (types[i].type == type)
			return types[i].direction == LINK_UP;
	}
	return false;
}

static int set_too_large(enum link_type type, size_t size)
{
	PyErr_Format(too_large_class, "a frame of type %s (%d) with %zu bytes cannot be sent: at most %zu are allowed",
	    link_type_name(type), (int)type, size, frame_limit);
	return -1;
}

static int encode_frame(struct buffer *out, enum link_type type, PyObject *fields)
{
	size_t begin = link_frame_begin(out);
	size_t size;
	int r;

	if (!is_upward(type)) {
		PyErr_Format(PyExc_ValueError, "frame type %d is none that a worker sends", (int)type);
		return -1;
	}
	if (!PyList_Check(fields) && !PyTuple_Check(fields)) {
		PyErr_SetString(PyExc_TypeError, "the fields of a frame must be a tuple or a list");
		return -1;
	}
	if (pack_encode(out, fields) < 0)
		return -1;
	size = out->len - begin - LINK_HEADER_SIZE;
	if (type != LINK_DISPLAY && type != LINK_PUBLISH && out->failed == 0 && size > frame_limit) {
		out->len = begin;
		return set_too_large(type, size);
	}
	r = link_frame_end(out, begin, type, output_position());
	if (r == -ENOMEM) {
		PyErr_NoMemory();
		return -1;
	}
	return r < 0 ? set_too_large(type, size) : 0;
}

static int report_send(int fd, int r)
{
	if (r == 0)
		return 0;
	if (r == -EPIPE || r == -ECONNRESET)
		return set_closed(fd);
	errno = -r;
	PyErr_SetFromErrno(PyExc_OSError);
	return -1;
}

static struct buffer take_spare(void)
{
	struct buffer out = spare;

	spare = BUFFER_INIT(LINK_MAX_BODY + LINK_HEADER_SIZE);
	out.max = spare.max;
	buffer_reset(&out);
	return out;
}

static void give_spare(struct buffer *out)
{
	if (spare.data != NULL || out->size > KEEP_SIZE)
		buffer_deinit(out);
	else
		spare = *out;
}

static int flush_held(struct peer *p)
{
	struct buffer out;
	int r;

	if (p->held.len == 0)
		return 0;
	something_held = false;
	out = p->held;
	p->held = (struct buffer){ 0 };
	r = report_send(p->fd, write_frame(p, buffer_slice(&out)));
	give_spare(&out);
	return r;
}

/* Encodes behind the held frames; these stay held when it fails. */
static int encode_held(struct peer *p, enum link_type type, PyObject *fields)
{
	size_t begin = p->held.len;
	int r;

	if (p->held.data == NULL)
		p->held = take_spare();
	r = encode_frame(&p->held, type, fields);
	if (r < 0) {
		p->held.len = begin;
		p->held.failed = 0;
	}
	return r;
}

int peer_send(int fd, enum link_type type, PyObject *fields)
{
	struct peer *p;

	if (refuse_in_child(fd) < 0 || (p = peer_get(fd)) == NULL || encode_held(p, type, fields) < 0)
		return -1;
	return flush_held(p);
}

int peer_hold(int fd, enum link_type type, PyObject *fields)
{
	struct peer *p;

	if (refuse_in_child(fd) < 0 || (p = peer_get(fd)) == NULL || encode_held(p, type, fields) < 0)
		return -1;
	something_held = true;
	return p->held.len < HELD_MAX ? 0 : flush_held(p);
}

int peer_flush_held(void)
{
	if (!something_held)
		return 0;
	something_held = false;
	for (size_t i = 0; i < PEER_MAX; i++)
		if (peers[i] != NULL && flush_held(peers[i]) < 0)
			return -1;
	return 0;
}
