/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign: HMAC over the four JSON frames (specs/wire.md 3). The key's pads are hashed once; a signature costs two
 * state copies. Digest by nettle (SHA-NI where the processor has it), comparison by libsodium in constant time.
 */
#ifndef HUSK_WIRE_SIGN_H
#define HUSK_WIRE_SIGN_H

#include <stdbool.h>

#include "protocol/base/error.h"
#include "protocol/base/slice.h"

#define SIGN_HEX_MAX 128 /* hex digits of the longest digest, sha512 */
#define SIGN_KEY_MAX 1024

struct sign_key;

/* scheme: "hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-md5"; "" means hmac-sha256. key: raw bytes, may be empty
 * (then nothing is signed or checked). -EINVAL names the scheme and the accepted ones; -EINVAL for a key longer than
 * SIGN_KEY_MAX. */
int sign_key_new(struct slice scheme, struct slice key, struct sign_key **ret, struct error *err) must_check;
struct sign_key *sign_key_free(struct sign_key *k); /* accepts NULL, wipes, returns NULL */

bool sign_is_enabled(const struct sign_key *k); /* false for the empty key */

/* Lower-case hex digest over the concatenation of parts; returns its length, 0 for the empty key. */
size_t sign_make(const struct sign_key *k, const struct slice *parts, size_t n_parts, char ret_hex[SIGN_HEX_MAX]);

/* Constant time in the signature's content. Always true for the empty key. */
bool sign_verify(const struct sign_key *k, struct slice signature, const struct slice *parts, size_t n_parts);

static inline void sign_key_freep(struct sign_key **k)
{
	sign_key_free(*k);
}

/* Replay guard: the digests of the last SIGN_REPLAY_MAX verified messages (wire.md 3.4). Bounded, no allocation after
 * _new. */
#define SIGN_REPLAY_MAX 65536
struct sign_replay;
struct sign_replay *sign_replay_new(void); /* NULL when out of memory */
struct sign_replay *sign_replay_free(struct sign_replay *r);
/* True when this signature was seen among the last SIGN_REPLAY_MAX; remembers it otherwise. Call after verifying. */
bool sign_replay_seen(struct sign_replay *r, struct slice signature);

#endif
