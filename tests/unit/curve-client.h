/* SPDX-License-Identifier: Apache-2.0 */
/* curve-client: the client's side of CURVE (RFC 26), written from the RFC alone, for tests of the server's side. */
#ifndef HUSK_TESTS_CURVE_CLIENT_H
#define HUSK_TESTS_CURVE_CLIENT_H

#include <sodium.h>
#include <stdint.h>
#include <string.h>

#include "protocol/base/buffer.h"

struct curve_client {
	uint8_t server[32];                                   /* S */
	uint8_t public[32], secret[32];                       /* C, c */
	uint8_t transient_public[32], transient_secret[32];   /* C', c' */
	uint8_t server_transient[32];                         /* S' */
	uint8_t cookie[96];
	uint64_t nonce;                                       /* of what was sent last */
};

static inline void curve_client_init(struct curve_client *c, const uint8_t server[32])
{
	memset(c, 0, sizeof(*c));
	memcpy(c->server, server, 32);
	(void)crypto_box_keypair(c->public, c->secret);
	(void)crypto_box_keypair(c->transient_public, c->transient_secret);
}

static inline void curve_client_nonce(uint8_t ret[24], const char *prefix, const uint8_t *rest)
{
	memcpy(ret, prefix, strlen(prefix));
	memcpy(ret + strlen(prefix), rest, 24 - strlen(prefix));
}

static inline void curve_client_count(struct curve_client *c, uint8_t ret[8])
{
	c->nonce++;
	for (int i = 0; i < 8; i++)
		ret[i] = (uint8_t)(c->nonce >> (56 - 8 * i));
}

static inline void curve_client_hello(struct curve_client *c, struct buffer *out)
{
	static const uint8_t zeros[72];
	uint8_t nonce[24], count[8], box[80];

	curve_client_count(c, count);
	curve_client_nonce(nonce, "CurveZMQHELLO---", count);
	(void)!crypto_box_easy(box, zeros, 64, nonce, c->server, c->transient_secret);
	buffer_append(out, "\5HELLO\1\0", 8);
	buffer_append(out, zeros, 72);
	buffer_append(out, c->transient_public, 32);
	buffer_append(out, count, 8);
	buffer_append(out, box, sizeof(box));
}

static inline int curve_client_welcome(struct curve_client *c, struct slice body)
{
	uint8_t nonce[24], plain[128];

	if (body.len != 168 || memcmp(body.data, "\7WELCOME", 8) != 0)
		return -1;
	curve_client_nonce(nonce, "WELCOME-", (const uint8_t *)body.data + 8);
	if (crypto_box_open_easy(plain, (const uint8_t *)body.data + 24, 144, nonce, c->server, c->transient_secret) != 0)
		return -1;
	memcpy(c->server_transient, plain, 32);
	memcpy(c->cookie, plain + 32, 96);
	return 0;
}

/* for_server: which server the vouch names. */
static inline void curve_client_initiate(struct curve_client *c, const uint8_t for_server[32], struct slice properties,
    struct buffer *out)
{
	uint8_t nonce[24], count[8], random[16], both[64], vouch[80], box[1024], plain[1024 - 16];

	memcpy(both, c->transient_public, 32);
	memcpy(both + 32, for_server, 32);
	randombytes_buf(random, sizeof(random));
	curve_client_nonce(nonce, "VOUCH---", random);
	(void)!crypto_box_easy(vouch, both, sizeof(both), nonce, c->server_transient, c->secret);
	memcpy(plain, c->public, 32);
	memcpy(plain + 32, random, 16);
	memcpy(plain + 48, vouch, 80);
	if (properties.len)
		memcpy(plain + 128, properties.data, properties.len);
	curve_client_count(c, count);
	curve_client_nonce(nonce, "CurveZMQINITIATE", count);
	(void)!crypto_box_easy(box, plain, 128 + properties.len, nonce, c->server_transient, c->transient_secret);
	buffer_append(out, "\10INITIATE", 9);
	buffer_append(out, c->cookie, 96);
	buffer_append(out, count, 8);
	buffer_append(out, box, 128 + properties.len + 16);
}

/* What the server sent in READY or in a MESSAGE; prefix is that of the nonce. Returns the length or -1. */
static inline int curve_client_open(const struct curve_client *c, const char *name, const char *prefix, struct slice body,
    uint8_t *ret)
{
	const uint8_t *b = (const uint8_t *)body.data;
	size_t n = strlen(name);
	uint8_t nonce[24];

	if (body.len < 1 + n + 8 + 16 || b[0] != n || memcmp(b + 1, name, n) != 0)
		return -1;
	curve_client_nonce(nonce, prefix, b + 1 + n);
	if (crypto_box_open_easy(ret, b + 1 + n + 8, body.len - 1 - n - 8, nonce, c->server_transient, c->transient_secret) != 0)
		return -1;
	return (int)(body.len - 1 - n - 8 - 16);
}

/* flags as RFC 26 has them: 1 more, 2 command. */
static inline void curve_client_message(struct curve_client *c, uint8_t flags, struct slice payload, struct buffer *out)
{
	uint8_t nonce[24], count[8], plain[1024], box[1024 + 16];

	plain[0] = flags;
	memcpy(plain + 1, payload.data, payload.len);
	curve_client_count(c, count);
	curve_client_nonce(nonce, "CurveZMQMESSAGEC", count);
	(void)!crypto_box_easy(box, plain, 1 + payload.len, nonce, c->server_transient, c->transient_secret);
	buffer_append(out, "\7MESSAGE", 8);
	buffer_append(out, count, 8);
	buffer_append(out, box, 1 + payload.len + 16);
}

#endif
