/* SPDX-License-Identifier: Apache-2.0 */
/* test-request: requests and the queue they wait in. */
#include "tests/unit/test.h"

#include "kernel/front/request.h"

static struct request *make(size_t n_bytes)
{
	struct message m = { 0 };
	struct parcel parcel = { .n_bytes = n_bytes };
	struct request *r = request_new(&parcel, &m, CONNECTION_SHELL);

	assert_non_null(r);
	assert_int_equal(parcel.n_bytes, 0);
	return r;
}

static void test_a_queue_gives_back_in_order(void **state)
{
	struct request *a = make(1), *b = make(2), *c = make(3);
	struct queue q;

	(void)state;
	queue_init(&q);
	assert_null(queue_pop(&q));
	queue_push(&q, a);
	queue_push(&q, b);
	assert_ptr_equal(queue_pop(&q), a);
	queue_push(&q, c);
	assert_int_equal(q.n, 2);
	assert_int_equal(q.n_bytes, 5);
	assert_ptr_equal(queue_pop(&q), b);
	assert_ptr_equal(queue_pop(&q), c);
	assert_null(queue_pop(&q));
	assert_int_equal(q.n, 0);
	assert_int_equal(q.n_bytes, 0);
	(void)request_free(a);
	(void)request_free(b);
	(void)request_free(c);
}

static bool is_large(const struct request *r)
{
	return r->parcel.n_bytes > 10;
}

static void test_the_first_that_is_wanted_leaves_from_anywhere(void **state)
{
	struct request *a = make(1), *b = make(20), *c = make(2), *d = make(30);
	struct queue q;

	(void)state;
	queue_init(&q);
	assert_null(queue_take(&q, is_large));
	queue_push(&q, a);
	assert_null(queue_take(&q, is_large));
	queue_push(&q, b);
	queue_push(&q, c);
	queue_push(&q, d);
	assert_ptr_equal(queue_take(&q, is_large), b);
	assert_ptr_equal(queue_take(&q, is_large), d);
	assert_null(queue_take(&q, is_large));
	assert_int_equal(q.n, 2);
	assert_int_equal(q.n_bytes, 3);
	queue_push(&q, b);
	assert_ptr_equal(queue_pop(&q), a);
	assert_ptr_equal(queue_pop(&q), c);
	assert_ptr_equal(queue_take(&q, is_large), b);
	assert_null(q.head);
	queue_push(&q, a);
	assert_ptr_equal(queue_pop(&q), a);
	(void)request_free(a);
	(void)request_free(b);
	(void)request_free(c);
	(void)request_free(d);
}

static void test_an_emptied_queue_can_be_filled_again(void **state)
{
	struct request *a = make(0);
	struct queue q;

	(void)state;
	queue_init(&q);
	for (int i = 0; i < 3; i++) {
		queue_push(&q, a);
		assert_ptr_equal(queue_pop(&q), a);
	}
	assert_null(q.head);
	(void)request_free(a);
}

static void test_a_queue_is_full_at_its_number(void **state)
{
	struct queue q;

	(void)state;
	queue_init(&q);
	for (unsigned i = 0; i < QUEUE_MAX; i++) {
		assert_false(queue_is_full(&q));
		queue_push(&q, make(1));
	}
	assert_true(queue_is_full(&q));
	(void)request_free(queue_pop(&q));
	assert_false(queue_is_full(&q));
	while (q.head)
		(void)request_free(queue_pop(&q));
}

static void test_a_queue_is_full_at_its_bytes_but_an_empty_one_takes_anything(void **state)
{
	struct queue q;

	(void)state;
	queue_init(&q);
	assert_false(queue_is_full(&q));
	queue_push(&q, make(QUEUE_MAX_BYTES * 4));
	assert_true(queue_is_full(&q));
	(void)request_free(queue_pop(&q));
	assert_false(queue_is_full(&q));
}

static void test_freeing_nothing_is_fine(void **state)
{
	(void)state;
	assert_null(request_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_queue_gives_back_in_order),
		cmocka_unit_test(test_the_first_that_is_wanted_leaves_from_anywhere),
		cmocka_unit_test(test_an_emptied_queue_can_be_filled_again),
		cmocka_unit_test(test_a_queue_is_full_at_its_number),
		cmocka_unit_test(test_a_queue_is_full_at_its_bytes_but_an_empty_one_takes_anything),
		cmocka_unit_test(test_freeing_nothing_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
