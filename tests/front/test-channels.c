/* SPDX-License-Identifier: Apache-2.0 */
/* test-channels: the five sockets against real clients, those of libzmq: over ipc, tcp, and tcp with CURVE. */
#include "tests/unit/test.h"

#include <poll.h>
#include <zmq.h>

#include "kernel/front/backlog.h"
#include "kernel/front/channels.h"
#include "protocol/base/clock.h"
#include "protocol/wire/frames.h"

static char prefix[64];
static struct connection connection;
static struct channels *channels;
static void *context;
static void *sockets[8]; /* to be closed when a test has ended, however it ended */

static int open_ipc(void **state)
{
	struct error err;

	(void)state;
	(void)snprintf(prefix, sizeof(prefix), "/tmp/husk-test-channels-%d", (int)getpid());
	connection = (struct connection){ .transport = "ipc" };
	(void)snprintf(connection.ip, sizeof(connection.ip), "%s", prefix);
	context = zmq_ctx_new();
	return context ? channels_new(&connection, &channels, &err) : -1;
}

static int open_tcp(void **state)
{
	struct error err;

	(void)state;
	connection = (struct connection){ .transport = "tcp", .ip = "127.0.0.1" };
	context = zmq_ctx_new();
	return context ? channels_new(&connection, &channels, &err) : -1;
}

static int open_curve(void **state)
{
	struct error err;

	(void)state;
	connection = (struct connection){ .transport = "tcp", .ip = "127.0.0.1", .has_curve = true };
	if (zmq_curve_keypair(connection.curve_publickey, connection.curve_secretkey) < 0)
		return -1;
	context = zmq_ctx_new();
	return context ? channels_new(&connection, &channels, &err) : -1;
}

static void hang_up(void *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(sockets); i++)
		if (sockets[i] == s)
			sockets[i] = NULL;
	(void)zmq_close(s);
}

static int close_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sockets); i++)
		if (sockets[i])
			hang_up(sockets[i]);
	channels = channels_free(channels, 0);
	return zmq_ctx_term(context);
}

static void set_int(void *s, int option, int value)
{
	assert_int_equal(zmq_setsockopt(s, option, &value, sizeof(value)), 0);
}

static void *new_socket(int type)
{
	void *s = zmq_socket(context, type);
	size_t i = 0;

	assert_non_null(s);
	while (sockets[i])
		assert_true(++i < ARRAY_SIZE(sockets));
	sockets[i] = s;
	return s;
}

static void *unconnected(int type, const char *identity)
{
	void *s = new_socket(type);
	char public[41], secret[41];

	set_int(s, ZMQ_LINGER, 0);
	set_int(s, ZMQ_RCVHWM, 0);
	if (identity)
		assert_int_equal(zmq_setsockopt(s, ZMQ_ROUTING_ID, identity, strlen(identity)), 0);
	if (connection.has_curve) {
		assert_int_equal(zmq_curve_keypair(public, secret), 0);
		assert_int_equal(zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, connection.curve_publickey, 40), 0);
		assert_int_equal(zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, public, 40), 0);
		assert_int_equal(zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, secret, 40), 0);
	}
	return s;
}

static void connect_to(void *s, enum connection_port port)
{
	char endpoint[320];

	assert_int_equal(connection_endpoint(&connection, port, endpoint, sizeof(endpoint)), 0);
	assert_int_equal(zmq_connect(s, endpoint), 0);
}

static void *client(int type, enum connection_port port, const char *identity)
{
	void *s = unconnected(type, identity);

	connect_to(s, port);
	return s;
}

/* One round as the front's loop makes them. */
static void turn_over(int wait_msec)
{
	struct pollfd p = { .fd = channels_fd(channels), .events = POLLIN };

	channels_flush(channels);
	(void)poll(&p, 1, wait_msec);
	channels_look(channels);
}

static bool try_receive(enum connection_port port, struct parcel *ret)
{
	*ret = (struct parcel){ 0 };
	return channels_readable(channels, port) && channels_recv(channels, port, ret) == 1;
}

static struct parcel receive(enum connection_port port)
{
	struct parcel p;
	int i = 0;

	while (!try_receive(port, &p)) {
		assert_true(i++ < 2000);
		turn_over(10);
	}
	return p;
}

