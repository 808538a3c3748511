/* SPDX-License-Identifier: Apache-2.0 */
/* test-profile: what profiles may say, what is said about wrong ones, where they are found; sample and man page. */
#include <fcntl.h>
#include <sys/stat.h>

#include "kernel/sandbox/profile.h"
#include "tests/unit/test.h"

/* The parser library keeps a text that it was reading when it met an error of syntax. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so";
}

struct fixture {
	char directory[64];
	struct profile profile;
	struct profile_errors errors;
	struct profile_machine machine;
};

static void make_directory(const char *path)
{
	assert_int_equal(mkdir(path, 0755), 0);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	(void)strcpy(f->directory, "/tmp/husk-test-profile-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	assert_int_equal(chdir(f->directory), 0);
	make_directory("data");
	make_directory("home");
	make_directory("home/husk");
	make_directory("home/husk/profiles");
	write_file("file", "x", 0644);
	assert_int_equal(symlink("data", "link"), 0);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(setenv("XDG_CONFIG_HOME", "/nonexistent", 1), 0);
	for (int i = 0; i < LIMIT_COUNT; i++) {
		f->machine.most[i] = LIMITS_NONE;
		f->machine.why[i] = "what there is";
	}
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[96];

	profile_deinit(&f->profile);
	profile_errors_deinit(&f->errors);
	assert_int_equal(chdir("/"), 0);
	(void)snprintf(command, sizeof(command), "rm -r %s", f->directory);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* text: with "@" for the directory of the test. */
static int parse(struct fixture *f, const char *text)
{
	_cleanup_(buffer_deinitp) struct buffer whole = BUFFER_INIT(0);

	profile_deinit(&f->profile);
	profile_errors_deinit(&f->errors);
	for (; *text; text++)
		if (*text == '@')
			buffer_append_str(&whole, f->directory);
		else
			buffer_append_char(&whole, *text);
	return profile_parse(buffer_slice(&whole), "/etc/husk/profiles/p.conf", &f->machine, &f->profile, &f->errors);
}

/* Exactly the errors that contain these parts, in this order. */
static void assert_errors(struct fixture *f, const char *const *parts)
{
	size_t n = 0;

	for (; parts[n]; n++) {
		if (n >= f->errors.n)
			fail_msg("there is no error that contains \"%s\"", parts[n]);
		assert_contains(f->errors.text[n], parts[n]);
	}
	if (f->errors.n > n)
		fail_msg("an error was not expected: %s", f->errors.text[n]);
}

#define assert_refused(f, text, ...) \
	do { \
		assert_int_equal(parse(f, text), -EINVAL); \
		assert_errors(f, (const char *const[]){ __VA_ARGS__, NULL }); \
	} while (0)

static void test_an_empty_profile_is_the_strictest_level_with_default_limits(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, ""), 0);
	assert_string_equal(f->profile.name, "p");
	assert_string_equal(f->profile.path, "/etc/husk/profiles/p.conf");
	assert_int_equal(f->profile.level, SANDBOX_FULL);
	assert_int_equal(f->profile.minimum, SANDBOX_FULL);
	assert_int_equal(f->profile.network, PROFILE_NETWORK_NONE);
	assert_int_equal(f->profile.proc, PROFILE_PROC_MASKED);
	assert_int_equal(f->profile.workspace_fd, -1);
	assert_null(f->profile.workspace);
	assert_null(f->profile.environment[0]);
	for (int i = 0; i < LIMIT_COUNT; i++)
		assert_row(i, f->profile.limits.value[i] == limit_rows[i].fallback);
}

