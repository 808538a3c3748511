/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-ring: an honest writer whose shared words are scribbled over between any two steps; the reader stays in bounds. */
#include "protocol/link/ring.h"
#include "tests/fuzz/fuzz.h"

static struct ring_shared ring;
static const char text[65536];

static void read_step(struct ring_reader *r, uint64_t limit, size_t most)
{
	uint32_t turn, stream;
	struct slice piece;

	if (!ring_peek(r, limit, &piece, &turn, &stream))
		return;
	CHECK(piece.len > 0 && (const unsigned char *)piece.data >= ring.data && stream <= RING_STDERR);
	CHECK((const unsigned char *)piece.data + piece.len <= ring.data + RING_DATA_SIZE);
	ring_consume(r, most && most < piece.len ? most : piece.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *op, size_t size)
{
	uint64_t *words = (uint64_t *)(void *)&ring;
	struct ring_reader r;
	struct ring_writer w;
	bool due;

	memset(&ring, 0, offsetof(struct ring_shared, data));
	ring_writer_init(&w, &ring);
	ring_reader_init(&r, &ring);
	for (; size >= 8; op += 8, size -= 8) {
		uint64_t value = (uint64_t)op[3] << 56 | (uint64_t)op[4] << 16 | (uint64_t)op[5] << 8 | op[6];

		if (op[0] & 0x80)
			words[op[1] % 64] = op[0] & 1 ? r.tail + value : value;
		else
			CHECK(ring_write(&w, op[1], op[2], text, value & 0xffff, &due) <= (value & 0xffff));
		if (op[7] & 1)
			read_step(&r, op[7] & 2 ? r.tail + op[2] : UINT64_MAX, op[7] >> 2);
	}
	return 0;
}
