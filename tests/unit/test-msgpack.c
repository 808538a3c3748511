/* SPDX-License-Identifier: Apache-2.0 */
/* test-msgpack: reader and writer, against msgpack-c as the oracle over generated values. */
#include "tests/unit/test.h"

#include <msgpack.h>

#include "protocol/base/msgpack.h"

/* Generates one value with msgpack-c's packer. */
static void generate(uint64_t *seed, msgpack_packer *p, unsigned depth)
{
	static char bytes[70000];
	static const size_t lengths[] = { 0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536 };
	uint64_t number = test_random(seed) >> test_random_below(seed, 64);
	size_t n = lengths[test_random_below(seed, depth ? 8 : ARRAY_SIZE(lengths))];

	switch (test_random_below(seed, depth < 4 ? 11 : 9)) {
	case 0:
		msgpack_pack_nil(p);
		break;
	case 1:
		msgpack_pack_true(p);
		break;
	case 2:
		msgpack_pack_false(p);
		break;
	case 3:
		msgpack_pack_uint64(p, number);
		break;
	case 4:
		msgpack_pack_int64(p, -(int64_t)(number >> 1) - 1);
		break;
	case 5:
		msgpack_pack_double(p, (double)number / 3);
		break;
	case 6:
		msgpack_pack_float(p, (float)number / 3);
		break;
	case 7:
		msgpack_pack_str(p, n);
		msgpack_pack_str_body(p, bytes, n);
		break;
	case 8:
		msgpack_pack_bin(p, n);
		msgpack_pack_bin_body(p, bytes, n);
		break;
	case 9:
		n = test_random_below(seed, 20);
		msgpack_pack_array(p, n);
		for (size_t i = 0; i < n; i++)
			generate(seed, p, depth + 1);
		break;
	default:
		n = test_random_below(seed, 20);
		msgpack_pack_map(p, n);
		for (size_t i = 0; i < 2 * n; i++)
			generate(seed, p, depth + 1);
	}
}

/* Reads one value and claims that it is what msgpack-c read; writes it again into out. */
static void compare(struct msgpack_reader *r, const msgpack_object *o, struct buffer *out)
{
	struct slice text;
	uint64_t u;
	int64_t i;
	uint32_t n;
	double d;
	bool b;

	switch (o->type) {
	case MSGPACK_OBJECT_NIL:
		assert_int_equal(msgpack_peek(r), MSGPACK_TYPE_NIL);
		assert_int_equal(msgpack_read_nil(r), 0);
		msgpack_write_nil(out);
		return;
	case MSGPACK_OBJECT_BOOLEAN:
		assert_int_equal(msgpack_peek(r), MSGPACK_TYPE_BOOL);
		assert_int_equal(msgpack_read_bool(r, &b), 0);
		assert_int_equal(b, o->via.boolean);
		msgpack_write_bool(out, b);
		return;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		assert_int_equal(msgpack_peek(r), MSGPACK_TYPE_UINT);
		assert_int_equal(msgpack_read_u64(r, &u), 0);
		assert_true(u == o->via.u64);
		msgpack_write_u64(out, u);
		return;
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		assert_int_equal(msgpack_peek(r), MSGPACK_TYPE_INT);
		assert_int_equal(msgpack_read_u64(r, &u), -EBADMSG);
		assert_int_equal(msgpack_read_i64(r, &i), 0);
		assert_true(i == o->via.i64);
		msgpack_write_i64(out, i);
		return;
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		assert_int_equal(msgpack_peek(r), MSGPACK_TYPE_DOUBLE);
		assert_int_equal(msgpack_read_double(r, &d), 0);
		assert_memory_equal(&d, &o->via.f64, sizeof(d));
		msgpack_write_double(out, d);
		return;
	case MSGPACK_OBJECT_STR:
		assert_int_equal(msgpack_read_bin(r, &text), -EBADMSG);
		assert_int_equal(msgpack_read_str(r, &text), 0);
		assert_true(slice_equal(text, slice_from(o->via.str.ptr, o->via.str.size)));
		msgpack_write_str(out, text);
		return;
	case MSGPACK_OBJECT_BIN:
		assert_int_equal(msgpack_read_str(r, &text), -EBADMSG);
		assert_int_equal(msgpack_read_str_or_bin(r, &text), 0);
		assert_true(slice_equal(text, slice_from(o->via.bin.ptr, o->via.bin.size)));
		msgpack_write_bin(out, text);
		return;
	case MSGPACK_OBJECT_ARRAY:
		assert_int_equal(msgpack_read_array(r, &n), 0);
		assert_int_equal(n, o->via.array.size);
		msgpack_write_array(out, n);
		for (uint32_t k = 0; k < n; k++)
			compare(r, &o->via.array.ptr[k], out);
		return;
	case MSGPACK_OBJECT_MAP:
		assert_int_equal(msgpack_read_map(r, &n), 0);
		assert_int_equal(n, o->via.map.size);
		msgpack_write_map(out, n);
		for (uint32_t k = 0; k < n; k++) {
			compare(r, &o->via.map.ptr[k].key, out);
			compare(r, &o->via.map.ptr[k].val, out);
		}
		return;
	case MSGPACK_OBJECT_EXT:
	default:
		fail_msg("type %d was not generated", (int)o->type);
	}
}

