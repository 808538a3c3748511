/* SPDX-License-Identifier: Apache-2.0 */
/* test-peer: the front's end of a link over a real socketpair, with a worker that writes anything. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "kernel/front/peer.h"

struct pair {
	struct peer peer;
	int other;
};

static void open_pair(struct pair *p)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	peer_init(&p->peer, fds[0]);
	p->other = fds[1];
}

static void close_pair(struct pair *p)
{
	peer_deinit(&p->peer);
	if (p->other >= 0)
		(void)close(p->other);
}

/* A frame of the worker: EXIT with one number. */
static void append_exit(struct buffer *out, uint64_t code)
{
	size_t begin = link_frame_begin(out);

	msgpack_write_array(out, 1);
	msgpack_write_u64(out, code);
	assert_int_equal(link_frame_end(out, begin, LINK_EXIT, 42), 0);
}

static void write_all(int fd, const void *data, size_t len)
{
	assert_int_equal(write(fd, data, len), (ssize_t)len);
}

static uint64_t take_exit(struct peer *p)
{
	struct peer_frame frame;
	struct error err;
	uint64_t code;

	assert_int_equal(peer_next(p, &frame, &err), 1);
	assert_int_equal(frame.type, LINK_EXIT);
	assert_int_equal(frame.ring_pos, 42);
	assert_int_equal(msgpack_read_u64(&frame.fields, &code), 0);
	return code;
}

static void test_frames_come_out_as_they_went_in(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
	struct peer_frame frame;
	struct error err;
	struct pair p;

	(void)state;
	open_pair(&p);
	for (uint64_t i = 0; i < 3; i++)
		append_exit(&out, i);
	write_all(p.other, out.data, out.len);
	assert_int_equal(peer_fill(&p.peer), (int)out.len);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(take_exit(&p.peer), i);
	assert_int_equal(peer_next(&p.peer, &frame, &err), 0);
	assert_int_equal(peer_fill(&p.peer), 0);
	close_pair(&p);
}

static void test_a_frame_may_come_byte_by_byte(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
	struct peer_frame frame;
	struct error err;
	struct pair p;

	(void)state;
	open_pair(&p);
	append_exit(&out, 7);
	for (size_t i = 0; i < out.len; i++) {
		write_all(p.other, out.data + i, 1);
		assert_int_equal(peer_fill(&p.peer), 1);
		if (i + 1 < out.len)
			assert_int_equal(peer_next(&p.peer, &frame, &err), 0);
	}
	assert_int_equal(take_exit(&p.peer), 7);
	close_pair(&p);
}

static void test_the_end_of_the_link_is_told(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p);
	(void)close(p.other);
	p.other = -1;
	assert_int_equal(peer_fill(&p.peer), -ECONNRESET);
	close_pair(&p);
}

static void test_a_closed_peer_reads_nothing_and_writes_nowhere(void **state)
{
	struct peer p;
	size_t begin;

	(void)state;
	peer_init(&p, -1);
	assert_int_equal(peer_fill(&p), -ECONNRESET);
	begin = peer_begin(&p);
	msgpack_write_array(&p.out, 1);
	msgpack_write_bool(&p.out, false);
	assert_int_equal(peer_end(&p, begin, LINK_SHUTDOWN), 0);
	peer_deinit(&p);
}

static void test_hostile_headers_are_refused_with_the_rule(void **state)
{
	static const struct {
		unsigned char header[LINK_HEADER_SIZE];
		const char *says;
	} rows[] = {
		{ { 0, 0, 0, 0, 9, LINK_EXIT }, "version" },
		{ { 0, 0, 0, 0, LINK_VERSION, 0 }, "type" },
		{ { 0, 0, 0, 0, LINK_VERSION, LINK_EXECUTE }, "direction" },
		{ { 0, 0, 0, 0, LINK_VERSION, 255 }, "type" },
		{ { 0, 0, 0, 0, LINK_VERSION, LINK_EXIT, 1, 0 }, "reserved" },
		{ { 0xff, 0xff, 0xff, 0xff, LINK_VERSION, LINK_REPLY }, "longer" }, /* 4 GiB */
		{ { 0, 0, 0, 0x80, LINK_VERSION, LINK_DISPLAY }, "longer" },        /* 2 GiB */
		{ { 1, 4, 0, 0, LINK_VERSION, LINK_EXIT }, "longer" },              /* one over EXIT's maximum */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct peer_frame frame;
		struct error err = { 0 };
		struct pair p;

		open_pair(&p);
		write_all(p.other, rows[i].header, LINK_HEADER_SIZE);
		assert_row(i, peer_fill(&p.peer) == LINK_HEADER_SIZE);
		assert_row(i, peer_next(&p.peer, &frame, &err) == -EBADMSG);
		assert_row(i, strstr(err.text, rows[i].says));
		close_pair(&p);
	}
}

