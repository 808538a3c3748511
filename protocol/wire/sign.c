/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign: HMAC over the four JSON frames (specs/wire.md 3).
 *
 * nettle keeps the two hashed pads of a key in the context, so a copy of a context that never saw a message is the
 * start of each signature.
 */
#include "protocol/wire/sign.h"

#include <nettle/hmac.h>
#include <sodium.h>

#include "protocol/base/util.h"

union sign_state {
	struct hmac_md5_ctx md5;
	struct hmac_sha256_ctx sha256;
	struct hmac_sha384_ctx sha384;
	struct hmac_sha512_ctx sha512;
};

struct sign_scheme {
	const char *name;
	size_t digest_size;
	size_t state_size;
	void (*set_key)(union sign_state *state, size_t len, const uint8_t *key);
	void (*update)(union sign_state *state, size_t len, const uint8_t *data);
	void (*digest)(union sign_state *state, size_t len, uint8_t *ret);
};

#define SIGN_SCHEME_FUNCTIONS(which) \
	static void set_key_##which(union sign_state *state, size_t len, const uint8_t *key) \
	{ \
		hmac_##which##_set_key(&state->which, len, key); \
	} \
	static void update_##which(union sign_state *state, size_t len, const uint8_t *data) \
	{ \
		hmac_##which##_update(&state->which, len, data); \
	} \
	static void digest_##which(union sign_state *state, size_t len, uint8_t *ret) \
	{ \
		hmac_##which##_digest(&state->which, len, ret); \
	}

SIGN_SCHEME_FUNCTIONS(md5)
SIGN_SCHEME_FUNCTIONS(sha256)
SIGN_SCHEME_FUNCTIONS(sha384)
SIGN_SCHEME_FUNCTIONS(sha512)