static void test_every_setting_is_read(void **state)
{
	struct fixture *f = *state;
	struct profile *p = &f->profile;
	struct stat st;

	assert_int_equal(
	    parse(
		f,
		"sandbox = { level = \"full\"; minimum = \"full-nocg\"; proc = \"pid\"; subshells = true;\n"
		"devices = ( ); cgroup_parent = \"/husk/kernels\"; };\n"
		"workspace : { directory = \"@/home\" };\n"
		"network = { policy = \"proxy\"; allow = ( \"PyPI.org:443\", \"*.example.org:80\", \"10.0.0.5:3141\", \"[::1]:1\" ); };\n"
		"environment = { TZ = \"Europe/Vienna\"; X_1 = \"a=b\\tc\"; };\n"
		"limits = { wall = \"10 min\"; memory = 1073741824; processes = 64; cpu_share = \"none\"; };\n"
		"mounts = [ \"@/data:/data:ro\", \"@/file:/opt/x/file:rw\" ];\n"
		"on_crash = \"die\"; on_output = \"interrupt\""),
	    0);
	assert_int_equal(p->level, SANDBOX_FULL);
	assert_int_equal(p->minimum, SANDBOX_FULL_NOCG);
	assert_int_equal(p->proc, PROFILE_PROC_PID);
	assert_true(p->subshells);
	assert_string_equal(p->cgroup_parent, "/husk/kernels");
	assert_contains(p->workspace, "/home");
	assert_int_equal(fstat(p->workspace_fd, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(p->network, PROFILE_NETWORK_PROXY);
	assert_int_equal(p->n_allow, 4);
	assert_string_equal(p->allow[0].host, "pypi.org");
	assert_int_equal(p->allow[0].port, 443);
	assert_string_equal(p->allow[1].host, "*.example.org");
	assert_string_equal(p->allow[3].host, "::1");
	assert_string_equal(p->environment[0], "TZ=Europe/Vienna");
	assert_string_equal(p->environment[1], "X_1=a=b\tc");
	assert_null(p->environment[2]);
	assert_int_equal(p->limits.value[LIMIT_wall], 600 * LIMIT_SECOND);
	assert_int_equal(p->limits.value[LIMIT_memory], LIMIT_GIB);
	assert_int_equal(p->limits.value[LIMIT_processes], 64);
	assert_int_equal(p->limits.value[LIMIT_cpu_share], LIMITS_NONE);
	assert_int_equal(p->limits.value[LIMIT_cpu], 120 * LIMIT_SECOND);
	assert_int_equal(p->n_mounts, 2);
	assert_string_equal(p->mounts[0].target, "/data");
	assert_false(p->mounts[0].writable);
	assert_true(p->mounts[0].is_directory);
	assert_true(p->mounts[1].writable);
	assert_false(p->mounts[1].is_directory);
	assert_int_equal(fstat(p->mounts[1].source_fd, &st), 0);
	assert_int_equal(fcntl(p->mounts[1].source_fd, F_GETFL) & O_PATH, O_PATH);
	assert_int_equal(p->on_crash, PROFILE_ON_CRASH_DIE);
	assert_int_equal(p->on_output, PROFILE_ON_OUTPUT_INTERRUPT);
}

static void test_without_a_sandbox_only_written_limits_hold(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, "sandbox = { level = \"none\"; }; network = { policy = \"host\"; };"), 0);
	for (int i = 0; i < LIMIT_COUNT; i++)
		assert_row(i, f->profile.limits.value[i] == LIMITS_NONE);
	assert_int_equal(parse(f, "sandbox = { level = \"none\"; }; network = { policy = \"host\"; }; limits = { };"),
			 0);
	assert_int_equal(f->profile.limits.value[LIMIT_wall], 120 * LIMIT_SECOND);
}

