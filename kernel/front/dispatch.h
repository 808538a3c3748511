/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch: lanes, and what the front answers alone. */
#ifndef HUSK_FRONT_DISPATCH_H
#define HUSK_FRONT_DISPATCH_H

#include "kernel/front/state.h"

void lane_advance(struct front *f, struct lane *lane);
void lane_abort_queue(struct front *f, struct lane *lane);
void lane_refuse_queue(struct front *f, struct lane *lane, const struct failure *why);
/* Gives the worker the next comm message of a lane whose cell awaits. */
void lane_advance_aside(struct front *f, struct lane *lane);
struct request *lane_end_current(struct front *f, struct lane *lane); /* what the worker has besides becomes the current one */
void front_advance(struct front *f);
void dispatch_route(struct front *f, struct request *r); /* takes the request */
void request_start(struct front *f, struct request *r);  /* its time begins; busy is still to be published */
void request_begin(struct front *f, struct request *r);  /* the same, and busy */
/* The array of n_fields and its first four, which EXECUTE and REQUEST share: turn, header, identities, metadata. */
void request_write_head(struct buffer *out, uint32_t n_fields, const struct request *r);
void request_finish(struct front *f, struct request *r); /* idle; frees */
void reply_content(struct front *f, struct request *r, struct buffer *content, struct slice metadata,
    const struct slice *buffers, size_t n_buffers);
void reply_error(struct front *f, struct request *r, const char *ename, const char *evalue); /* verdict error, kept */
void reply_failure(struct front *f, struct request *r, const struct failure *why);
void answer_histories(struct front *f);
void refuse_at_end(struct front *f, struct request *r); /* aborted, or an error; takes the request */
void refuse_asking(struct front *f); /* at the end too: what waits for the history */
void lane_tell(struct lane *lane, uint32_t id, struct slice rows); /* TOLD */
/* The worker has published a message for the request of that header: notes who asks what over a comm (wire.md 7.15). */
void dispatch_published(struct front *f, enum msgtype type, struct slice content, struct slice header);

#endif
