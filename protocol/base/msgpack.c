/* SPDX-License-Identifier: Apache-2.0 */
/* msgpack: a bounded cursor over msgpack bytes, and a writer into a struct buffer. */
#include "protocol/base/msgpack.h"

#include <msgpack/pack.h>

/* What the first byte says: the type, how many bytes of length or number follow it, or what the byte itself holds. */
struct msgpack_head {
	enum msgpack_type type;
	unsigned n_extra;  /* bytes of number or length behind the first */
	uint64_t value;    /* number, length or count */
	bool is_negative;  /* value is a two's complement */
	size_t size;       /* of the head itself; payload comes behind it */
};

static uint64_t load_be(const unsigned char *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

struct msgpack_reader msgpack_reader_init(struct slice bytes)
{
	/* No arithmetic on a null pointer, not even by 0. */
	const unsigned char *start = (const unsigned char *)(bytes.data ? bytes.data : "");

	return (struct msgpack_reader){ start, start + bytes.len };
}

/* Types 0xc0..0xdf, in order: type and number of bytes that follow. */
static const struct {
	unsigned char type;
	unsigned char n_extra;
} heads[32] = {
	/* clang-format off */
	{ MSGPACK_TYPE_NIL, 0 }, { MSGPACK_TYPE_END, 0 }, { MSGPACK_TYPE_BOOL, 0 }, { MSGPACK_TYPE_BOOL, 0 },
	{ MSGPACK_TYPE_BIN, 1 }, { MSGPACK_TYPE_BIN, 2 }, { MSGPACK_TYPE_BIN, 4 },
	{ MSGPACK_TYPE_EXT, 1 }, { MSGPACK_TYPE_EXT, 2 }, { MSGPACK_TYPE_EXT, 4 },
	{ MSGPACK_TYPE_DOUBLE, 4 }, { MSGPACK_TYPE_DOUBLE, 8 },
	{ MSGPACK_TYPE_UINT, 1 }, { MSGPACK_TYPE_UINT, 2 }, { MSGPACK_TYPE_UINT, 4 }, { MSGPACK_TYPE_UINT, 8 },
	{ MSGPACK_TYPE_INT, 1 }, { MSGPACK_TYPE_INT, 2 }, { MSGPACK_TYPE_INT, 4 }, { MSGPACK_TYPE_INT, 8 },
	{ MSGPACK_TYPE_EXT, 0 }, { MSGPACK_TYPE_EXT, 0 }, { MSGPACK_TYPE_EXT, 0 }, { MSGPACK_TYPE_EXT, 0 },
	{ MSGPACK_TYPE_EXT, 0 },
	{ MSGPACK_TYPE_STR, 1 }, { MSGPACK_TYPE_STR, 2 }, { MSGPACK_TYPE_STR, 4 },
	{ MSGPACK_TYPE_ARRAY, 2 }, { MSGPACK_TYPE_ARRAY, 4 }, { MSGPACK_TYPE_MAP, 2 }, { MSGPACK_TYPE_MAP, 4 },
	/* clang-format on */
};

/* Types whose first byte holds the value. */
static bool head_is_fixed(unsigned char byte, struct msgpack_head *h)
{
	*h = (struct msgpack_head){ .size = 1 };
	if (byte < 0x80) {
		h->type = MSGPACK_TYPE_UINT;
		h->value = byte;
	} else if (byte < 0x90) {
		h->type = MSGPACK_TYPE_MAP;
		h->value = byte & 0x0fu;
	} else if (byte < 0xa0) {
		h->type = MSGPACK_TYPE_ARRAY;
		h->value = byte & 0x0fu;
	} else if (byte < 0xc0) {
		h->type = MSGPACK_TYPE_STR;
		h->value = byte & 0x1fu;
	} else if (byte >= 0xe0) {
		h->type = MSGPACK_TYPE_INT;
		h->value = (uint64_t)(int64_t)(signed char)byte;
		h->is_negative = true;
	} else {
		return false;
	}
	return true;
}

/* A signed encoding may hold a non-negative number: then it is an UINT like any other (msgpack.h). */
static void head_sign(struct msgpack_head *h)
{
	unsigned shift = 64 - 8 * h->n_extra;
	int64_t v = (int64_t)(h->value << shift) >> shift;

	h->value = (uint64_t)v;
	h->is_negative = v < 0;
	if (v >= 0)
		h->type = MSGPACK_TYPE_UINT;
}

static int head_read(const struct msgpack_reader *r, struct msgpack_head *h)
{
	size_t left = (size_t)(r->end - r->pos);
	unsigned char byte;

	if (left == 0)
		return -EBADMSG;
	byte = *r->pos;
	if (head_is_fixed(byte, h))
		return 0;
	h->type = (enum msgpack_type)heads[byte - 0xc0].type;
	h->n_extra = heads[byte - 0xc0].n_extra;
	if (h->type == MSGPACK_TYPE_END || left - 1 < h->n_extra)
		return -EBADMSG;
	h->value = load_be(r->pos + 1, h->n_extra);
	h->size = 1 + h->n_extra;
	if (h->type == MSGPACK_TYPE_BOOL)
		h->value = byte & 1u;
	else if (h->type == MSGPACK_TYPE_INT)
		head_sign(h);
	else if (h->type == MSGPACK_TYPE_EXT && h->n_extra == 0)
		h->value = (uint64_t)1 << (byte - 0xd4);
	return 0;
}

enum msgpack_type msgpack_peek(const struct msgpack_reader *r)
{
	struct msgpack_head h;

	return head_read(r, &h) == 0 ? h.type : MSGPACK_TYPE_END;
}

static int head_expect(const struct msgpack_reader *r, enum msgpack_type type, struct msgpack_head *h)
{
	return head_read(r, h) == 0 && h->type == type ? 0 : -EBADMSG;
}

int msgpack_read_nil(struct msgpack_reader *r)
{
	return msgpack_read_if_nil(r) ? 0 : -EBADMSG;
}

bool msgpack_read_if_nil(struct msgpack_reader *r)
{
	struct msgpack_head h;

	if (head_expect(r, MSGPACK_TYPE_NIL, &h) < 0)
		return false;
	r->pos += h.size;
	return true;
}

int msgpack_read_bool(struct msgpack_reader *r, bool *ret)
{
	struct msgpack_head h;

	if (head_expect(r, MSGPACK_TYPE_BOOL, &h) < 0)
		return -EBADMSG;
	r->pos += h.size;
	*ret = h.value != 0;
	return 0;
}

int msgpack_read_u64(struct msgpack_reader *r, uint64_t *ret)
{
	struct msgpack_head h;

	if (head_expect(r, MSGPACK_TYPE_UINT, &h) < 0)
		return -EBADMSG;
	r->pos += h.size;
	*ret = h.value;
	return 0;
}

int msgpack_read_i64(struct msgpack_reader *r, int64_t *ret)
{
	struct msgpack_head h;

	if (head_read(r, &h) < 0 || (h.type != MSGPACK_TYPE_UINT && h.type != MSGPACK_TYPE_INT))
		return -EBADMSG;
	if (!h.is_negative && h.value > INT64_MAX)
		return -EBADMSG;
	r->pos += h.size;
	*ret = (int64_t)h.value;
	return 0;
}

int msgpack_read_double(struct msgpack_reader *r, double *ret)
{
	struct msgpack_head h;

	if (head_expect(r, MSGPACK_TYPE_DOUBLE, &h) < 0)
		return -EBADMSG;
	r->pos += h.size;
	if (h.n_extra == 4) {
		uint32_t bits = (uint32_t)h.value;
		float f;

		memcpy(&f, &bits, sizeof(f));
		*ret = (double)f;
	} else {
		memcpy(ret, &h.value, sizeof(*ret));
	}
	return 0;
}

static int take_bytes(struct msgpack_reader *r, const struct msgpack_head *h, struct slice *ret)
{
	if (h->value > (size_t)(r->end - r->pos) - h->size)
		return -EBADMSG;
	*ret = slice_from(r->pos + h->size, (size_t)h->value);
	r->pos += h->size + (size_t)h->value;
	return 0;
}

int msgpack_read_str(struct msgpack_reader *r, struct slice *ret)
{
	struct msgpack_head h;

	return head_expect(r, MSGPACK_TYPE_STR, &h) < 0 ? -EBADMSG : take_bytes(r, &h, ret);
}

int msgpack_read_bin(struct msgpack_reader *r, struct slice *ret)
{
	struct msgpack_head h;

	return head_expect(r, MSGPACK_TYPE_BIN, &h) < 0 ? -EBADMSG : take_bytes(r, &h, ret);
}

int msgpack_read_str_or_bin(struct msgpack_reader *r, struct slice *ret)
{
	return msgpack_read_str(r, ret) == 0 ? 0 : msgpack_read_bin(r, ret);
}

/* least: bytes that each element has at least */
static int take_count(struct msgpack_reader *r, enum msgpack_type type, unsigned least, uint32_t *ret_n)
{
	struct msgpack_head h;

	if (head_expect(r, type, &h) < 0 || h.value > ((size_t)(r->end - r->pos) - h.size) / least)
		return -EBADMSG;
	r->pos += h.size;
	*ret_n = (uint32_t)h.value;
	return 0;
}

int msgpack_read_array(struct msgpack_reader *r, uint32_t *ret_n)
{
	return take_count(r, MSGPACK_TYPE_ARRAY, 1, ret_n);
}

int msgpack_read_map(struct msgpack_reader *r, uint32_t *ret_n)
{
	return take_count(r, MSGPACK_TYPE_MAP, 2, ret_n);
}

/* Skips a head with its bytes; *ret_n is the number of values that belong to it and follow. */
static int skip_one(struct msgpack_reader *r, uint64_t *ret_n)
{
	size_t left = (size_t)(r->end - r->pos);
	struct msgpack_head h;
	uint64_t payload = 0;

	if (head_read(r, &h) < 0)
		return -EBADMSG;
	left -= h.size;
	*ret_n = 0;
	if (h.type == MSGPACK_TYPE_STR || h.type == MSGPACK_TYPE_BIN)
		payload = h.value;
	else if (h.type == MSGPACK_TYPE_EXT)
		payload = h.value + 1;
	else if (h.type == MSGPACK_TYPE_ARRAY)
		*ret_n = h.value;
	else if (h.type == MSGPACK_TYPE_MAP)
		*ret_n = 2 * h.value;
	if (payload > left || *ret_n > left)
		return -EBADMSG;
	r->pos += h.size + (size_t)payload;
	return 0;
}

int msgpack_skip(struct msgpack_reader *r)
{
	uint64_t left[MSGPACK_MAX_DEPTH + 1] = { 1 }, n;
	struct msgpack_reader ahead = *r;
	unsigned depth = 0;

	for (;;) {
		while (left[depth] == 0) {
			if (depth == 0) {
				*r = ahead;
				return 0;
			}
			depth--;
		}
		left[depth]--;
		if (skip_one(&ahead, &n) < 0)
			return -EBADMSG;
		if (n == 0)
			continue;
		if (depth == MSGPACK_MAX_DEPTH)
			return -EBADMSG;
		left[++depth] = n;
	}
}

static int pack_into_buffer(void *data, const char *bytes, size_t len)
{
	buffer_append(data, bytes, len);
	return 0; /* the buffer remembers its failure */
}

static msgpack_packer packer(struct buffer *b)
{
	msgpack_packer p;

	msgpack_packer_init(&p, b, pack_into_buffer);
	return p;
}

void msgpack_write_nil(struct buffer *b)
{
	msgpack_packer p = packer(b);

	(void)msgpack_pack_nil(&p);
}

void msgpack_write_bool(struct buffer *b, bool v)
{
	msgpack_packer p = packer(b);

	(void)(v ? msgpack_pack_true(&p) : msgpack_pack_false(&p));
}

void msgpack_write_u64(struct buffer *b, uint64_t v)
{
	msgpack_packer p = packer(b);

	(void)msgpack_pack_uint64(&p, v);
}

void msgpack_write_i64(struct buffer *b, int64_t v)
{
	msgpack_packer p = packer(b);

	(void)msgpack_pack_int64(&p, v);
}

void msgpack_write_double(struct buffer *b, double v)
{
	msgpack_packer p = packer(b);

	(void)msgpack_pack_double(&p, v);
}

/* Lengths of str and bin are 32 bit on the wire. */
static bool fits(struct buffer *b, struct slice v)
{
	if (v.len <= UINT32_MAX)
		return true;
	if (!b->failed)
		b->failed = -EMSGSIZE;
	return false;
}

void msgpack_write_str(struct buffer *b, struct slice v)
{
	msgpack_packer p = packer(b);

	if (!fits(b, v))
		return;
	(void)msgpack_pack_str(&p, v.len);
	(void)msgpack_pack_str_body(&p, v.data, v.len);
}

void msgpack_write_bin(struct buffer *b, struct slice v)
{
	msgpack_packer p = packer(b);

	if (!fits(b, v))
		return;
	(void)msgpack_pack_bin(&p, v.len);
	(void)msgpack_pack_bin_body(&p, v.data, v.len);
}

void msgpack_write_array(struct buffer *b, uint32_t n)
{
	msgpack_packer p = packer(b);

	(void)msgpack_pack_array(&p, n);
}

void msgpack_write_map(struct buffer *b, uint32_t n)
{
	msgpack_packer p = packer(b);

	(void)msgpack_pack_map(&p, n);
}
