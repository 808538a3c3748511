/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-frames: any list of frames; what is split adds up to what came in. */
#include "protocol/wire/frames.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct slice parts[FRAMES_MAX + 8];
	size_t n = fuzz_split(data, size, parts, ARRAY_SIZE(parts));
	struct frames f = { .n_buffers = 12345 };
	int r = frames_split(parts, n, &f);

	if (r) {
		CHECK(r >= FRAMES_E_NO_DELIMITER && r <= FRAMES_E_TOO_LARGE && f.n_buffers == 12345);
		CHECK(strcmp(frames_strerror(r), frames_strerror(-1)) != 0);
		return 0;
	}
	CHECK(n <= FRAMES_MAX && f.n_identities <= FRAMES_MAX_IDENTITIES);
	CHECK(f.n_identities + 2 + FRAMES_JSON_COUNT + f.n_buffers == n);
	CHECK(f.identities == parts && f.buffers == parts + n - f.n_buffers);
	CHECK(slice_equal_str(parts[f.n_identities], FRAMES_DELIMITER));
	for (size_t i = 0; i < f.n_identities; i++)
		CHECK(!slice_equal_str(parts[i], FRAMES_DELIMITER));
	CHECK(f.signature.data == parts[f.n_identities + 1].data);
	for (size_t i = 0; i < FRAMES_JSON_COUNT; i++)
		CHECK(f.json[i].data == parts[f.n_identities + 2 + i].data);
	return 0;
}
