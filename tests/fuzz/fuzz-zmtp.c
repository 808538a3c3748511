/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-zmtp: any bytes as greeting, command, properties and frames; in pieces or at once they make the same messages. */
#include "kernel/front/assembly.h"
#include "protocol/wire/frames.h"
#include "protocol/zmtp/zmtp.h"
#include "tests/fuzz/fuzz.h"

static void check_greeting(struct slice bytes)
{
	struct error err = { 0 };
	int before = 0, r;

	for (size_t n = 0; n <= ZMTP_GREETING_SIZE && n <= bytes.len; n++) {
		r = zmtp_greeting_check(slice_from(bytes.data, n), ZMTP_NULL, &err);
		CHECK(r == -EPROTO ? err.text[0] != '\0' : r == 0 && before == 0); /* once refused, always refused */
		before = r;
	}
}

static void check_command(struct slice body)
{
	struct slice name, value, rest;
	int r;

	if (zmtp_command_parse(body, &name, &rest) < 0)
		return;
	CHECK(1 + name.len + rest.len == body.len);
	for (size_t left = rest.len; (r = zmtp_property_next(&rest, &name, &value)) > 0; left = rest.len)
		CHECK(rest.len + 5 + name.len + value.len == left && rest.data + rest.len == body.data + body.len);
	CHECK(r == -EPROTO || rest.len == 0);
}

static void note(struct buffer *trace, size_t value)
{
	buffer_append(trace, &value, sizeof(value));
}

static void note_message(struct buffer *trace, struct assembly *a)
{
	struct parcel p;

	CHECK(assembly_finish(a, &p) == 0);
	note(trace, p.n);
	note(trace, p.n_bytes);
	for (size_t i = 0; i < p.n; i++) {
		note(trace, p.parts[i].len);
		buffer_append_slice(trace, p.parts[i]);
	}
	parcel_deinit(&p);
}

static void note_frame(struct buffer *trace, struct assembly *a)
{
	struct slice body = assembly_body(a);
	uint8_t flags = a->frame.flags;

	note(trace, flags);
	note(trace, body.len);
	if (flags & ZMTP_FLAG_COMMAND) {
		check_command(body);
		assembly_drop(a);
		return;
	}
	CHECK(assembly_keep(a, body) == 0);
	if (!(flags & ZMTP_FLAG_MORE))
		note_message(trace, a);
}

/* Feeds the first bytes of *rest, at most n, once. */
static int feed(struct assembly *a, struct slice *rest, size_t n, bool direct)
{
	size_t used = MIN(n, rest->len), room;
	char *target = direct ? assembly_target(a, &room) : NULL;
	int r;

	if (target) {
		used = MIN(used, room);
		memcpy(target, rest->data, used);
		r = assembly_fed(a, used);
	} else {
		r = assembly_feed(a, slice_from(rest->data, used), &used);
	}
	if (r >= 0)
		*rest = slice_from(rest->data + used, rest->len - used);
	return r;
}

/* sizes: of the pieces, one after the other and again; n_sizes 0: all at once. */
static void assemble(struct buffer *trace, struct slice rest, const uint8_t *sizes, size_t n_sizes)
{
	size_t total = 0;
	struct assembly a;
	int r = 0;

	assembly_init(&a, &total, FRAMES_MAX_BYTES);
	for (size_t i = 0; r >= 0 && rest.len; i++) {
		size_t n = n_sizes ? (size_t)1 + sizes[i % n_sizes] / 2 : rest.len;

		r = feed(&a, &rest, n, n_sizes && (sizes[i % n_sizes] & 1));
		CHECK(a.len <= a.size && a.begin <= a.len && total < ASSEMBLY_TOTAL_MAX_BYTES);
		CHECK(assembly_is_charged(&a) == (total > 0));
		if (r > 0)
			note_frame(trace, &a);
	}
	CHECK(r >= 0 || r == -EPROTO || r == -EMSGSIZE);
	note(trace, (size_t)MIN(r, 0));
	note(trace, assembly_is_empty(&a));
	assembly_deinit(&a);
	CHECK(total == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(buffer_deinitp) struct buffer whole = BUFFER_INIT(0), pieces = BUFFER_INIT(0);
	size_t n_sizes = MIN(size, (size_t)8);
	struct slice bytes = slice_from(data + n_sizes, size - n_sizes);
	uint8_t header[ZMTP_FRAME_HEADER_MAX];
	struct zmtp_frame frame, again;

	check_greeting(bytes);
	check_command(bytes);
	if (zmtp_frame_parse(bytes, &frame) > 0) {
		size_t n = zmtp_frame_write(frame.flags, frame.size, header);

		CHECK(zmtp_frame_parse(slice_from(header, n), &again) == (int)n);
		CHECK(again.flags == frame.flags && again.size == frame.size);
	}
	if (n_sizes == 8) {
		assemble(&whole, bytes, NULL, 0);
		assemble(&pieces, bytes, data, n_sizes);
		CHECK(slice_equal(buffer_slice(&whole), buffer_slice(&pieces)));
	}
	return 0;
}
