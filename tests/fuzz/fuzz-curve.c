/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-curve: any body, or a genuine one with some bytes changed, in each state of the CURVE handshake. Nothing but the
 * genuine body is accepted. The states are made once and copied: that is why the source is included.
 */
#include "protocol/zmtp/curve.c"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/curve-client.h"

static struct curve_server states[3]; /* before HELLO, before INITIATE, open */
static struct buffer genuine[3];      /* the body that each expects */

static void make_states(void)
{
	uint8_t public[CURVE_KEY_SIZE], secret[CURVE_KEY_SIZE];
	struct buffer welcome = BUFFER_INIT(0), ready = BUFFER_INIT(0);
	struct curve_client client;
	struct slice properties;

	(void)crypto_box_keypair(public, secret);
	curve_client_init(&client, public);
	memcpy(states[0].secret, secret, sizeof(secret));
	curve_client_hello(&client, &genuine[0]);
	states[1] = states[0];
	CHECK(curve_handshake(&states[1], buffer_slice(&genuine[0]), &welcome, &properties) == 0);
	CHECK(curve_client_welcome(&client, buffer_slice(&welcome)) == 0);
	curve_client_initiate(&client, public, SLICE_LIT("\13Socket-Type\0\0\0\6DEALER"), &genuine[1]);
	states[2] = states[1];
	CHECK(curve_handshake(&states[2], buffer_slice(&genuine[1]), &welcome, &properties) == 1);
	CHECK(curve_ready(&states[2], properties, &ready) == 0);
	curve_client_message(&client, 1, SLICE_LIT("payload"), &genuine[2]);
	buffer_deinit(&welcome);
	buffer_deinit(&ready);
}

/* Changes of a genuine body: a position and what it is changed by; position 255 cuts. */
static size_t mutate(uint8_t *body, size_t len, const uint8_t *changes, size_t n)
{
	for (; n >= 2; changes += 2, n -= 2)
		if (changes[0] == 255)
			len = MIN(len, (size_t)changes[1]);
		else if (changes[0] < len)
			body[changes[0]] ^= changes[1];
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(buffer_deinitp) struct buffer reply = BUFFER_INIT(0);
	static struct curve_server c;
	struct slice out = SLICE_NULL;
	uint8_t *body, flags = 0;
	bool same;
	size_t n;
	int r;

	if (!genuine[0].len)
		make_states();
	if (size < 1)
		return 0;
	c = states[data[0] % 3];
	n = data[0] & 0x80 ? genuine[data[0] % 3].len : size - 1;
	body = malloc(n ? n : 1);
	CHECK(body);
	memcpy(body, data[0] & 0x80 ? (const uint8_t *)genuine[data[0] % 3].data : data + 1, n);
	if (data[0] & 0x80)
		n = mutate(body, n, data + 1, size - 1);
	same = slice_equal(slice_from(body, n), buffer_slice(&genuine[data[0] % 3]));
	if (data[0] % 3 == 2)
		r = curve_open(&c, body, n, &flags, &out);
	else
		r = curve_handshake(&c, slice_from(body, n), &reply, &out);
	CHECK(r == -EPROTO || r == (data[0] % 3 == 1));
	CHECK(r < 0 || same || data[0] % 3 == 0); /* HELLO's padding is not authenticated */
	CHECK(r < 0 || data[0] % 3 != 2 || slice_equal_str(out, "payload"));
	free(body);
	return 0;
}