/* For the handshakes and hang-ups of all: nothing else is expected. */
static void serve(void)
{
	struct parcel p;

	turn_over(10);
	for (int i = 0; i < CONNECTION_PORT_COUNT; i++)
		assert_false(try_receive((enum connection_port)i, &p));
}

static void send_text(void *socket, const char *text, bool more)
{
	assert_int_equal(zmq_send(socket, text, strlen(text), more ? ZMQ_SNDMORE : 0), (int)strlen(text));
}

static int read_text(void *socket, char *ret, size_t size)
{
	int n;

	for (int i = 0; (n = zmq_recv(socket, ret, size, ZMQ_DONTWAIT)) < 0; i++) {
		assert_int_equal(zmq_errno(), EAGAIN);
		assert_true(i < 2000);
		serve();
	}
	return n;
}

static void assert_receives(void *socket, const char *text)
{
	char got[256];
	int n = read_text(socket, got, sizeof(got));

	assert_true((size_t)n < sizeof(got));
	assert_slice_is(slice_from(got, (size_t)n), text);
}

static void reply(enum connection_port port, uint64_t from, const char *identity, const char *text)
{
	const struct channels_frame frames[2] = { { .bytes = slice_str(identity) }, { .bytes = slice_str(text) } };

	assert_int_equal(channels_send(channels, port, from, frames, 2), 0);
}

static uint64_t receive_text(enum connection_port port, const char *identity, const char *text)
{
	struct parcel p = receive(port);
	uint64_t from = p.from;

	assert_slice_is(p.parts[0], identity);
	assert_slice_is(p.parts[p.n - 1], text);
	parcel_deinit(&p);
	return from;
}

static void test_a_message_goes_to_the_kernel_and_back_by_its_identity(void **state)
{
	void *a = client(ZMQ_DEALER, CONNECTION_SHELL, "client-a"), *b = client(ZMQ_DEALER, CONNECTION_SHELL, "client-b");
	struct parcel p;

	(void)state;
	send_text(a, "hello", true);
	send_text(a, "", false);
	p = receive(CONNECTION_SHELL);
	assert_int_equal(p.n, 3);
	assert_int_equal(p.n_bytes, 8 + 5);
	assert_slice_is(p.parts[0], "client-a");
	assert_slice_is(p.parts[1], "hello");
	assert_int_equal(p.parts[2].len, 0);
	reply(CONNECTION_SHELL, p.from, "client-a", "to a");
	parcel_deinit(&p);
	assert_receives(a, "to a");
	send_text(b, "x", false);
	(void)receive_text(CONNECTION_SHELL, "client-b", "x");
}

static void test_a_reply_to_a_client_that_has_gone_is_no_error(void **state)
{
	(void)state;
	reply(CONNECTION_SHELL, 5, "nobody", "text");
}

static void test_two_clients_of_one_identity_get_the_replies_to_their_own_requests(void **state)
{
	void *old = client(ZMQ_DEALER, CONNECTION_SHELL, "same"), *new;
	uint64_t from_old, from_new;

	(void)state;
	send_text(old, "1", false);
	from_old = receive_text(CONNECTION_SHELL, "same", "1");
	new = client(ZMQ_DEALER, CONNECTION_SHELL, "same");
	send_text(new, "2", false);
	from_new = receive_text(CONNECTION_SHELL, "same", "2");
	assert_true(from_old != from_new);
	reply(CONNECTION_SHELL, from_old, "same", "to the old one");
	reply(CONNECTION_SHELL, from_new, "same", "to the new one");
	reply(CONNECTION_SHELL, 0, "same", "to the newest");
	reply(CONNECTION_SHELL, 12345, "same", "whose asker has gone");
	reply(CONNECTION_SHELL, from_old, "same", "the end");
	assert_receives(old, "to the old one");
	assert_receives(old, "the end");
	assert_receives(new, "to the new one");
	assert_receives(new, "to the newest");
	assert_receives(new, "whose asker has gone");
}

static void test_a_reply_for_an_asker_that_has_gone_goes_to_who_came_back(void **state)
{
	void *old = client(ZMQ_DEALER, CONNECTION_SHELL, "same"), *new;
	uint64_t from;

	(void)state;
	send_text(old, "1", false);
	from = receive_text(CONNECTION_SHELL, "same", "1");
	hang_up(old);
	new = client(ZMQ_DEALER, CONNECTION_SHELL, "same");
	send_text(new, "2", false);
	(void)receive_text(CONNECTION_SHELL, "same", "2");
	for (int i = 0; i < 10; i++) /* until its end was seen here, replies go to the old one: the client lost them */
		serve();
	reply(CONNECTION_SHELL, from, "same", "yours");
	assert_receives(new, "yours");
}

