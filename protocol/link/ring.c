/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring: the output ring (specs/link.md 4).
 *
 * Order of stores: the writer publishes mark_head, then the bytes, then head; the reader loads head, then mark_head. So
 * a reader that sees bytes also sees every mark at or below their position. Room goes the other way: the reader
 * publishes tail and mark_tail after it has copied, the writer loads them before it overwrites.
 *
 * Two pairs decide about sleeping and must be sequentially consistent (each side stores its own word, then loads the
 * other's; at least one of the two sees the other): head against wake_at, and tail against writer_waits.
 */
#include "protocol/link/ring.h"

#include <string.h>

#include "protocol/base/util.h"

_Static_assert((RING_DATA_SIZE & (RING_DATA_SIZE - 1)) == 0, "positions are taken modulo a power of two");
_Static_assert((RING_N_MARKS & (RING_N_MARKS - 1)) == 0, "marks are taken modulo a power of two");

void ring_writer_init(struct ring_writer *w, struct ring_shared *shared)
{
	*w = (struct ring_writer){
		.shared = shared,
		.head = atomic_load_explicit(&shared->head, memory_order_relaxed),
		.mark_head = atomic_load_explicit(&shared->mark_head, memory_order_relaxed),
	};
	atomic_store_explicit(&shared->magic, RING_MAGIC, memory_order_release);
}

static bool writer_put_mark(struct ring_writer *w, uint32_t turn, uint32_t stream)
{
	struct ring_shared *s = w->shared;

	if (w->has_mark && w->turn == turn && w->stream == stream)
		return true;
	if (w->mark_head - atomic_load_explicit(&s->mark_tail, memory_order_acquire) >= RING_N_MARKS)
		return false;
	s->marks[w->mark_head % RING_N_MARKS] = (struct ring_mark){ w->head, turn, stream };
	atomic_store_explicit(&s->mark_head, ++w->mark_head, memory_order_release);
	w->turn = turn;
	w->stream = stream;
	w->has_mark = true;
	return true;
}

size_t ring_write(struct ring_writer *w, uint32_t turn, uint32_t stream, const char *text, size_t len, bool *ret_ring)
{
	struct ring_shared *s = w->shared;
	uint64_t used = w->head - atomic_load_explicit(&s->tail, memory_order_acquire);
	size_t at = (size_t)(w->head % RING_DATA_SIZE), n, first;
	uint64_t before = w->head, wake_at;

	*ret_ring = false;
	if (len == 0)
		return 0;
	if (used >= RING_DATA_SIZE || !writer_put_mark(w, turn, stream)) {
		*ret_ring = true;
		return 0;
	}
	n = MIN(len, (size_t)(RING_DATA_SIZE - used));
	first = MIN(n, RING_DATA_SIZE - at);
	memcpy(s->data + at, text, first);
	memcpy(s->data, text + first, n - first);
	w->head += n;
	atomic_store_explicit(&s->head, w->head, memory_order_seq_cst);
	wake_at = atomic_load_explicit(&s->wake_at, memory_order_seq_cst);
	*ret_ring = n < len || (before < wake_at && wake_at <= w->head);
	return n;
}

void ring_reader_init(struct ring_reader *r, struct ring_shared *shared)
{
	*r = (struct ring_reader){
		.shared = shared,
		.tail = atomic_load_explicit(&shared->tail, memory_order_relaxed),
		.mark_tail = atomic_load_explicit(&shared->mark_tail, memory_order_relaxed),
	};
}

/* All bytes that lie in the ring, whatever the writer claims. */
static uint64_t reader_available(struct ring_reader *r)
{
	uint64_t n = atomic_load_explicit(&r->shared->head, memory_order_seq_cst) - r->tail;

	if (n <= RING_DATA_SIZE)
		return n;
	r->n_violations++;
	return n > INT64_MAX ? 0 : RING_DATA_SIZE; /* head went back; head ran ahead */
}

static uint64_t reader_limit(const struct ring_reader *r, uint64_t available, uint64_t limit)
{
	if (limit == UINT64_MAX)
		return available;
	return limit <= r->tail ? 0 : MIN(available, limit - r->tail);
}

uint64_t ring_readable(struct ring_reader *r, uint64_t limit)
{
	return reader_limit(r, reader_available(r), limit);
}

/* Each word is read once: the writer may change it between a check and a use. */
static struct ring_mark reader_copy_mark(const struct ring_reader *r)
{
	const struct ring_mark *m = &r->shared->marks[r->mark_tail % RING_N_MARKS];

	return (struct ring_mark){
		__atomic_load_n(&m->pos, __ATOMIC_RELAXED),
		__atomic_load_n(&m->turn, __ATOMIC_RELAXED),
		__atomic_load_n(&m->stream, __ATOMIC_RELAXED),
	};
}

/*
 * Takes the marks up to tail into force and returns the distance to the next one (UINT64_MAX: none). An honest mark
 * lies at or above tail, because bytes are never read across a mark, and at most one ring ahead of it; what does
 * not is passed over.
 */
static uint64_t reader_take_marks(struct ring_reader *r)
{
	uint64_t ahead = atomic_load_explicit(&r->shared->mark_head, memory_order_acquire) - r->mark_tail;

	if (ahead > RING_N_MARKS) {
		r->n_violations++;
		return UINT64_MAX;
	}
	for (; ahead > 0; ahead--, r->mark_tail++) {
		struct ring_mark m = reader_copy_mark(r);

		if (m.pos - r->tail > RING_DATA_SIZE || m.stream > RING_STDERR) {
			r->n_violations++;
			continue;
		}
		if (m.pos > r->tail)
			return m.pos - r->tail;
		r->turn = m.turn;
		r->stream = m.stream;
	}
	return UINT64_MAX;
}

bool ring_peek(struct ring_reader *r, uint64_t limit, struct slice *ret_text, uint32_t *ret_turn, uint32_t *ret_stream)
{
	uint64_t n = ring_readable(r, limit);
	size_t at = (size_t)(r->tail % RING_DATA_SIZE);

	if (n == 0)
		return false;
	n = MIN(n, reader_take_marks(r));
	n = MIN(n, (uint64_t)(RING_DATA_SIZE - at));
	*ret_text = slice_from(r->shared->data + at, (size_t)n);
	*ret_turn = r->turn;
	*ret_stream = r->stream;
	return true;
}

void ring_consume(struct ring_reader *r, size_t len)
{
	struct ring_shared *s = r->shared;

	r->tail += len;
	atomic_store_explicit(&s->mark_tail, r->mark_tail, memory_order_release);
	atomic_store_explicit(&s->tail, r->tail, memory_order_release);
	atomic_fetch_add_explicit(&s->reader_seq, 1, memory_order_seq_cst);
}

bool ring_writer_waits(const struct ring_reader *r)
{
	return atomic_load_explicit(&r->shared->writer_waits, memory_order_seq_cst) != 0;
}

void ring_set_wake(struct ring_reader *r, uint64_t bytes_from_tail)
{
	uint64_t at = bytes_from_tail > UINT64_MAX - r->tail ? UINT64_MAX : r->tail + bytes_from_tail;

	atomic_store_explicit(&r->shared->wake_at, at, memory_order_seq_cst);
}
