/* SPDX-License-Identifier: Apache-2.0 */
/* disk-watch: has the workspace measured when disk.c says so, and ends what has made it too large. */
#ifndef HUSK_FRONT_DISK_WATCH_H
#define HUSK_FRONT_DISK_WATCH_H

#include <stdint.h>

#include "protocol/base/util.h"

struct front;

int disk_watch_start(struct front *f) must_check; /* the sandbox is known now, if there is one */
void disk_watch_tick(struct front *f, uint64_t now);

#endif
