/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring: the output ring, shared memory from one worker (writer) to its front (reader) (specs/link.md 4).
 *
 * Text lies in data[] as plain bytes, addressed by positions that only grow (offset = position mod RING_DATA_SIZE).
 * Which stream and turn a byte belongs to is said by marks: mark i says "from position pos on: turn, stream". A writer
 * adds a mark, then the bytes, then advances head; so whoever sees a head has seen the marks below it.
 *
 * The reader trusts nothing: it reads each index once, clamps it, and copies before it interprets. A writer that
 * scribbles here harms only its own text. No function makes a system call; waking (futex, eventfd) is the caller's.
 */
#ifndef HUSK_LINK_RING_H
#define HUSK_LINK_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/slice.h"

#define RING_DATA_SIZE (2u << 20) /* a power of two */
#define RING_N_MARKS 1024u        /* a power of two */
#define RING_MAGIC 0x6b737568u    /* "husk" */
#define RING_SHELL_MOST ((uint64_t)64 << 20) /* bytes of shell_bytes that count */

enum { RING_STDOUT = 0, RING_STDERR = 1 };

enum ring_reason {
#define REASON(name, ...) RING_REASON_##name,
#include "protocol/link/reason.def"
#undef REASON
	RING_REASON_COUNT
};

struct ring_mark {
	uint64_t pos;
	uint32_t turn;
	uint32_t stream; /* RING_STDOUT, RING_STDERR */
};

/* The shared layout. Each side writes only its own part. */
struct ring_shared {
	/* written by the worker */
	_Alignas(64) _Atomic uint32_t magic; /* RING_MAGIC once attached */
	_Atomic uint32_t writer_waits;       /* futex flag: 1 while the writer sleeps on reader_seq */
	_Atomic uint64_t head;               /* bytes written */
	_Atomic uint64_t mark_head;          /* marks written */
	_Atomic uint32_t interrupt_seen;     /* how many interrupts the worker's handler has run for (diagnostic) */
	_Atomic uint64_t shell_bytes;        /* of memory that the building of the shell has taken (specs/link.md 6.2) */
	/* written by the front */
	_Alignas(64) _Atomic uint64_t tail;  /* bytes consumed */
	_Atomic uint64_t mark_tail;          /* marks consumed */
	_Atomic uint64_t wake_at;            /* writer rings the doorbell when head reaches it; UINT64_MAX: never */
	_Atomic uint32_t reader_seq;         /* futex word, bumped when room was made */
	_Atomic uint32_t interrupt_turn;     /* which turn the front wants interrupted; 0: none (specs/link.md 5) */
	_Atomic uint32_t interrupt_stage;    /* 0 none, 1 raise, 2 sticky trace and raise */
	_Atomic uint32_t interrupt_reason;   /* enum ring_reason */
	_Atomic uint64_t interrupt_limit;    /* what the message of the exception says, in the unit of reason.def */
	_Atomic uint64_t interrupt_used;
	_Alignas(64) struct ring_mark marks[RING_N_MARKS];
	_Alignas(4096) unsigned char data[RING_DATA_SIZE];
};

#define RING_SHARED_SIZE sizeof(struct ring_shared)

/* Writer. */
struct ring_writer {
	struct ring_shared *shared;
	uint64_t head;
	uint64_t mark_head;
	uint32_t turn;   /* of the last mark */
	uint32_t stream;
	bool has_mark;
};

void ring_writer_init(struct ring_writer *w, struct ring_shared *shared); /* continues from the shared indices */

/*
 * Copies as much of text as fits now; returns the bytes taken (0: full). *ret_ring is always written: true when this
 * call made the doorbell due, because head reached wake_at or because not everything fitted. Before a writer sleeps it
 * reads reader_seq, sets writer_waits, tries once more, and only then waits for reader_seq to differ from what it read.
 */
size_t ring_write(struct ring_writer *w, uint32_t turn, uint32_t stream, const char *text, size_t len, bool *ret_ring);

/* Reader. */
struct ring_reader {
	struct ring_shared *shared;
	uint64_t tail;
	uint64_t mark_tail;
	uint32_t turn; /* in force at tail */
	uint32_t stream;
	unsigned n_violations; /* indices or marks that no honest writer makes */
};

void ring_reader_init(struct ring_reader *r, struct ring_shared *shared);

/* Bytes that can be read now, clamped to RING_DATA_SIZE and, unless limit is UINT64_MAX, to positions below limit. */
uint64_t ring_readable(struct ring_reader *r, uint64_t limit);

/* One contiguous piece with one turn and stream, at most limit (a position). False when there is none. The slice
 * points into shared memory: copy it before use, once (json_encode_chunk() does). ring_consume() consumes it. */
bool ring_peek(struct ring_reader *r, uint64_t limit, struct slice *ret_text, uint32_t *ret_turn, uint32_t *ret_stream);
void ring_consume(struct ring_reader *r, size_t len); /* publishes tail, bumps reader_seq */
bool ring_writer_waits(const struct ring_reader *r);  /* a futex wake on reader_seq is due */
/* UINT64_MAX: never. Call ring_readable() after it and before waiting: a head that is there already does not ring. */
void ring_set_wake(struct ring_reader *r, uint64_t bytes_from_tail);

#endif