#define SIGN_SCHEME(which, size) \
	{ "hmac-" #which, size, sizeof(struct hmac_##which##_ctx), set_key_##which, update_##which, digest_##which }

static const struct sign_scheme schemes[] = {
	SIGN_SCHEME(sha256, 32), /* the first one is the default */
	SIGN_SCHEME(sha384, 48),
	SIGN_SCHEME(sha512, 64),
	SIGN_SCHEME(md5, 16),
};

struct sign_key {
	const struct sign_scheme *scheme;
	bool is_enabled;
	union sign_state start; /* the pads are hashed, no message yet */
};

static const struct sign_scheme *find_scheme(struct slice name)
{
	if (name.len == 0)
		return &schemes[0];
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (slice_equal_str(name, schemes[i].name))
			return &schemes[i];
	return NULL;
}

int sign_key_new(struct slice scheme, struct slice key, struct sign_key **ret, struct error *err)
{
	const struct sign_scheme *found = find_scheme(scheme);
	struct sign_key *k;

	if (!found)
		return error_set(err, -EINVAL,
		    "signature_scheme \"%.*s\" is unknown; accepted are hmac-sha256, hmac-sha384, hmac-sha512 and hmac-md5",
		    (int)MIN(scheme.len, (size_t)64), scheme.data);
	if (key.len > SIGN_KEY_MAX)
		return error_set(err, -EINVAL, "key has %zu bytes; at most %d are accepted", key.len, SIGN_KEY_MAX);
	k = calloc(1, sizeof(*k));
	if (!k)
		return error_set(err, -ENOMEM, "out of memory");
	k->scheme = found;
	k->is_enabled = key.len > 0;
	if (k->is_enabled)
		found->set_key(&k->start, key.len, (const uint8_t *)key.data);
	*ret = k;
	return 0;
}

struct sign_key *sign_key_free(struct sign_key *k)
{
	if (k) {
		sodium_memzero(k, sizeof(*k));
		free(k);
	}
	return NULL;
}

bool sign_is_enabled(const struct sign_key *k)
{
	return k->is_enabled;
}

size_t sign_make(const struct sign_key *k, const struct slice *parts, size_t n_parts, char ret_hex[SIGN_HEX_MAX])
{
	static const char digits[] = "0123456789abcdef";
	const struct sign_scheme *scheme = k->scheme;
	uint8_t digest[SIGN_HEX_MAX / 2];
	union sign_state state;

	if (!k->is_enabled)
		return 0;
	memcpy(&state, &k->start, scheme->state_size);
	for (size_t i = 0; i < n_parts; i++)
		if (parts[i].len > 0)
			scheme->update(&state, parts[i].len, (const uint8_t *)parts[i].data);
	scheme->digest(&state, scheme->digest_size, digest);
	/* The copy holds the hashed pads, which sign as well as the key does. */
	sodium_memzero(&state, scheme->state_size);
	for (size_t i = 0; i < scheme->digest_size; i++) {
		ret_hex[2 * i] = digits[digest[i] >> 4];
		ret_hex[2 * i + 1] = digits[digest[i] & 15];
	}
	return 2 * scheme->digest_size;
}

bool sign_verify(const struct sign_key *k, struct slice signature, const struct slice *parts, size_t n_parts)
{
	char expected[SIGN_HEX_MAX];
	size_t len;

	if (!k->is_enabled)
		return true;
	if (signature.len != 2 * k->scheme->digest_size)
		return false;
	len = sign_make(k, parts, n_parts, expected);
	return sodium_memcmp(signature.data, expected, len) == 0;
}

/*
 * Replay guard: a FIFO of digests and a table of open addressing over it, always at most half full. The first 128 bits
 * of a verified HMAC are as good as random to whoever does not hold the key, so they are hash and identity in one.
 */
#define REPLAY_SLOTS (2u * SIGN_REPLAY_MAX)

struct replay_digest {
	uint64_t words[2];
};

struct sign_replay {
	struct replay_digest fifo[SIGN_REPLAY_MAX];
	uint32_t slots[REPLAY_SLOTS]; /* index into fifo plus 1; 0 is free */
	uint64_t n_added;
};

_Static_assert((REPLAY_SLOTS & (REPLAY_SLOTS - 1)) == 0, "slots are taken modulo a power of two");

struct sign_replay *sign_replay_new(void)
{
	return calloc(1, sizeof(struct sign_replay)); /* pages are touched as they fill */
}

struct sign_replay *sign_replay_free(struct sign_replay *r)
{
	free(r);
	return NULL;
}

static struct replay_digest replay_digest(struct slice signature)
{
	struct replay_digest d = { { 0, 0 } };

	for (size_t i = 0; i < MIN(signature.len, (size_t)32); i++) {
		unsigned char c = (unsigned char)signature.data[i];

		d.words[i / 16] = d.words[i / 16] << 4 | (uint64_t)((c & 15) + (c >> 6) * 9);
	}
	return d;
}

static uint32_t replay_home(const struct replay_digest *d)
{
	return (uint32_t)d->words[0] & (REPLAY_SLOTS - 1);
}

/* The slot of d, or the free one where it belongs. */
static uint32_t replay_find(const struct sign_replay *r, const struct replay_digest *d)
{
	uint32_t at = replay_home(d);

	while (r->slots[at] != 0) {
		const struct replay_digest *there = &r->fifo[r->slots[at] - 1];

		if (there->words[0] == d->words[0] && there->words[1] == d->words[1])
			break;
		at = (at + 1) & (REPLAY_SLOTS - 1);
	}
	return at;
}

/* Removal without tombstones: whatever could not sit nearer to its home because of this slot moves up. */
static void replay_remove(struct sign_replay *r, uint32_t hole)
{
	uint32_t at = hole;

	for (;;) {
		uint32_t home;

		at = (at + 1) & (REPLAY_SLOTS - 1);
		if (r->slots[at] == 0)
			break;
		home = replay_home(&r->fifo[r->slots[at] - 1]);
		if (((at - home) & (REPLAY_SLOTS - 1)) < ((at - hole) & (REPLAY_SLOTS - 1)))
			continue;
		r->slots[hole] = r->slots[at];
		hole = at;
	}
	r->slots[hole] = 0;
}

bool sign_replay_seen(struct sign_replay *r, struct slice signature)
{
	struct replay_digest d = replay_digest(signature);
	uint32_t index = (uint32_t)(r->n_added % SIGN_REPLAY_MAX);

	if (r->slots[replay_find(r, &d)] != 0)
		return true;
	if (r->n_added >= SIGN_REPLAY_MAX)
		replay_remove(r, replay_find(r, &r->fifo[index]));
	r->fifo[index] = d;
	r->slots[replay_find(r, &d)] = index + 1;
	r->n_added++;
	return false;
}
