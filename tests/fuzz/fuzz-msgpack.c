/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-msgpack: any bytes; every reader stays in bounds, and a value that can be skipped can be read by its type. */
#include "protocol/base/msgpack.h"
#include "tests/fuzz/fuzz.h"

static int read_any(struct msgpack_reader *r)
{
	struct slice text;
	uint32_t count;
	uint64_t u;
	int64_t i;
	double d;
	bool b;

	if (msgpack_read_if_nil(r) || msgpack_read_bool(r, &b) == 0 || msgpack_read_double(r, &d) == 0)
		return 0;
	if (msgpack_read_u64(r, &u) == 0 || msgpack_read_i64(r, &i) == 0 || msgpack_read_str_or_bin(r, &text) == 0)
		return 0;
	if (msgpack_read_array(r, &count) == 0 || msgpack_read_map(r, &count) == 0)
		return 0;
	return msgpack_peek(r) == MSGPACK_TYPE_EXT ? msgpack_skip(r) : -EBADMSG;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msgpack_reader r = msgpack_reader_init(slice_from(data, size)), skipped = r;
	int could_skip = msgpack_skip(&skipped);

	CHECK(skipped.pos >= r.pos && skipped.pos <= r.end && (could_skip == 0) == (skipped.pos > r.pos));
	while (could_skip == 0 && r.pos < skipped.pos)
		CHECK(read_any(&r) == 0 && r.pos <= skipped.pos);
	while (read_any(&r) == 0)
		CHECK(r.pos <= r.end);
	return 0;
}
