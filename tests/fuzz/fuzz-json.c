/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-json: any text; parts of valid JSON are valid, and whatever is encoded is valid and decodes to the same. */
#include "protocol/wire/json.h"
#include "tests/fuzz/fuzz.h"

static void check_string(struct slice text, size_t cut)
{
	_cleanup_(buffer_deinitp) struct buffer whole = BUFFER_INIT(0), pieces = BUFFER_INIT(0), plain = BUFFER_INIT(0);
	size_t n;

	json_encode_string(&whole, text);
	CHECK(json_is_valid(buffer_slice(&whole)) && json_type(buffer_slice(&whole)) == JSON_STRING);
	buffer_append_char(&pieces, '"');
	n = json_encode_chunk(&pieces, slice_from(text.data, cut), false);
	CHECK(n <= cut && cut - n <= 3);
	n += json_encode_chunk(&pieces, slice_from(text.data + n, text.len - n), true);
	buffer_append_char(&pieces, '"');
	CHECK(n == text.len && slice_equal(buffer_slice(&whole), buffer_slice(&pieces)));
	/* Near its bound a buffer takes ever shorter pieces. */
	pieces = (struct buffer){ .data = pieces.data, .size = pieces.size, .max = whole.len + 24 };
	json_encode_string(&pieces, text);
	CHECK(slice_equal(buffer_slice(&whole), buffer_slice(&pieces)));
	CHECK(json_decode_string(buffer_slice(&whole), &plain) == 0);
	buffer_reset(&pieces);
	json_encode_string(&pieces, buffer_slice(&plain));
	CHECK(slice_equal(buffer_slice(&whole), buffer_slice(&pieces)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_from(data, size), name, value;
	bool valid = json_is_valid(text);
	struct json_iter it = json_iter(text);

	while (json_next(&it, &name, &value))
		CHECK(!valid || (json_is_valid(value) && (!it.object || json_type(name) == JSON_STRING)));
	(void)json_get_int(text, "a\\", 0);
	if (size > 0)
		check_string(text, data[0] % size);
	return 0;
}
