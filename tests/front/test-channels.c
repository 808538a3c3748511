/* SPDX-License-Identifier: Apache-2.0 */
/* test-channels: the five sockets against real ZeroMQ clients, over ipc and tcp. */
#include "tests/unit/test.h"

#include <poll.h>
#include <sys/stat.h>

#include "kernel/front/channels.h"

static char prefix[64];
static struct connection connection;
static struct channels *channels;
static void *context;

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

static int close_all(void **state)
{
	(void)state;
	channels = channels_free(channels, 0);
	return zmq_ctx_term(context);
}

static void *client(int type, enum connection_port port, const char *identity)
{
	void *s = zmq_socket(context, type);
	char endpoint[320];

	assert_non_null(s);
	assert_int_equal(zmq_setsockopt(s, ZMQ_LINGER, &(int){ 0 }, sizeof(int)), 0);
	assert_int_equal(zmq_setsockopt(s, ZMQ_RCVTIMEO, &(int){ 20000 }, sizeof(int)), 0);
	assert_int_equal(zmq_setsockopt(s, ZMQ_RCVHWM, &(int){ 0 }, sizeof(int)), 0);
	if (identity)
		assert_int_equal(zmq_setsockopt(s, ZMQ_ROUTING_ID, identity, strlen(identity)), 0);
	assert_int_equal(connection_endpoint(&connection, port, endpoint, sizeof(endpoint)), 0);
	assert_int_equal(zmq_connect(s, endpoint), 0);
	return s;
}

static struct parcel receive(enum connection_port port)
{
	struct pollfd p = { .fd = channels_fd(channels, port), .events = POLLIN };
	struct parcel parcel = { 0 };
	int r;

	for (int i = 0; i < 2000; i++) {
		r = channels_recv(channels, port, &parcel);
		if (r)
			break;
		channels_look(channels, port);
		if (!channels_readable(channels, port))
			(void)poll(&p, 1, 10);
	}
	assert_int_equal(r, 1);
	return parcel;
}

static void send_text(void *socket, const char *text, bool more)
{
	assert_int_equal(zmq_send(socket, text, strlen(text), more ? ZMQ_SNDMORE : 0), (int)strlen(text));
}

static void assert_receives(void *socket, const char *text)
{
	char got[256];
	int n = zmq_recv(socket, got, sizeof(got), 0);

	assert_true(n >= 0 && (size_t)n < sizeof(got));
	assert_slice_is(slice_from(got, (size_t)n), text);
}

static void test_ipc_ports_are_chosen_and_their_files_go_at_the_end(void **state)
{
	struct stat st;
	char path[320];

	(void)state;
	for (int i = 0; i < CONNECTION_PORT_COUNT; i++) {
		assert_int_equal(connection.ports[i], i + 1);
		(void)snprintf(path, sizeof(path), "%s-%d", prefix, i + 1);
		assert_int_equal(stat(path, &st), 0);
		assert_true(S_ISSOCK(st.st_mode));
	}
	channels = channels_free(channels, 0);
	for (int i = 0; i < CONNECTION_PORT_COUNT; i++) {
		(void)snprintf(path, sizeof(path), "%s-%d", prefix, i + 1);
		assert_int_equal(stat(path, &st), -1);
	}
}

static void test_a_second_kernel_finds_other_ipc_ports(void **state)
{
	struct connection second = { .transport = "ipc" };
	struct channels *other;
	struct error err;

	(void)state;
	(void)snprintf(second.ip, sizeof(second.ip), "%s", prefix);
	assert_int_equal(channels_new(&second, &other, &err), 0);
	for (int i = 0; i < CONNECTION_PORT_COUNT; i++)
		assert_int_equal(second.ports[i], CONNECTION_PORT_COUNT + i + 1);
	assert_null(channels_free(other, 0));
}

static void test_tcp_ports_are_chosen_and_an_occupied_one_is_named(void **state)
{
	struct connection first = { .transport = "tcp", .ip = "127.0.0.1" }, second;
	struct channels *a, *b;
	struct error err = { 0 };
	char port[16];

	(void)state;
	assert_int_equal(channels_new(&first, &a, &err), 0);
	for (int i = 0; i < CONNECTION_PORT_COUNT; i++)
		assert_true(first.ports[i] > 0 && first.ports[i] < 65536);
	second = first;
	assert_int_equal(channels_new(&second, &b, &err), -EADDRINUSE);
	(void)snprintf(port, sizeof(port), ":%d", first.ports[CONNECTION_SHELL]);
	assert_contains(err.text, "shell");
	assert_contains(err.text, port);
	assert_null(channels_free(a, 0));
	assert_int_equal(channels_new(&second, &b, &err), 0); /* at once again */
	assert_null(channels_free(b, 0));
}

