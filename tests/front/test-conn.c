/* SPDX-License-Identifier: Apache-2.0 */
/* test-conn: one connection, spoken to byte by byte: handshakes good and bad, ZMTP 3.0 and 3.1, NULL and CURVE. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "kernel/front/conn.h"
#include "protocol/wire/frames.h"
#include "tests/unit/curve-client.h"

#define PADDED "\xff\0\0\0\0\0\0\0\1\x7f"
#define READY(type) "\5READY\13Socket-Type\0\0\0" type
#define DEALER "\6DEALER"
#define SUB "\3SUB"

static struct conn_totals totals;
static struct conn *conn;
static int theirs = -1;
static struct error err;
static struct parcel parcel;
static char scratch[CONN_SCRATCH_BYTES];
static uint8_t server_public[32], server_secret[32];
static struct curve_client client;

static void open_it(enum connection_port port, bool curve)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	theirs = fds[1];
	conn = conn_new(fds[0], port, 7, curve ? server_secret : NULL, &totals);
	assert_non_null(conn);
}

static int set_up(void **state)
{
	(void)state;
	(void)crypto_box_keypair(server_public, server_secret);
	curve_client_init(&client, server_public);
	err = (struct error){ 0 };
	totals = (struct conn_totals){ 0 };
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	parcel_deinit(&parcel);
	conn = conn_free(conn);
	if (theirs >= 0)
		(void)close(STEAL_FD(theirs));
	return totals.partial == 0 && totals.unread == 0 ? 0 : -1;
}

static void again(enum connection_port port, bool curve)
{
	void *state = NULL;

	assert_int_equal(tear_down(&state), 0);
	(void)set_up(&state);
	open_it(port, curve);
}

/* What the connection makes of these bytes. */
static int say(struct slice bytes)
{
	int r;

	if (bytes.len)
		assert_int_equal(send(theirs, bytes.data, bytes.len, MSG_NOSIGNAL), bytes.len);
	conn->readable = true;
	parcel_deinit(&parcel);
	do
		r = conn_next(conn, scratch, 1000, &parcel, &err);
	while (r == -EAGAIN);
	return r;
}

#define SAY(literal) say(SLICE_LIT(literal))

static void hear(size_t n, uint8_t *ret)
{
	conn_write(conn);
	assert_int_equal(recv(theirs, ret, n, MSG_WAITALL), n);
}

static void assert_hears(struct slice wanted)
{
	uint8_t got[512];

	assert_true(wanted.len <= sizeof(got));
	hear(wanted.len, got);
	assert_memory_equal(got, wanted.data, wanted.len);
}

static void assert_hears_nothing(void)
{
	uint8_t byte;

	conn_write(conn);
	assert_int_equal(recv(theirs, &byte, 1, MSG_DONTWAIT), -1);
}

static int greet(const char *mechanism, uint8_t minor)
{
	char bytes[ZMTP_GREETING_SIZE] = PADDED "\3";
	uint8_t got[ZMTP_GREETING_SIZE];

	bytes[11] = (char)minor;
	(void)strcpy(bytes + 12, mechanism);
	hear(sizeof(got), got);
	assert_memory_equal(got, PADDED "\3\1", 12);
	return say(slice_from(bytes, sizeof(bytes)));
}

static int say_frame(uint8_t flags, struct slice body)
{
	uint8_t bytes[9 + 2048];
	size_t n = zmtp_frame_write(flags, body.len, bytes);

	memcpy(bytes + n, body.data, body.len);
	return say(slice_from(bytes, n + body.len));
}

/* Until a NULL connection is open. */
static void open_null(enum connection_port port, uint8_t minor)
{
	open_it(port, false);
	assert_int_equal(greet("NULL", minor), 0);
	if (port == CONNECTION_IOPUB) {
		assert_hears(SLICE_LIT("\4\x1a\5READY\13Socket-Type\0\0\0\4XPUB"));
		assert_int_equal(say_frame(ZMTP_FLAG_COMMAND, SLICE_LIT(READY(SUB))), 0);
	} else {
		assert_hears(SLICE_LIT("\4\x29\5READY\13Socket-Type\0\0\0\6ROUTER\10Identity\0\0\0\0"));
		assert_int_equal(say_frame(ZMTP_FLAG_COMMAND, SLICE_LIT(READY(DEALER) "\10Identity\0\0\0\2me")), 0);
	}
	assert_int_equal(conn->state, CONN_OPEN);
}

