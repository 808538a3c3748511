/* SPDX-License-Identifier: Apache-2.0 */
/* test-connection-file: parsing, merging, and the file itself (specs/wire.md 8). */
#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "protocol/wire/connection-file.h"
#include "protocol/wire/json.h"

#define PUBLIC "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
#define SECRET "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"

static void test_a_whole_file_is_read(void **state)
{
	struct slice text = SLICE_LIT("{\"shell_port\": 57503, \"iopub_port\": \"40885\", \"stdin_port\": 52597, \"control_port\": 50160,"
	    "\"hb_port\": 42540, \"ip\": \"0.0.0.0\", \"key\": \"a0436f6c-\\u00e9\", \"transport\": \"tcp\","
	    "\"signature_scheme\": \"hmac-sha512\", \"kernel_name\": \"python3\", \"jupyter_session\": \"/x.ipynb\", \"new\": [1]}");
	struct connection c;

	(void)state;
	assert_int_equal(connection_parse(text, &c, NULL), 0);
	assert_int_equal(c.ports[CONNECTION_SHELL], 57503);
	assert_int_equal(c.ports[CONNECTION_IOPUB], 40885);
	assert_int_equal(c.ports[CONNECTION_STDIN], 52597);
	assert_int_equal(c.ports[CONNECTION_CONTROL], 50160);
	assert_int_equal(c.ports[CONNECTION_HB], 42540);
	assert_string_equal(c.ip, "0.0.0.0");
	assert_string_equal(c.transport, "tcp");
	assert_string_equal(c.signature_scheme, "hmac-sha512");
	assert_string_equal(c.kernel_name, "python3");
	assert_slice_is(slice_from(c.key, c.key_len), "a0436f6c-\xc3\xa9");
	assert_false(c.has_curve);
}

static void test_what_is_missing_has_a_default_but_the_key(void **state)
{
	struct connection c;
	struct error err;

	(void)state;
	assert_int_equal(connection_parse(SLICE_LIT("{\"key\":\"\"}"), &c, &err), 0);
	assert_string_equal(c.transport, "tcp");
	assert_string_equal(c.ip, "127.0.0.1");
	assert_string_equal(c.signature_scheme, "hmac-sha256");
	assert_int_equal(c.key_len, 0);
	for (int p = 0; p < CONNECTION_PORT_COUNT; p++)
		assert_int_equal(c.ports[p], 0);
	assert_int_equal(connection_parse(SLICE_LIT("{}"), &c, &err), -EINVAL);
	assert_contains(err.text, "key is missing");
}

