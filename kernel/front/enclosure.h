/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclosure: the front's dealings with its sandbox: its making, what it reports, its end. Without a profile, or with
 * one of level none, there is none.
 */
#ifndef HUSK_FRONT_ENCLOSURE_H
#define HUSK_FRONT_ENCLOSURE_H

#include "protocol/base/error.h"

struct front;

int enclosure_start(struct front *f, struct error *err) must_check; /* before the key is read */
int enclosure_watch(struct front *f) must_check;
int enclosure_serve(struct front *f, struct error *err) must_check; /* before anybody is served: root is given up */
void enclosure_end(struct front *f);                                /* waits until all of it is gone */

#endif
