/* SPDX-License-Identifier: Apache-2.0 */
/* connection-file: the JSON file that names a kernel's sockets and key (specs/wire.md 8). */
#include "protocol/wire/connection-file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "protocol/base/io.h"
#include "protocol/wire/json.h"

#define TCP_PORT_MAX 65535
#define IPC_PORT_MAX INT32_MAX /* a suffix of a path, no port */
#define Z85_KEY_LEN 40

const char *const connection_port_names[CONNECTION_PORT_COUNT] = {
	[CONNECTION_SHELL] = "shell_port",
	[CONNECTION_IOPUB] = "iopub_port",
	[CONNECTION_STDIN] = "stdin_port",
	[CONNECTION_CONTROL] = "control_port",
	[CONNECTION_HB] = "hb_port",
};

/* String members. key is not here: it is bytes, it may be empty, and it must be there. */
static const struct {
	const char *name;
	size_t offset;
	size_t size;
} texts[] = {
#define TEXT(member) { #member, offsetof(struct connection, member), sizeof(((struct connection *)0)->member) }
	TEXT(transport),
	TEXT(ip),
	TEXT(signature_scheme),
	TEXT(kernel_name),
	TEXT(curve_publickey),
	TEXT(curve_secretkey),
#undef TEXT
};

static char *text_of(struct connection *c, size_t i)
{
	return (char *)c + texts[i].offset;
}

static const char *const_text_of(const struct connection *c, size_t i)
{
	return (const char *)c + texts[i].offset;
}

/* Parsing. */

/* May hold the key. */
static void wipe_buffer(struct buffer *b)
{
	if (b->data)
		explicit_bzero(b->data, b->size);
	buffer_deinit(b);
}

/* Decodes a string member into room of size bytes, NUL included. */
static int take_text(struct slice value, const char *name, size_t size, char *ret, size_t *ret_len, struct error *err)
{
	_cleanup_(wipe_buffer) struct buffer text = BUFFER_INIT(0);
	int r;

	if (json_type(value) != JSON_STRING)
		return error_set(err, -EINVAL, "%s is not a string", name);
	r = json_decode_string(value, &text);
	if (r < 0)
		return error_set(err, r, "%s cannot be decoded", name);
	if (text.len >= size)
		return error_set(err, -EINVAL, "%s has %zu bytes, at most %zu are accepted", name, text.len,
		    size - 1);
	if (text.len > 0)
		memcpy(ret, text.data, text.len);
	ret[text.len] = '\0';
	*ret_len = text.len;
	return 0;
}

static int take_short_text(struct slice value, size_t i, struct connection *c, struct error *err)
{
	char *text = text_of(c, i);
	size_t len;
	int r;

	if (json_type(value) == JSON_NULL) {
		text[0] = '\0';
		return 0;
	}
	r = take_text(value, texts[i].name, texts[i].size, text, &len, err);
	if (r < 0)
		return r;
	for (size_t k = 0; k < len; k++)
		if ((unsigned char)text[k] < 0x20 || text[k] == 0x7f)
			return error_set(err, -EINVAL, "%s has a control character", texts[i].name);
	return 0;
}

/* An int or a decimal string. Whether it is in range is known when transport is. */
static int take_port(struct slice value, enum connection_port p, struct connection *c, struct error *err)
{
	enum json_type type = json_type(value);
	struct slice digits = value;
	long port = 0;

	if (type == JSON_STRING && value.len >= 2)
		digits = slice_from(value.data + 1, value.len - 2);
	else if (type != JSON_NUMBER)
		return error_set(err, -EINVAL, "%s is not a number", connection_port_names[p]);
	for (size_t i = 0; i < digits.len; i++) {
		int digit = digits.data[i] - '0';

		if (digit < 0 || digit > 9 || port > IPC_PORT_MAX / 10)
			digits.len = 0;
		else
			port = port * 10 + digit;
	}
	if (digits.len == 0 || port > IPC_PORT_MAX)
		return error_set(err, -EINVAL, "%s is %.*s, accepted are 0 to %d", connection_port_names[p],
		    (int)MIN(value.len, (size_t)32), value.data, TCP_PORT_MAX);
	c->ports[p] = (int)port;
	return 0;
}

static int take_member(struct slice name, struct slice value, struct connection *c, bool *has_key, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (json_string_equals(name, texts[i].name))
			return take_short_text(value, i, c, err);
	for (unsigned p = 0; p < CONNECTION_PORT_COUNT; p++)
		if (json_string_equals(name, connection_port_names[p]))
			return take_port(value, (enum connection_port)p, c, err);
	if (json_string_equals(name, "key")) {
		*has_key = true;
		return take_text(value, "key", sizeof(c->key), c->key, &c->key_len, err);
	}
	return 0;
}

