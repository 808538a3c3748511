/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curve: the server's side of CURVE. Names as in RFC 26: S, s are the server's long-term keys, S', s' its transient
 * ones, C' the client's transient key. The cookie is kept here instead of being trusted when it comes back: a
 * connection has its state anyway, and its bytes are compared in constant time.
 */
#include "protocol/zmtp/curve.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "protocol/base/util.h"
#include "protocol/zmtp/zmtp.h"

#define HELLO_SIZE 200
#define COOKIE_SIZE 96
#define INITIATE_MIN (9 + COOKIE_SIZE + 8 + crypto_box_MACBYTES + 32 + 16 + 80)
#define INITIATE_MAX 8192
#define MESSAGE_NAME "\7MESSAGE"
#define MESSAGE_NAME_SIZE 8

/* The flags inside a box are not those of a frame. */
enum { BOX_MORE = 1, BOX_COMMAND = 2 };

enum state { EXPECT_HELLO, EXPECT_INITIATE, EXPECT_READY, OPEN };

struct curve_server {
	enum state state;
	uint8_t secret[CURVE_KEY_SIZE];          /* s */
	uint8_t transient_public[CURVE_KEY_SIZE]; /* S' */
	uint8_t transient_secret[CURVE_KEY_SIZE]; /* s' */
	uint8_t client_transient[CURVE_KEY_SIZE]; /* C' */
	uint8_t shared[crypto_box_BEFORENMBYTES]; /* of C' and s' */
	uint8_t cookie[COOKIE_SIZE];
	uint64_t nonce_in;  /* the last one; the next must be greater */
	uint64_t nonce_out;
	uint8_t plain[INITIATE_MAX];
};

int curve_key_decode(const char *z85, uint8_t ret[CURVE_KEY_SIZE])
{
	static const char alphabet[] =
	    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

	if (strlen(z85) != CURVE_Z85_SIZE)
		return -EINVAL;
	for (size_t group = 0; group < CURVE_Z85_SIZE / 5; group++) {
		uint64_t value = 0;

		for (size_t i = 0; i < 5; i++) {
			const char *digit = strchr(alphabet, z85[group * 5 + i]);

			if (!digit)
				return -EINVAL;
			value = value * 85 + (uint64_t)(digit - alphabet);
		}
		if (value > UINT32_MAX)
			return -EINVAL;
		for (size_t i = 0; i < 4; i++)
			ret[group * 4 + i] = (uint8_t)(value >> (24 - 8 * i));
	}
	return 0;
}

struct curve_server *curve_server_new(const uint8_t secret[CURVE_KEY_SIZE])
{
	struct curve_server *c = calloc(1, sizeof(*c));

	if (c)
		memcpy(c->secret, secret, sizeof(c->secret));
	return c;
}

struct curve_server *curve_server_free(struct curve_server *c)
{
	if (c) {
		sodium_memzero(c, sizeof(*c));
		free(c);
	}
	return NULL;
}

/* A nonce of 24 bytes: a prefix of 16 and 8 bytes that count, or a prefix of 8 and 16 random bytes. */
static void nonce_make(uint8_t ret[crypto_box_NONCEBYTES], const char *prefix, const uint8_t *rest)
{
	size_t n = strlen(prefix);

	memcpy(ret, prefix, n);
	memcpy(ret + n, rest, crypto_box_NONCEBYTES - n);
}