static void test_a_reply_needs_the_identity_too(void **state)
{
	void *a = client(ZMQ_DEALER, CONNECTION_SHELL, "a");
	uint64_t from;

	(void)state;
	send_text(a, "1", false);
	from = receive_text(CONNECTION_SHELL, "a", "1");
	reply(CONNECTION_SHELL, from, "b", "not for a");
	reply(CONNECTION_CONTROL, from, "a", "not there");
	reply(CONNECTION_SHELL, from, "a", "for a");
	assert_receives(a, "for a");
}

static void test_a_client_that_reconnects_is_heard(void **state)
{
	void *s = client(ZMQ_DEALER, CONNECTION_SHELL, "same");
	char endpoint[320];

	(void)state;
	send_text(s, "1", false);
	(void)receive_text(CONNECTION_SHELL, "same", "1");
	assert_int_equal(connection_endpoint(&connection, CONNECTION_SHELL, endpoint, sizeof(endpoint)), 0);
	assert_int_equal(zmq_disconnect(s, endpoint), 0);
	connect_to(s, CONNECTION_SHELL);
	send_text(s, "2", false);
	reply(CONNECTION_SHELL, receive_text(CONNECTION_SHELL, "same", "2"), "same", "3");
	assert_receives(s, "3");
}

static void test_too_many_frames_come_as_an_empty_parcel_and_the_next_message_is_whole(void **state)
{
	void *s = client(ZMQ_DEALER, CONNECTION_SHELL, NULL);
	struct parcel p;

	(void)state;
	for (int i = 0; i < FRAMES_MAX + 5; i++)
		send_text(s, "x", true);
	send_text(s, "end", false);
	send_text(s, "good", false);
	p = receive(CONNECTION_SHELL);
	assert_int_equal(p.n, 0);
	parcel_deinit(&p);
	p = receive(CONNECTION_SHELL);
	assert_int_equal(p.n, 2);
	assert_slice_is(p.parts[1], "good");
	parcel_deinit(&p);
}

static void test_slices_of_small_and_large_frames_are_right(void **state)
{
	void *s = client(ZMQ_DEALER, CONNECTION_SHELL, NULL);
	char *big = malloc(1 << 20);
	struct parcel p;

	(void)state;
	assert_non_null(big);
	memset(big, 'b', 1 << 20);
	for (int i = 0; i < 100; i++)
		send_text(s, i % 2 ? "odd" : "even", true);
	assert_int_equal(zmq_send(s, big, 1 << 20, 0), 1 << 20);
	p = receive(CONNECTION_SHELL);
	assert_int_equal(p.n, 102);
	for (int i = 0; i < 100; i++)
		assert_row(i, slice_equal_str(p.parts[i + 1], i % 2 ? "odd" : "even"));
	assert_true(slice_equal(p.parts[101], slice_from(big, 1 << 20)));
	parcel_deinit(&p);
	free(big);
}

/* ---- iopub ---- */

static uint64_t subscribed(const char *topic)
{
	struct parcel p = receive(CONNECTION_IOPUB);
	uint64_t from = p.from;

	assert_int_equal(p.n, 1);
	assert_int_equal(p.parts[0].data[0], 1);
	assert_slice_is(slice_from(p.parts[0].data + 1, p.parts[0].len - 1), topic);
	parcel_deinit(&p);
	return from;
}

static void *subscriber(const char *topic, uint64_t *ret_from)
{
	void *s = client(ZMQ_SUB, CONNECTION_IOPUB, NULL);

	assert_int_equal(zmq_setsockopt(s, ZMQ_SUBSCRIBE, topic, strlen(topic)), 0);
	*ret_from = subscribed(topic);
	return s;
}

static void *taken_in(const char *topic, uint64_t *ret_from)
{
	void *s = subscriber(topic, ret_from);

	assert_int_equal(channels_subscribe(channels, *ret_from, slice_str(topic), true), 0);
	return s;
}

static void publish_to(const char *topic, uint64_t only)
{
	const struct channels_frame frame = { .bytes = slice_str(topic) };

	assert_int_equal(channels_publish(channels, &frame, 1, true, only), 0);
}

