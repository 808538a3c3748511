/* SPDX-License-Identifier: Apache-2.0 */
/* test-outqueue: bytes leave in order, once, however the socket takes them; shared ones live until the last has sent them. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "kernel/front/outqueue.h"

static int fds[2];
static size_t total;
static struct outqueue queue;
static struct buffer wanted, got;

static int set_up(void **state)
{
	(void)state;
	total = 0;
	outqueue_init(&queue, &total);
	wanted = got = BUFFER_INIT(0);
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds);
}

static int tear_down(void **state)
{
	(void)state;
	outqueue_deinit(&queue);
	buffer_deinit(&wanted);
	buffer_deinit(&got);
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	return total == 0 ? 0 : -1;
}

static void read_some(size_t most)
{
	static char bytes[1 << 20];
	ssize_t n = read(fds[1], bytes, MIN(most, sizeof(bytes)));

	if (n > 0)
		buffer_append(&got, bytes, (size_t)n);
}

static void assert_all_arrives(void)
{
	int r;

	do {
		r = outqueue_write(&queue, fds[0]);
		assert_true(r >= 0);
		read_some(SIZE_MAX);
	} while (r > 0 || got.len < wanted.len);
	assert_int_equal(queue.bytes, 0);
	assert_null(queue.head);
	assert_true(total < 100); /* shared bytes that a test has a reference to */
	assert_true(slice_equal(buffer_slice(&got), buffer_slice(&wanted)));
}

static void test_an_empty_queue_is_written(void **state)
{
	(void)state;
	assert_int_equal(outqueue_write(&queue, fds[0]), 0);
	assert_int_equal(outqueue_append(&queue, SLICE_NULL), 0);
	assert_int_equal(outqueue_write(&queue, fds[0]), 0);
	assert_null(queue.head);
}

static void test_small_pieces_leave_with_one_write(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(outqueue_append(&queue, SLICE_LIT("piece ")), 0);
		buffer_append_str(&wanted, "piece ");
	}
	assert_int_equal(queue.bytes, 600);
	assert_ptr_equal(queue.head, queue.tail);
	assert_all_arrives();
}

static void test_pieces_of_all_sizes_and_kinds_keep_their_order(void **state)
{
	static char text[300000];
	uint64_t seed = 5;
	size_t sum = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7 >> 3);
	for (int i = 0; i < 400; i++) {
		size_t n = test_random_below(&seed, 4) ? test_random_below(&seed, 300) : test_random_below(&seed, sizeof(text));
		struct slice s = slice_from(text + i, MIN(n, sizeof(text) - 400));

		if (test_random_below(&seed, 2)) {
			struct shared *shared = shared_new_copy(s, &total);

			assert_non_null(shared);
			assert_int_equal(outqueue_share(&queue, shared), 0);
			assert_null(shared_unref(shared));
		} else {
			assert_int_equal(outqueue_append(&queue, s), 0);
		}
		buffer_append_slice(&wanted, s);
		sum += s.len;
		assert_int_equal(queue.bytes, sum);
		if (test_random_below(&seed, 8) == 0) {
			assert_true(outqueue_write(&queue, fds[0]) >= 0);
			read_some(test_random_below(&seed, 100000));
			sum = queue.bytes;
		}
	}
	assert_all_arrives();
}

static void test_a_full_socket_is_told_and_the_rest_is_counted(void **state)
{
	_cleanup_(freep) char *big = calloc(1, 4 << 20);
	struct slice s = slice_from(big, 4 << 20);

	(void)state;
	assert_non_null(big);
	assert_int_equal(outqueue_append(&queue, s), 0);
	assert_int_equal(outqueue_write(&queue, fds[0]), 1);
	assert_true(queue.bytes > 0 && queue.bytes < s.len);
	buffer_append_slice(&wanted, s);
	assert_all_arrives();
}

static void test_shared_bytes_live_as_long_as_a_queue_has_them(void **state)
{
	struct shared *s = shared_new_copy(SLICE_LIT("shared"), &total);
	size_t once = total;
	struct outqueue other;

	(void)state;
	outqueue_init(&other, &total);
	assert_non_null(s);
	assert_int_equal(outqueue_share(&queue, s), 0);
	assert_int_equal(outqueue_share(&other, s), 0);
	assert_int_equal(s->refs, 3);
	outqueue_deinit(&other);
	assert_int_equal(s->refs, 2);
	assert_true(total > once && total < 2 * once + 200);
	assert_null(shared_unref(s));
	buffer_append_str(&wanted, "shared");
	assert_all_arrives();
	assert_null(shared_unref(NULL));
}

static void test_a_peer_that_has_gone_is_an_error_without_a_signal(void **state)
{
	(void)state;
	(void)close(STEAL_FD(fds[1]));
	assert_int_equal(outqueue_append(&queue, SLICE_LIT("x")), 0);
	assert_int_equal(outqueue_write(&queue, fds[0]), -EPIPE);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_an_empty_queue_is_written),
		T(test_small_pieces_leave_with_one_write),
		T(test_pieces_of_all_sizes_and_kinds_keep_their_order),
		T(test_a_full_socket_is_told_and_the_rest_is_counted),
		T(test_shared_bytes_live_as_long_as_a_queue_has_them),
		T(test_a_peer_that_has_gone_is_an_error_without_a_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