static void test_all_errors_are_told_at_once_with_their_lines(void **state)
{
	struct fixture *f = *state;

	assert_refused(f,
	    "sandbox = {\n"
	    "  levl = \"full\";\n"
	    "  level = \"fuller\";\n"
	    "  subshells = 1;\n"
	    "  devices = \"/dev/null\";\n"
	    "};\n"
	    "limits = {\n"
	    "  wall = 120;\n"
	    "  memory = \"1 KiB\";\n"
	    "  processes = \"8 MiB\";\n"
	    "  cpu = -5;\n"
	    "  cpu = \"1 s\";\n"
	    "  disk = 99999999999999999;\n"
	    "};\n"
	    "networks = { };\n"
	    "mounts = \"a\";\n"
	    "on_crash = (1);\n"
	    "workspace = 5;\n",
	    "p.conf:2: sandbox.levl is not a setting; there are level, minimum, proc, devices, subshells, cgroup_parent",
	    "p.conf:3: sandbox.level is \"fuller\"; it must be \"none\", \"restricted\", \"full-nocg\" or \"full\"",
	    "p.conf:4: sandbox.subshells is 1; it must be true or false",
	    "p.conf:5: sandbox.devices is \"/dev/null\"; it must be at most 32 character devices",
	    "p.conf:8: limit wall is \"120\"; it must be a number with us, ms, s",
	    "p.conf:9: limit memory is \"1 KiB\"; it must be 32 MiB to 16 TiB",
	    "p.conf:10: limit processes is \"8 MiB\"; it must be a number, 4 to",
	    "p.conf:11: limit cpu is \"-5\"; it must be",
	    "p.conf:12: cpu is there twice; the first is in line 11",
	    "p.conf:13: limit disk is \"99999999999999999\"; it must be 1 MiB to 16 TiB",
	    "p.conf:15: networks is not a setting; there are sandbox, workspace, network, environment, limits, mounts, on_crash, on_output",
	    "p.conf:16: mounts is \"a\"; it must be at most 64 of",
	    "p.conf:17: on_crash is a list; it must be \"default\", \"die\" or \"respawn\"",
	    "p.conf:18: workspace is 5; it must be a section");
}

static void test_mistakes_of_form_hide_no_others(void **state)
{
	struct fixture *f = *state;

	assert_refused(f,
	    "\xef\xbb\xbfsandbox {\r\n"
	    "  level = full;\r\n"
	    "  minimum = \"none;\r\n"
	    "};\r\n"
	    "limits = {\n"
	    "  wall = 120 s;\n"
	    "  memory = 64 parsec; cpu = 5 output = 1.5e1\n"
	    "  disk = 99999999999999999999999;\n"
	    "  grace = 100 %;\n"
	    "  input = none;\n"
	    "environment = { A = 12345678901234567890; };\n",
	    "p.conf:1: the file begins with a byte order mark",
	    "p.conf:1: between sandbox and { there must be =",
	    "p.conf:2: full is neither true nor false, and no setting",
	    "p.conf:3: a text that begins here has no end in its line",
	    "p.conf:3: sandbox.minimum is \"none;",
	    "p.conf:5: a { that stands here is not closed",
	    "p.conf:6: 120 s must be in quotes, as it has a unit",
	    "p.conf:7: 64 parsec must be in quotes, as it has a unit",
	    "p.conf:7: 1.5e1 must be in quotes, as it has a unit",
	    "p.conf:7: limit memory is \"64 parsec\"; it must be",
	    "p.conf:7: limit cpu is \"5\"; it must be",
	    "p.conf:7: limit output is \"1.5e1\"; it must be",
	    "p.conf:8: a number has 23 digits; at most 18 are allowed",
	    "p.conf:8: limit disk is \"99999999999999999999999\"; it must be",
	    "p.conf:9: 100 % must be in quotes, as it has a unit",
	    "p.conf:9: limit grace is \"100 %\"; it must be",
	    "p.conf:10: none is neither true nor false, and no setting",
	    "p.conf:11: a number has 20 digits; at most 18 are allowed",
	    "p.conf:11: limits.environment is not a setting");
}

