/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: one Jupyter client with nothing but what a measurement needs: connections that speak ZMTP themselves, without
 * threads or queues in between, signed requests, every signature verified.
 */
#ifndef HUSK_TESTS_BENCH_WIRE_H
#define HUSK_TESTS_BENCH_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/util.h"

#define WIRE_MAX_FRAMES 32
#define WIRE_ID_SIZE 64

struct bytes {
	const char *data;
	size_t size;
};

enum wire_channel {
	WIRE_SHELL,
	WIRE_CONTROL,
	WIRE_STDIN,
	WIRE_IOPUB,
	WIRE_CHANNEL_COUNT,
};

struct connection {
	char ip[64];
	char key[65];
	int ports[WIRE_CHANNEL_COUNT];
	int hb_port;
};

struct wire_message {
	struct bytes frames[WIRE_MAX_FRAMES]; /* borrowed from the client until the message is closed */
	int n_frames;
	size_t size;   /* of all of it, as it was received */
	struct wire *wire;
	enum wire_channel channel;
	struct bytes header, parent, metadata, content;
};

struct wire;

/* Sockets without a connection, so that a cold start does not pay for making them. NULL with errno. */
struct wire *wire_new(void);
struct wire *wire_free(struct wire *w); /* accepts NULL, returns NULL; drops what is unsent */

/* Connects all channels and subscribes to everything; the kernel may still be about to bind. Once. 0 or -errno. */
int wire_connect(struct wire *w, const struct connection *connection) must_check;

/* Sends a signed request; content is JSON text. The new message id goes to ret_id. 0 or -errno. */
int wire_send(struct wire *w, enum wire_channel channel, const char *msg_type, const char *content,
	      char ret_id[WIRE_ID_SIZE]) must_check;

/*
 * Takes the next message that has arrived on a channel. 1: *ret_message is filled and must be closed; 0: nothing
 * there; -EBADMSG: malformed or with a wrong signature; other -errno.
 */
int wire_receive(struct wire *w, enum wire_channel channel, struct wire_message *ret_message) must_check;
void wire_message_close(struct wire_message *m);

/* Waits until a channel of one of the clients has something. 1: there is, 0: the time is over, -errno. */
int wire_wait(struct wire *const *wires, unsigned int n_wires, int timeout_ms) must_check;

/* The string value of the first "key" in a JSON object, as it stands there (escapes are not undone). */
bool json_string(struct bytes json, const char *key, struct bytes *ret_value) must_check;
bool bytes_equal(struct bytes a, const char *text) must_check;
bool bytes_contain(struct bytes haystack, const char *needle) must_check;

static inline void wire_freep(struct wire **w)
{
	wire_free(*w);
}

#endif