static void publish(const char *topic)
{
	publish_to(topic, 0);
}

static void test_nothing_reaches_a_subscriber_before_it_was_taken_in(void **state)
{
	uint64_t from;
	void *s = subscriber("", &from);

	(void)state;
	publish("too early");
	assert_int_equal(channels_subscribe(channels, from, SLICE_LIT(""), true), 0);
	publish("welcome");
	assert_receives(s, "welcome");
}

static void test_topics_are_each_subscribers_own(void **state)
{
	uint64_t from_a, from_b;
	void *a = taken_in("x", &from_a), *b = taken_in("", &from_b);

	(void)state;
	publish("y");
	publish("x1");
	publish_to("x2", from_b);
	assert_int_equal(channels_subscribe(channels, from_b, SLICE_LIT(""), false), 0);
	publish("x3");
	assert_receives(a, "x1");
	assert_receives(a, "x3");
	assert_receives(b, "y");
	assert_receives(b, "x1");
	assert_receives(b, "x2");
	assert_int_equal(channels_subscribe(channels, 12345, SLICE_LIT(""), true), -ENOTCONN);
}

static void test_an_unsubscription_arrives(void **state)
{
	uint64_t from;
	void *s = taken_in("topic", &from);
	struct parcel p;

	(void)state;
	assert_int_equal(zmq_setsockopt(s, ZMQ_UNSUBSCRIBE, "topic", 5), 0);
	p = receive(CONNECTION_IOPUB);
	assert_true(slice_equal(p.parts[0], SLICE_LIT("\0topic")) && p.from == from);
	parcel_deinit(&p);
}

static int publish_owned(size_t len, bool vital)
{
	char *bytes = malloc(len);
	struct channels_frame frames[2] = { { .bytes = SLICE_LIT("topic") }, { .owned = true } };

	assert_non_null(bytes);
	memset(bytes, 'x', len);
	frames[1].bytes = slice_from(bytes, len);
	return channels_publish(channels, frames, 2, vital, 0);
}

static void test_what_nobody_wants_is_not_kept(void **state)
{
	uint64_t from;

	(void)state;
	(void)taken_in("other", &from);
	for (int i = 0; i < 100; i++)
		assert_int_equal(publish_owned(100000, false), 0);
	assert_int_equal(channels_queued(channels), 0);
}

/* It takes one message off the socket at a time. */
static void *slow_subscriber(uint64_t *ret_from)
{
	void *s = unconnected(ZMQ_SUB, NULL);

	set_int(s, ZMQ_RCVHWM, 1);
	set_int(s, ZMQ_RCVBUF, 8192);
	assert_int_equal(zmq_setsockopt(s, ZMQ_SUBSCRIBE, "", 0), 0);
	connect_to(s, CONNECTION_IOPUB);
	*ret_from = subscribed("");
	assert_int_equal(channels_subscribe(channels, *ret_from, SLICE_LIT(""), true), 0);
	return s;
}

static void assert_reads(void *s, char *sink, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert_receives(s, "topic");
		assert_int_equal(read_text(s, sink, 1 << 20), 1 << 20);
	}
}

static void test_a_stalled_subscriber_loses_output_and_a_healthy_one_gets_everything(void **state)
{
	const size_t n = 2 * SENDER_BUDGET_BYTES >> 20;
	_cleanup_(freep) char *sink = malloc(1 << 20);
	uint64_t slow_from, fast_from, from;
	void *slow = slow_subscriber(&slow_from), *fast = taken_in("", &fast_from);
	size_t n_dropped, n_got = 0;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(publish_owned(1 << 20, false), 0);
		if (channels_hold(channels, 1, false))
			assert_false(channels_hold(channels, 1 + SENDER_STALL_USEC, false));
		assert_reads(fast, sink, 1);
	}
	assert_true(channels_queued(channels) >= SENDER_BUDGET_BYTES - (1 << 20));
	assert_true(channels_queued(channels) < SENDER_BUDGET_BYTES + (2 << 20));
	assert_false(channels_recovered(channels, &from, &n_dropped));
	while (channels_queued(channels) > 0) {
		assert_reads(slow, sink, 1);
		n_got++;
	}
	assert_false(channels_hold(channels, 2, false));
	assert_true(channels_recovered(channels, &from, &n_dropped));
	assert_int_equal(from, slow_from);
	assert_true(n_dropped > 0 && n_dropped % ((1 << 20) + 5) == 0);
	assert_false(channels_recovered(channels, &from, &n_dropped));
	publish_to("notice", from);
	while (n_got + n_dropped / ((1 << 20) + 5) < n) {
		assert_reads(slow, sink, 1);
		n_got++;
	}
	assert_receives(slow, "notice");
}

