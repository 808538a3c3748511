/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output: ring and pipes to stream messages.
 *
 * Order. Ring text is in order by itself. A pipe is read only after the ring was emptied, and what was read is
 * appended at once; the worker copies the pipes into the ring before it prints after a wait. Together: what a child
 * wrote before it was waited for stands before what the cell printed afterwards (specs/link.md 4.5).
 *
 * Wake-ups. While a deadline is set the ring rings only at OUTPUT_MESSAGE_BYTES; with nothing pending and no deadline
 * it rings at the first byte. Thus a short turn never rings, a flood rings once per message, and idle costs nothing.
 */
#include "kernel/front/output.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/log.h"
#include "protocol/wire/json.h"

#define PULL_BYTES ((size_t)1 << 20) /* per wake-up: control must be answered in a flood */
#define PIPE_BYTES ((size_t)64 << 10)

struct output {
	struct sender *sender;
	struct turns *turns;
	struct ring_shared *shared;
	struct ring_reader ring;
	int ring_fd;
	int pipes[2];
	uint32_t turn;         /* newest turn: owner of pipe text */
	struct buffer content; /* of the message being made: prefix and escaped text */
	uint32_t content_turn;
	uint32_t content_stream;
	size_t content_raw;    /* text bytes in it */
	char carry[4];         /* start of a character whose rest has not come yet */
	size_t n_carry;
	uint64_t deadline;
	bool held; /* a pull was put off because subscribers are slow */
	uint64_t limit_plus1; /* the next pull goes no further than this position; 0: no limit */
	const struct output_gate *gate; /* NULL: everything is published */
	void *gate_data;
	char tail[OUTPUT_TAIL_BYTES * 2];
	size_t n_tail;
	char pipe_bytes[PIPE_BYTES];
};

static const char *const stream_names[] = { [RING_STDOUT] = "stdout", [RING_STDERR] = "stderr" };

int output_new(struct turns *turns, struct output **ret)
{
	struct output *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->turns = turns;
	o->ring_fd = o->pipes[0] = o->pipes[1] = -1;
	o->deadline = USEC_NEVER;
	/* Just under a message, then a whole piece, each byte as \u00XX: 12 times the size. */
	o->content = BUFFER_INIT(OUTPUT_MESSAGE_BYTES * 16);
	*ret = o;
	return 0;
}

struct output *output_free(struct output *o)
{
	if (!o)
		return NULL;
	output_detach(o);
	buffer_deinit(&o->content);
	free(o);
	return NULL;
}

void output_set_sender(struct output *o, struct sender *s)
{
	o->sender = s;
}

void output_set_gate(struct output *o, const struct output_gate *gate, void *data)
{
	o->gate = gate;
	o->gate_data = data;
}

