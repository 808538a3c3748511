/* SPDX-License-Identifier: Apache-2.0 */
/* test-curve: the server's side of CURVE against a client written from the RFC; every deviation from it is refused. */
#include "tests/unit/test.h"

#include "protocol/base/util.h"
#include "protocol/zmtp/curve.h"
#include "protocol/zmtp/zmtp.h"
#include "tests/unit/curve-client.h"

static uint8_t public[32], secret[32];
static struct curve_client client;
static struct curve_server *server;
static struct buffer in, out;

static int set_up(void **state)
{
	(void)state;
	(void)crypto_box_keypair(public, secret);
	curve_client_init(&client, public);
	server = curve_server_new(secret);
	in = out = BUFFER_INIT(0);
	return server ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	server = curve_server_free(server);
	buffer_deinit(&in);
	buffer_deinit(&out);
	return 0;
}

static int handshake(void)
{
	struct slice properties;

	buffer_reset(&out);
	return curve_handshake(server, buffer_slice(&in), &out, &properties);
}

static void until_welcome(void)
{
	buffer_reset(&in);
	curve_client_hello(&client, &in);
	assert_int_equal(handshake(), 0);
	assert_int_equal(curve_client_welcome(&client, buffer_slice(&out)), 0);
	buffer_reset(&in);
}

static void until_open(void)
{
	struct slice properties;
	uint8_t plain[256];
	int n;

	until_welcome();
	curve_client_initiate(&client, public, SLICE_LIT("theirs"), &in);
	buffer_reset(&out);
	assert_int_equal(curve_handshake(server, buffer_slice(&in), &out, &properties), 1);
	assert_slice_is(properties, "theirs");
	assert_int_equal(curve_ready(server, SLICE_LIT("ours"), &out), 0);
	n = curve_client_open(&client, "READY", "CurveZMQREADY---", buffer_slice(&out), plain);
	assert_slice_is(slice_from(plain, (size_t)MAX(n, 0)), "ours");
	buffer_reset(&in);
}

static int open_message(uint8_t *ret_flags, struct slice *ret)
{
	return curve_open(server, (uint8_t *)in.data, in.len, ret_flags, ret);
}

static void test_keys_are_z85(void **state)
{
	/* A key of libzmq's manual. */
	static const uint8_t wanted[32] = { 0x54, 0xfc, 0xba, 0x24, 0xe9, 0x32, 0x49, 0x96, 0x93, 0x16, 0xfb, 0x61, 0x7c, 0x87, 0x2b,
		0xb0, 0xc1, 0xd1, 0xff, 0x14, 0x80, 0x04, 0x27, 0xc5, 0x94, 0xcb, 0xfa, 0xcf, 0x1b, 0xc2, 0xd6, 0x52 };
	static const char *const bad[] = { "", "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf", "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf77",
		"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf ", "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf\"", "#####>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7" };
	uint8_t key[CURVE_KEY_SIZE];

	(void)state;
	assert_int_equal(curve_key_decode("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", key), 0);
	assert_memory_equal(key, wanted, sizeof(key));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_row(i, curve_key_decode(bad[i], key) == -EINVAL);
}

static void test_both_sides_understand_each_other(void **state)
{
	uint8_t sealed[100 + CURVE_OVERHEAD], plain[200], flags;
	char text[100];
	struct slice payload;

	(void)state;
	until_open();
	memset(text, 't', sizeof(text));
	for (size_t n = 0; n <= sizeof(text); n++) {
		buffer_reset(&in);
		curve_client_message(&client, n % 4, slice_from(text, n), &in);
		assert_int_equal(open_message(&flags, &payload), 0);
		assert_int_equal(flags, (n & 1 ? ZMTP_FLAG_MORE : 0) | (n & 2 ? ZMTP_FLAG_COMMAND : 0));
		assert_true(slice_equal(payload, slice_from(text, n)));
		assert_int_equal(curve_seal(server, (n & 1 ? ZMTP_FLAG_MORE : 0) | (n & 2 ? ZMTP_FLAG_COMMAND : 0),
		    slice_from(text, n), sealed), 0);
		assert_int_equal(curve_client_open(&client, "MESSAGE", "CurveZMQMESSAGES",
		    slice_from(sealed, n + CURVE_OVERHEAD), plain), (int)n + 1);
		assert_int_equal(plain[0], n % 4); /* as RFC 26 numbers them */
		assert_memory_equal(plain + 1, text, n);
	}
}

static void test_a_client_with_another_servers_key_is_not_let_in(void **state)
{
	uint8_t other_public[32], other_secret[32];

	(void)state;
	(void)crypto_box_keypair(other_public, other_secret);
	curve_client_init(&client, other_public);
	curve_client_hello(&client, &in);
	assert_int_equal(handshake(), -EPROTO);
	assert_int_equal(out.len, 0);
}

static void test_a_vouch_for_another_server_is_refused(void **state)
{
	uint8_t other_public[32], other_secret[32];

	(void)state;
	(void)crypto_box_keypair(other_public, other_secret);
	until_welcome();
	curve_client_initiate(&client, other_public, SLICE_LIT("p"), &in);
	assert_int_equal(handshake(), -EPROTO);
}

static void test_a_vouch_of_another_transient_key_is_refused(void **state)
{
	struct curve_client thief;

	(void)state;
	until_welcome();
	thief = client; /* has the long-term key of somebody, but vouches for a transient key of its own */
	(void)crypto_box_keypair(thief.transient_public, thief.transient_secret);
	curve_client_initiate(&thief, public, SLICE_LIT("p"), &in);
	assert_int_equal(handshake(), -EPROTO);
}

