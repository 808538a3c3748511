/* SPDX-License-Identifier: Apache-2.0 */
/* test-turn-limits: what a request may ask, and how limits are written (specs/limits.md 1.3, 2.4). */
#include "tests/unit/test.h"

#include "kernel/front/turn-limits.h"

static struct limits kernel(void)
{
	struct limits l = limits_default();

	l.value[LIMIT_wall] = 120 * LIMIT_SECOND;
	l.value[LIMIT_memory] = LIMIT_GIB;
	return l;
}

static void test_what_is_asked_lowers(void **state)
{
	static const struct {
		const char *metadata;
		enum limit which;
		uint64_t value;
	} rows[] = {
		{ "{}", LIMIT_wall, 120 * LIMIT_SECOND },
		{ "{\"husk\":1}", LIMIT_wall, 120 * LIMIT_SECOND },
		{ "{\"husk\":{}}", LIMIT_wall, 120 * LIMIT_SECOND },
		{ "{\"husk\":{\"limits\":null}}", LIMIT_wall, 120 * LIMIT_SECOND },
		{ "{\"husk\":{\"limits\":{}}}", LIMIT_wall, 120 * LIMIT_SECOND },
		{ "{\"husk\":{\"limits\":{\"wall\":\"10 s\"}}}", LIMIT_wall, 10 * LIMIT_SECOND },
		{ "{\"husk\":{\"limits\":{\"wall\":\"120 s\"}}}", LIMIT_wall, 120 * LIMIT_SECOND },
		{ "{\"husk\":{\"limits\":{\"wall\":10000000}}}", LIMIT_wall, 10 * LIMIT_SECOND },
		{ "{\"husk\":{\"limits\":{\"cpu\":10000,\"memory\":\"64 MiB\"}}}", LIMIT_memory, 64 * LIMIT_MIB },
		{ "{\"husk\":{\"limits\":{\"output_messages\":\"16\"}}}", LIMIT_output_messages, 16 },
		{ "{\"cellId\":\"x\",\"husk\":{\"other\":1,\"limits\":{\"input\":\"1\\u0020s\"}}}", LIMIT_input, LIMIT_SECOND },
		{ "{\"husk\":{\"limits\":{\"w\\u0061ll\":\"10 s\"}}}", LIMIT_wall, 10 * LIMIT_SECOND },
		{ "{\"husk\":{\"limits\":{\"wall\":\"1 s\",\"wall\":\"10 s\"}}}", LIMIT_wall, 10 * LIMIT_SECOND },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct limits l = kernel();
		struct error err = { 0 };

		assert_row(i, turn_limits_lower(slice_str(rows[i].metadata), &l, &err) == 0);
		assert_row(i, l.value[rows[i].which] == rows[i].value);
	}
}

static void test_what_is_not_limited_can_be(void **state)
{
	struct limits l = LIMITS_UNLIMITED;

	(void)state;
	assert_int_equal(turn_limits_lower(SLICE_LIT("{\"husk\":{\"limits\":{\"wall\":\"10 s\",\"cpu\":\"none\"}}}"), &l, NULL), 0);
	assert_int_equal(l.value[LIMIT_wall], 10 * LIMIT_SECOND);
	assert_int_equal(l.value[LIMIT_cpu], LIMITS_NONE);
}

static void test_what_is_refused_names_limit_value_and_bound(void **state)
{
	static const struct {
		const char *limits;
		const char *parts[3];
	} rows[] = {
		{ "{\"wall\":\"300 s\"}", { "wall is 300 s", "above the 120 s", "profile" } },
		{ "{\"wall\":120000001}", { "wall is 120000001 us", "above the 120 s", "" } },
		{ "{\"wall\":\"none\"}", { "wall is none", "above the 120 s", "" } },
		{ "{\"memory\":\"2 GiB\"}", { "memory is 2 GiB", "above the 1 GiB", "" } },
		{ "{\"wall\":\"10\"}", { "wall is \"10\"", "10 ms to 30 d", "" } },
		{ "{\"wall\":\"1 ms\"}", { "wall is \"1 ms\"", "10 ms to 30 d", "" } },
		{ "{\"wall\":1}", { "wall is 1;", "10000", "microseconds" } },
		{ "{\"wall\":-1}", { "wall is -1;", "10000", "" } },
		{ "{\"wall\":1.5}", { "wall is 1.5;", "whole", "" } },
		{ "{\"wall\":1e6}", { "wall is 1e6;", "whole", "" } },
		{ "{\"wall\":99999999999999999999999}", { "wall is 9999", "whole", "" } },
		{ "{\"memory\":5}", { "memory is 5;", "33554432", "bytes" } },
		{ "{\"wall\":true}", { "\"wall\"", "neither", "" } },
		{ "{\"wall\":null}", { "\"wall\"", "neither", "" } },
		{ "{\"wall\":[]}", { "\"wall\"", "neither", "" } },
		{ "{\"grace\":\"1 s\"}", { "\"grace\"", "whole kernel", "" } },
		{ "{\"processes\":4}", { "\"processes\"", "whole kernel", "" } },
		{ "{\"Wall\":\"1 s\"}", { "no limit \"Wall\"", "", "" } },
		{ "{\"\":1}", { "no limit \"\"", "", "" } },
		{ "{\"w\xc3\xa4ll\":1}", { "no limit \"w??ll\"", "", "" } },
		{ "5", { "limits is not an object", "", "" } },
		{ "\"10 s\"", { "limits is not an object", "", "" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct limits l = kernel();
		struct error err = { 0 };
		char text[256];

		(void)snprintf(text, sizeof(text), "{\"husk\":{\"limits\":%s}}", rows[i].limits);
		assert_row(i, turn_limits_lower(slice_str(text), &l, &err) == -EINVAL);
		assert_contains(err.text, "metadata.husk.limits");
		for (size_t k = 0; k < ARRAY_SIZE(rows[i].parts); k++)
			assert_contains(err.text, rows[i].parts[k]);
	}
}

static void test_only_limits_are_written(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
	struct limits l = LIMITS_UNLIMITED;

	(void)state;
	turn_limits_write(&l, &out);
	assert_slice_is(buffer_slice(&out), "{}");
	l.value[LIMIT_wall] = 120 * LIMIT_SECOND;
	l.value[LIMIT_service] = 2 * LIMIT_SECOND;
	buffer_reset(&out);
	turn_limits_write(&l, &out);
	assert_slice_is(buffer_slice(&out), "{\"wall\":120000000,\"service\":2000000}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_asked_lowers),
		cmocka_unit_test(test_what_is_not_limited_can_be),
		cmocka_unit_test(test_what_is_refused_names_limit_value_and_bound),
		cmocka_unit_test(test_only_limits_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