static void test_what_the_form_does_not_allow_is_refused(void **state)
{
	static const struct {
		const char *text, *part;
	} rows[] = {
		{ "\n@include \"/etc/passwd\"\n", "p.conf:2: a profile is one file: @include is not allowed" },
		{ " x = 1; @include \"a\"", "p.conf:1: a profile is one file" },
		{ "\nlimits = {\n", "p.conf:2: a { that stands here is not closed" },
		{ "limits = { };\n};", "p.conf:2: there is nothing that this } closes" },
		{ "mounts = (\n};", "p.conf:2: } does not close the ( of line 1" },
		{ "limits = { wall = };", "p.conf:1: syntax error" },
		{ "on_crash = \"die\n\";", "p.conf:1: a text that begins here has no end in its line" },
		{ "\n/* \n\n", "p.conf:2: a comment that begins here has no end" },
		{ "on_crash = \"d\\x00ie\";", "a zero byte" },
		{ "on_crash = \"d\x01ie\";", "a control character" },
		{ "a = 0x10;", "hexadecimal" },
		{ "a = 1234567890123456789;", "19 digits; at most 18" },
		{ "a = ((((((((( 1 )))))))));", "nested deeper than 8" },
		{ "*a = 1;", "*a is not a name" },
		{ "a = $b;", "the character $ is not allowed" },
		{ "\xef\xbb\xbf", "p.conf:1: the file begins with a byte order mark" },
		{ "a = [ 1, \"b\" ];", "mismatched element type" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		profile_deinit(&f->profile);
		profile_errors_deinit(&f->errors);
		assert_row(i, profile_parse(slice_str(rows[i].text), "/p.conf", &f->machine, &f->profile, &f->errors) ==
				  -EINVAL);
		assert_contains(f->errors.text[0], rows[i].part);
	}
	assert_int_equal(profile_parse(slice_from("a\0b", 3), "/p.conf", &f->machine, &f->profile, &f->errors),
			 -EINVAL);
}

static void test_comments_and_texts_may_look_like_settings(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, "# on_crash = \"x\n// @include \"y\n/* on_crash = 1;\n on_crash = 2; */\n"
				  "environment = { A = \"# // /* on_crash = \\\"q\\\" \"; on_crash = \"1\"; };\non_crash = \"die\";"), 0);
	assert_string_equal(f->profile.environment[0], "A=# // /* on_crash = \"q\" ");
}

static void test_mounts_are_judged_one_by_one(void **state)
{
	struct fixture *f = *state;

	assert_refused(f,
	    "mounts = (\n"
	    "\"@/nosuch:/a:ro\",\n"
	    "\"@/link:/b:ro\",\n"
	    "\"@/link/x:/c:ro\",\n"
	    "\"@/fifo:/d:ro\",\n"
	    "\"@/data:relative:ro\",\n"
	    "\"data:/e:ro\",\n"
	    "\"@/data/../data:/f:ro\",\n"
	    "\"@/data:/g/../usr:ro\",\n"
	    "\"@/data:/h\",\n"
	    "\"@/data:/i:rx\",\n"
	    "\"@/da:ta:/j:ro\",\n"
	    "\"@/data:/usr/lib:ro\",\n"
	    "\"@/data:/:ro\",\n"
	    "\"@/data:/home:ro\",\n"
	    "\"@/data:/workspace/x:rw\",\n"
	    "\"@/data:/k:ro\",\n"
	    "\"@/data:/k/l:ro\",\n"
	    "\"@/file:/k:ro\",\n"
	    "\"/:/m:ro\",\n"
	    "\"/proc/sys:/n:ro\",\n"
	    "\"/dev:/o:ro\",\n"
	    "5 );",
	    ":2: mounts: the source ", ":3: mounts: the source ", ":4: mounts: the source", ":5: mounts: the source ",
	    ":6: mounts: the target \"relative\" must be an absolute path", ":7: mounts: the source \"data\" must be an absolute path",
	    ":8: mounts: the source \"", ":9: mounts: the target \"/g/../usr\"", ":10: mounts: \"", ":11: mounts: \"", ":12: mounts: \"",
	    ":13: mounts: the target /usr/lib is not allowed: husk makes /usr", ":14: mounts: the target / is not allowed",
	    ":15: mounts: the target /home is not allowed: husk makes /home/user", ":16: mounts: the target /workspace/x",
	    ":18: mounts: the target /k/l and the target /k of another mount overlap", ":19: mounts: the target /k and the target /k",
	    ":20: mounts: the source / is not allowed", ":21: mounts: the source /proc/sys is not allowed",
	    ":22: mounts: the source /dev is not allowed", ":23: mounts: 5 must be");
	assert_contains(f->errors.text[0], "No such file or directory");
	assert_contains(f->errors.text[1], "symbolic link");
	assert_contains(f->errors.text[2], "symbolic link");
	assert_contains(f->errors.text[3], "a directory or an ordinary file");
}