int output_attach(struct output *o, const int pipes[2], int *ret_ring_fd)
{
	int fd = memfd_create("husk-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *map;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)RING_SHARED_SIZE) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ||
	    (map = mmap(NULL, RING_SHARED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	o->shared = map;
	o->ring_fd = fd;
	o->pipes[0] = pipes[0];
	o->pipes[1] = pipes[1];
	o->n_tail = 0;
	o->deadline = USEC_NEVER;
	o->held = false;
	ring_reader_init(&o->ring, o->shared);
	ring_set_wake(&o->ring, 1);
	*ret_ring_fd = fd;
	return 0;
}

void output_detach(struct output *o)
{
	if (o->shared)
		(void)munmap(o->shared, RING_SHARED_SIZE);
	if (o->ring_fd >= 0)
		(void)close(o->ring_fd);
	o->shared = NULL;
	o->ring_fd = o->pipes[0] = o->pipes[1] = -1;
	o->deadline = USEC_NEVER;
}

struct ring_shared *output_ring(struct output *o)
{
	return o->shared;
}

static void publish_content(struct output *o)
{
	struct outgoing out = { .msg_type = "stream", .content = &o->content, .bulk = true };
	char topic[16];

	if (!o->content_raw)
		return;
	buffer_append_str(&o->content, "\"}");
	out.parent = turns_header(o->turns, o->content_turn);
	(void)snprintf(topic, sizeof(topic), "stream.%s", stream_names[o->content_stream]);
	sender_publish(o->sender, topic, &out);
	buffer_reset(&o->content);
	o->content_raw = 0;
	if (o->gate)
		o->gate->shown(o->gate_data, o->content_turn);
}

static void start_content(struct output *o)
{
	if (o->content.len)
		return;
	buffer_append_str(&o->content, "{\"name\":\"");
	buffer_append_str(&o->content, stream_names[o->content_stream]);
	buffer_append_str(&o->content, "\",\"text\":\"");
}

/* final: the stream's text ends here, so an unfinished character will never be finished. What stood before it may have left already. */
static void flush(struct output *o, bool final)
{
	if (final && o->n_carry) {
		start_content(o);
		(void)json_encode_chunk(&o->content, slice_from(o->carry, o->n_carry), true);
		o->content_raw += o->n_carry;
		o->n_carry = 0;
	}
	publish_content(o);
}

/* Completes the carried character with the first bytes of text; returns how many of them were used. */
static size_t finish_carry(struct output *o, struct slice text)
{
	char joined[8];
	size_t n = MIN(text.len, sizeof(joined) - o->n_carry), used;

	memcpy(joined, o->carry, o->n_carry);
	memcpy(joined + o->n_carry, text.data, n);
	used = json_encode_chunk(&o->content, slice_from(joined, o->n_carry + n), false);
	o->content_raw += used;
	if (used >= o->n_carry) {
		size_t from_text = used - o->n_carry;

		o->n_carry = 0;
		return from_text;
	}
	/* Not even the carried bytes: the whole text was too short to decide. */
	memmove(joined, joined + used, o->n_carry + n - used);
	o->n_carry = o->n_carry + n - used;
	memcpy(o->carry, joined, MIN(o->n_carry, sizeof(o->carry)));
	return n;
}

static void keep_tail(struct output *o, struct slice text)
{
	if (text.len > OUTPUT_TAIL_BYTES)
		text = slice_from(text.data + text.len - OUTPUT_TAIL_BYTES, OUTPUT_TAIL_BYTES);
	if (o->n_tail + text.len > sizeof(o->tail)) {
		memmove(o->tail, o->tail + o->n_tail - OUTPUT_TAIL_BYTES, OUTPUT_TAIL_BYTES);
		o->n_tail = OUTPUT_TAIL_BYTES;
	}
	memcpy(o->tail + o->n_tail, text.data, text.len);
	o->n_tail += text.len;
}

static void append(struct output *o, uint32_t turn, uint32_t stream, struct slice text)
{
	size_t used = 0;

	if (stream == RING_STDERR)
		keep_tail(o, text);
	if (o->gate)
		text.len = o->gate->admit(o->gate_data, turn, stream, text);
	if (!text.len)
		return;
	if (turn != o->content_turn || stream != o->content_stream) {
		flush(o, true);
		o->content_turn = turn;
		o->content_stream = stream;
	}
	start_content(o);
	while (o->n_carry && used < text.len)
		used += finish_carry(o, slice_from(text.data + used, text.len - used));
	if (used < text.len) {
		struct slice rest = slice_from(text.data + used, text.len - used);
		size_t taken = json_encode_chunk(&o->content, rest, false);

		o->content_raw += taken;
		o->n_carry = MIN(rest.len - taken, sizeof(o->carry));
		memcpy(o->carry, rest.data + taken, o->n_carry);
	}
	if (o->content_raw >= OUTPUT_MESSAGE_BYTES)
		flush(o, false);
}

static void wake_writer(struct output *o)
{
	if (ring_writer_waits(&o->ring))
		(void)syscall(SYS_futex, &o->shared->reader_seq, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Ring text below the limit, at most n bytes; returns what was taken. What is written meanwhile waits for the next
 * call: a writer that is faster than us would otherwise keep the loop here for ever. */
static size_t pull_ring(struct output *o, uint64_t limit, size_t n)
{
	struct slice text;
	uint32_t turn, stream;
	size_t done = 0;

	if (!o->shared)
		return 0;
	n = MIN(n, (size_t)ring_readable(&o->ring, limit));
	while (done < n && ring_peek(&o->ring, limit, &text, &turn, &stream)) {
		text.len = MIN(MIN(text.len, OUTPUT_MESSAGE_BYTES), n - done);
		append(o, turn, stream > RING_STDERR ? RING_STDOUT : stream, text);
		ring_consume(&o->ring, text.len);
		done += text.len;
		wake_writer(o);
	}
	return done;
}

static bool has_pending(const struct output *o)
{
	return o->content_raw > 0;
}

/* Decides when the front looks next. The ring is asked again after the mark was set: text may have come before. */
static bool rearm(struct output *o, uint64_t now)
{
	if (has_pending(o) && o->deadline == USEC_NEVER)
		o->deadline = now + OUTPUT_DELAY_USEC;
	if (!o->shared)
		return false;
	ring_set_wake(&o->ring, o->deadline == USEC_NEVER ? 1 : OUTPUT_MESSAGE_BYTES);
	return ring_readable(&o->ring, UINT64_MAX) >= (o->deadline == USEC_NEVER ? 1 : OUTPUT_MESSAGE_BYTES);
}

uint64_t output_head(struct output *o)
{
	return o->shared ? o->ring.tail + ring_readable(&o->ring, UINT64_MAX) : 0;
}

uint64_t output_tail(const struct output *o)
{
	return o->shared ? o->ring.tail : 0;
}

void output_limit_next_pull(struct output *o, uint64_t head)
{
	o->limit_plus1 = head + 1;
}

static uint64_t take_limit(struct output *o)
{
	uint64_t limit = o->limit_plus1 - 1; /* without one: UINT64_MAX */

	o->limit_plus1 = 0;
	return limit;
}

bool output_pull(struct output *o, uint64_t now)
{
	uint64_t limit = take_limit(o);
	size_t n = 0;

	if (sender_is_blocked(o->sender, now)) {
		if (o->shared)
			ring_set_wake(&o->ring, UINT64_MAX);
		o->deadline = USEC_NEVER;
		o->held = true;
		return false;
	}
	o->held = false;
	n = pull_ring(o, limit, PULL_BYTES);
	if (now >= o->deadline) {
		flush(o, false);
		o->deadline = n ? now + OUTPUT_DELAY_USEC : USEC_NEVER;
	}
	return rearm(o, now) || n >= PULL_BYTES;
}

bool output_pull_pipe(struct output *o, int which, uint64_t now)
{
	uint64_t limit = take_limit(o);
	ssize_t n;

	if (o->pipes[which] < 0 || sender_is_blocked(o->sender, now))
		return false;
	(void)pull_ring(o, limit, SIZE_MAX);
	n = read(o->pipes[which], o->pipe_bytes, sizeof(o->pipe_bytes));
	if (n > 0)
		append(o, o->turn, (uint32_t)which, slice_from(o->pipe_bytes, (size_t)n));
	(void)rearm(o, now);
	return n == (ssize_t)sizeof(o->pipe_bytes);
}

void output_begin(struct output *o, uint32_t turn, uint64_t now)
{
	(void)pull_ring(o, UINT64_MAX, SIZE_MAX);
	flush(o, true);
	o->n_tail = 0;
	o->turn = turn;
	o->deadline = now + OUTPUT_DELAY_USEC;
	if (o->shared)
		ring_set_wake(&o->ring, OUTPUT_MESSAGE_BYTES);
}

void output_barrier(struct output *o, uint64_t ring_pos)
{
	(void)pull_ring(o, ring_pos, SIZE_MAX);
	flush(o, true);
}

bool output_has_reached(const struct output *o, uint64_t ring_pos)
{
	return !o->shared || o->ring.tail >= ring_pos;
}

void output_idle(struct output *o)
{
	o->deadline = USEC_NEVER;
	if (!o->shared)
		return;
	if (rearm(o, clock_monotonic_usec()))
		(void)output_pull(o, clock_monotonic_usec());
}

bool output_is_held(const struct output *o)
{
	return o->held;
}

bool output_is_broken(const struct output *o)
{
	return o->shared && o->ring.n_violations;
}

uint64_t output_deadline(const struct output *o)
{
	return o->deadline;
}

void output_drain_all(struct output *o)
{
	size_t total = 0;

	(void)pull_ring(o, UINT64_MAX, SIZE_MAX);
	for (int which = 0; which < 2; which++)
		while (o->pipes[which] >= 0 && total < RING_DATA_SIZE) {
			ssize_t n = read(o->pipes[which], o->pipe_bytes, sizeof(o->pipe_bytes));

			if (n <= 0)
				break;
			total += (size_t)n;
			append(o, o->turn, (uint32_t)which, slice_from(o->pipe_bytes, (size_t)n));
		}
	flush(o, true);
}

struct slice output_stderr_tail(struct output *o)
{
	size_t n = MIN(o->n_tail, OUTPUT_TAIL_BYTES);

	return slice_from(o->tail + o->n_tail - n, n);
}