static int check_ports(const struct connection *c, struct error *err)
{
	int max = strcmp(c->transport, "ipc") == 0 ? IPC_PORT_MAX : TCP_PORT_MAX;

	for (unsigned p = 0; p < CONNECTION_PORT_COUNT; p++) {
		if (c->ports[p] > max)
			return error_set(err, -EINVAL, "%s is %d, accepted are 0 to %d",
			    connection_port_names[p], c->ports[p], max);
		for (unsigned q = 0; q < p; q++)
			if (c->ports[p] != 0 && c->ports[p] == c->ports[q])
				return error_set(err, -EINVAL, "%s and %s are both %d",
				    connection_port_names[q], connection_port_names[p], c->ports[p]);
	}
	return 0;
}

static bool is_z85(const char *text)
{
	static const char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

	return strlen(text) == Z85_KEY_LEN && strspn(text, alphabet) == Z85_KEY_LEN;
}

static int check_curve(struct connection *c, struct error *err)
{
	bool has_public = c->curve_publickey[0] != '\0', has_secret = c->curve_secretkey[0] != '\0';

	if (has_public != has_secret)
		return error_set(err, -EINVAL, "%s is missing beside the other curve key",
		    has_public ? "curve_secretkey" : "curve_publickey");
	if (has_public && !is_z85(c->curve_publickey))
		return error_set(err, -EINVAL, "curve_publickey is not %d characters of Z85", Z85_KEY_LEN);
	if (has_secret && !is_z85(c->curve_secretkey))
		return error_set(err, -EINVAL, "curve_secretkey is not %d characters of Z85", Z85_KEY_LEN);
	c->has_curve = has_public;
	return 0;
}

static int fill_defaults(struct connection *c, struct error *err)
{
	if (c->transport[0] == '\0')
		memcpy(c->transport, "tcp", sizeof("tcp"));
	if (c->signature_scheme[0] == '\0')
		memcpy(c->signature_scheme, "hmac-sha256", sizeof("hmac-sha256"));
	if (strcmp(c->transport, "tcp") != 0 && strcmp(c->transport, "ipc") != 0)
		return error_set(err, -EINVAL, "transport is \"%s\", accepted are tcp and ipc", c->transport);
	if (c->ip[0] != '\0')
		return 0;
	if (strcmp(c->transport, "ipc") == 0)
		return error_set(err, -EINVAL, "ip, the path prefix of ipc sockets, is missing");
	memcpy(c->ip, "127.0.0.1", sizeof("127.0.0.1"));
	return 0;
}

static int parse_into(struct slice text, struct connection *c, struct error *err)
{
	struct json_iter it;
	struct slice name, value;
	bool has_key = false;
	int r;

	if (text.len > CONNECTION_FILE_MAX_BYTES)
		return error_set(err, -EINVAL, "%zu bytes, at most %d are accepted", text.len,
		    CONNECTION_FILE_MAX_BYTES);
	if (!json_is_valid_object(text))
		return error_set(err, -EINVAL, "not a complete JSON object");
	it = json_iter(text);
	while (json_next(&it, &name, &value)) {
		r = take_member(name, value, c, &has_key, err);
		if (r < 0)
			return r;
	}
	if (!has_key)
		return error_set(err, -EINVAL, "key is missing; an empty key means no signatures");
	r = fill_defaults(c, err);
	if (r == 0)
		r = check_ports(c, err);
	return r < 0 ? r : check_curve(c, err);
}

static void wipe(struct connection *c)
{
	explicit_bzero(c, sizeof(*c));
}

int connection_parse(struct slice text, struct connection *ret, struct error *err)
{
	_cleanup_(wipe) struct connection c = { .key_len = 0 };
	int r;

	r = parse_into(text, &c, err);
	if (r == 0)
		*ret = c;
	return r;
}

/* Merging. */

static void put_separator(struct buffer *out, bool *first)
{
	buffer_append_str(out, *first ? "{\n  " : ",\n  ");
	*first = false;
}

/* Begins a member of our own. */
static void put_name(struct buffer *out, bool *first, const char *name)
{
	put_separator(out, first);
	json_encode_string(out, slice_str(name));
	buffer_append_str(out, ": ");
}