static void test_other_places_are_judged_as_well(void **state)
{
	struct fixture *f = *state;

	assert_refused(f,
	    "workspace = { directory = \"@/file\"; };\n"
	    "sandbox = { cgroup_parent = \"a/../b\"; devices = (\n"
	    "\"/dev/null\",\n\"/etc/passwd\",\n\"/dev\",\n\"/dev/nosuch\",\n\"/dev/pts/0\",\n7 ); };\n",
	    ":1: workspace.directory is \"", ":2: sandbox.cgroup_parent is \"a/../b\"; it must be an absolute path",
	    ":3: sandbox.devices: /dev/null is not allowed: husk makes /dev/null", ":4: sandbox.devices: \"/etc/passwd\" must be a path below /dev",
	    ":5: sandbox.devices: \"/dev\"", ":6: sandbox.devices: /dev/nosuch cannot be used: No such file",
	    ":7: sandbox.devices: /dev/pts/0 is not allowed", ":8: sandbox.devices: 7");
	assert_refused(f, "workspace = { directory = \"@/link\"; };", "symbolic link");
	assert_refused(f, "workspace = { directory = \"@/nosuch\"; };", "No such file");
	assert_refused(f, "workspace = { directory = \"home\"; };", "an absolute path");
}

static void test_variables_that_husk_needs_are_not_a_profiles_to_set(void **state)
{
	struct fixture *f = *state;

	assert_refused(f,
	    "environment = {\nLD_PRELOAD = \"x\";\nPYTHONPATH = \"x\";\nHUSK_X = \"x\";\nPATH = \"x\";\nA = 1;\nA-B = \"x\";\nGOOD = \"x\"; };",
	    ":2: environment.LD_PRELOAD is not a profile's to set", ":3: environment.PYTHONPATH", ":4: environment.HUSK_X", ":5: environment.PATH",
	    ":6: environment.A is 1; it must be a text", ":7: environment.A-B is not the name of a variable");
	assert_false(profile_may_set("LD_LIBRARY_PATH"));
	assert_false(profile_may_set("https_proxy"));
	assert_true(profile_may_set("TZ"));
}

static void test_the_proxy_needs_targets_and_a_network_of_its_own(void **state)
{
	struct fixture *f = *state;

	assert_refused(
	    f, "network = { policy = \"proxy\"; allow = (\n\"a\",\n\"a:0\",\n\"*:443\",\n\"127.1:80\",\n5 ); };",
	    ":2: network.allow: \"a\" must be", ":3: network.allow: \"a:0\" must be", ":4: network.allow: \"*:443\"",
	    ":5: network.allow: \"127.1:80\"", ":6: network.allow: 5");
	assert_refused(f, "network = { policy = \"proxy\"; };", "network.allow does not say");
	assert_refused(f, "network = { allow = ( \"a:1\" ); };",
		       "network.allow is for network.policy \"proxy\"; it is \"none\"");
}

static void test_settings_that_a_level_cannot_keep_are_refused(void **state)
{
	struct fixture *f = *state;

	assert_refused(f, "sandbox = { level = \"restricted\"; minimum = \"full\"; };",
	    ":1: sandbox.minimum is \"full\"; it must not be above sandbox.level, \"restricted\"");
	assert_refused(f, "sandbox = { level = \"none\"; };",
		       "p.conf: network.policy is \"none\", which level none cannot keep; it must be \"host\"");
	assert_refused(
	    f,
	    "sandbox = { minimum = \"restricted\"; };\nnetwork = { policy = \"proxy\"; allow = ( \"a:1\" ); };\nmounts = ( \"@/data:/d:ro\" );",
	    ":2: network.policy is \"proxy\", which needs a sandbox.minimum of \"full-nocg\"",
	    ":3: mounts need a sandbox.minimum of");
	assert_int_equal(parse(f, "sandbox = { minimum = \"restricted\"; };"), 0);
}