static void test_errors_name_member_value_and_range(void **state)
{
	static const struct {
		const char *text;
		const char *reasons[2];
	} rows[] = {
		{ "", { "JSON object", NULL } },
		{ "[1]", { "JSON object", NULL } },
		{ "{\"shell_port\": 57", { "not a complete JSON object", NULL } },
		{ "{\"key\":\"k\",\"hb_port\":65536}", { "hb_port is 65536", "0 to 65535" } },
		{ "{\"key\":\"k\",\"hb_port\":-1}", { "hb_port is -1", "0 to 65535" } },
		{ "{\"key\":\"k\",\"hb_port\":1.5}", { "hb_port is 1.5", NULL } },
		{ "{\"key\":\"k\",\"hb_port\":\"\"}", { "hb_port is \"\"", NULL } },
		{ "{\"key\":\"k\",\"hb_port\":\"12a\"}", { "hb_port is \"12a\"", NULL } },
		{ "{\"key\":\"k\",\"hb_port\":\" 12\"}", { "hb_port is \" 12\"", NULL } },
		{ "{\"key\":\"k\",\"hb_port\":99999999999999999999}", { "hb_port is 99999999999999999999", "0 to 65535" } },
		{ "{\"key\":\"k\",\"hb_port\":null}", { "hb_port is not a number", NULL } },
		{ "{\"key\":\"k\",\"hb_port\":[5]}", { "hb_port is not a number", NULL } },
		{ "{\"key\":\"k\",\"hb_port\":5,\"shell_port\":5}", { "shell_port and hb_port are both 5", NULL } },
		{ "{\"key\":7}", { "key is not a string", NULL } },
		{ "{\"key\":null}", { "key is not a string", NULL } },
		{ "{\"key\":\"k\",\"transport\":\"udp\"}", { "transport is \"udp\"", "tcp and ipc" } },
		{ "{\"key\":\"k\",\"transport\":\"tcptcptcp\"}", { "transport is \"tcptcptcp\"", "tcp and ipc" } },
		{ "{\"key\":\"k\",\"transport\":\"tcptcptcptcptcptcptcptcptcptcptcp\"}", { "transport has 33 bytes", "at most 31" } },
		{ "{\"key\":\"k\",\"transport\":\"ipc\"}", { "ip, the path prefix", "missing" } },
		{ "{\"key\":\"k\",\"ip\":\"a\\u0000b\"}", { "ip has a control character", NULL } },
		{ "{\"key\":\"k\",\"ip\":\"a\\nb\"}", { "ip has a control character", NULL } },
		{ "{\"key\":\"k\",\"ip\":5}", { "ip is not a string", NULL } },
		{ "{\"key\":\"k\",\"curve_publickey\":\"" PUBLIC "\"}", { "curve_secretkey is missing", NULL } },
		{ "{\"key\":\"k\",\"curve_secretkey\":\"" SECRET "\"}", { "curve_publickey is missing", NULL } },
		{ "{\"key\":\"k\",\"curve_publickey\":\"short\",\"curve_secretkey\":\"" SECRET "\"}", { "curve_publickey is not 40", NULL } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct connection c = { .key_len = 77 };
		struct error err;

		assert_row(i, connection_parse(slice_str(rows[i].text), &c, &err) == -EINVAL);
		assert_row(i, c.key_len == 77 && err.code == -EINVAL);
		for (size_t k = 0; k < 2 && rows[i].reasons[k]; k++)
			assert_contains(err.text, rows[i].reasons[k]);
	}
}

static void test_secrets_are_never_in_a_reason(void **state)
{
	struct connection c;
	struct error err;

	(void)state;
	assert_int_equal(connection_parse(SLICE_LIT("{\"key\":\"hunter2hunter2\",\"curve_secretkey\":\"hunter3\",\"curve_publickey\":\"" PUBLIC "\"}"),
	    &c, &err), -EINVAL);
	assert_null(strstr(err.text, "hunter"));
}

static void test_long_keys_and_texts_are_limited(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(0);
	struct connection c;
	struct error err;

	(void)state;
	for (int extra = 0; extra < 2; extra++) {
		buffer_reset(&b);
		buffer_append_str(&b, "{\"key\":\"");
		for (int i = 0; i < SIGN_KEY_MAX + extra; i++)
			buffer_append_char(&b, 'k');
		buffer_append_str(&b, "\"}");
		assert_int_equal(connection_parse(buffer_slice(&b), &c, &err), extra ? -EINVAL : 0);
	}
	assert_contains(err.text, "key has 1025 bytes, at most 1024");
	while (b.len <= CONNECTION_FILE_MAX_BYTES)
		buffer_append_char(&b, ' ');
	assert_int_equal(connection_parse(buffer_slice(&b), &c, &err), -EINVAL);
	assert_contains(err.text, "at most 65536");
}

static void test_ipc_and_curve(void **state)
{
	struct connection c;

	(void)state;
	assert_int_equal(connection_parse(SLICE_LIT("{\"key\":\"k\",\"transport\":\"ipc\",\"ip\":\"/run/k\",\"hb_port\":70000,"
	    "\"curve_publickey\":\"" PUBLIC "\",\"curve_secretkey\":\"" SECRET "\"}"), &c, NULL), 0);
	assert_true(c.has_curve);
	assert_int_equal(c.ports[CONNECTION_HB], 70000);
	assert_string_equal(c.curve_secretkey, SECRET);
	assert_int_equal(connection_parse(SLICE_LIT("{\"key\":\"k\",\"curve_publickey\":null,\"curve_secretkey\":\"\"}"), &c, NULL), 0);
	assert_false(c.has_curve);
}

static void test_endpoints(void **state)
{
	struct connection tcp = { .transport = "tcp", .ip = "*", .ports = { 1, 2, 3, 4, 65535 } };
	struct connection ipc = { .transport = "ipc", .ip = "/run/user/k", .ports = { 1, 2, 3, 4, 5 } };
	char text[64];

	(void)state;
	assert_int_equal(connection_endpoint(&tcp, CONNECTION_HB, text, sizeof(text)), 0);
	assert_string_equal(text, "tcp://*:65535");
	assert_int_equal(connection_endpoint(&ipc, CONNECTION_SHELL, text, sizeof(text)), 0);
	assert_string_equal(text, "ipc:///run/user/k-1");
	assert_int_equal(connection_endpoint(&ipc, CONNECTION_SHELL, text, 19), -ENAMETOOLONG);
	assert_int_equal(connection_endpoint(&ipc, CONNECTION_SHELL, text, 20), 0);
}

static void test_merging_replaces_ports_and_keeps_the_rest(void **state)
{
	struct slice original = SLICE_LIT("{ \"jupyter_session\" : \"/a/\\u00e9.ipynb\",\"shell_port\":0 , \"key\":\"k\", \"x\":{\"y\":[1, 2]},"
	    "\"hb_por\\u0074\":\"0\",\"shell_port\":0}");
	struct connection c;
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);

	(void)state;
	assert_int_equal(connection_parse(original, &c, NULL), 0);
	for (int p = 0; p < CONNECTION_PORT_COUNT; p++)
		c.ports[p] = 100 + p;
	assert_int_equal(connection_merge(original, &c, &out), 0);
	assert_slice_is(buffer_slice(&out), "{\n  \"jupyter_session\": \"/a/\\u00e9.ipynb\",\n  \"shell_port\": 100,\n  \"key\": \"k\",\n"
	    "  \"x\": {\"y\":[1, 2]},\n  \"hb_por\\u0074\": 104,\n  \"iopub_port\": 101,\n  \"stdin_port\": 102,\n"
	    "  \"control_port\": 103,\n  \"transport\": \"tcp\",\n  \"ip\": \"127.0.0.1\",\n  \"signature_scheme\": \"hmac-sha256\"\n}\n");
}