static void read_frame(struct buffer *body)
{
	uint8_t head[2], bytes[255];

	hear(2, head);
	assert_int_equal(head[0] & 3, 0);
	hear(head[1], bytes);
	buffer_reset(body);
	buffer_append(body, bytes, head[1]);
}

static void open_curve(enum connection_port port, struct slice properties)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(0);
	uint8_t plain[256];
	int n;

	open_it(port, true);
	assert_int_equal(greet("CURVE", 1), 0);
	assert_hears_nothing();
	curve_client_hello(&client, &b);
	assert_int_equal(say_frame(ZMTP_FLAG_COMMAND, buffer_slice(&b)), 0);
	read_frame(&b);
	assert_int_equal(curve_client_welcome(&client, buffer_slice(&b)), 0);
	buffer_reset(&b);
	curve_client_initiate(&client, server_public, properties, &b);
	assert_int_equal(say_frame(ZMTP_FLAG_COMMAND, buffer_slice(&b)), 0);
	read_frame(&b);
	n = curve_client_open(&client, "READY", "CurveZMQREADY---", buffer_slice(&b), plain);
	assert_true(n > 0 && memcmp(plain, "\13Socket-Type", 12) == 0);
	assert_int_equal(conn->state, CONN_OPEN);
}

static int say_sealed(uint8_t flags, struct slice payload)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(0);

	curve_client_message(&client, flags, payload, &b);
	return say_frame(0, buffer_slice(&b));
}

/* ---- handshakes ---- */

static void test_messages_come_with_the_clients_identity(void **state)
{
	(void)state;
	open_null(CONNECTION_SHELL, 1);
	assert_int_equal(SAY("\1\2ab\0\1c"), 1);
	assert_int_equal(parcel.n, 3);
	assert_slice_is(parcel.parts[0], "me");
	assert_slice_is(parcel.parts[1], "ab");
	assert_slice_is(parcel.parts[2], "c");
	assert_int_equal(parcel.from, 7);
	assert_int_equal(SAY(""), 0);
}

static void test_a_client_without_an_identity_gets_one_that_nobody_can_claim(void **state)
{
	(void)state;
	open_it(CONNECTION_SHELL, false);
	(void)greet("NULL", 1);
	assert_int_equal(say_frame(ZMTP_FLAG_COMMAND, SLICE_LIT(READY(DEALER) "\10Identity\0\0\0\3\0xy")), 0);
	assert_int_equal(SAY("\0\1x"), 1);
	assert_int_equal(parcel.parts[0].len, 9);
	assert_int_equal(parcel.parts[0].data[0], 0);
	assert_memory_equal(parcel.parts[0].data + 1, &conn->serial, 8);
}

static void test_a_handshake_in_one_piece_with_messages_and_one_byte_by_byte(void **state)
{
	static const char rest[] = "\4\x1c" READY(DEALER) "\1\1a\0\1b" "\0\1c";
	char bytes[ZMTP_GREETING_SIZE + sizeof(rest) - 1] = PADDED "\3\1NULL";
	struct slice all = slice_from(bytes, sizeof(bytes));
	size_t n = 0;

	(void)state;
	memcpy(bytes + ZMTP_GREETING_SIZE, rest, sizeof(rest) - 1);
	open_it(CONNECTION_SHELL, false);
	assert_int_equal(say(all), 1);
	assert_slice_is(parcel.parts[2], "b");
	assert_int_equal(SAY(""), 1);
	assert_slice_is(parcel.parts[1], "c");
	assert_int_equal(SAY(""), 0);
	again(CONNECTION_SHELL, false);
	for (size_t i = 0; i < all.len; i++) {
		int r = say(slice_from(all.data + i, 1));

		assert_row(i, r == 0 || r == 1);
		n += (size_t)r;
	}
	assert_int_equal(n, 2);
	assert_slice_is(parcel.parts[1], "c");
}

