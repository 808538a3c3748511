/* SPDX-License-Identifier: Apache-2.0 */
/* test-info: what kernel_info_reply and usage_reply say, whatever the worker said about itself. */
#include "tests/unit/test.h"

#include "kernel/front/info.h"
#include "kernel/front/usage.h"
#include "protocol/wire/json.h"

static struct front front;

static void fill(const char *version, const char *ipython, bool debugpy)
{
	struct interpreter *in = &front.interpreter;

	*in = (struct interpreter){ .known = true, .debugpy = debugpy };
	(void)snprintf(in->version, sizeof(in->version), "%s", version);
	(void)snprintf(in->version_text, sizeof(in->version_text), "%s (main) [GCC]", version);
	(void)snprintf(in->ipython, sizeof(in->ipython), "%s", ipython);
	(void)snprintf(in->executable, sizeof(in->executable), "/usr/bin/python3");
}

static void assert_member(struct slice object, const char *name, const char *value)
{
	struct slice got;

	assert_int_not_equal(json_member(object, name, &got), JSON_INVALID);
	assert_slice_is(got, value);
}

static void test_kernel_info_has_every_required_member(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
	struct slice language;

	(void)state;
	fill("3.11.2", "9.18.1", true);
	info_content(&front, &out);
	assert_true(json_is_valid_object(buffer_slice(&out)));
	assert_member(buffer_slice(&out), "status", "\"ok\"");
	assert_member(buffer_slice(&out), "protocol_version", "\"5.5\"");
	assert_member(buffer_slice(&out), "implementation", "\"ipython\"");
	assert_member(buffer_slice(&out), "implementation_version", "\"9.18.1\"");
	assert_member(buffer_slice(&out), "debugger", "true");
	assert_int_equal(json_member(buffer_slice(&out), "language_info", &language), JSON_OBJECT);
	assert_member(language, "name", "\"python\"");
	assert_member(language, "version", "\"3.11.2\"");
	assert_member(language, "file_extension", "\".py\"");
	for (const char *const *name = (const char *const[]){ "banner", "help_links", "supported_features", NULL }; *name; name++)
		assert_int_not_equal(json_member(buffer_slice(&out), *name, &language), JSON_INVALID);
}

static void test_without_ipython_and_debugpy_it_is_still_whole(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);

	(void)state;
	fill("3.13.0", "", false);
	info_content(&front, &out);
	assert_true(json_is_valid_object(buffer_slice(&out)));
	assert_member(buffer_slice(&out), "debugger", "false");
}

static void test_hostile_texts_of_a_worker_stay_texts(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);

	(void)state;
	fill("3\",\"x\":1\xff\x01\\", "9\n\"}", true);
	memset(front.interpreter.executable, '"', sizeof(front.interpreter.executable) - 1);
	memset(front.interpreter.version_text, 0x01, sizeof(front.interpreter.version_text) - 1);
	info_content(&front, &out);
	assert_int_equal(out.failed, 0);
	assert_true(json_is_valid_object(buffer_slice(&out)));
}

static void test_usage_has_ipykernels_names_and_sane_numbers(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
	struct slice memory;

	(void)state;
	front.worker.pid = 4711;
	usage_content(&front, &out);
	buffer_reset(&out);
	usage_content(&front, &out);
	assert_true(json_is_valid_object(buffer_slice(&out)));
	assert_int_equal(json_member(buffer_slice(&out), "hostname", &memory), JSON_STRING);
	assert_int_equal(json_member(buffer_slice(&out), "kernel_cpu", &memory), JSON_NUMBER);
	assert_int_equal(json_member(buffer_slice(&out), "host_cpu_percent", &memory), JSON_NUMBER);
	assert_int_equal(json_get_int(buffer_slice(&out), "pid", 0), 4711);
	assert_true(json_get_int(buffer_slice(&out), "kernel_memory", 0) > 100000);
	assert_true(json_get_int(buffer_slice(&out), "cpu_count", 0) > 0);
	assert_int_equal(json_member(buffer_slice(&out), "host_virtual_memory", &memory), JSON_OBJECT);
	assert_true(json_get_int(memory, "total", 0) > json_get_int(memory, "available", 0));
	assert_true(json_get_int(memory, "used", 0) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_info_has_every_required_member),
		cmocka_unit_test(test_without_ipython_and_debugpy_it_is_still_whole),
		cmocka_unit_test(test_hostile_texts_of_a_worker_stay_texts),
		cmocka_unit_test(test_usage_has_ipykernels_names_and_sane_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
