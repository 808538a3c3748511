/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-ring: an honest writer whose shared words are scribbled over between any two steps; the reader stays in bounds. */
#include "protocol/base/util.h"
#include "protocol/link/ring.h"
#include "tests/fuzz/fuzz.h"

static struct ring_shared ring;
static const char text[65536];

static void scribble(const uint8_t *op, uint64_t value)
{
	if (op[0] & 1)
		atomic_store(&ring.head, value);
	else if (op[0] & 2)
		atomic_store(&ring.mark_head, value);
	else
		ring.marks[value % RING_N_MARKS] = (struct ring_mark){ value, op[1], op[2] };
}

/* One step of the reader: what it is given lies in the ring, whatever was scribbled. */
static void read_step(struct ring_reader *r, const uint8_t *op)
{
	uint32_t turn, stream;
	struct slice piece;

	if (!ring_peek(r, op[7] & 2 ? r->tail + op[4] : UINT64_MAX, &piece, &turn, &stream) || !(op[7] & 4))
		return;
	CHECK(piece.len > 0 && (const unsigned char *)piece.data >= ring.data && stream <= RING_STDERR);
	CHECK((const unsigned char *)piece.data + piece.len <= ring.data + RING_DATA_SIZE);
	ring_consume(r, op[7] & 8 ? 1 : piece.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *op, size_t size)
{
	struct ring_reader r;
	struct ring_writer w;
	bool due;

	memset(&ring, 0, offsetof(struct ring_shared, data));
	ring_writer_init(&w, &ring);
	ring_reader_init(&r, &ring);
	for (; size >= 8; op += 8, size -= 8) {
		uint64_t value = (uint64_t)op[3] << 56 | (uint64_t)op[4] << 16 | (uint64_t)op[5] << 8 | op[6];
		size_t len = value & 0xffff;

		if (op[0] & 0x80)
			scribble(op, op[7] & 1 ? r.tail + value : value);
		else
			CHECK(ring_write(&w, op[1], op[2], text, len, &due) <= len);
		read_step(&r, op);
	}
	return 0;
}
