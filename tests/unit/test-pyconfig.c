/* SPDX-License-Identifier: Apache-2.0 */
/* test-pyconfig: the table of layouts against the headers of the machine's own Python. */
#undef Py_LIMITED_API
#include <Python.h>

#include "tests/unit/test.h"

#include "kernel/worker/core-argv.h"
#include "kernel/worker/pyconfig.h"

static void test_the_table_agrees_with_the_headers_here(void **state)
{
	const struct pyconfig_layout *layout = pyconfig_layout(PY_MINOR_VERSION);

	(void)state;
	assert_non_null(layout);
	assert_int_equal(layout->minor, PY_MINOR_VERSION);
	assert_int_equal(layout->size, sizeof(PyConfig));
	assert_int_equal(layout->use_environment, offsetof(PyConfig, use_environment));
	assert_int_equal(layout->install_signal_handlers, offsetof(PyConfig, install_signal_handlers));
	assert_int_equal(layout->faulthandler, offsetof(PyConfig, faulthandler));
	assert_int_equal(layout->parse_argv, offsetof(PyConfig, parse_argv));
	assert_int_equal(layout->program_name, offsetof(PyConfig, program_name));
	assert_int_equal(layout->executable, offsetof(PyConfig, executable));
}

static void test_other_minors_are_not_known(void **state)
{
	static const int minors[] = { -1, 0, 10, 99 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(minors); i++)
		assert_row(i, pyconfig_layout(minors[i]) == NULL);
	assert_contains(pyconfig_known(), "3.11, 3.12, 3.13");
}

static void test_the_core_takes_the_launchers_arguments_alone(void **state)
{
	static char python[] = "/v/bin/python", ours[] = "--husk-worker=1", other[] = "--husk-worker=2", dir[32] = "/c", none[] = "";
	char *good[] = { python, ours, dir, NULL }, *without[] = { python, ours, none, NULL }, *bad[] = { python, other, dir, NULL };
	struct core_argv parsed;

	(void)state;
	assert_true(core_argv_is_worker(3, good));
	assert_int_equal(core_argv_parse(3, good, &parsed), 0);
	assert_string_equal(parsed.python, "/v/bin/python");
	assert_string_equal(parsed.cache_dir, "/c");
	assert_int_equal(core_argv_parse(3, without, &parsed), 0);
	assert_null(parsed.cache_dir);
	assert_true(core_argv_is_worker(3, bad));
	assert_int_equal(core_argv_parse(3, bad, &parsed), -EINVAL);
	assert_int_equal(core_argv_parse(2, good, &parsed), -EINVAL);
	assert_false(core_argv_is_worker(1, good));
	assert_false(core_argv_is_worker(2, &good[1]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_table_agrees_with_the_headers_here),
		cmocka_unit_test(test_other_minors_are_not_known),
		cmocka_unit_test(test_the_core_takes_the_launchers_arguments_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
