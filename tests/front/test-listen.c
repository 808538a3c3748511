/* SPDX-License-Identifier: Apache-2.0 */
/* test-listen: where the five sockets listen, and how long a client may take: without any library at the other end. */
#include "tests/unit/test.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "kernel/front/channels.h"
#include "kernel/front/conn.h"
#include "protocol/base/clock.h"

static char prefix[64];
static struct connection connection;
static struct channels *channels;

static int open_ipc(void **state)
{
	struct error err;

	(void)state;
	(void)snprintf(prefix, sizeof(prefix), "/tmp/husk-test-listen-%d", (int)getpid());
	connection = (struct connection){ .transport = "ipc" };
	(void)snprintf(connection.ip, sizeof(connection.ip), "%s", prefix);
	return channels_new(&connection, &channels, &err);
}

static int open_tcp(void **state)
{
	struct error err;

	(void)state;
	connection = (struct connection){ .transport = "tcp", .ip = "127.0.0.1" };
	return channels_new(&connection, &channels, &err);
}

static int close_all(void **state)
{
	(void)state;
	channels = channels_free(channels, 0);
	return 0;
}

/* One round as the front's loop makes them; true: a message has come on shell. */
static bool turn_over_for(struct parcel *ret)
{
	struct pollfd p = { .fd = channels_fd(channels), .events = POLLIN };
	bool found = false;

	*ret = (struct parcel){ 0 };
	channels_flush(channels);
	(void)poll(&p, 1, 10);
	channels_look(channels);
	for (int i = 0; i < CONNECTION_PORT_COUNT; i++)
		found |= channels_recv(channels, (enum connection_port)i, ret) == 1;
	return found;
}

static void turn_over(void)
{
	struct parcel p;

	assert_false(turn_over_for(&p));
}

static struct parcel receive(void)
{
	struct parcel p;

	for (int i = 0; !turn_over_for(&p); i++)
		assert_true(i < 2000);
	return p;
}

/* ---- places ---- */

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

/* ---- time ---- */

static int raw_client(enum connection_port port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)connection.ports[port]) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void say(int fd, const void *bytes, size_t n)
{
	assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
}

static bool is_closed(int fd)
{
	char bytes[256];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		continue;
	return n == 0 || errno == ECONNRESET;
}

static void test_a_handshake_has_its_time(void **state)
{
	_cleanup_(closep) int fd = raw_client(CONNECTION_CONTROL);
	uint64_t begin = clock_monotonic_usec();

	(void)state;
	while (channels_deadline(channels) == USEC_NEVER)
		turn_over();
	assert_true(channels_deadline(channels) >= begin + CONN_HANDSHAKE_USEC);
	channels_tick(channels, begin + CONN_HANDSHAKE_USEC - 1);
	assert_false(is_closed(fd));
	channels_tick(channels, channels_deadline(channels));
	assert_true(channels_deadline(channels) == USEC_NEVER);
	assert_true(is_closed(fd));
}

static void test_a_large_message_must_go_on_unless_it_is_not_read(void **state)
{
	static const char ready[] = "\4\x1c\5READY\13Socket-Type\0\0\0\6DEALER";
	static const char body[100000];
	_cleanup_(closep) int fd = raw_client(CONNECTION_SHELL);
	uint8_t bytes[ZMTP_GREETING_SIZE];
	struct pollfd p = { .events = POLLIN };
	struct parcel parcel;

	(void)state;
	zmtp_greeting_write(ZMTP_NULL, false, bytes);
	say(fd, bytes, sizeof(bytes));
	say(fd, ready, sizeof(ready) - 1);
	say(fd, bytes, zmtp_frame_write(0, 2 * sizeof(body), bytes));
	say(fd, body, sizeof(body));
	while (channels_deadline(channels) < clock_monotonic_usec() + CONN_HANDSHAKE_USEC ||
	       channels_deadline(channels) == USEC_NEVER)
		turn_over(); /* until it is charged: then the other time holds */
	say(fd, body, sizeof(body));
	p.fd = channels_fd(channels);
	assert_int_equal(poll(&p, 1, 20000), 1);
	channels_look(channels); /* and its queue is full */
	channels_tick(channels, channels_deadline(channels));
	assert_false(is_closed(fd));
	assert_true(channels_deadline(channels) != USEC_NEVER);
	parcel = receive();
	assert_int_equal(parcel.parts[1].len, 2 * sizeof(body));
	parcel_deinit(&parcel);
	assert_true(channels_deadline(channels) == USEC_NEVER);
	say(fd, bytes, zmtp_frame_write(0, 2 * sizeof(body), bytes));
	say(fd, body, sizeof(body));
	while (channels_deadline(channels) == USEC_NEVER)
		turn_over();
	for (int i = 0; i < 5; i++)
		turn_over();
	channels_tick(channels, channels_deadline(channels));
	assert_true(is_closed(fd));
}

#define T(name, open) cmocka_unit_test_setup_teardown(name, open, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_ipc_ports_are_chosen_and_their_files_go_at_the_end, open_ipc),
		T(test_a_second_kernel_finds_other_ipc_ports, open_ipc),
		T(test_tcp_ports_are_chosen_and_an_occupied_one_is_named, open_ipc),
		T(test_bad_addresses_are_errors_with_the_endpoint, open_ipc),
		T(test_a_handshake_has_its_time, open_tcp),
		T(test_a_large_message_must_go_on_unless_it_is_not_read, open_tcp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