static void test_a_stalled_subscriber_that_goes_holds_nothing_up(void **state)
{
	uint64_t from;
	void *s = slow_subscriber(&from);

	(void)state;
	for (size_t i = 0; i <= SENDER_BUDGET_BYTES >> 20; i++)
		assert_int_equal(publish_owned((2 << 20) - 5, false), 0);
	assert_true(channels_hold(channels, 1, false));
	assert_true(channels_hold_deadline(channels) == 1 + SENDER_STALL_USEC);
	hang_up(s);
	for (int i = 0; channels_queued(channels); i++) {
		assert_true(i < 2000);
		serve();
	}
	assert_false(channels_hold(channels, 1, false));
	assert_true(channels_hold_deadline(channels) == USEC_NEVER);
}

static void test_replies_do_not_hold_output_up(void **state)
{
	void *s = client(ZMQ_DEALER, CONNECTION_SHELL, "slow");
	struct channels_frame frames[2] = { { .bytes = SLICE_LIT("slow") }, { .owned = true } };
	uint64_t from;

	(void)state;
	send_text(s, "x", false);
	from = receive_text(CONNECTION_SHELL, "slow", "x");
	for (int i = 0; i < 100; i++) {
		frames[1].bytes = slice_from(calloc(1, 1 << 20), 1 << 20);
		assert_int_equal(channels_send(channels, CONNECTION_SHELL, from, frames, 2), 0);
	}
	assert_int_equal(channels_queued(channels), 0);
	assert_false(channels_hold(channels, 1, false));
}

/* ---- heartbeats, order, the end ---- */

static void test_a_heartbeat_is_a_message_like_any_other(void **state)
{
	void *s = client(ZMQ_REQ, CONNECTION_HB, NULL);
	struct channels_frame frames[8];
	struct parcel p;

	(void)state;
	send_text(s, "ping", false);
	p = receive(CONNECTION_HB);
	for (size_t i = 0; i < p.n; i++)
		frames[i] = (struct channels_frame){ .bytes = p.parts[i] };
	assert_int_equal(channels_send(channels, CONNECTION_HB, p.from, frames, p.n), 0);
	parcel_deinit(&p);
	assert_receives(s, "ping");
}

/* libzmq closes a connection whose PINGs are not answered, and connects anew. */
static void test_the_transports_own_heartbeats_are_answered(void **state)
{
	void *s = unconnected(ZMQ_DEALER, "beating"), *monitor;
	uint64_t from;
	char byte;

	(void)state;
	set_int(s, ZMQ_HEARTBEAT_IVL, 10);
	set_int(s, ZMQ_HEARTBEAT_TIMEOUT, 10000);
	assert_int_equal(zmq_socket_monitor(s, "inproc://monitor", ZMQ_EVENT_DISCONNECTED), 0);
	monitor = new_socket(ZMQ_PAIR);
	assert_int_equal(zmq_connect(monitor, "inproc://monitor"), 0);
	connect_to(s, CONNECTION_SHELL);
	send_text(s, "1", false);
	from = receive_text(CONNECTION_SHELL, "beating", "1");
	for (int i = 0; i < 30; i++)
		serve();
	send_text(s, "2", false);
	assert_true(receive_text(CONNECTION_SHELL, "beating", "2") == from);
	assert_int_equal(zmq_recv(monitor, &byte, 1, ZMQ_DONTWAIT), -1);
	assert_int_equal(zmq_socket_monitor(s, NULL, 0), 0);
}

static void test_a_message_of_many_megabytes_goes_both_ways(void **state)
{
	const size_t n = 20 << 20;
	void *s = client(ZMQ_DEALER, CONNECTION_SHELL, "big");
	struct channels_frame frames[2] = { { .bytes = SLICE_LIT("big") } };
	_cleanup_(freep) char *bytes = malloc(n);
	struct parcel p;

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(i >> 7 ^ i);
	assert_int_equal(zmq_send(s, bytes, n, 0), (int)n);
	p = receive(CONNECTION_SHELL);
	assert_true(slice_equal(p.parts[1], slice_from(bytes, n)));
	frames[1] = (struct channels_frame){ .bytes = p.parts[1] };
	assert_int_equal(channels_send(channels, CONNECTION_SHELL, p.from, frames, 2), 0);
	memset(bytes, 0, n);
	assert_int_equal(read_text(s, bytes, n), (int)n);
	assert_true(slice_equal(p.parts[1], slice_from(bytes, n)));
	parcel_deinit(&p);
}

