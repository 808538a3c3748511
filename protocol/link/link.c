/* SPDX-License-Identifier: Apache-2.0 */
/* link: frames between a front and its worker (specs/link.md 3). */
#include "protocol/link/link.h"

#include <string.h>

struct link_info {
	const char *name;
	enum link_direction direction;
	uint32_t max_body;
	uint32_t min_fields;
};

/* Indexed by the number on the wire; a hole has no name. */
static const struct link_info infos[256] = {
#define DOWN LINK_DOWN
#define UP LINK_UP
#define LINK(name, number, direction, max, fields) [number] = { #name, direction, (uint32_t)(max), fields },
#include "protocol/link/link.def"
#undef LINK
#undef UP
#undef DOWN
};

static const struct link_info *link_info(unsigned type)
{
	return type < ARRAY_SIZE(infos) && infos[type].name ? &infos[type] : NULL;
}

static uint64_t load_le(const unsigned char *p, unsigned n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

static void store_le(unsigned char *p, unsigned n, uint64_t v)
{
	for (unsigned i = 0; i < n; i++, v >>= 8)
		p[i] = (unsigned char)v;
}

int link_header_parse(struct slice bytes, enum link_direction direction, struct link_header *ret)
{
	const unsigned char *p = (const unsigned char *)bytes.data;
	const struct link_info *info;
	uint32_t body_len;

	if (bytes.len < LINK_HEADER_SIZE)
		return LINK_E_MORE;
	if (p[4] != LINK_VERSION)
		return LINK_E_VERSION;
	info = link_info(p[5]);
	if (!info || info->direction != direction)
		return LINK_E_TYPE;
	if (load_le(p + 6, 2) != 0)
		return LINK_E_RESERVED;
	body_len = (uint32_t)load_le(p, 4);
	if (body_len > info->max_body)
		return LINK_E_SIZE;
	*ret = (struct link_header){ body_len, (enum link_type)p[5], load_le(p + 8, 8) };
	return 0;
}

size_t link_frame_begin(struct buffer *b)
{
	static const char room[LINK_HEADER_SIZE];
	size_t begin = b->len;

	buffer_append(b, room, sizeof(room));
	return begin;
}

/* Failure takes the frame back: what stays in b is whole frames, so that the stream remains in step. */
int link_frame_end(struct buffer *b, size_t begin, enum link_type type, uint64_t ring_pos)
{
	const struct link_info *info = link_info((unsigned)type);
	unsigned char *p;
	size_t body_len;
	int r = b->failed;

	if (r == 0 && (!info || b->len < begin + LINK_HEADER_SIZE))
		r = -EINVAL;
	if (r != 0) {
		b->len = MIN(b->len, begin);
		return r;
	}
	body_len = b->len - begin - LINK_HEADER_SIZE;
	if (body_len > info->max_body) {
		b->len = begin;
		return -EMSGSIZE;
	}
	p = (unsigned char *)b->data + begin;
	store_le(p, 4, body_len);
	p[4] = LINK_VERSION;
	p[5] = (unsigned char)type;
	store_le(p + 6, 2, 0);
	store_le(p + 8, 8, ring_pos);
	return 0;
}

int link_body_open(enum link_type type, struct slice body, struct msgpack_reader *ret, uint32_t *ret_n)
{
	const struct link_info *info = link_info((unsigned)type);
	struct msgpack_reader all = msgpack_reader_init(body), first = all;
	uint32_t n;

	if (!info || msgpack_read_array(&first, &n) < 0 || n < info->min_fields)
		return -EBADMSG;
	if (msgpack_skip(&all) < 0 || all.pos != all.end)
		return -EBADMSG;
	*ret = first;
	*ret_n = n;
	return 0;
}

const char *link_type_name(enum link_type type)
{
	const struct link_info *info = link_info((unsigned)type);

	return info ? info->name : "unknown";
}

const char *link_strerror(int reason)
{
	switch (reason) {
	case LINK_E_MORE:
		return "the header is not complete";
	case LINK_E_VERSION:
		return "the link version is not the one of this program";
	case LINK_E_TYPE:
		return "the frame type is unknown or belongs to the other direction";
	case LINK_E_SIZE:
		return "the frame is longer than its type may be";
	case LINK_E_RESERVED:
		return "reserved bytes of the header are not 0";
	default:
		return "unknown reason";
	}
}