static void test_bad_addresses_are_errors_with_the_endpoint(void **state)
{
	static const char *const addresses[] = { "not-an-address.invalid", "999.1.1.1", "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		struct connection c = { .transport = "tcp" };
		struct channels *ch = NULL;
		struct error err = { 0 };

		(void)snprintf(c.ip, sizeof(c.ip), "%s", addresses[i]);
		assert_row(i, channels_new(&c, &ch, &err) < 0);
		assert_row(i, strstr(err.text, "tcp://") && !ch);
	}
}

static void test_a_message_goes_to_the_kernel_and_back_by_its_identity(void **state)
{
	void *a = client(ZMQ_DEALER, CONNECTION_SHELL, "client-a"), *b = client(ZMQ_DEALER, CONNECTION_SHELL, "client-b");
	struct channels_frame reply[2] = { { .bytes = SLICE_LIT("client-a") } };
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
	parcel_deinit(&p);
	reply[1].bytes = SLICE_LIT("to a");
	assert_int_equal(channels_send(channels, CONNECTION_SHELL, reply, 2), 0);
	assert_receives(a, "to a");
	send_text(b, "x", false);
	p = receive(CONNECTION_SHELL);
	assert_slice_is(p.parts[0], "client-b");
	parcel_deinit(&p);
	(void)zmq_close(a);
	(void)zmq_close(b);
}

static void test_a_reply_to_a_client_that_has_gone_is_no_error(void **state)
{
	const struct channels_frame reply[2] = { { .bytes = SLICE_LIT("nobody") }, { .bytes = SLICE_LIT("text") } };

	(void)state;
	assert_int_equal(channels_send(channels, CONNECTION_SHELL, reply, 2), 0);
}

static void test_the_same_identity_again_takes_over(void **state)
{
	const struct channels_frame reply[2] = { { .bytes = SLICE_LIT("same") }, { .bytes = SLICE_LIT("yours") } };
	void *old = client(ZMQ_DEALER, CONNECTION_SHELL, "same"), *new;
	struct parcel p;

	(void)state;
	send_text(old, "1", false);
	p = receive(CONNECTION_SHELL);
	parcel_deinit(&p);
	new = client(ZMQ_DEALER, CONNECTION_SHELL, "same");
	send_text(new, "2", false);
	p = receive(CONNECTION_SHELL);
	assert_slice_is(p.parts[1], "2");
	parcel_deinit(&p);
	assert_int_equal(channels_send(channels, CONNECTION_SHELL, reply, 2), 0);
	assert_receives(new, "yours");
	(void)zmq_close(old);
	(void)zmq_close(new);
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
	(void)zmq_close(s);
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
	(void)zmq_close(s);
}

/* ---- iopub ---- */

static void *subscriber(const char *topic)
{
	void *s = client(ZMQ_SUB, CONNECTION_IOPUB, NULL);
	struct parcel p;

	assert_int_equal(zmq_setsockopt(s, ZMQ_SUBSCRIBE, topic, strlen(topic)), 0);
	p = receive(CONNECTION_IOPUB);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.parts[0].data[0], 1);
	assert_slice_is(slice_from(p.parts[0].data + 1, p.parts[0].len - 1), topic);
	parcel_deinit(&p);
	return s;
}

static void publish(const char *topic)
{
	const struct channels_frame frame = { .bytes = slice_str(topic) };

	assert_int_equal(channels_send(channels, CONNECTION_IOPUB, &frame, 1), 0);
}

static void test_nothing_reaches_a_subscriber_before_it_was_taken_in(void **state)
{
	void *s = subscriber("");

	(void)state;
	publish("too early");
	assert_int_equal(channels_subscribe(channels, SLICE_LIT(""), true), 0);
	publish("welcome");
	assert_receives(s, "welcome");
	(void)zmq_close(s);
}

static void test_every_subscription_is_seen_also_the_same_topic_again(void **state)
{
	void *a = subscriber("x"), *b;

	(void)state;
	assert_int_equal(channels_subscribe(channels, SLICE_LIT("x"), true), 0);
	b = subscriber("x");
	assert_int_equal(channels_subscribe(channels, SLICE_LIT("x"), true), 0);
	publish("y");
	publish("x1");
	assert_receives(a, "x1");
	assert_receives(b, "x1");
	(void)zmq_close(a);
	(void)zmq_close(b);
}

static void publish_owned(size_t len)
{
	char *bytes = malloc(len);
	struct channels_frame frames[2] = { { .bytes = SLICE_LIT("topic") }, { .owned = true } };

	assert_non_null(bytes);
	memset(bytes, 'x', len);
	frames[1].bytes = slice_from(bytes, len);
	assert_int_equal(channels_send(channels, CONNECTION_IOPUB, frames, 2), 0);
}

static void wait_until_below(size_t mark)
{
	struct pollfd p[] = {
		{ .fd = channels_notify_fd(channels), .events = POLLIN },
		{ .fd = channels_fd(channels, CONNECTION_IOPUB), .events = POLLIN },
	};
	uint64_t count;

	channels_notify_below(channels, mark);
	do { /* as the loop does: a pipe to a subscriber that has gone is only taken down when the socket is asked */
		assert_true(poll(p, 2, 20000) > 0);
		channels_look(channels, CONNECTION_IOPUB);
		(void)channels_readable(channels, CONNECTION_IOPUB);
	} while (!(p[0].revents & POLLIN));
	assert_int_equal(read(channels_notify_fd(channels), &count, sizeof(count)), sizeof(count));
	assert_true(channels_in_flight(channels) < mark);
}

