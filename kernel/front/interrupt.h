/* SPDX-License-Identifier: Apache-2.0 */
/* interrupt: the ladder from an exception to the end of the worker (specs/link.md 5). */
#ifndef HUSK_FRONT_INTERRUPT_H
#define HUSK_FRONT_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

struct front;

/* Whatever is running, in the main shell and in the subshells; group: and the processes of the front's process group. */
void interrupt_all(struct front *f, bool group);
void interrupt_tick(struct front *f, uint64_t now);
void interrupt_over(struct front *f, uint32_t turn); /* that turn has ended */
uint32_t interrupt_times_raised(struct front *f);    /* by the worker's own account */

#endif
