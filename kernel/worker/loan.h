/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loan: memory for OpenBLAS, beside the limit that memory.c keeps (specs/link.md 6.7).
 *
 * OpenBLAS takes a buffer for each of its threads and for each caller at a time, 32 or 129 MiB of which it touches little, and
 * keeps it for ever. It cannot do without: older releases ask again for ever with the GIL held, later ones exit. And when
 * a thread of its own cannot be started it waits for it for ever. So that is no part of what the worker's limit counts; what is
 * touched of it counts where memory is counted.
 */
#ifndef HUSK_WORKER_LOAN_H
#define HUSK_WORKER_LOAN_H

/* From now on there are loans. */
void loan_open(void);

#endif
