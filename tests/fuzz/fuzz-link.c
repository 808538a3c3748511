/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-link: any bytes as a frame; an accepted frame is within its limits, and its body can be walked field by field. */
#include "protocol/link/link.h"
#include "tests/fuzz/fuzz.h"

static void check_body(enum link_type type, struct slice body)
{
	struct msgpack_reader fields;
	uint32_t n;

	if (link_body_open(type, body, &fields, &n) < 0)
		return;
	for (; n > 0; n--)
		CHECK(msgpack_skip(&fields) == 0);
	CHECK(fields.pos == fields.end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(buffer_deinitp) struct buffer again = BUFFER_INIT(0);
	struct slice bytes = slice_from(data, size);
	struct link_header h;
	int r;

	for (enum link_direction direction = LINK_DOWN; direction <= LINK_UP; direction++) {
		r = link_header_parse(bytes, direction, &h);
		CHECK(r >= 0 && (r == LINK_E_MORE) == (size < LINK_HEADER_SIZE));
		if (r || h.body_len > size - LINK_HEADER_SIZE)
			continue;
		check_body(h.type, slice_from(data + LINK_HEADER_SIZE, h.body_len));
		(void)link_frame_begin(&again);
		buffer_append(&again, data + LINK_HEADER_SIZE, h.body_len);
		CHECK(link_frame_end(&again, 0, h.type, h.ring_pos) == 0);
		CHECK(memcmp(again.data, data, LINK_HEADER_SIZE + h.body_len) == 0);
	}
	return 0;
}