static void test_a_body_that_is_no_array_of_its_fields_is_refused(void **state)
{
	static const struct {
		unsigned char body[8];
		unsigned len;
	} rows[] = {
		{ { 0xc0 }, 1 },                         /* nil */
		{ { 0x90 }, 1 },                         /* too few fields */
		{ { 0x91 }, 1 },                         /* a field that is not there */
		{ { 0x91, 0x00, 0x00 }, 3 },             /* bytes behind it */
		{ { 0xdd, 0xff, 0xff, 0xff, 0xff }, 5 }, /* 4 billion fields */
		{ { 0x91, 0xdb, 0xff, 0xff, 0xff, 0xff, 'x' }, 7 },
		{ { 0x91, 0xc1 }, 2 },
		{ { 0 }, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned char header[LINK_HEADER_SIZE] = { (unsigned char)rows[i].len, 0, 0, 0, LINK_VERSION, LINK_EXIT };
		struct peer_frame frame;
		struct error err = { 0 };
		struct pair p;

		open_pair(&p);
		write_all(p.other, header, sizeof(header));
		write_all(p.other, rows[i].body, rows[i].len);
		assert_row(i, peer_fill(&p.peer) > 0);
		assert_row(i, peer_next(&p.peer, &frame, &err) == -EBADMSG);
		assert_row(i, strstr(err.text, "EXIT"));
		close_pair(&p);
	}
}

static void test_random_bytes_never_do_worse_than_an_error(void **state)
{
	uint64_t seed = 88172645463325252ULL;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		unsigned char bytes[200];
		struct peer_frame frame;
		struct error err;
		struct pair p;
		int r;

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (unsigned char)test_random(&seed);
		if (round % 2) { /* a good header, a random body */
			memset(bytes, 0, LINK_HEADER_SIZE);
			bytes[0] = (unsigned char)(sizeof(bytes) - LINK_HEADER_SIZE);
			bytes[4] = LINK_VERSION;
			bytes[5] = (unsigned char)(LINK_HELLO + test_random_below(&seed, 11));
			bytes[LINK_HEADER_SIZE] = (unsigned char)(0x90 + test_random_below(&seed, 16));
		}
		open_pair(&p);
		write_all(p.other, bytes, sizeof(bytes));
		assert_true(peer_fill(&p.peer) > 0);
		while ((r = peer_next(&p.peer, &frame, &err)) > 0)
			while (msgpack_peek(&frame.fields) != MSGPACK_TYPE_END && msgpack_skip(&frame.fields) == 0)
				continue;
		close_pair(&p);
	}
}

static void test_memory_for_a_large_frame_grows_only_with_what_came(void **state)
{
	unsigned char header[LINK_HEADER_SIZE] = { 0, 0, 0, 0x20, LINK_VERSION, LINK_DISPLAY }; /* announces 512 MiB */
	struct peer_frame frame;
	struct error err;
	struct pair p;

	(void)state;
	open_pair(&p);
	write_all(p.other, header, sizeof(header));
	assert_int_equal(peer_fill(&p.peer), sizeof(header));
	assert_int_equal(peer_next(&p.peer, &frame, &err), PEER_LARGE);
	assert_int_equal(frame.body_len, 512 << 20);
	assert_int_equal(peer_next(&p.peer, &frame, &err), 0);
	assert_true(p.peer.in.size <= 2u << 20);
	close_pair(&p);
}

static void append_large(struct buffer *out)
{
	static char big[3 << 20];
	size_t begin = link_frame_begin(out);

	msgpack_write_array(out, 4);
	msgpack_write_u64(out, 1);
	msgpack_write_bin(out, slice_from(big, sizeof(big)));
	msgpack_write_nil(out);
	msgpack_write_array(out, 0);
	assert_int_equal(link_frame_end(out, begin, LINK_ANSWER, 0), 0);
}

