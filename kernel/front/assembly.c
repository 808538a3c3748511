/* SPDX-License-Identifier: Apache-2.0 */
/* assembly: from a client's bytes to frames and messages. */
#include "kernel/front/assembly.h"

#include <string.h>

#include "protocol/wire/frames.h"

#define FIRST_BYTES ((size_t)1024)
#define DIRECT_FROM ((size_t)128 << 10) /* bodies with more to come than this are read without a copy */
#define DIRECT_PIECE ((size_t)1 << 20)

void parcel_deinit(struct parcel *p)
{
	free(p->bytes);
	free(p->parts);
	*p = (struct parcel){ 0 };
}

void assembly_init(struct assembly *a, size_t *total, size_t max_frame)
{
	*a = (struct assembly){ .total = total, .max_frame = max_frame };
}

static size_t charge_of(size_t size)
{
	return size > ASSEMBLY_FREE_BYTES ? size - ASSEMBLY_FREE_BYTES : 0;
}

static size_t charge(const struct assembly *a)
{
	return charge_of(a->size);
}

static void forget(struct assembly *a)
{
	*a->total -= charge(a);
	a->bytes = NULL;
	a->size = a->len = a->begin = 0;
	a->n_ends = 0;
	a->skip = false;
}

void assembly_deinit(struct assembly *a)
{
	free(a->bytes);
	free(a->ends);
	forget(a);
	a->ends = NULL;
}

bool assembly_is_charged(const struct assembly *a)
{
	return charge(a) > 0;
}

bool assembly_is_empty(const struct assembly *a)
{
	return a->n_ends == 0 && !a->skip && !a->in_frame && a->n_header == 0;
}

static int reserve(struct assembly *a, size_t more)
{
	size_t size = MAX(a->size, FIRST_BYTES), before = charge(a);
	char *bytes;

	if (more <= a->size - a->len)
		return 0;
	while (size - a->len < more)
		size += MIN(size, (size_t)64 << 20);
	if (charge_of(size) && *a->total - before + charge_of(size) > ASSEMBLY_TOTAL_MAX_BYTES)
		return -ENOBUFS;
	bytes = realloc(a->bytes, size);
	if (!bytes)
		return -ENOMEM;
	a->bytes = bytes;
	a->size = size;
	*a->total += charge(a) - before;
	return 0;
}

static void start_skipping(struct assembly *a)
{
	free(a->bytes);
	forget(a);
	a->skip = true;
}

static int begin_frame(struct assembly *a)
{
	int r = zmtp_frame_parse(slice_from(a->header, a->n_header), &a->frame);

	if (r <= 0)
		return r;
	if (a->frame.size > a->max_frame)
		return -EMSGSIZE;
	if (a->len + a->frame.size > FRAMES_MAX_BYTES)
		start_skipping(a);
	a->in_frame = true;
	a->left = a->frame.size;
	a->begin = a->len;
	return 1;
}

static int take_header(struct assembly *a, struct slice bytes, size_t *used)
{
	int r = 0;

	while (r == 0 && *used < bytes.len) {
		a->header[a->n_header++] = (uint8_t)bytes.data[(*used)++];
		r = begin_frame(a);
	}
	return r;
}

int assembly_feed(struct assembly *a, struct slice bytes, size_t *ret_used)
{
	size_t used = 0, n;
	int r = 1;

	if (!a->in_frame)
		r = take_header(a, bytes, &used);
	if (r > 0) {
		n = (size_t)MIN(a->left, (uint64_t)(bytes.len - used));
		if (!a->skip) {
			r = reserve(a, n);
			if (r < 0)
				return r;
			if (n)
				memcpy(a->bytes + a->len, bytes.data + used, n);
			a->len += n;
		}
		a->left -= n;
		used += n;
		r = a->left == 0;
	}
	*ret_used = used;
	return r;
}

char *assembly_target(struct assembly *a, size_t *ret_size)
{
	size_t n = (size_t)MIN(a->left, (uint64_t)DIRECT_PIECE);

	if (!a->in_frame || a->skip || n < DIRECT_FROM || reserve(a, n) < 0)
		return NULL;
	*ret_size = n;
	return a->bytes + a->len;
}

int assembly_fed(struct assembly *a, size_t n)
{
	a->len += n;
	a->left -= n;
	return a->left == 0;
}

struct slice assembly_body(const struct assembly *a)
{
	return a->skip || !a->bytes ? SLICE_NULL : slice_from(a->bytes + a->begin, a->len - a->begin);
}

static void end_frame(struct assembly *a)
{
	a->in_frame = false;
	a->n_header = 0;
}

void assembly_drop(struct assembly *a)
{
	a->len = a->begin;
	end_frame(a);
}

static int add_end(struct assembly *a)
{
	if (a->n_ends == a->ends_size) {
		size_t size = a->ends_size ? a->ends_size * 2 : 16;
		size_t *ends = realloc(a->ends, size * sizeof(*ends));

		if (!ends)
			return -ENOMEM;
		a->ends = ends;
		a->ends_size = size;
	}
	a->ends[a->n_ends++] = a->len;
	return 0;
}

int assembly_keep(struct assembly *a, struct slice payload)
{
	int r = 0;

	if (!a->skip && a->n_ends >= FRAMES_MAX) {
		start_skipping(a);
	} else if (!a->skip) {
		if (payload.len)
			memmove(a->bytes + a->begin, payload.data, payload.len);
		a->len = a->begin + payload.len;
		r = add_end(a);
	}
	end_frame(a);
	return r;
}

int assembly_open(struct assembly *a, struct slice part)
{
	int r = reserve(a, part.len);

	if (r < 0)
		return r;
	memcpy(a->bytes, part.data, part.len);
	a->len = a->begin = part.len;
	return add_end(a);
}

int assembly_finish(struct assembly *a, struct parcel *ret)
{
	size_t begin = 0;
	struct parcel p = { 0 };

	if (a->skip) {
		a->skip = false;
		*ret = p;
		return 0;
	}
	p.parts = malloc(a->n_ends * sizeof(*p.parts));
	if (!p.parts)
		return -ENOMEM;
	p.bytes = a->bytes;
	p.n_bytes = a->len;
	p.n = a->n_ends;
	for (size_t i = 0; i < p.n; i++) {
		p.parts[i] = a->ends[i] > begin ? slice_from(p.bytes + begin, a->ends[i] - begin) : SLICE_NULL;
		begin = a->ends[i];
	}
	forget(a);
	*ret = p;
	return 0;
}
