/* SPDX-License-Identifier: Apache-2.0 */
/* test-options: the command line that launchers, people and notebook tools write. */
#include "tests/unit/test.h"

#include "kernel/front/options.h"

#define PARSE(o, err, ...) \
	parse((char *[]){ (char *)(uintptr_t)"husk-kernel", __VA_ARGS__, NULL }, o, err)

static int parse(char *argv[], struct options *o, struct error *err)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	*err = (struct error){ 0 };
	return options_parse(argc, argv, o, err);
}

static char *text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static void test_without_arguments_there_are_defaults(void **state)
{
	char *argv[] = { text("husk-kernel"), NULL };
	struct options o;
	struct error err;

	(void)state;
	assert_int_equal(parse(argv, &o, &err), 0);
	assert_int_equal(o.command, COMMAND_RUN);
	assert_string_equal(o.connection_file, "");
	assert_string_equal(o.ip, "127.0.0.1");
	assert_string_equal(o.transport, "tcp");
	assert_true(o.history_enabled);
	assert_int_equal(o.on_crash, ON_CRASH_DEFAULT);
}

static void test_every_spelling_of_the_connection_file_is_known(void **state)
{
	struct options o;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&o, &err, text("-f"), text("a.json")), 0);
	assert_string_equal(o.connection_file, "a.json");
	assert_int_equal(PARSE(&o, &err, text("-f=b.json")), 0);
	assert_string_equal(o.connection_file, "b.json");
	assert_int_equal(PARSE(&o, &err, text("--f=c.json")), 0);
	assert_string_equal(o.connection_file, "c.json");
	assert_int_equal(PARSE(&o, &err, text("--IPKernelApp.connection_file=d.json")), 0);
	assert_string_equal(o.connection_file, "d.json");
}

static void test_the_history_file_is_set_by_both_names(void **state)
{
	struct options o;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&o, &err, text("--HistoryManager.hist_file=:memory:")), 0);
	assert_string_equal(o.hist_file, ":memory:");
	assert_int_equal(PARSE(&o, &err, text("--history-file"), text("h.sqlite")), 0);
	assert_string_equal(o.hist_file, "h.sqlite");
}

static void test_history_is_turned_off_as_ipython_does(void **state)
{
	struct options o;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&o, &err, text("--HistoryManager.enabled=False")), 0);
	assert_false(o.history_enabled);
	assert_int_equal(PARSE(&o, &err, text("--HistoryManager.enabled=True")), 0);
	assert_true(o.history_enabled);
}

static void test_configuration_goes_on_to_the_shell_and_unknown_flags_are_ignored(void **state)
{
	struct options o;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&o, &err, text("--InlineBackend.figure_format=svg"), text("--no-stdout"), text("--matplotlib"),
			     text("--A.b=c=d")), 0);
	assert_int_equal(o.n_ipython_args, 2);
	assert_string_equal(o.ipython_args[0], "--InlineBackend.figure_format=svg");
	assert_string_equal(o.ipython_args[1], "--A.b=c=d");
}

static void test_a_value_of_configuration_may_be_an_argument_of_its_own(void **state)
{
	struct options o;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&o, &err, text("--profile-dir"), text("/some/where"), text("--quiet"), text("-f"), text("c.json"),
			     text("--HistoryManager.enabled"), text("False"), text("--nosuch")), 0);
	assert_int_equal(o.n_ipython_args, 4);
	assert_string_equal(o.ipython_args[0], "--profile-dir");
	assert_string_equal(o.ipython_args[1], "/some/where");
	assert_string_equal(o.ipython_args[2], "--HistoryManager.enabled");
	assert_string_equal(o.ipython_args[3], "False");
	assert_string_equal(o.connection_file, "c.json");
	assert_false(o.history_enabled);
}

static void test_a_kernel_ignores_words_after_its_file(void **state)
{
	struct options o;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&o, &err, text("-f"), text("c.json"), text("--name"), text("small"), text("x.py")), 0);
	assert_int_equal(o.n_ipython_args, 2);
	assert_string_equal(o.ipython_args[0], "--name");
	assert_string_equal(o.ipython_args[1], "small");
}