static void test_a_large_read_buffer_is_given_back(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
	struct peer_frame frame;
	struct error err;
	struct pair p;
	size_t done = 0;
	int r;

	(void)state;
	open_pair(&p);
	(void)fcntl(p.other, F_SETFL, O_NONBLOCK);
	append_large(&out);
	while (done < out.len) {
		ssize_t n = write(p.other, out.data + done, out.len - done);

		done += n > 0 ? (size_t)n : 0;
		assert_true(peer_fill(&p.peer) >= 0);
	}
	while ((r = peer_next(&p.peer, &frame, &err)) != PEER_FRAME) {
		assert_true(r >= 0);
		assert_true(peer_fill(&p.peer) >= 0);
	}
	assert_int_equal(frame.type, LINK_ANSWER);
	assert_int_equal(peer_fill(&p.peer), 0);
	assert_true(p.peer.in.size <= 1u << 20);
	close_pair(&p);
}

static void test_a_large_frame_can_be_skipped(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
	struct peer_frame frame;
	struct error err;
	struct pair p;
	size_t done = 0, n_large = 0, exit_len;
	int r = 0;

	(void)state;
	open_pair(&p);
	(void)fcntl(p.other, F_SETFL, O_NONBLOCK);
	append_large(&out);
	append_large(&out);
	exit_len = out.len;
	append_exit(&out, 7);
	exit_len = out.len - exit_len;
	while (r != PEER_FRAME) {
		ssize_t n = done < out.len ? write(p.other, out.data + done, MIN(out.len - done, (size_t)100000)) : 0;

		done += n > 0 ? (size_t)n : 0;
		assert_true(peer_fill(&p.peer) >= 0);
		while ((r = peer_next(&p.peer, &frame, &err)) == PEER_LARGE) {
			assert_int_equal(frame.type, LINK_ANSWER);
			peer_skip(&p.peer, &frame);
			n_large++;
		}
		assert_true(r >= 0);
		assert_true(done == out.len || peer_is_inside(&p.peer));
		assert_true(p.peer.in.size <= 1u << 20);
	}
	assert_int_equal(frame.type, LINK_EXIT);
	assert_int_equal(n_large, 2);
	assert_int_equal(peer_take_skipped(&p.peer), out.len - exit_len);
	assert_int_equal(peer_take_skipped(&p.peer), 0);
	assert_false(peer_is_inside(&p.peer));
	close_pair(&p);
}

static size_t begin_large(struct peer *p, size_t len)
{
	size_t begin = peer_begin(p);
	char *bytes = calloc(1, len);

	assert_non_null(bytes);
	msgpack_write_array(&p->out, 2);
	msgpack_write_u64(&p->out, 1);
	msgpack_write_bin(&p->out, slice_from(bytes, len));
	free(bytes);
	return begin;
}

static void test_what_the_socket_does_not_take_waits(void **state)
{
	static char sink[1 << 16];
	struct pair p;
	size_t total = 0, want;

	(void)state;
	open_pair(&p);
	assert_int_equal(peer_end(&p.peer, begin_large(&p.peer, 4 << 20), LINK_TOLD), 0);
	assert_true(p.peer.out.len > 0);
	assert_int_equal(peer_flush(&p.peer), 1);
	want = LINK_HEADER_SIZE + 7 + (4 << 20);
	while (total < want) {
		ssize_t n = read(p.other, sink, sizeof(sink));

		assert_true(n > 0);
		total += (size_t)n;
		assert_true(peer_flush(&p.peer) >= 0);
	}
	assert_int_equal(total, want);
	assert_int_equal(p.peer.out.len, 0);
	assert_true(p.peer.out.size <= 1u << 20);
	close_pair(&p);
}

