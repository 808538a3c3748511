/* SPDX-License-Identifier: Apache-2.0 */
/* metadata: that of execute_reply (wire.md 7.9, limits.md 3). */
#ifndef HUSK_FRONT_METADATA_H
#define HUSK_FRONT_METADATA_H

#include "kernel/front/state.h"

void metadata_write(const struct front *f, const struct request *r, const struct outcome *how, struct buffer *out);

#endif
