/* SPDX-License-Identifier: Apache-2.0 */
/* info: kernel_info_reply. */
#ifndef HUSK_FRONT_INFO_H
#define HUSK_FRONT_INFO_H

#include "kernel/front/state.h"

void info_content(const struct front *f, struct buffer *out);

#endif