static void test_a_frame_that_is_too_large_leaves_nothing_of_itself(void **state)
{
	struct pair p;
	size_t begin;

	(void)state;
	open_pair(&p);
	begin = peer_begin(&p.peer);
	msgpack_write_array(&p.peer.out, 1);
	for (int i = 0; i < 2000; i++)
		msgpack_write_nil(&p.peer.out);
	assert_int_equal(peer_end(&p.peer, begin, LINK_SHUTDOWN), -EMSGSIZE);
	assert_int_equal(p.peer.out.len, 0);
	begin = peer_begin(&p.peer);
	msgpack_write_array(&p.peer.out, 1);
	msgpack_write_bool(&p.peer.out, true);
	assert_int_equal(peer_end(&p.peer, begin, LINK_SHUTDOWN), 0);
	close_pair(&p);
}

static void test_only_a_frame_that_did_not_leave_counts_as_not_kept(void **state)
{
	(void)state;
	assert_true(peer_is_kept(0));
	assert_true(peer_is_kept(-EPIPE));
	assert_true(peer_is_kept(-ECONNRESET));
	assert_false(peer_is_kept(-EMSGSIZE));
	assert_false(peer_is_kept(-ENOMEM));
}

static void test_writing_to_a_dead_worker_is_an_error_and_no_signal(void **state)
{
	struct pair p;
	size_t begin;

	(void)state;
	open_pair(&p);
	(void)close(p.other);
	p.other = -1;
	begin = peer_begin(&p.peer);
	msgpack_write_array(&p.peer.out, 1);
	msgpack_write_bool(&p.peer.out, true);
	assert_int_equal(peer_end(&p.peer, begin, LINK_SHUTDOWN), -EPIPE);
	close_pair(&p);
}

static int receive_fd(int from, size_t *ret_bytes)
{
	char bytes[4096];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { bytes, sizeof(bytes) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	int fd = -1;
	ssize_t n = recvmsg(from, &msg, MSG_CMSG_CLOEXEC);

	assert_true(n > 0);
	*ret_bytes = (size_t)n;
	c = CMSG_FIRSTHDR(&msg);
	if (c)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static void test_a_descriptor_rides_with_its_frame_and_leaves_the_front(void **state)
{
	int ends[2], got;
	struct pair p;
	size_t begin, n;

	(void)state;
	open_pair(&p);
	assert_int_equal(pipe(ends), 0);
	p.peer.out_fd = ends[1];
	begin = peer_begin(&p.peer);
	msgpack_write_array(&p.peer.out, 3);
	msgpack_write_u64(&p.peer.out, 2);
	msgpack_write_str(&p.peer.out, SLICE_LIT("subshell"));
	msgpack_write_str(&p.peer.out, SLICE_LIT("id"));
	assert_int_equal(peer_end(&p.peer, begin, LINK_ATTACH), 0);
	assert_int_equal(p.peer.out_fd, -1);
	got = receive_fd(p.other, &n);
	assert_true(got >= 0);
	assert_true(n > LINK_HEADER_SIZE);
	write_all(got, "x", 1);
	(void)close(got);
	assert_int_equal(read(ends[0], &(char){ 0 }, 1), 1);
	assert_int_equal(read(ends[0], &(char){ 0 }, 1), 0); /* the front holds no copy */
	(void)close(ends[0]);
	close_pair(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_come_out_as_they_went_in),
		cmocka_unit_test(test_a_frame_may_come_byte_by_byte),
		cmocka_unit_test(test_the_end_of_the_link_is_told),
		cmocka_unit_test(test_a_closed_peer_reads_nothing_and_writes_nowhere),
		cmocka_unit_test(test_hostile_headers_are_refused_with_the_rule),
		cmocka_unit_test(test_a_body_that_is_no_array_of_its_fields_is_refused),
		cmocka_unit_test(test_random_bytes_never_do_worse_than_an_error),
		cmocka_unit_test(test_memory_for_a_large_frame_grows_only_with_what_came),
		cmocka_unit_test(test_a_large_read_buffer_is_given_back),
		cmocka_unit_test(test_a_large_frame_can_be_skipped),
		cmocka_unit_test(test_what_the_socket_does_not_take_waits),
		cmocka_unit_test(test_a_frame_that_is_too_large_leaves_nothing_of_itself),
		cmocka_unit_test(test_only_a_frame_that_did_not_leave_counts_as_not_kept),
		cmocka_unit_test(test_writing_to_a_dead_worker_is_an_error_and_no_signal),
		cmocka_unit_test(test_a_descriptor_rides_with_its_frame_and_leaves_the_front),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
