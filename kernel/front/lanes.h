/* SPDX-License-Identifier: Apache-2.0 */
/* lanes: which there are. */
#ifndef HUSK_FRONT_LANES_H
#define HUSK_FRONT_LANES_H

#include "kernel/front/state.h"

void lane_init(struct lane *lane, enum lane_kind kind);
struct lane *front_lane(struct front *f, size_t i); /* below n_lanes: main, debugger, subshells; NULL when it is not in use */

#endif
