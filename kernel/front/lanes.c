/* SPDX-License-Identifier: Apache-2.0 */
/* lanes: which there are. */
#include "kernel/front/lanes.h"

#include "kernel/front/state.h"

void lane_init(struct lane *lane, enum lane_kind kind)
{
	*lane = (struct lane){ .kind = kind, .watch = { .fd = -1 } };
	peer_init(&lane->peer, -1);
	queue_init(&lane->queue);
}

struct lane *front_lane(struct front *f, size_t i)
{
	if (i < 2)
		return i ? &f->debug : &f->main;
	return f->subshells[i - 2].in_use ? &f->subshells[i - 2] : NULL;
}