static void test_profiles_of_husk_and_of_ipython_are_told_apart(void **state)
{
	struct options o;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&o, &err, text("-f"), text("c.json"), text("--profile"), text("strict"), text("--ipython-profile"), text("small")), 0);
	assert_string_equal(o.sandbox_profile, "strict");
	assert_int_equal(o.n_ipython_args, 2);
	assert_string_equal(o.ipython_args[0], "--profile");
	assert_string_equal(o.ipython_args[1], "small");
	assert_int_equal(PARSE(&o, &err, text("install"), text("--profile=./p.conf"), text("--ipython-profile=small")), 0);
	assert_string_equal(o.sandbox_profile, "./p.conf");
	assert_string_equal(o.ipython_profile, "small");
	assert_int_equal(o.n_ipython_args, 0);
	assert_int_equal(PARSE(&o, &err, text("-f"), text("c.json")), 0);
	assert_null(o.sandbox_profile);
}

static void test_the_command_for_profiles_has_one_of_two_options(void **state)
{
	struct options o;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&o, &err, text("profile"), text("--sample")), 0);
	assert_int_equal(o.command, COMMAND_PROFILE);
	assert_true(o.profile_sample);
	assert_int_equal(PARSE(&o, &err, text("profile"), text("--check"), text("strict")), 0);
	assert_string_equal(o.profile_check, "strict");
	assert_int_equal(PARSE(&o, &err, text("profile"), text("--help")), 0);
	assert_int_equal(o.command, COMMAND_HELP);
	assert_int_equal(PARSE(&o, &err, text("profile")), -EINVAL);
	assert_contains(err.text, "--sample or --check");
	assert_int_equal(PARSE(&o, &err, text("profile"), text("--sample"), text("--check"), text("strict")), -EINVAL);
	assert_int_equal(PARSE(&o, &err, text("profile"), text("--python"), text("p")), -EINVAL);
	assert_contains(err.text, "profile has no such option");
	assert_int_equal(PARSE(&o, &err, text("profile"), text("--on-crash"), text("die")), -EINVAL);
}

static void test_too_many_configuration_arguments_are_refused(void **state)
{
	char *argv[OPTIONS_MAX_PASSED + 3] = { text("husk-kernel") };
	struct options o;
	struct error err;

	(void)state;
	for (size_t i = 1; i <= OPTIONS_MAX_PASSED; i++)
		argv[i] = text("--A.b=c");
	assert_int_equal(parse(argv, &o, &err), 0);
	assert_int_equal(o.n_ipython_args, OPTIONS_MAX_PASSED);
	argv[OPTIONS_MAX_PASSED + 1] = text("--A.b=d");
	assert_int_equal(parse(argv, &o, &err), -EINVAL);
	assert_contains(err.text, "256");
}

static void test_wrong_arguments_name_argument_and_allowed_values(void **state)
{
	static const struct {
		const char *argument;
		const char *value;
		const char *says[2];
	} rows[] = {
		{ "stray", NULL, { "stray", "not an option" } },
		{ "-f", NULL, { "-f", "needs a value" } },
		{ "--on-crash", "sometimes", { "sometimes", "die or respawn" } },
		{ "--on-crash", NULL, { "--on-crash", "die or respawn" } },
		{ "--start-timeout", "0", { "--start-timeout 0", "1 to 3600" } },
		{ "--start-timeout", "3601", { "3601", "1 to 3600" } },
		{ "--start-timeout", "-1", { "-1", "1 to 3600" } },
		{ "--start-timeout", "1.5", { "1.5", "1 to 3600" } },
		{ "--start-timeout", "99999999999999999999", { "99999999999999999999", "1 to 3600" } },
		{ "--start-timeout", NULL, { "--start-timeout", "SECONDS" } },
		{ "--transport", "udp", { "udp", "tcp or ipc" } },
	};
	struct options o;
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_row(i, PARSE(&o, &err, text(rows[i].argument), text(rows[i].value)) == -EINVAL);
		assert_row(i, strstr(err.text, rows[i].says[0]) && strstr(err.text, rows[i].says[1]));
	}
}