static void write_u64(uint8_t ret[8], uint64_t value)
{
	for (int i = 0; i < 8; i++)
		ret[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t read_u64(const uint8_t bytes[8])
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

/* The cookie is random bytes: what RFC 26 seals into it is in this connection's state. */
static int welcome(struct curve_server *c, struct buffer *reply)
{
	uint8_t nonce[crypto_box_NONCEBYTES], random[16], plain[CURVE_KEY_SIZE + COOKIE_SIZE];
	uint8_t box[sizeof(plain) + crypto_box_MACBYTES];

	(void)crypto_box_keypair(c->transient_public, c->transient_secret);
	randombytes_buf(c->cookie, sizeof(c->cookie));
	randombytes_buf(random, sizeof(random));
	nonce_make(nonce, "WELCOME-", random);
	memcpy(plain, c->transient_public, CURVE_KEY_SIZE);
	memcpy(plain + CURVE_KEY_SIZE, c->cookie, COOKIE_SIZE);
	if (crypto_box_easy(box, plain, sizeof(plain), nonce, c->client_transient, c->secret) != 0)
		return -EPROTO;
	zmtp_command_begin(reply, "WELCOME");
	buffer_append(reply, random, sizeof(random));
	buffer_append(reply, box, sizeof(box));
	c->state = EXPECT_INITIATE;
	return reply->failed;
}

static int hello(struct curve_server *c, struct slice body, struct buffer *reply)
{
	static const uint8_t zeros[64];
	const uint8_t *b = (const uint8_t *)body.data;
	uint8_t nonce[crypto_box_NONCEBYTES], plain[64];

	/* name 6, version 2, padding 72, C' 32, nonce 8, box 80 */
	if (body.len != HELLO_SIZE || memcmp(b, "\5HELLO\1", 7) != 0)
		return -EPROTO;
	memcpy(c->client_transient, b + 80, CURVE_KEY_SIZE);
	nonce_make(nonce, "CurveZMQHELLO---", b + 112);
	if (crypto_box_open_easy(plain, b + 120, 80, nonce, c->client_transient, c->secret) != 0 ||
	    sodium_memcmp(plain, zeros, sizeof(zeros)) != 0)
		return -EPROTO;
	c->nonce_in = read_u64(b + 112);
	return welcome(c, reply);
}

/* The vouch shows that whoever has C (its long-term key) made C' for this server. */
static int check_vouch(const struct curve_server *c, const uint8_t *plain)
{
	uint8_t nonce[crypto_box_NONCEBYTES], vouch[2 * CURVE_KEY_SIZE], public[CURVE_KEY_SIZE];

	nonce_make(nonce, "VOUCH---", plain + 32);
	if (crypto_box_open_easy(vouch, plain + 48, 80, nonce, plain, c->transient_secret) != 0)
		return -EPROTO;
	(void)crypto_scalarmult_base(public, c->secret);
	if (sodium_memcmp(vouch, c->client_transient, CURVE_KEY_SIZE) != 0 ||
	    sodium_memcmp(vouch + CURVE_KEY_SIZE, public, CURVE_KEY_SIZE) != 0)
		return -EPROTO;
	return 0;
}

static int initiate(struct curve_server *c, struct slice body, struct slice *ret_properties)
{
	const uint8_t *b = (const uint8_t *)body.data;
	uint8_t nonce[crypto_box_NONCEBYTES];
	const uint8_t *count;
	size_t n_box;

	if (body.len < INITIATE_MIN || body.len > INITIATE_MAX || memcmp(b, "\10INITIATE", 9) != 0)
		return -EPROTO;
	count = b + 9 + COOKIE_SIZE;
	n_box = body.len - 9 - COOKIE_SIZE - 8;
	if (sodium_memcmp(b + 9, c->cookie, COOKIE_SIZE) != 0 || read_u64(count) <= c->nonce_in)
		return -EPROTO;
	if (crypto_box_beforenm(c->shared, c->client_transient, c->transient_secret) != 0)
		return -EPROTO;
	nonce_make(nonce, "CurveZMQINITIATE", count);
	if (crypto_box_open_easy_afternm(c->plain, count + 8, n_box, nonce, c->shared) != 0 || check_vouch(c, c->plain) < 0)
		return -EPROTO;
	c->nonce_in = read_u64(count);
	*ret_properties = slice_from(c->plain + 128, n_box - crypto_box_MACBYTES - 128);
	c->state = EXPECT_READY;
	return 1;
}

int curve_handshake(struct curve_server *c, struct slice body, struct buffer *reply, struct slice *ret_properties)
{
	if (c->state == EXPECT_HELLO)
		return hello(c, body, reply);
	if (c->state == EXPECT_INITIATE)
		return initiate(c, body, ret_properties);
	return -EPROTO;
}

int curve_ready(struct curve_server *c, struct slice properties, struct buffer *reply)
{
	uint8_t nonce[crypto_box_NONCEBYTES], count[8], box[512 + crypto_box_MACBYTES];

	if (c->state != EXPECT_READY || properties.len > sizeof(box) - crypto_box_MACBYTES)
		return -EINVAL;
	write_u64(count, ++c->nonce_out);
	nonce_make(nonce, "CurveZMQREADY---", count);
	if (crypto_box_easy_afternm(box, (const uint8_t *)properties.data, properties.len, nonce, c->shared) != 0)
		return -EPROTO;
	zmtp_command_begin(reply, "READY");
	buffer_append(reply, count, sizeof(count));
	buffer_append(reply, box, properties.len + crypto_box_MACBYTES);
	c->state = OPEN;
	return reply->failed;
}

/* The box: MAC 16, then flags and payload. It is made in place, so nothing is copied twice. */
int curve_seal(struct curve_server *c, uint8_t flags, struct slice payload, uint8_t *ret)
{
	uint8_t nonce[crypto_box_NONCEBYTES];
	uint8_t *box = ret + MESSAGE_NAME_SIZE + 8, *plain = box + crypto_box_MACBYTES;

	if (c->state != OPEN || c->nonce_out == UINT64_MAX)
		return -EINVAL;
	memcpy(ret, MESSAGE_NAME, MESSAGE_NAME_SIZE);
	write_u64(ret + MESSAGE_NAME_SIZE, ++c->nonce_out);
	nonce_make(nonce, "CurveZMQMESSAGES", ret + MESSAGE_NAME_SIZE);
	plain[0] = (flags & ZMTP_FLAG_MORE ? BOX_MORE : 0) | (flags & ZMTP_FLAG_COMMAND ? BOX_COMMAND : 0);
	if (payload.len)
		memcpy(plain + 1, payload.data, payload.len);
	return crypto_box_detached_afternm(plain, box, plain, payload.len + 1, nonce, c->shared) == 0 ? 0 : -EINVAL;
}

int curve_open(struct curve_server *c, uint8_t *body, size_t len, uint8_t *ret_flags, struct slice *ret_payload)
{
	uint8_t nonce[crypto_box_NONCEBYTES];
	uint8_t *box, *plain;

	if (c->state != OPEN || len < CURVE_OVERHEAD || memcmp(body, MESSAGE_NAME, MESSAGE_NAME_SIZE) != 0 ||
	    read_u64(body + MESSAGE_NAME_SIZE) <= c->nonce_in)
		return -EPROTO;
	box = body + MESSAGE_NAME_SIZE + 8;
	plain = box + crypto_box_MACBYTES;
	nonce_make(nonce, "CurveZMQMESSAGEC", body + MESSAGE_NAME_SIZE);
	if (crypto_box_open_detached_afternm(plain, plain, box, len - CURVE_OVERHEAD + 1, nonce, c->shared) != 0)
		return -EPROTO;
	c->nonce_in = read_u64(body + MESSAGE_NAME_SIZE);
	*ret_flags = (plain[0] & BOX_MORE ? ZMTP_FLAG_MORE : 0) | (plain[0] & BOX_COMMAND ? ZMTP_FLAG_COMMAND : 0);
	*ret_payload = slice_from(plain + 1, len - CURVE_OVERHEAD);
	return 0;
}