static void test_generated_values_are_read_and_written_as_by_msgpack_c(void **state)
{
	uint64_t seed = 20261121;

	(void)state;
	for (int round = 0; round < 400; round++) {
		_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
		struct msgpack_reader r, skipped;
		msgpack_sbuffer packed;
		msgpack_packer packer;
		msgpack_unpacked value;
		size_t at = 0;

		msgpack_sbuffer_init(&packed);
		msgpack_packer_init(&packer, &packed, msgpack_sbuffer_write);
		generate(&seed, &packer, 0);
		msgpack_unpacked_init(&value);
		assert_int_equal(msgpack_unpack_next(&value, packed.data, packed.size, &at), MSGPACK_UNPACK_SUCCESS);
		r = skipped = msgpack_reader_init(slice_from(packed.data, packed.size));
		compare(&r, &value.data, &out);
		assert_ptr_equal(r.pos, r.end);
		assert_int_equal(msgpack_skip(&skipped), 0);
		assert_ptr_equal(skipped.pos, skipped.end);
		assert_int_equal(out.failed, 0);
		/* float32 comes back as float64; without them the bytes are the same */
		at = 0;
		assert_int_equal(msgpack_unpack_next(&value, out.data, out.len, &at), MSGPACK_UNPACK_SUCCESS);
		assert_int_equal(at, out.len);
		msgpack_unpacked_destroy(&value);
		msgpack_sbuffer_destroy(&packed);
	}
}

static void test_every_cut_of_a_value_is_refused_and_moves_nothing(void **state)
{
	static const struct slice values[] = {
		SLICE_LIT("\xcc\xff"), SLICE_LIT("\xcd\x01\x02"), SLICE_LIT("\xce\x01\x02\x03\x04"),
		SLICE_LIT("\xcf\x01\x02\x03\x04\x05\x06\x07\x08"), SLICE_LIT("\xd0\x80"), SLICE_LIT("\xd3\x80\0\0\0\0\0\0\0"),
		SLICE_LIT("\xca\x3f\x80\0\0"), SLICE_LIT("\xcb\x3f\xf0\0\0\0\0\0\0"), SLICE_LIT("\xa3" "abc"),
		SLICE_LIT("\xd9\x03" "abc"), SLICE_LIT("\xda\0\x03" "abc"), SLICE_LIT("\xdb\0\0\0\x03" "abc"),
		SLICE_LIT("\xc4\x01" "a"), SLICE_LIT("\xc5\0\x01" "a"), SLICE_LIT("\xc6\0\0\0\x01" "a"),
		SLICE_LIT("\x92\xc0\xc0"), SLICE_LIT("\xdc\0\x02\xc0\xc0"), SLICE_LIT("\xdd\0\0\0\x02\xc0\xc0"),
		SLICE_LIT("\x81\xc0\xc0"), SLICE_LIT("\xde\0\x01\xc0\xc0"), SLICE_LIT("\xdf\0\0\0\x01\xc0\xc0"),
		SLICE_LIT("\xd4\x01" "a"), SLICE_LIT("\xd8\x01" "0123456789abcdef"), SLICE_LIT("\xc7\x02\x01" "ab"),
		SLICE_LIT("\x91\x91\x91\x91\xa1" "a"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		for (size_t cut = 0; cut <= values[i].len; cut++) {
			struct msgpack_reader r = msgpack_reader_init(slice_from(values[i].data, cut)), before = r;
			int got = msgpack_skip(&r);

			assert_row(i, got == (cut == values[i].len ? 0 : -EBADMSG));
			assert_row(i, r.pos == (got == 0 ? r.end : before.pos));
		}
	}
}

static void test_counts_are_checked_against_the_bytes_that_are_left(void **state)
{
	static const struct slice liars[] = {
		SLICE_LIT("\xdd\xff\xff\xff\xff\xc0"), SLICE_LIT("\xdf\xff\xff\xff\xff\xc0\xc0"), SLICE_LIT("\x93\xc0\xc0"),
		SLICE_LIT("\x82\xc0\xc0\xc0"), SLICE_LIT("\xdb\xff\xff\xff\xff" "a"), SLICE_LIT("\xc6\x80\0\0\0" "a"),
		SLICE_LIT("\xc9\xff\xff\xff\xff\x01"),
	};
	struct slice text;
	uint32_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(liars); i++) {
		struct msgpack_reader r = msgpack_reader_init(liars[i]);

		assert_row(i, msgpack_read_array(&r, &n) == -EBADMSG);
		assert_row(i, msgpack_read_map(&r, &n) == -EBADMSG);
		assert_row(i, msgpack_read_str_or_bin(&r, &text) == -EBADMSG);
		assert_row(i, msgpack_skip(&r) == -EBADMSG);
		assert_row(i, r.pos == (const unsigned char *)liars[i].data);
	}
}

