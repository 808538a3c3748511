/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curve: the server's side of the CURVE mechanism (RFC 26/CURVEZMQ), by libsodium. Pure but for random numbers.
 *
 * The handshake: HELLO in, WELCOME out, INITIATE in, READY out. Then every frame is a MESSAGE: curve_seal(), curve_open().
 * A client proves that it knows the server's public key; which client it is, is not asked.
 */
#ifndef HUSK_ZMTP_CURVE_H
#define HUSK_ZMTP_CURVE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/buffer.h"
#include "protocol/base/slice.h"

#define CURVE_KEY_SIZE 32
#define CURVE_Z85_SIZE 40
#define CURVE_OVERHEAD 33 /* bytes by which a MESSAGE is longer than its payload: name, nonce, MAC, flags */

/* Z85 (RFC 32) of a key. -EINVAL when the text is not 40 characters of that alphabet. */
int curve_key_decode(const char *z85, uint8_t ret[CURVE_KEY_SIZE]) must_check;

struct curve_server; /* of one connection */

/* secret: the server's long-term key. NULL when memory is short. */
struct curve_server *curve_server_new(const uint8_t secret[CURVE_KEY_SIZE]);
struct curve_server *curve_server_free(struct curve_server *c); /* wipes; returns NULL */

/*
 * One command of the handshake (a whole body). Appends the answer's body to *reply. 0: go on; 1: the client is let in, its
 * properties are in *ret_properties (borrowed from the server, valid until the next call) and curve_ready() is to follow;
 * -EPROTO: to be closed.
 */
int curve_handshake(struct curve_server *c, struct slice body, struct buffer *reply, struct slice *ret_properties)
    must_check;
/* Appends READY with these properties. */
int curve_ready(struct curve_server *c, struct slice properties, struct buffer *reply) must_check;

/* Writes payload.len + CURVE_OVERHEAD bytes. flags: ZMTP_FLAG_*. */
int curve_seal(struct curve_server *c, uint8_t flags, struct slice payload, uint8_t *ret) must_check;
/* Opens in place: on 0 the payload lies at body + (returned slice). -EPROTO: forged, replayed, or no MESSAGE. */
int curve_open(struct curve_server *c, uint8_t *body, size_t len, uint8_t *ret_flags, struct slice *ret_payload)
    must_check;

#endif