static void put_text(struct buffer *out, bool *first, const char *name, struct slice text)
{
	put_name(out, first, name);
	json_encode_string(out, text);
}

static int port_index(struct slice token)
{
	for (int p = 0; p < CONNECTION_PORT_COUNT; p++)
		if (json_string_equals(token, connection_port_names[p]))
			return p;
	return -1;
}

/* The original's members in their order, as they are; ports with their new values, each once. */
static void merge_original(struct slice original, const struct connection *c, struct buffer *out, bool *first,
    bool ports_done[CONNECTION_PORT_COUNT])
{
	struct json_iter it = json_iter(original);
	struct slice name, value;

	while (json_next(&it, &name, &value)) {
		int p = port_index(name);

		if (p >= 0 && ports_done[p])
			continue;
		put_separator(out, first);
		buffer_append_slice(out, name);
		buffer_append_str(out, ": ");
		if (p < 0) {
			buffer_append_slice(out, value);
			continue;
		}
		ports_done[p] = true;
		buffer_append_u64(out, (uint64_t)c->ports[p]);
	}
}

static bool lacks(struct slice original, const char *name)
{
	struct slice value;

	return original.len == 0 || json_member(original, name, &value) == JSON_INVALID;
}

int connection_merge(struct slice original, const struct connection *c, struct buffer *out)
{
	bool ports_done[CONNECTION_PORT_COUNT] = { false }, first = true;
	size_t start = out->len;

	if (original.len > 0 && !json_is_valid_object(original))
		return -EINVAL;
	merge_original(original, c, out, &first, ports_done);
	for (unsigned p = 0; p < CONNECTION_PORT_COUNT; p++) {
		if (ports_done[p])
			continue;
		put_name(out, &first, connection_port_names[p]);
		buffer_append_u64(out, (uint64_t)c->ports[p]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (const_text_of(c, i)[0] != '\0' && lacks(original, texts[i].name))
			put_text(out, &first, texts[i].name, slice_str(const_text_of(c, i)));
	if (lacks(original, "key"))
		put_text(out, &first, "key", slice_from(c->key, c->key_len));
	buffer_append_str(out, "\n}\n");
	if (out->failed)
		out->len = start;
	return out->failed;
}

/* Effects. */

static int read_all(int fd, struct buffer *out)
{
	for (;;) {
		size_t room = MIN((size_t)4096, CONNECTION_FILE_MAX_BYTES + 1 - out->len);
		ssize_t n;

		if (buffer_reserve(out, room) < 0)
			return out->failed;
		n = read(fd, out->data + out->len, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		out->len += (size_t)n;
		if (out->len > CONNECTION_FILE_MAX_BYTES)
			return -EFBIG;
	}
}

int connection_file_read(const char *path, struct buffer *out, struct error *err)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r;

	if (fd < 0) {
		r = -errno;
		return error_set(err, r, "connection file %s: %s", path, strerror(-r));
	}
	if (fstat(fd, &st) < 0) {
		r = -errno;
		return error_set(err, r, "connection file %s: %s", path, strerror(-r));
	}
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "connection file %s: not a regular file", path);
	r = read_all(fd, out);
	if (r == -EFBIG)
		return error_set(err, r, "connection file %s: more than %d bytes", path, CONNECTION_FILE_MAX_BYTES);
	if (r < 0)
		return error_set(err, r, "connection file %s: %s", path, strerror(-r));
	return 0;
}

/* Makes the missing directories above path. Modes of those that exist are left alone. */
static int make_directories(const char *path)
{
	_cleanup_(freep) char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

/* mkostemp() gives mode 0600. No fsync: a connection file does not outlive its kernel, let alone the machine. */
static int write_and_rename(const char *path, struct slice text)
{
	_cleanup_(freep) char *temporary = NULL;
	_cleanup_(closep) int fd = -1;
	int r;

	if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
		temporary = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = io_write_all(fd, text);
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(temporary);
	return r;
}

int connection_file_write(const char *path, struct slice text, struct error *err)
{
	int r;

	r = make_directories(path);
	if (r == 0)
		r = write_and_rename(path, text);
	if (r < 0)
		return error_set(err, r, "connection file %s: %s", path, strerror(-r));
	return 0;
}

int connection_endpoint(const struct connection *c, enum connection_port p, char *ret_text, size_t size)
{
	bool is_ipc = strcmp(c->transport, "ipc") == 0;
	int n = snprintf(ret_text, size, "%s://%s%c%d", c->transport, c->ip, is_ipc ? '-' : ':', c->ports[p]);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}