static void test_nesting_is_bounded(void **state)
{
	char text[100];
	struct msgpack_reader r;

	(void)state;
	memset(text, '\x91', sizeof(text));
	text[MSGPACK_MAX_DEPTH] = '\xc0';
	r = msgpack_reader_init(slice_from(text, MSGPACK_MAX_DEPTH + 1));
	assert_int_equal(msgpack_skip(&r), 0);
	text[MSGPACK_MAX_DEPTH] = '\x91';
	text[MSGPACK_MAX_DEPTH + 1] = '\xc0';
	r = msgpack_reader_init(slice_from(text, MSGPACK_MAX_DEPTH + 2));
	assert_int_equal(msgpack_skip(&r), -EBADMSG);
	memset(text, '\x90', sizeof(text));
	text[0] = '\xdc';
	text[1] = '\0';
	text[2] = 97;
	r = msgpack_reader_init(slice_from(text, sizeof(text)));
	assert_int_equal(msgpack_skip(&r), 0);
}

static void test_signed_encodings_of_small_numbers_are_unsigned_numbers(void **state)
{
	static const struct {
		struct slice bytes;
		int64_t value;
	} rows[] = {
		{ SLICE_LIT("\xd0\x05"), 5 }, { SLICE_LIT("\xd1\x7f\xff"), 32767 }, { SLICE_LIT("\xd1\xff\xff"), -1 },
		{ SLICE_LIT("\xd2\x80\0\0\0"), INT32_MIN }, { SLICE_LIT("\xd3\x80\0\0\0\0\0\0\0"), INT64_MIN },
		{ SLICE_LIT("\xd3\0\0\0\0\0\0\0\x01"), 1 }, { SLICE_LIT("\xe0"), -32 }, { SLICE_LIT("\x7f"), 127 },
	};
	uint64_t u;
	int64_t i;

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
		struct msgpack_reader r = msgpack_reader_init(rows[k].bytes), again = r;

		assert_row(k, msgpack_read_i64(&r, &i) == 0 && i == rows[k].value && r.pos == r.end);
		assert_row(k, (msgpack_read_u64(&again, &u) == 0) == (rows[k].value >= 0));
		assert_row(k, rows[k].value < 0 || u == (uint64_t)rows[k].value);
	}
}

static void test_numbers_beyond_int64_are_no_int64(void **state)
{
	struct msgpack_reader r = msgpack_reader_init(SLICE_LIT("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"));
	uint64_t u;
	int64_t i;

	(void)state;
	assert_int_equal(msgpack_read_i64(&r, &i), -EBADMSG);
	assert_int_equal(msgpack_read_u64(&r, &u), 0);
	assert_true(u == UINT64_MAX);
}

static void test_the_end_and_the_unused_byte_have_no_type(void **state)
{
	struct msgpack_reader r = msgpack_reader_init(SLICE_NULL), unused = msgpack_reader_init(SLICE_LIT("\xc1"));

	(void)state;
	assert_int_equal(msgpack_peek(&r), MSGPACK_TYPE_END);
	assert_int_equal(msgpack_peek(&unused), MSGPACK_TYPE_END);
	assert_int_equal(msgpack_skip(&r), -EBADMSG);
	assert_int_equal(msgpack_skip(&unused), -EBADMSG);
	assert_false(msgpack_read_if_nil(&r));
}

static void test_a_full_buffer_is_reported_by_the_buffer(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(4);

	(void)state;
	msgpack_write_str(&b, SLICE_LIT("abcdef"));
	assert_int_equal(b.failed, -EMSGSIZE);
	buffer_reset(&b);
	/* Never read: the length alone decides. */
	msgpack_write_bin(&b, slice_from("", (size_t)UINT32_MAX + 1));
	assert_int_equal(b.failed, -EMSGSIZE);
	assert_int_equal(b.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generated_values_are_read_and_written_as_by_msgpack_c),
		cmocka_unit_test(test_every_cut_of_a_value_is_refused_and_moves_nothing),
		cmocka_unit_test(test_counts_are_checked_against_the_bytes_that_are_left),
		cmocka_unit_test(test_nesting_is_bounded),
		cmocka_unit_test(test_signed_encodings_of_small_numbers_are_unsigned_numbers),
		cmocka_unit_test(test_numbers_beyond_int64_are_no_int64),
		cmocka_unit_test(test_the_end_and_the_unused_byte_have_no_type),
		cmocka_unit_test(test_a_full_buffer_is_reported_by_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
