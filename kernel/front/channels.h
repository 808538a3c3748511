/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channels: the five sockets of a kernel (specs/wire.md 7, 9), spoken to in ZMTP: four ROUTERs and an XPUB. Nothing else in
 * husk touches a client's connection.
 *
 * What is sent leaves with channels_flush(), or when the next message goes by another socket: so what belongs together is
 * written with one system call, and the order between sockets is the order of sending.
 */
#ifndef HUSK_FRONT_CHANNELS_H
#define HUSK_FRONT_CHANNELS_H

#include <stdbool.h>

#include "kernel/front/assembly.h"
#include "protocol/base/error.h"
#include "protocol/wire/connection-file.h"

/* Frames of this size on are not copied: one that is "owned" is passed on as it is, and subscribers share it. */
#define CHANNELS_SHARE_FROM ((size_t)16 << 10)
#define CHANNELS_CLIENTS_MAX 1024 /* connections of all five sockets together; fewer where descriptors are scarce */
#define CHANNELS_UNREAD_MAX_BYTES ((size_t)2 << 30) /* what may wait for all clients together */

struct channels;

/* Binds all five; ports that were 0 are chosen and written into c. err names endpoint and reason. */
int channels_new(struct connection *c, struct channels **ret, struct error *err) must_check;
/* Writes what is queued for at most linger_msec, closes, removes the socket files of ipc. Returns NULL. */
struct channels *channels_free(struct channels *ch, int linger_msec);

int channels_fd(const struct channels *ch); /* to be polled for input; then channels_look() */
void channels_look(struct channels *ch);
bool channels_readable(const struct channels *ch, enum connection_port port); /* channels_recv() has something to do */
uint64_t channels_deadline(const struct channels *ch); /* monotonic: when channels_tick() is due; USEC_NEVER */
void channels_tick(struct channels *ch, uint64_t now_usec);

/* Next message: 1 with *ret filled, or 0. For a ROUTER its first part is the client's identity; at iopub it is a
 * subscription: one part, 1 or 0 and the topic. A message over FRAMES_MAX frames or FRAMES_MAX_BYTES is read to its end and
 * given back as an empty parcel (n == 0). */
int channels_recv(struct channels *ch, enum connection_port port, struct parcel *ret) must_check;

struct channels_frame {
	struct slice bytes;
	bool owned; /* bytes.data was malloc'ed; released here, also on failure */
};

/* To one client, by ROUTER: the first frame is its identity. It goes to the connection "from" when that is open at this
 * socket and has this identity, else to the newest one that has it; without any it is dropped. */
int channels_send(struct channels *ch, enum connection_port port, uint64_t from, const struct channels_frame *frames,
    size_t n) must_check;

/* To every subscriber that wants the topic, which is the first frame; only: to this connection alone (0: to all). Those
 * that do not read may lose it (specs/wire.md 9.5); vital: not before they hold twice the budget. */
int channels_publish(struct channels *ch, const struct channels_frame *frames, size_t n, bool vital, uint64_t only)
    must_check;
void channels_flush(struct channels *ch);

/* Applies a subscription that was just received, to its sender. -ENOTCONN when that has gone. */
int channels_subscribe(struct channels *ch, uint64_t from, struct slice topic, bool on) must_check;

/* True while output must wait for a subscriber that does not read. hurry: nothing waits. */
bool channels_hold(struct channels *ch, uint64_t now_usec, bool hurry);
uint64_t channels_hold_deadline(const struct channels *ch);
/* A subscriber that reads again after messages to it were dropped: true, once, with its connection and the bytes. */
bool channels_recovered(struct channels *ch, uint64_t *ret_from, size_t *ret_n_dropped);
size_t channels_queued(const struct channels *ch); /* bytes that the slowest subscriber has not taken yet */

#endif