static void test_what_is_queued_at_the_end_still_leaves_although_another_does_not_read(void **state)
{
	_cleanup_(freep) char *sink = malloc(1 << 20);
	uint64_t slow_from, fast_from;
	void *fast = taken_in("", &fast_from);

	(void)state;
	(void)slow_subscriber(&slow_from); /* comes last, and so first in the list */
	for (int i = 0; i < 16; i++)
		assert_int_equal(publish_owned(1 << 20, true), 0);
	publish("the end");
	channels = channels_free(channels, 500);
	set_int(fast, ZMQ_RCVTIMEO, 20000);
	for (int i = 0; i < 16; i++) {
		assert_int_equal(zmq_recv(fast, sink, 1 << 20, 0), 5);
		assert_int_equal(zmq_recv(fast, sink, 1 << 20, 0), 1 << 20);
	}
	assert_int_equal(zmq_recv(fast, sink, 1 << 20, 0), 7);
	assert_memory_equal(sink, "the end", 7);
}

static void test_a_client_with_another_servers_key_or_none_is_not_heard(void **state)
{
	void *good = client(ZMQ_DEALER, CONNECTION_SHELL, "good"), *plain, *wrong;
	char public[41], secret[41];

	(void)state;
	wrong = unconnected(ZMQ_DEALER, "wrong");
	assert_int_equal(zmq_curve_keypair(public, secret), 0);
	assert_int_equal(zmq_setsockopt(wrong, ZMQ_CURVE_SERVERKEY, public, 40), 0);
	connect_to(wrong, CONNECTION_SHELL);
	connection.has_curve = false;
	plain = client(ZMQ_DEALER, CONNECTION_SHELL, "plain");
	send_text(wrong, "wrong", false);
	send_text(plain, "plain", false);
	for (int i = 0; i < 20; i++)
		serve();
	send_text(good, "good", false);
	(void)receive_text(CONNECTION_SHELL, "good", "good");
	for (int i = 0; i < 20; i++)
		serve();
}

#define IPC(name) cmocka_unit_test_setup_teardown(name, open_ipc, close_all)
#define CURVE(name) cmocka_unit_test_setup_teardown(name, open_curve, close_all)
#define ALL(name) \
	IPC(name), { #name " (tcp)", name, open_tcp, close_all, NULL }, { #name " (CURVE)", name, open_curve, close_all, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		IPC(test_a_reply_to_a_client_that_has_gone_is_no_error),
		IPC(test_too_many_frames_come_as_an_empty_parcel_and_the_next_message_is_whole),
		IPC(test_what_nobody_wants_is_not_kept),
		IPC(test_replies_do_not_hold_output_up),
		ALL(test_a_message_goes_to_the_kernel_and_back_by_its_identity),
		ALL(test_two_clients_of_one_identity_get_the_replies_to_their_own_requests),
		ALL(test_a_reply_for_an_asker_that_has_gone_goes_to_who_came_back),
		ALL(test_a_reply_needs_the_identity_too),
		ALL(test_a_client_that_reconnects_is_heard),
		ALL(test_slices_of_small_and_large_frames_are_right),
		ALL(test_nothing_reaches_a_subscriber_before_it_was_taken_in),
		ALL(test_topics_are_each_subscribers_own),
		ALL(test_an_unsubscription_arrives),
		ALL(test_a_stalled_subscriber_loses_output_and_a_healthy_one_gets_everything),
		ALL(test_a_stalled_subscriber_that_goes_holds_nothing_up),
		ALL(test_a_heartbeat_is_a_message_like_any_other),
		ALL(test_the_transports_own_heartbeats_are_answered),
		ALL(test_a_message_of_many_megabytes_goes_both_ways),
		ALL(test_what_is_queued_at_the_end_still_leaves_although_another_does_not_read),
		CURVE(test_a_client_with_another_servers_key_or_none_is_not_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