static void test_without_subscribers_nothing_is_in_flight(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		publish_owned(100000);
	assert_int_equal(channels_in_flight(channels), 0);
}

static void test_what_a_subscriber_has_not_taken_is_counted_whole_and_told_when_it_goes(void **state)
{
	void *s = client(ZMQ_SUB, CONNECTION_IOPUB, NULL);
	char *sink = malloc(1 << 20);
	struct parcel p;

	(void)state;
	(void)zmq_close(s);
	s = zmq_socket(context, ZMQ_SUB); /* a queue of one message: the rest stays on our side */
	assert_int_equal(zmq_setsockopt(s, ZMQ_RCVHWM, &(int){ 1 }, sizeof(int)), 0);
	assert_int_equal(zmq_setsockopt(s, ZMQ_RCVBUF, &(int){ 8192 }, sizeof(int)), 0);
	assert_int_equal(zmq_setsockopt(s, ZMQ_LINGER, &(int){ 0 }, sizeof(int)), 0);
	assert_int_equal(zmq_setsockopt(s, ZMQ_SUBSCRIBE, "", 0), 0);
	{
		char endpoint[320];

		assert_int_equal(connection_endpoint(&connection, CONNECTION_IOPUB, endpoint, sizeof(endpoint)), 0);
		assert_int_equal(zmq_connect(s, endpoint), 0);
	}
	p = receive(CONNECTION_IOPUB);
	parcel_deinit(&p);
	assert_int_equal(channels_subscribe(channels, SLICE_LIT(""), true), 0);
	for (int i = 0; i < 40; i++)
		publish_owned(1 << 20);
	assert_true(channels_in_flight(channels) > (size_t)20 << 20);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(zmq_recv(s, sink, 1 << 20, 0), 5);
		assert_int_equal(zmq_recv(s, sink, 1 << 20, 0), 1 << 20);
	}
	wait_until_below(1);
	free(sink);
	(void)zmq_close(s);
}

static void test_a_mark_that_is_reached_already_is_told_at_once(void **state)
{
	(void)state;
	wait_until_below(1000);
}

static void test_a_subscriber_that_goes_frees_what_it_held(void **state)
{
	void *s = subscriber("");

	(void)state;
	assert_int_equal(channels_subscribe(channels, SLICE_LIT(""), true), 0);
	for (int i = 0; i < 10; i++)
		publish_owned(1 << 20);
	(void)zmq_close(s);
	wait_until_below(1);
}

static void test_replies_are_not_counted_as_output(void **state)
{
	void *s = client(ZMQ_DEALER, CONNECTION_SHELL, "slow");
	struct channels_frame frames[2] = { { .bytes = SLICE_LIT("slow") }, { .owned = true } };
	struct parcel p;

	(void)state;
	send_text(s, "x", false);
	p = receive(CONNECTION_SHELL);
	parcel_deinit(&p);
	for (int i = 0; i < 10; i++) {
		frames[1].bytes = slice_from(calloc(1, 1 << 20), 1 << 20);
		assert_int_equal(channels_send(channels, CONNECTION_SHELL, frames, 2), 0);
	}
	assert_int_equal(channels_in_flight(channels), 0);
	(void)zmq_close(s);
}

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
	assert_int_equal(channels_send(channels, CONNECTION_HB, frames, p.n), 0);
	parcel_deinit(&p);
	assert_receives(s, "ping");
	(void)zmq_close(s);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_ipc, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_ipc_ports_are_chosen_and_their_files_go_at_the_end),
		T(test_a_second_kernel_finds_other_ipc_ports),
		T(test_tcp_ports_are_chosen_and_an_occupied_one_is_named),
		T(test_bad_addresses_are_errors_with_the_endpoint),
		T(test_a_message_goes_to_the_kernel_and_back_by_its_identity),
		T(test_a_reply_to_a_client_that_has_gone_is_no_error),
		T(test_the_same_identity_again_takes_over),
		T(test_too_many_frames_come_as_an_empty_parcel_and_the_next_message_is_whole),
		T(test_slices_of_small_and_large_frames_are_right),
		T(test_nothing_reaches_a_subscriber_before_it_was_taken_in),
		T(test_every_subscription_is_seen_also_the_same_topic_again),
		T(test_without_subscribers_nothing_is_in_flight),
		T(test_what_a_subscriber_has_not_taken_is_counted_whole_and_told_when_it_goes),
		T(test_a_mark_that_is_reached_already_is_told_at_once),
		T(test_a_subscriber_that_goes_frees_what_it_held),
		T(test_replies_are_not_counted_as_output),
		T(test_a_heartbeat_is_a_message_like_any_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