static void test_merging_with_nothing_writes_everything(void **state)
{
	struct connection c = { .transport = "ipc", .ip = "/p\"q", .ports = { 1, 2, 3, 4, 5 }, .signature_scheme = "hmac-md5",
		.key = "k\n", .key_len = 2, .kernel_name = "n", .curve_publickey = PUBLIC, .curve_secretkey = SECRET };
	struct connection again;
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);

	(void)state;
	assert_int_equal(connection_merge(SLICE_NULL, &c, &out), 0);
	assert_int_equal(connection_parse(buffer_slice(&out), &again, NULL), 0);
	c.has_curve = true;
	assert_memory_equal(&again, &c, sizeof(c));
	assert_int_equal(connection_merge(SLICE_LIT("[]"), &c, &out), -EINVAL);
	assert_int_equal(connection_merge(SLICE_LIT("{"), &c, &out), -EINVAL);
}

static char directory[64];

static int make_directory(void **state)
{
	(void)state;
	(void)snprintf(directory, sizeof(directory), "/tmp/husk-test-connection.XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	static const char *const names[] = { "a/b/k.json", "a/b", "a", "fifo", "k.json", "big", "link" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		(void)remove(path);
	}
	return rmdir(directory); /* fails when a temporary file is left */
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void test_files_are_written_for_the_owner_alone(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(0);
	char path[128], above[128];
	struct error err;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/a/b/k.json", directory);
	(void)snprintf(above, sizeof(above), "%s/a/b", directory);
	assert_int_equal(connection_file_write(path, SLICE_LIT("{\"key\":\"1\"}"), &err), 0);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(mode_of(above), 0700);
	/* A file that was open to others is replaced, not written into. */
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(connection_file_write(path, SLICE_LIT("{\"key\":\"22\"}"), &err), 0);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(connection_file_read(path, &text, &err), 0);
	assert_slice_is(buffer_slice(&text), "{\"key\":\"22\"}");
}

static void test_only_regular_files_of_sane_size_are_read(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(0);
	static char big[CONNECTION_FILE_MAX_BYTES + 1];
	char path[128];
	struct error err;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/none", directory);
	assert_int_equal(connection_file_read(path, &text, &err), -ENOENT);
	assert_contains(err.text, path);
	assert_int_equal(connection_file_read(directory, &text, &err), -EINVAL);
	assert_contains(err.text, "not a regular file");
	(void)snprintf(path, sizeof(path), "%s/fifo", directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(connection_file_read(path, &text, &err), -EINVAL); /* and does not wait for a writer */
	assert_int_equal(connection_file_read("/dev/zero", &text, &err), -EINVAL);
	(void)snprintf(path, sizeof(path), "%s/big", directory);
	assert_int_equal(connection_file_write(path, slice_from(big, sizeof(big)), &err), 0);
	buffer_reset(&text);
	assert_int_equal(connection_file_read(path, &text, &err), -EFBIG);
	assert_contains(err.text, "65536");
	assert_int_equal(connection_file_write(path, slice_from(big, sizeof(big) - 1), &err), 0);
	buffer_reset(&text);
	assert_int_equal(connection_file_read(path, &text, &err), 0);
	assert_int_equal(text.len, CONNECTION_FILE_MAX_BYTES);
}

static void test_a_failed_write_leaves_nothing_behind(void **state)
{
	char path[128];
	struct error err;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/k.json", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(connection_file_write(path, SLICE_LIT("{}"), &err), -EISDIR);
	assert_contains(err.text, path);
	assert_int_equal(connection_file_write("/proc/no/such/k.json", SLICE_LIT("{}"), &err), -ENOENT);
	/* remove_directory() finds a temporary file that was left */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_whole_file_is_read),
		cmocka_unit_test(test_what_is_missing_has_a_default_but_the_key),
		cmocka_unit_test(test_errors_name_member_value_and_range),
		cmocka_unit_test(test_secrets_are_never_in_a_reason),
		cmocka_unit_test(test_long_keys_and_texts_are_limited),
		cmocka_unit_test(test_ipc_and_curve),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_merging_replaces_ports_and_keeps_the_rest),
		cmocka_unit_test(test_merging_with_nothing_writes_everything),
		cmocka_unit_test_setup_teardown(test_files_are_written_for_the_owner_alone, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(test_only_regular_files_of_sane_size_are_read, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(test_a_failed_write_leaves_nothing_behind, make_directory, remove_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