static void test_limits_are_within_the_machine(void **state)
{
	struct fixture *f = *state;

	f->machine.most[LIMIT_memory] = 512 * LIMIT_MIB;
	f->machine.most[LIMIT_processes] = 100;
	f->machine.most[LIMIT_cpu_share] = 200;
	f->machine.most[LIMIT_descriptors] = 16;
	assert_int_equal(parse(f, "limits = { memory = \"512 MiB\"; cpu_share = \"none\"; };"), 0);
	assert_int_equal(f->profile.limits.value[LIMIT_memory], 512 * LIMIT_MIB);
	assert_int_equal(f->profile.limits.value[LIMIT_processes], 100);
	assert_int_equal(f->profile.limits.value[LIMIT_descriptors], limit_rows[LIMIT_descriptors].least);
	assert_refused(f, "limits = { memory = \"513 MiB\";\nprocesses = 101;\ncpu_share = \"201 %\"; };",
	    ":1: limit memory is \"513 MiB\"; it must be at most 512 MiB, what there is, or \"none\"", ":2: limit processes is 101; it must be at most 100",
	    ":3: limit cpu_share is \"201 %\"; it must be at most 200 %");
}

static void test_the_real_machine_bounds_what_it_has(void **state)
{
	struct profile_machine m;

	(void)state;
	profile_machine_probe(&m);
	assert_true(m.most[LIMIT_memory] > 64 * LIMIT_MIB && m.most[LIMIT_memory] < LIMITS_NONE);
	assert_true(m.most[LIMIT_processes] < LIMITS_NONE && m.most[LIMIT_descriptors] < LIMITS_NONE);
	assert_true(m.most[LIMIT_cpu_share] % 100 == 0);
	assert_true(m.most[LIMIT_wall] == LIMITS_NONE);
}

static void test_there_is_a_bound_to_everything(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(0);
	struct fixture *f = *state;

	buffer_append_str(&text, "limits = {\n");
	for (int i = 0; i < 100; i++)
		buffer_printf(&text, "x%d = 1;\n", i);
	buffer_append_str(&text, "};\nmounts = (");
	for (int i = 0; i <= PROFILE_MAX_MOUNTS; i++)
		buffer_printf(&text, "%s\"/x:/y%d:ro\"", i ? "," : "", i);
	buffer_append(&text, ");", 3);
	assert_int_equal(parse(f, text.data), -EINVAL);
	assert_int_equal(f->errors.n, PROFILE_MAX_ERRORS);
	assert_int_equal(f->errors.n_more, 101 - PROFILE_MAX_ERRORS);
	buffer_reset(&text);
	for (int i = 0; i < 1025; i++)
		buffer_printf(&text, "x%d = 1;\n", i);
	buffer_append_char(&text, '\0');
	assert_int_equal(parse(f, text.data), -EINVAL);
	assert_contains(f->errors.text[0], "more than 1024 settings");
	buffer_reset(&text);
	buffer_append_str(&text, "environment = {");
	for (int i = 0; i <= PROFILE_MAX_ENVIRONMENT; i++)
		buffer_printf(&text, "X%d = \"\";", i);
	buffer_append(&text, "};", 3);
	assert_refused(f, text.data, "environment has 129 variables; at most 128");
}

static int load(struct fixture *f, const char *named)
{
	profile_deinit(&f->profile);
	profile_errors_deinit(&f->errors);
	return profile_load(named, &f->profile, &f->errors);
}