static void test_crash_policy_is_read_in_both_forms(void **state)
{
	struct options o;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&o, &err, text("--on-crash=respawn")), 0);
	assert_int_equal(o.on_crash, ON_CRASH_RESPAWN);
	assert_int_equal(PARSE(&o, &err, text("--on-crash"), text("die")), 0);
	assert_int_equal(o.on_crash, ON_CRASH_DIE);
}

static void test_the_time_to_start_is_a_minute_unless_told(void **state)
{
	struct options o;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&o, &err, text("-f"), text("x")), 0);
	assert_int_equal(o.start_timeout_sec, OPTIONS_START_TIMEOUT_SEC);
	assert_int_equal(PARSE(&o, &err, text("--start-timeout=3600")), 0);
	assert_int_equal(o.start_timeout_sec, 3600);
	assert_int_equal(PARSE(&o, &err, text("--start-timeout"), text("1")), 0);
	assert_int_equal(o.start_timeout_sec, 1);
}

static void test_install_is_a_command_with_options_of_its_own(void **state)
{
	struct options o;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&o, &err, text("install"), text("--name"), text("n"), text("--env"), text("A=1"), text("--env=B=2=3"),
			     text("--sys-prefix"), text("--python=/p")), 0);
	assert_int_equal(o.command, COMMAND_INSTALL);
	assert_string_equal(o.name, "n");
	assert_true(o.sys_prefix);
	assert_string_equal(o.python, "/p");
	assert_int_equal(o.n_environment, 2);
	assert_string_equal(o.environment[0], "A=1");
	assert_string_equal(o.environment[1], "B=2=3");
	assert_int_equal(PARSE(&o, &err, text("install"), text("--nonsense")), -EINVAL);
	assert_contains(err.text, "--nonsense: install has no such option");
	assert_int_equal(PARSE(&o, &err, text("install"), text("--env"), text("NOEQUALS")), -EINVAL);
	assert_contains(err.text, "NOEQUALS: it must have the form KEY=VALUE");
	assert_int_equal(PARSE(&o, &err, text("install"), text("--env"), text("=x")), -EINVAL);
	assert_contains(err.text, "KEY=VALUE");
}

static void test_help_and_version_are_commands(void **state)
{
	struct options o;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&o, &err, text("--help")), 0);
	assert_int_equal(o.command, COMMAND_HELP);
	assert_int_equal(PARSE(&o, &err, text("--version")), 0);
	assert_int_equal(o.command, COMMAND_VERSION);
}

static void test_dashes_alone_and_empty_arguments_do_no_harm(void **state)
{
	struct options o;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&o, &err, text("-")), 0);
	assert_int_equal(PARSE(&o, &err, text("--")), 0);
	assert_int_equal(PARSE(&o, &err, text("--=")), 0);
	assert_int_equal(PARSE(&o, &err, text("")), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_arguments_there_are_defaults),
		cmocka_unit_test(test_every_spelling_of_the_connection_file_is_known),
		cmocka_unit_test(test_the_history_file_is_set_by_both_names),
		cmocka_unit_test(test_history_is_turned_off_as_ipython_does),
		cmocka_unit_test(test_configuration_goes_on_to_the_shell_and_unknown_flags_are_ignored),
		cmocka_unit_test(test_a_value_of_configuration_may_be_an_argument_of_its_own),
		cmocka_unit_test(test_a_kernel_ignores_words_after_its_file),
		cmocka_unit_test(test_profiles_of_husk_and_of_ipython_are_told_apart),
		cmocka_unit_test(test_the_command_for_profiles_has_one_of_two_options),
		cmocka_unit_test(test_too_many_configuration_arguments_are_refused),
		cmocka_unit_test(test_wrong_arguments_name_argument_and_allowed_values),
		cmocka_unit_test(test_crash_policy_is_read_in_both_forms),
		cmocka_unit_test(test_the_time_to_start_is_a_minute_unless_told),
		cmocka_unit_test(test_install_is_a_command_with_options_of_its_own),
		cmocka_unit_test(test_help_and_version_are_commands),
		cmocka_unit_test(test_dashes_alone_and_empty_arguments_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
