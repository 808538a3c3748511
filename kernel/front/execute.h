/* SPDX-License-Identifier: Apache-2.0 */
/* execute: execute_request. */
#ifndef HUSK_FRONT_EXECUTE_H
#define HUSK_FRONT_EXECUTE_H

#include "kernel/front/state.h"

void execute_read_flags(struct request *r); /* before all else */
/* r fails: what waits behind it is aborted, if it asks for that. */
void execute_stop_queue(struct front *f, struct lane *lane, const struct request *r);
void execute_begin(struct front *f, struct lane *lane, struct request *r);
void execute_announce(struct front *f); /* before anything else is published */
void execute_aborted(struct front *f, struct request *r);
void execute_refused(struct front *f, struct request *r, const struct failure *why); /* never begun; error, reply, idle; frees */
/* Members of an error of which only the beginning is told; bytes: of all. */
void execute_append_short_error(struct buffer *out, struct slice ename, struct slice evalue, size_t bytes);
int execute_replied(struct front *f, struct lane *lane, struct peer_frame *frame, struct error *err) must_check;
void execute_failed(struct front *f, struct request *r, const struct failure *why); /* error, reply, idle; frees */

#endif
