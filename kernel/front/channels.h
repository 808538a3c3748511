/* SPDX-License-Identifier: Apache-2.0 */
/* channels: the five ZeroMQ sockets of a kernel (specs/wire.md 7, 9). Nothing else in husk touches ZeroMQ. */
#ifndef HUSK_FRONT_CHANNELS_H
#define HUSK_FRONT_CHANNELS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <zmq.h>

#include "protocol/base/error.h"
#include "protocol/wire/connection-file.h"
#include "protocol/wire/frames.h"

struct channels;

/* A received multipart message: owns its frames. */
struct parcel {
	zmq_msg_t *msgs;
	struct slice *parts; /* borrowed from msgs */
	size_t n;
	size_t n_bytes;
};

void parcel_deinit(struct parcel *p);

/* Binds all five; ports that were 0 are chosen and written into c. err names endpoint and reason. */
int channels_new(struct connection *c, struct channels **ret, struct error *err) must_check;
/* Flushes for at most linger_msec, closes, removes the socket files of ipc. Returns NULL. */
struct channels *channels_free(struct channels *ch, int linger_msec);

int channels_fd(const struct channels *ch, enum connection_port port); /* to be polled for input */
/* The descriptor was reported readable: the socket is to be asked. */
void channels_look(struct channels *ch, enum connection_port port);
/* Level-triggered truth; free of cost for a socket on which nothing has happened since it last said no. */
bool channels_readable(struct channels *ch, enum connection_port port);

/* Next message: 1 with *ret filled, 0 when there is none, -errno. A message over FRAMES_MAX frames or FRAMES_MAX_BYTES
 * is read to its end and given back as an empty parcel (n == 0). */
int channels_recv(struct channels *ch, enum connection_port port, struct parcel *ret) must_check;

/* Sends frames [0, n): each is copied, but for those with "owned" set, which are given to ZeroMQ without a copy. */
struct channels_frame {
	struct slice bytes;
	bool owned; /* bytes.data was malloc'ed; released (also on failure) by ZeroMQ or here */
};
int channels_send(struct channels *ch, enum connection_port port, const struct channels_frame *frames, size_t n)
    must_check;

/* Bytes of iopub messages that are not yet written to a peer: the memory of slow subscribers. A message counts when it has
 * an owned frame, and then with all its frames. */
size_t channels_in_flight(const struct channels *ch);
/* An eventfd that becomes readable once in-flight bytes are below the mark; 0 disarms. */
void channels_notify_below(struct channels *ch, size_t mark);
int channels_notify_fd(const struct channels *ch);

/* Applies a subscription that was just received on iopub (the socket is in manual mode, so that nothing reaches a new
 * subscriber before its welcome). */
int channels_subscribe(struct channels *ch, struct slice topic, bool on) must_check;

#endif