static void test_who_is_served_at_which_socket(void **state)
{
	static const struct {
		enum connection_port port;
		struct slice ready;
		bool good;
	} rows[] = {
		{ CONNECTION_SHELL, SLICE_LIT(READY(DEALER)), true },
		{ CONNECTION_HB, SLICE_LIT(READY("\3REQ")), true },
		{ CONNECTION_CONTROL, SLICE_LIT(READY("\6ROUTER")), true },
		{ CONNECTION_SHELL, SLICE_LIT(READY(SUB)), false },
		{ CONNECTION_SHELL, SLICE_LIT(READY("\4PUSH")), false },
		{ CONNECTION_SHELL, SLICE_LIT(READY("\0")), false },
		{ CONNECTION_SHELL, SLICE_LIT("\5READY"), false },
		{ CONNECTION_SHELL, SLICE_LIT("\5READY\13Socket-Type\0\0\0\7DEALER"), false },
		{ CONNECTION_SHELL, SLICE_LIT("\5READY\13Socket-Type"), false },
		{ CONNECTION_SHELL, SLICE_LIT("\5HELLO"), false },
		{ CONNECTION_SHELL, SLICE_LIT("\1"), false },
		{ CONNECTION_SHELL, SLICE_LIT("\5ERROR\3bad"), false },
		{ CONNECTION_IOPUB, SLICE_LIT(READY(SUB)), true },
		{ CONNECTION_IOPUB, SLICE_LIT(READY("\4XSUB")), true },
		{ CONNECTION_IOPUB, SLICE_LIT(READY(DEALER)), false },
		{ CONNECTION_IOPUB, SLICE_LIT("\5READY\13socket-type\0\0\0\3SUB\1X\0\0\0\0"), true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		again(rows[i].port, false);
		(void)greet("NULL", 1);
		assert_row(i, say_frame(ZMTP_FLAG_COMMAND, rows[i].ready) == (rows[i].good ? 0 : -EPROTO));
		assert_row(i, rows[i].good == !err.text[0]);
	}
}

static void test_a_message_before_the_handshake_and_another_mechanism_are_refused(void **state)
{
	(void)state;
	open_it(CONNECTION_SHELL, false);
	(void)greet("NULL", 1);
	assert_int_equal(SAY("\0\5hello"), -EPROTO);
	again(CONNECTION_SHELL, false);
	assert_int_equal(greet("CURVE", 1), -EPROTO);
	assert_contains(err.text, "NULL");
	again(CONNECTION_SHELL, true);
	assert_int_equal(greet("NULL", 1), -EPROTO);
	assert_contains(err.text, "CURVE");
	again(CONNECTION_SHELL, false);
	assert_int_equal(SAY("GET / HTTP/1.1\r\n"), -EPROTO);
}

static void test_a_handshake_has_a_small_bound(void **state)
{
	(void)state;
	open_it(CONNECTION_SHELL, false);
	(void)greet("NULL", 1);
	assert_int_equal(SAY("\6\0\0\0\0\0\x10\0\0"), -EMSGSIZE);
	assert_contains(err.text, "1048576");
}

/* ---- commands ---- */

static void test_a_ping_is_answered_with_its_context(void **state)
{
	(void)state;
	open_null(CONNECTION_SHELL, 1);
	assert_int_equal(SAY("\4\7\4PING\0\1"), 0);
	assert_hears(SLICE_LIT("\4\5\4PONG"));
	assert_int_equal(SAY("\4\12\4PING\0\1abc\1\1x"), 0);
	assert_hears(SLICE_LIT("\4\10\4PONGabc"));
	assert_int_equal(SAY("\0\1y"), 1);
	assert_int_equal(parcel.n, 3);
	assert_int_equal(SAY("\4\5\4PONG"), 0); /* unknown and unasked commands are ignored */
	assert_int_equal(SAY("\4\4\3FOO"), 0);
	assert_int_equal(SAY("\4\6\4PING\0"), -EPROTO);
}

static void test_a_subscriber_that_pings_and_never_reads_holds_a_bounded_amount(void **state)
{
	char pings[9 * 2000];

	(void)state;
	open_null(CONNECTION_IOPUB, 1);
	for (size_t i = 0; i < 2000; i++)
		memcpy(pings + 9 * i, "\4\7\4PING\0\1", 9);
	for (size_t bytes = 0; bytes < 3 * CONN_REPLIES_PAUSE_BYTES; bytes += sizeof(pings))
		assert_int_equal(say(slice_from(pings, sizeof(pings))), 0);
	assert_true(conn->out.bytes <= CONN_REPLIES_PAUSE_BYTES + sizeof(pings));
}

static void test_an_error_command_ends_the_connection_without_a_word(void **state)
{
	(void)state;
	open_null(CONNECTION_SHELL, 1);
	assert_int_equal(SAY("\4\12\5ERROR\3bad"), -ECONNRESET);
}

static void test_subscriptions_come_as_messages_and_as_commands(void **state)
{
	static const struct {
		uint8_t minor;
		struct slice bytes;
		const char *means;
	} rows[] = {
		{ 0, SLICE_LIT("\0\4\1abc"), "\1abc" },
		{ 0, SLICE_LIT("\0\1\1"), "\1" },
		{ 1, SLICE_LIT("\4\15\x09SUBSCRIBEabc"), "\1abc" },
		{ 1, SLICE_LIT("\4\12\x09SUBSCRIBE"), "\1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		void *unused = NULL;

		(void)tear_down(&unused);
		open_null(CONNECTION_IOPUB, rows[i].minor);
		assert_row(i, say(rows[i].bytes) == 1);
		assert_int_equal(parcel.n, 1);
		assert_slice_is(parcel.parts[0], rows[i].means);
		assert_int_equal(parcel.from, 7);
	}
	assert_int_equal(SAY("\4\12\6CANCELabc"), 1);
	assert_true(slice_equal(parcel.parts[0], SLICE_LIT("\0abc")));
	assert_int_equal(SAY("\0\0"), 1); /* an empty message: judged by who reads it */
	assert_int_equal(parcel.parts[0].len, 0);
}

static void test_topics_are_prefixes_counted_and_limited(void **state)
{
	char topic[16];

	(void)state;
	open_null(CONNECTION_IOPUB, 1);
	assert_false(conn_wants(conn, SLICE_LIT("abc")));
	assert_int_equal(conn_subscribe(conn, SLICE_LIT("ab"), true), 0);
	assert_int_equal(conn_subscribe(conn, SLICE_LIT("ab"), true), 0);
	assert_true(conn_wants(conn, SLICE_LIT("abc")) && conn_wants(conn, SLICE_LIT("ab")));
	assert_false(conn_wants(conn, SLICE_LIT("a")) || conn_wants(conn, SLICE_LIT("")));
	assert_int_equal(conn_subscribe(conn, SLICE_NULL, true), 0);
	assert_true(conn_wants(conn, SLICE_LIT("x")) && conn_wants(conn, SLICE_LIT("")));
	assert_int_equal(conn_subscribe(conn, SLICE_LIT(""), false), 0);
	assert_int_equal(conn_subscribe(conn, SLICE_LIT("ab"), false), 0);
	assert_int_equal(conn_subscribe(conn, SLICE_LIT("never"), false), 0);
	assert_false(conn_wants(conn, SLICE_LIT("abc")));
	for (int i = 0; i < CONN_TOPICS_MAX; i++) {
		(void)snprintf(topic, sizeof(topic), "%d", i);
		assert_int_equal(conn_subscribe(conn, slice_str(topic), true), 0);
	}
	assert_int_equal(conn_subscribe(conn, SLICE_LIT("one more"), true), -E2BIG);
	assert_int_equal(conn_subscribe(conn, SLICE_LIT("5"), true), 0); /* which it has */
}

static void test_a_subscriber_has_little_to_say(void **state)
{
	(void)state;
	open_null(CONNECTION_IOPUB, 1);
	assert_int_equal(SAY("\2\0\0\0\0\0\1\0\1"), -EMSGSIZE);
}

/* ---- what is sent ---- */

static void test_frames_are_sent_with_more_and_shared_ones_as_they_are(void **state)
{
	const struct slice frames[] = { SLICE_LIT("a"), SLICE_LIT(""), SLICE_LIT("shared") };
	struct shared *s = shared_new_copy(frames[2], &totals.unread);
	struct shared *const shared[] = { NULL, NULL, s };

	(void)state;
	assert_non_null(s);
	open_null(CONNECTION_SHELL, 1);
	conn_queue(conn, frames, shared, 3);
	assert_int_equal(s->refs, 2);
	assert_hears(SLICE_LIT("\1\1a\1\0\0\6shared"));
	assert_int_equal(s->refs, 1);
	(void)shared_unref(s);
}

/* ---- CURVE ---- */

static void test_curve_messages_and_heartbeats(void **state)
{
	const struct slice frames[] = { SLICE_LIT("a"), SLICE_LIT("bc") };
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(0);
	uint8_t plain[256];

	(void)state;
	open_curve(CONNECTION_SHELL, SLICE_LIT("\13Socket-Type\0\0\0\6DEALER\10Identity\0\0\0\2me"));
	assert_int_equal(say_sealed(1, SLICE_LIT("x")), 0);
	assert_int_equal(say_sealed(0, SLICE_LIT("")), 1);
	assert_int_equal(parcel.n, 3);
	assert_slice_is(parcel.parts[0], "me");
	assert_slice_is(parcel.parts[1], "x");
	assert_int_equal(parcel.parts[2].len, 0);
	assert_int_equal(say_sealed(2, SLICE_LIT("\4PING\0\1ctx")), 0); /* 2: a command inside a box */
	read_frame(&b);
	assert_int_equal(curve_client_open(&client, "MESSAGE", "CurveZMQMESSAGES", buffer_slice(&b), plain), 1 + 5 + 3);
	assert_memory_equal(plain, "\2\4PONGctx", 9);
	conn_queue(conn, frames, NULL, 2);
	for (int i = 0; i < 2; i++) {
		read_frame(&b);
		assert_int_equal(curve_client_open(&client, "MESSAGE", "CurveZMQMESSAGES", buffer_slice(&b), plain), 2 + i);
		assert_int_equal(plain[0], !i);
		assert_memory_equal(plain + 1, frames[i].data, frames[i].len);
	}
}

static void test_curve_subscriptions(void **state)
{
	(void)state;
	open_curve(CONNECTION_IOPUB, SLICE_LIT("\13Socket-Type\0\0\0\3SUB"));
	assert_int_equal(say_sealed(0, SLICE_LIT("\1abc")), 1);
	assert_slice_is(parcel.parts[0], "\1abc");
	assert_int_equal(say_sealed(2, SLICE_LIT("\x09SUBSCRIBExyz")), 1);
	assert_slice_is(parcel.parts[0], "\1xyz");
}

static void test_what_is_not_sealed_ends_a_curve_connection(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(0);

	(void)state;
	open_curve(CONNECTION_SHELL, SLICE_LIT("\13Socket-Type\0\0\0\6DEALER"));
	assert_int_equal(SAY("\0\5hello"), -EPROTO);
	again(CONNECTION_SHELL, true);
	(void)greet("CURVE", 1);
	assert_int_equal(say_frame(ZMTP_FLAG_COMMAND, SLICE_LIT(READY(DEALER))), -EPROTO);
	assert_contains(err.text, "public key");
	(void)tear_down(state);
	(void)set_up(state);
	open_curve(CONNECTION_SHELL, SLICE_LIT("\13Socket-Type\0\0\0\6DEALER"));
	assert_int_equal(SAY("\0\0"), -EPROTO);
	(void)tear_down(state);
	(void)set_up(state);
	open_curve(CONNECTION_SHELL, SLICE_LIT("\13Socket-Type\0\0\0\6DEALER"));
	curve_client_message(&client, 0, SLICE_LIT("text"), &b);
	assert_int_equal(say_frame(0, buffer_slice(&b)), 1);
	assert_int_equal(say_frame(0, buffer_slice(&b)), -EPROTO); /* again */
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_messages_come_with_the_clients_identity),
		T(test_a_client_without_an_identity_gets_one_that_nobody_can_claim),
		T(test_a_handshake_in_one_piece_with_messages_and_one_byte_by_byte),
		T(test_who_is_served_at_which_socket),
		T(test_a_message_before_the_handshake_and_another_mechanism_are_refused),
		T(test_a_handshake_has_a_small_bound),
		T(test_a_ping_is_answered_with_its_context),
		T(test_a_subscriber_that_pings_and_never_reads_holds_a_bounded_amount),
		T(test_an_error_command_ends_the_connection_without_a_word),
		T(test_subscriptions_come_as_messages_and_as_commands),
		T(test_topics_are_prefixes_counted_and_limited),
		T(test_a_subscriber_has_little_to_say),
		T(test_frames_are_sent_with_more_and_shared_ones_as_they_are),
		T(test_curve_messages_and_heartbeats),
		T(test_curve_subscriptions),
		T(test_what_is_not_sealed_ends_a_curve_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
