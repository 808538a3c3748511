/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-limits: a byte for the limit and any text; what is accepted is in range and survives a round trip. */
#include "kernel/sandbox/limits.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
	enum limit which = size > 0 ? data[0] % LIMIT_COUNT : 0;
	struct slice text = slice_from(data + (size > 0), size - (size > 0));
	uint64_t value = 0, again = 1;
	struct error err = { .code = 0 };

	if (limit_parse(which, text, &value, &err) < 0) {
		CHECK(err.code == -EINVAL && err.text[0] != '\0' && value == 0);
		return 0;
	}
	CHECK(value == LIMITS_NONE || (value >= limit_rows[which].least && value <= limit_rows[which].most));
	limit_format(which, value, &out);
	CHECK(limit_parse(which, buffer_slice(&out), &again, NULL) == 0 && again == value);
	return 0;
}