static void test_files_are_named_by_paths_and_by_names(void **state)
{
	struct fixture *f = *state;
	char home[96];

	(void)snprintf(home, sizeof(home), "%s/home", f->directory);
	write_file("mine.conf", "on_crash = \"die\";", 0644);
	assert_int_equal(load(f, "./mine.conf"), 0);
	assert_string_equal(f->profile.name, "mine");
	assert_contains(f->profile.path, "/tmp/husk-test-profile-");
	assert_int_equal(load(f, "mine"), -ENOENT);
	assert_contains(
	    f->errors.text[0],
	    "mine: there is no such profile: mine.conf is not in /nonexistent/husk/profiles, /etc/husk/profiles or ");
	assert_int_equal(load(f, "../mine"), -ENOENT);
	assert_contains(f->errors.text[0], "No such file");
	assert_int_equal(load(f, ".mine"), -ENOENT);
	assert_int_equal(load(f, ""), -ENOENT);
	assert_contains(f->errors.text[0], "the name of a profile");
	assert_int_equal(load(f, "strict"), 0);
	assert_int_equal(f->profile.proc, PROFILE_PROC_PID);
	assert_int_equal(setenv("XDG_CONFIG_HOME", home, 1), 0);
	write_file("home/husk/profiles/strict.conf", "sandbox = { proc = \"masked\"; };", 0600);
	assert_int_equal(load(f, "strict"), 0);
	assert_int_equal(f->profile.proc, PROFILE_PROC_MASKED);
}

static void test_files_that_others_may_write_are_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(0);

	write_file("group.conf", "", 0664);
	assert_int_equal(load(f, "./group.conf"), -EPERM);
	assert_contains(f->errors.text[0], "others than its owner may write the file; say: chmod go-w /tmp/");
	write_file("all.conf", "", 0646);
	assert_int_equal(load(f, "./all.conf"), -EPERM);
	assert_int_equal(load(f, "./data"), -EPERM);
	assert_contains(f->errors.text[0], "an ordinary file");
	assert_int_equal(load(f, "./fifo"), -EPERM);
	write_file("theirs.conf", "", 0644);
	if (chown("theirs.conf", 65534, 65534) == 0) { /* not as an ordinary user, nor where there is no such id */
		assert_int_equal(load(f, "./theirs.conf"), -EPERM);
		assert_contains(f->errors.text[0], "belongs to user 65534");
	}
	for (size_t i = 0; i < PROFILE_MAX_BYTES / 8 + 2048; i++)
		buffer_append_str(&text, "#      \n");
	buffer_append_char(&text, '\0');
	write_file("large.conf", text.data, 0644);
	assert_int_equal(load(f, "./large.conf"), -EFBIG);
	assert_contains(f->errors.text[0], "at most 262144 bytes");
}

static void test_profiles_of_husk_are_good_on_every_machine_that_has_the_memory(void **state)
{
	static const struct {
		const char *name;
		enum sandbox_level minimum;
		enum profile_network network;
	} rows[] = {
		{ "trusted", SANDBOX_NONE, PROFILE_NETWORK_HOST },
		{ "default", SANDBOX_FULL_NOCG, PROFILE_NETWORK_NONE },
		{ "strict", SANDBOX_FULL_NOCG, PROFILE_NETWORK_NONE },
		{ "data-science", SANDBOX_FULL_NOCG, PROFILE_NETWORK_PROXY },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char file[64];
		_cleanup_(freep) char *text = NULL;
		size_t len;

		(void)snprintf(file, sizeof(file), "specs/profiles/%s.conf", rows[i].name);
		text = test_read_file(file, &len);
		profile_deinit(&f->profile);
		profile_errors_deinit(&f->errors);
		assert_row(i, profile_parse(slice_from(text, len), file, &f->machine, &f->profile, &f->errors) == 0);
		assert_string_equal(f->profile.name, rows[i].name);
		assert_row(i, f->profile.minimum == rows[i].minimum && f->profile.network == rows[i].network);
		assert_row(i,
			   (f->profile.limits.value[LIMIT_wall] == LIMITS_NONE) == (rows[i].minimum == SANDBOX_NONE));
	}
}

static void test_the_sample_is_the_defaults(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(0);
	struct fixture *f = *state;
	struct limits fallback = limits_default();

	profile_write_sample(&text);
	assert_int_equal(text.failed, 0);
	assert_int_equal(profile_parse(buffer_slice(&text), "/sample.conf", &f->machine, &f->profile, &f->errors), 0);
	assert_memory_equal(&f->profile.limits, &fallback, sizeof(fallback));
	assert_int_equal(f->profile.level, SANDBOX_FULL);
	assert_int_equal(f->profile.on_crash, PROFILE_ON_CRASH_DEFAULT);
}

