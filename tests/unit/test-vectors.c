/* SPDX-License-Identifier: Apache-2.0 */
/* test-vectors: the C codec against tests/vectors/, which tests/property/test_vectors.py holds against Python's. */
#include "tests/unit/test.h"

#include "protocol/link/link.h"
#include "protocol/wire/connection-file.h"
#include "protocol/wire/json.h"
#include "protocol/wire/message.h"
#include "tests/unit/jansson.h"

#define MAX_FRAMES 32

static json_t *vectors;
static json_t *row;

static void open_vectors(const char *name)
{
	char path[128];
	size_t len;

	(void)snprintf(path, sizeof(path), "tests/vectors/%s", name);
	_cleanup_(freep) char *text = test_read_file(path, &len);
	vectors = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
	assert_non_null(vectors);
	assert_true(json_array_size(json_object_get(vectors, "rows")) > 5);
}

static void close_vectors(void)
{
	json_decref(vectors);
	vectors = NULL;
}

#define FOR_EACH_ROW(i) json_array_foreach(json_object_get(vectors, "rows"), i, row)

/* A member of the row as a string; NULL when absent. */
static const char *text_of(const char *name)
{
	return json_string_value(json_object_get(row, name));
}

static struct slice string_slice(const json_t *value)
{
	return slice_from(json_string_value(value), json_string_length(value));
}

static struct slice slice_of(const char *name)
{
	return string_slice(json_object_get(row, name));
}

