/* SPDX-License-Identifier: Apache-2.0 */
/* watch: descriptors in the loop. */
#ifndef HUSK_FRONT_WATCH_H
#define HUSK_FRONT_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include "protocol/base/util.h"

struct front;

/* A descriptor in the loop. fn may be called with events 0 after a pause. */
struct watch {
	int fd;
	void (*fn)(struct front *f, struct watch *w, uint32_t events);
	uint32_t events; /* 0: paused */
	bool added;
};

int front_watch(struct front *f, struct watch *w, int fd, uint32_t events,
    void (*fn)(struct front *f, struct watch *w, uint32_t events)) must_check;
void front_watch_set(struct front *f, struct watch *w, uint32_t events);
void front_unwatch(struct front *f, struct watch *w);

#endif