/* The man page without its markup: one blank between words. */
static char *read_man_page(void)
{
	char *text = test_read_file("kernel/front/husk-profile.5", NULL), *to = text;

	for (const char *from = text; *from; from++) {
		if (*from == '\\')
			continue;
		if (*from != '\n' && *from != ' ')
			*to++ = *from;
		else if (to > text && to[-1] != ' ')
			*to++ = ' ';
	}
	*to = '\0';
	return text;
}

static void assert_in_man_page(const char *page, const char *name, const char *help, const char *rest)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), ".TP .B %s %s Allowed: %s. ", name, help, rest);
	if (!strstr(page, text))
		fail_msg("husk-profile(5) lacks: %s", text);
}

enum kind { CHOICE, BOOL, DEVICES, CGROUP_PARENT, WORKSPACE, ALLOW, MOUNTS };

static void list_words(enum kind kind, const char *const *words, size_t n, const char *range, char ret[256])
{
	ret[0] = '\0';
	if (kind == BOOL)
		(void)strcpy(ret, "true or false");
	for (size_t i = 0; kind == CHOICE && i < n; i++)
		(void)sprintf(ret + strlen(ret), "%s\"%s\"", i == 0 ? "" : i + 1 < n ? ", " : " or ", words[i]);
	(void)strcat(ret, range);
}

static void test_the_man_page_has_every_setting(void **state)
{
	static const char *const none[] = { "" };
	_cleanup_(freep) char *page = read_man_page();
	char words[256], rest[512];

	(void)state;
#define SECTION(name, help) assert_contains(page, ".SS " #name " " help);
#define SETTING(section, name, kind, values, field, fallback, range, help) \
	list_words(kind, values, ARRAY_SIZE(values), range, words); \
	(void)snprintf(rest, sizeof(rest), "%s. Default: %s", words, fallback); \
	assert_in_man_page(page, #name, help, rest);
#include "kernel/sandbox/profile.def"
#undef SECTION
#undef SETTING
	for (int i = 0; i < LIMIT_COUNT; i++) {
		const struct limit_row *row = &limit_rows[i];
		_cleanup_(buffer_deinitp) struct buffer range = BUFFER_INIT(0);

		limit_format(i, row->least, &range);
		buffer_append_str(&range, " to ");
		limit_format(i, row->most, &range);
		buffer_append_str(&range, row->lowerable ? "; a turn may ask for less. Default: " : ". Default: ");
		limit_format(i, row->fallback, &range);
		buffer_append_char(&range, '\0');
		assert_in_man_page(page, row->name, row->help, range.data);
	}
}

#define with_files(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_files(test_an_empty_profile_is_the_strictest_level_with_default_limits),
		with_files(test_every_setting_is_read),
		with_files(test_without_a_sandbox_only_written_limits_hold),
		with_files(test_all_errors_are_told_at_once_with_their_lines),
		with_files(test_mistakes_of_form_hide_no_others),
		with_files(test_what_the_form_does_not_allow_is_refused),
		with_files(test_comments_and_texts_may_look_like_settings),
		with_files(test_mounts_are_judged_one_by_one),
		with_files(test_other_places_are_judged_as_well),
		with_files(test_variables_that_husk_needs_are_not_a_profiles_to_set),
		with_files(test_the_proxy_needs_targets_and_a_network_of_its_own),
		with_files(test_settings_that_a_level_cannot_keep_are_refused),
		with_files(test_limits_are_within_the_machine),
		with_files(test_the_real_machine_bounds_what_it_has),
		with_files(test_there_is_a_bound_to_everything),
		with_files(test_files_are_named_by_paths_and_by_names),
		with_files(test_files_that_others_may_write_are_refused),
		with_files(test_profiles_of_husk_are_good_on_every_machine_that_has_the_memory),
		with_files(test_the_sample_is_the_defaults),
		with_files(test_the_man_page_has_every_setting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