static void test_each_changed_byte_of_the_handshake_is_noticed(void **state)
{
	(void)state;
	curve_client_hello(&client, &in);
	for (size_t i = 0; i < in.len; i++) {
		if (i >= 7 && i < 80) /* minor version and padding */
			continue;
		in.data[i] ^= 1;
		assert_row(i, handshake() == -EPROTO);
		in.data[i] ^= 1;
	}
	until_welcome();
	curve_client_initiate(&client, public, SLICE_LIT("properties"), &in);
	for (size_t i = 0; i < in.len; i++) {
		in.data[i] ^= 1;
		assert_row(i, handshake() == -EPROTO);
		in.data[i] ^= 1;
	}
	assert_int_equal(handshake(), 1);
}

static void test_each_cut_of_the_handshake_is_noticed(void **state)
{
	size_t whole;

	(void)state;
	curve_client_hello(&client, &in);
	for (whole = in.len; in.len--;)
		assert_row(in.len, handshake() == -EPROTO);
	in.len = whole;
	buffer_append_char(&in, 0);
	assert_int_equal(handshake(), -EPROTO);
	until_welcome();
	curve_client_initiate(&client, public, SLICE_NULL, &in);
	for (whole = in.len; in.len--;)
		assert_row(in.len, handshake() == -EPROTO);
	in.len = whole;
	assert_int_equal(handshake(), 1);
}

static void test_commands_out_of_order_are_refused(void **state)
{
	uint8_t sealed[64], flags;
	struct slice payload;

	(void)state;
	assert_int_equal(curve_seal(server, 0, SLICE_LIT("x"), sealed), -EINVAL);
	assert_int_equal(curve_ready(server, SLICE_NULL, &out), -EINVAL);
	curve_client_initiate(&client, public, SLICE_LIT("p"), &in); /* before HELLO */
	assert_int_equal(handshake(), -EPROTO);
	buffer_reset(&in);
	curve_client_message(&client, 0, SLICE_LIT("x"), &in);
	assert_int_equal(open_message(&flags, &payload), -EPROTO);
	until_welcome();
	curve_client_hello(&client, &in); /* again */
	assert_int_equal(handshake(), -EPROTO);
	buffer_reset(&in);
	curve_client_message(&client, 0, SLICE_LIT("x"), &in);
	assert_int_equal(open_message(&flags, &payload), -EPROTO);
}

static void test_nothing_of_the_handshake_is_taken_once_it_is_over(void **state)
{
	(void)state;
	until_open();
	curve_client_hello(&client, &in);
	assert_int_equal(handshake(), -EPROTO);
	buffer_reset(&in);
	curve_client_initiate(&client, public, SLICE_LIT("p"), &in);
	assert_int_equal(handshake(), -EPROTO);
}

static void test_a_replayed_or_older_message_is_refused(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer first = BUFFER_INIT(0), second = BUFFER_INIT(0);
	struct slice payload;
	uint8_t flags;

	(void)state;
	until_open();
	curve_client_message(&client, 0, SLICE_LIT("first"), &first);
	curve_client_message(&client, 0, SLICE_LIT("second"), &second);
	buffer_append_slice(&in, buffer_slice(&second));
	assert_int_equal(open_message(&flags, &payload), 0);
	for (int i = 0; i < 2; i++) {
		buffer_reset(&in);
		buffer_append_slice(&in, buffer_slice(i ? &first : &second));
		assert_int_equal(open_message(&flags, &payload), -EPROTO);
	}
}

static void test_a_forged_or_truncated_message_is_refused_and_the_next_one_is_good(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer good = BUFFER_INIT(0);
	struct slice payload;
	uint8_t flags;

	(void)state;
	until_open();
	curve_client_message(&client, 0, SLICE_LIT("payload"), &good);
	for (size_t i = 0; i < good.len; i++) {
		buffer_reset(&in);
		buffer_append_slice(&in, buffer_slice(&good));
		in.data[i] ^= 0x40;
		assert_row(i, open_message(&flags, &payload) == -EPROTO);
		in.data[i] ^= 0x40;
		in.len = i;
		assert_row(i, open_message(&flags, &payload) == -EPROTO);
	}
	assert_int_equal(curve_open(server, NULL, 0, &flags, &payload), -EPROTO);
	buffer_reset(&in);
	buffer_append_slice(&in, buffer_slice(&good));
	assert_int_equal(open_message(&flags, &payload), 0);
	assert_slice_is(payload, "payload");
}

static void test_properties_that_do_not_fit_are_an_error(void **state)
{
	static const char long_text[600];
	struct slice properties;

	(void)state;
	until_welcome();
	curve_client_initiate(&client, public, SLICE_LIT("p"), &in);
	assert_int_equal(curve_handshake(server, buffer_slice(&in), &out, &properties), 1);
	assert_int_equal(curve_ready(server, slice_from(long_text, sizeof(long_text)), &out), -EINVAL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_keys_are_z85),
		T(test_both_sides_understand_each_other),
		T(test_a_client_with_another_servers_key_is_not_let_in),
		T(test_a_vouch_for_another_server_is_refused),
		T(test_a_vouch_of_another_transient_key_is_refused),
		T(test_each_changed_byte_of_the_handshake_is_noticed),
		T(test_each_cut_of_the_handshake_is_noticed),
		T(test_commands_out_of_order_are_refused),
		T(test_nothing_of_the_handshake_is_taken_once_it_is_over),
		T(test_a_replayed_or_older_message_is_refused),
		T(test_a_forged_or_truncated_message_is_refused_and_the_next_one_is_good),
		T(test_properties_that_do_not_fit_are_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