#define assert_claim(claim) \
	do { \
		if (!(claim)) \
			fail_msg("\"%s\": %s", text_of("name"), #claim); \
	} while (0)

/* Appends the bytes of hexadecimal digits. */
static void unhex(struct slice digits, struct buffer *out)
{
	assert_claim(digits.len % 2 == 0);
	for (size_t i = 0; i < digits.len; i += 2) {
		char pair[3] = { digits.data[i], digits.data[i + 1], 0 };

		buffer_append_char(out, (char)strtoul(pair, NULL, 16));
	}
}

static struct sign_key *key_of_row(void)
{
	struct sign_key *key = NULL;
	struct error err;

	if (sign_key_new(slice_of("scheme"), slice_of("key"), &key, &err) < 0)
		fail_msg("\"%s\": %s", text_of("name"), err.text);
	return key;
}

static void test_signatures(void **state)
{
	size_t i;

	(void)state;
	open_vectors("signatures.json");
	FOR_EACH_ROW(i) {
		_cleanup_(sign_key_freep) struct sign_key *key = key_of_row();
		const json_t *parts = json_object_get(row, "parts");
		struct slice slices[FRAMES_JSON_COUNT];
		char hex[SIGN_HEX_MAX];

		for (size_t k = 0; k < FRAMES_JSON_COUNT; k++)
			slices[k] = string_slice(json_array_get(parts, k));
		assert_claim(slice_equal(slice_from(hex, sign_make(key, slices, FRAMES_JSON_COUNT, hex)), slice_of("signature")));
		assert_claim(sign_verify(key, slice_of("signature"), slices, FRAMES_JSON_COUNT));
	}
	close_vectors();
}

static void check_member(const char *name, struct slice token)
{
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(0);

	if (!text_of(name)) {
		assert_claim(strcmp(name, "subshell_id") != 0 || token.len == 0);
		return;
	}
	assert_claim(json_decode_string(token, &text) == 0);
	assert_claim(slice_equal(buffer_slice(&text), slice_of(name)));
}

static void check_header(const struct header *h)
{
	check_member("msg_id", h->msg_id);
	check_member("session", h->session);
	check_member("msg_type", h->msg_type);
	check_member("subshell_id", h->subshell_id);
	assert_claim(h->type == msgtype_lookup(slice_of("msg_type")));
}

static void test_headers(void **state)
{
	size_t i;

	(void)state;
	open_vectors("headers.json");
	FOR_EACH_ROW(i) {
		struct header h;
		struct error err;
		int r = header_parse(slice_of("text"), &h, &err);

		assert_claim((r == 0) == !text_of("error"));
		if (r == 0)
			check_header(&h);
		else
			assert_contains(err.text, text_of("error"));
	}
	close_vectors();
}

static int message_result(void)
{
	static const char *const names[] = { "ok", "frames", "signature", "replay", "json", "header" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(text_of("result"), names[i]) == 0)
			return (int)i;
	fail_msg("\"%s\": no such result", text_of("name"));
	return -1;
}

static void test_messages(void **state)
{
	size_t i;

	(void)state;
	open_vectors("messages.json");
	FOR_EACH_ROW(i) {
		_cleanup_(sign_key_freep) struct sign_key *key = key_of_row();
		const json_t *frames = json_object_get(row, "frames");
		struct buffer bytes[MAX_FRAMES] = { 0 };
		struct slice parts[MAX_FRAMES];
		size_t n = json_array_size(frames);
		struct message m;

		assert_claim(n <= MAX_FRAMES);
		for (size_t k = 0; k < n; k++) {
			unhex(string_slice(json_array_get(frames, k)), &bytes[k]);
			parts[k] = buffer_slice(&bytes[k]);
		}
		assert_claim(message_parse(parts, n, key, NULL, &m, NULL) == message_result());
		if (message_result() == 0) {
			check_header(&m.header);
			assert_claim((json_int_t)m.frames.n_identities == json_integer_value(json_object_get(row, "n_identities")));
			assert_claim((json_int_t)m.frames.n_buffers == json_integer_value(json_object_get(row, "n_buffers")));
		}
		for (size_t k = 0; k < n; k++)
			buffer_deinit(&bytes[k]);
	}
	close_vectors();
}

static void check_connection(const struct connection *c, const json_t *expect)
{
	const json_t *endpoints = json_object_get(expect, "endpoints");
	char endpoint[300];

	for (unsigned p = 0; p < CONNECTION_PORT_COUNT; p++) {
		assert_claim(c->ports[p] == json_integer_value(json_object_get(expect, connection_port_names[p])));
		assert_int_equal(connection_endpoint(c, (enum connection_port)p, endpoint, sizeof(endpoint)), 0);
		if (endpoints)
			assert_string_equal(endpoint, json_string_value(json_array_get(endpoints, p)));
	}
	assert_string_equal(c->transport, json_string_value(json_object_get(expect, "transport")));
	assert_string_equal(c->ip, json_string_value(json_object_get(expect, "ip")));
	assert_string_equal(c->signature_scheme, json_string_value(json_object_get(expect, "signature_scheme")));
	assert_string_equal(c->kernel_name, json_string_value(json_object_get(expect, "kernel_name")));
	assert_claim(slice_equal(slice_from(c->key, c->key_len), string_slice(json_object_get(expect, "key"))));
	assert_claim(c->has_curve == (json_object_get(expect, "curve") == json_true()));
}

static void test_connection_files(void **state)
{
	size_t i;

	(void)state;
	open_vectors("connection-files.json");
	FOR_EACH_ROW(i) {
		struct connection c;
		struct error err;
		int r = connection_parse(slice_of("text"), &c, &err);

		assert_claim((r == 0) == !text_of("error"));
		if (r == 0)
			check_connection(&c, json_object_get(row, "expect"));
		else
			assert_contains(err.text, text_of("error"));
	}
	close_vectors();
}

static void check_value(struct msgpack_reader *r, const json_t *expected);

static void check_container(struct msgpack_reader *r, const json_t *expected)
{
	const char *name;
	struct slice text;
	json_t *value;
	uint32_t n;
	size_t i;

	if (json_typeof(expected) == JANSSON_ARRAY) {
		assert_claim(msgpack_read_array(r, &n) == 0 && n == json_array_size(expected));
		json_array_foreach(expected, i, value)
			check_value(r, value);
		return;
	}
	assert_claim(msgpack_read_map(r, &n) == 0 && n == json_object_size(expected));
	json_t *object = json_incref((json_t *)(uintptr_t)expected);
	json_object_foreach(object, name, value) {
		assert_claim(msgpack_read_str(r, &text) == 0);
		assert_slice_is(text, name);
		check_value(r, value);
	}
	json_decref(object);
}

static void check_value(struct msgpack_reader *r, const json_t *expected)
{
	const json_t *bin = json_object_get(expected, "$bin");
	_cleanup_(buffer_deinitp) struct buffer bytes = BUFFER_INIT(0);
	struct slice text;
	uint64_t number;
	bool truth;

	if (expected == json_null()) {
		assert_claim(msgpack_read_nil(r) == 0);
	} else if (expected == json_true() || expected == json_false()) {
		assert_claim(msgpack_read_bool(r, &truth) == 0 && truth == (expected == json_true()));
	} else if (json_string_value(expected)) {
		assert_claim(msgpack_read_str(r, &text) == 0 && slice_equal(text, string_slice(expected)));
	} else if (bin) {
		unhex(string_slice(bin), &bytes);
		assert_claim(msgpack_read_bin(r, &text) == 0 && slice_equal(text, buffer_slice(&bytes)));
	} else if (json_typeof(expected) == JSON_INTEGER) {
		assert_claim(msgpack_read_u64(r, &number) == 0 && number == (uint64_t)json_integer_value(expected));
	} else {
		check_container(r, expected);
	}
}

static const char *link_result(int r)
{
	static const char *const names[] = { "ok", "more", "version", "type", "size", "reserved" };

	return r >= 0 && r < (int)ARRAY_SIZE(names) ? names[r] : "?";
}

static void check_frame(struct slice frame)
{
	enum link_direction direction = strcmp(text_of("direction"), "up") == 0 ? LINK_UP : LINK_DOWN;
	const json_t *body = json_object_get(row, "body");
	struct msgpack_reader fields, all;
	struct link_header h;
	struct slice bytes;
	uint32_t n;
	int r = link_header_parse(frame, direction, &h);

	if (r) {
		assert_string_equal(link_result(r), text_of("result"));
		return;
	}
	assert_claim(h.body_len == frame.len - LINK_HEADER_SIZE);
	bytes = slice_from(frame.data + LINK_HEADER_SIZE, h.body_len);
	r = link_body_open(h.type, bytes, &fields, &n);
	assert_string_equal(r < 0 ? "body" : "ok", text_of("result"));
	if (r < 0)
		return;
	assert_string_equal(link_type_name(h.type), text_of("type"));
	if (json_typeof(json_object_get(row, "ring_pos")) == JSON_INTEGER)
		assert_claim(h.ring_pos == (uint64_t)json_integer_value(json_object_get(row, "ring_pos")));
	assert_claim(n == json_array_size(body));
	all = msgpack_reader_init(bytes);
	check_value(&all, body);
	assert_claim(all.pos == all.end);
}

static void test_link_frames(void **state)
{
	size_t i;

	(void)state;
	open_vectors("link-frames.json");
	FOR_EACH_ROW(i) {
		_cleanup_(buffer_deinitp) struct buffer frame = BUFFER_INIT(0);

		unhex(slice_of("hex"), &frame);
		check_frame(buffer_slice(&frame));
	}
	close_vectors();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_connection_files),
		cmocka_unit_test(test_link_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
