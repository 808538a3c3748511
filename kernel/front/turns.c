/* SPDX-License-Identifier: Apache-2.0 */
/* turns: a ring of headers, the oldest forgotten first. */
#include "kernel/front/turns.h"

#include <stdlib.h>

#include "protocol/base/util.h"

static void forget_oldest(struct turns *t)
{
	uint32_t i = t->oldest % TURNS_MAX;

	t->n_bytes -= t->slots[i].len;
	free(t->slots[i].header);
	t->slots[i].header = NULL;
	t->slots[i].len = 0;
	t->slots[i].turn = 0;
	t->oldest++;
}

uint32_t turns_new(struct turns *t, struct slice header)
{
	uint32_t turn = t->last + 1 ? t->last + 1 : 1;
	uint32_t i = turn % TURNS_MAX;

	if (!t->oldest)
		t->oldest = turn;
	while (t->oldest != turn && (turn - t->oldest >= TURNS_MAX || t->n_bytes + header.len > TURNS_MAX_BYTES))
		forget_oldest(t);
	t->last = turn;
	t->slots[i].header = malloc(header.len ? header.len : 1);
	t->slots[i].turn = turn;
	t->slots[i].len = 0;
	if (t->slots[i].header) {
		memcpy(t->slots[i].header, header.data, header.len);
		t->slots[i].len = header.len;
		t->n_bytes += header.len;
	}
	return turn;
}

void turns_hold(struct turns *t, uint32_t turn, struct slice header)
{
	for (size_t i = 0; i < TURNS_MAX_HELD; i++)
		if (!t->held[i].turn) {
			t->held[i].turn = turn;
			t->held[i].header = header;
			return;
		}
}

void turns_release(struct turns *t, uint32_t turn)
{
	for (size_t i = 0; turn && i < TURNS_MAX_HELD; i++)
		if (t->held[i].turn == turn)
			t->held[i].turn = 0;
}

struct slice turns_header(const struct turns *t, uint32_t turn)
{
	const uint32_t i = turn % TURNS_MAX, newest = t->last % TURNS_MAX;

	for (size_t k = 0; turn && k < TURNS_MAX_HELD; k++)
		if (t->held[k].turn == turn)
			return t->held[k].header;
	if (turn && t->slots[i].turn == turn && t->slots[i].header)
		return slice_from(t->slots[i].header, t->slots[i].len);
	if (t->last && t->slots[newest].header)
		return slice_from(t->slots[newest].header, t->slots[newest].len);
	return SLICE_NULL;
}

void turns_deinit(struct turns *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->slots); i++)
		free(t->slots[i].header);
	*t = (struct turns){ 0 };
}
