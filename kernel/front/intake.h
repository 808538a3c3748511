/* SPDX-License-Identifier: Apache-2.0 */
/* intake: from sockets to requests. */
#ifndef HUSK_FRONT_INTAKE_H
#define HUSK_FRONT_INTAKE_H

#include <stdbool.h>

struct front;

void intake_service(struct front *f); /* bounded work on all sockets; sets f->again when there is more */
void intake_drain_shell(struct front *f); /* everything that has arrived on shell goes into the queues now */
void intake_drain_stdin(struct front *f); /* answers to questions that were asked; the others are dropped */
bool intake_is_pending(struct front *f);  /* something has arrived that the next round will take */

#endif
