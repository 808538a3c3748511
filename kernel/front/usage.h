/* SPDX-License-Identifier: Apache-2.0 */
/* usage: usage_reply (wire.md 7). */
#ifndef HUSK_FRONT_USAGE_H
#define HUSK_FRONT_USAGE_H

#include "kernel/front/state.h"

void usage_content(const struct front *f, struct buffer *out);

#endif
