/* SPDX-License-Identifier: Apache-2.0 */
/* test-buffer: growable bytes with a bound; also the small things of slice.h and util.h. */
#include "tests/unit/test.h"

#include <fcntl.h>

/* An allocation that cannot be is an answer here, with AddressSanitizer too. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void test_appended_pieces_lie_in_order(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(0);

	(void)state;
	buffer_append(&b, "a\0b", 3);
	buffer_append_slice(&b, SLICE_LIT("cd"));
	buffer_append_slice(&b, SLICE_NULL);
	buffer_append_str(&b, "ef");
	buffer_append_char(&b, 'g');
	buffer_append_u64(&b, 0);
	buffer_append_u64(&b, UINT64_MAX);
	buffer_printf(&b, "<%s %d>", "x", -5);
	assert_int_equal(b.failed, 0);
	assert_true(slice_equal(buffer_slice(&b), SLICE_LIT("a\0bcdefg018446744073709551615<x -5>")));
}

static void test_content_survives_growth(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(0);

	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		buffer_append_char(&b, (char)i);
	for (unsigned i = 0; i < 100000; i++)
		assert_row(i, b.data[i] == (char)i);
	assert_true(b.size < 4 * b.len);
}

static void test_a_failed_append_leaves_the_content(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(10);

	(void)state;
	buffer_append_str(&b, "12345678");
	buffer_append_str(&b, "9abc");
	assert_int_equal(b.failed, -EMSGSIZE);
	assert_slice_is(buffer_slice(&b), "12345678");
}

static void test_failure_stays_until_reset(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(4);

	(void)state;
	buffer_append_str(&b, "too long");
	buffer_append_char(&b, 'x');
	assert_int_equal(b.failed, -EMSGSIZE);
	assert_int_equal(b.len, 0);
	assert_int_equal(buffer_reserve(&b, 1), -EMSGSIZE);
	buffer_reset(&b);
	buffer_append_char(&b, 'x');
	assert_int_equal(b.failed, 0);
	assert_slice_is(buffer_slice(&b), "x");
}

static void test_the_bound_can_be_reached_exactly(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(300);

	(void)state;
	for (int i = 0; i < 100; i++)
		buffer_printf(&b, "%03d", i);
	assert_int_equal(b.failed, 0);
	assert_int_equal(b.len, 300);
	buffer_append_char(&b, 'x');
	assert_int_equal(b.failed, -EMSGSIZE);
	assert_memory_equal(b.data + 297, "099", 3);
}

static void test_sizes_that_wrap_are_refused(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(SIZE_MAX);

	(void)state;
	buffer_append_str(&b, "abc");
	assert_int_equal(buffer_reserve(&b, SIZE_MAX), -EMSGSIZE);
	buffer_reset(&b);
	buffer_append_str(&b, "abc");
	assert_int_equal(buffer_reserve(&b, SIZE_MAX / 2 + 1), -ENOMEM);
	assert_slice_is(buffer_slice(&b), "abc");
}

static void test_the_default_bound_is_documented(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(0);

	(void)state;
	assert_int_equal(buffer_reserve(&b, BUFFER_MAX_DEFAULT + 1), -EMSGSIZE);
}

static void test_consume_drops_from_the_front(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(0);

	(void)state;
	buffer_consume(&b, 5);
	buffer_append_str(&b, "hello world");
	buffer_consume(&b, 6);
	assert_slice_is(buffer_slice(&b), "world");
	buffer_consume(&b, 100);
	assert_int_equal(b.len, 0);
}

static void test_steal_moves_the_bytes_out(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(77);
	_cleanup_(freep) char *data = NULL;

	(void)state;
	buffer_append_str(&b, "mine");
	assert_int_equal(buffer_steal(&b, &data), 4);
	assert_memory_equal(data, "mine", 4);
	assert_null(b.data);
	assert_int_equal(b.len, 0);
	assert_int_equal(b.max, 77);
}

static void test_deinit_accepts_what_was_never_used(void **state)
{
	struct buffer b = { .max = 5 };

	(void)state;
	buffer_deinit(&b);
	buffer_deinit(&b);
	assert_int_equal(b.max, 5);
	buffer_append_str(&b, "again");
	assert_slice_is(buffer_slice(&b), "again");
	buffer_deinit(&b);
}

static void test_slices_compare_by_content(void **state)
{
	(void)state;
	assert_true(slice_equal(SLICE_NULL, SLICE_LIT("")));
	assert_true(slice_equal_str(SLICE_LIT("abc"), "abc"));
	assert_false(slice_equal_str(SLICE_LIT("abc"), "abd"));
	assert_false(slice_equal_str(SLICE_LIT("abc"), "ab"));
	assert_int_equal(SLICE_LIT("a\0b").len, 3);
}

static void test_transfer_clears_its_source(void **state)
{
	char *p = calloc(1, 1), *q;
	int fd = 7;

	(void)state;
	q = STEAL(p);
	assert_null(p);
	assert_non_null(q);
	free(q);
	assert_int_equal(STEAL_FD(fd), 7);
	assert_int_equal(fd, -1);
}

static void test_close_on_scope_end_keeps_errno(void **state)
{
	int copy;

	(void)state;
	errno = EBUSY;
	{
		_cleanup_(closep) int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		_cleanup_(closep) int none = -1;

		(void)none;
		copy = fd;
		errno = EBUSY;
	}
	assert_int_equal(errno, EBUSY);
	assert_int_equal(fcntl(copy, F_GETFD), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_appended_pieces_lie_in_order),
		cmocka_unit_test(test_content_survives_growth),
		cmocka_unit_test(test_a_failed_append_leaves_the_content),
		cmocka_unit_test(test_failure_stays_until_reset),
		cmocka_unit_test(test_the_bound_can_be_reached_exactly),
		cmocka_unit_test(test_sizes_that_wrap_are_refused),
		cmocka_unit_test(test_the_default_bound_is_documented),
		cmocka_unit_test(test_consume_drops_from_the_front),
		cmocka_unit_test(test_steal_moves_the_bytes_out),
		cmocka_unit_test(test_deinit_accepts_what_was_never_used),
		cmocka_unit_test(test_slices_compare_by_content),
		cmocka_unit_test(test_transfer_clears_its_source),
		cmocka_unit_test(test_close_on_scope_end_keeps_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
