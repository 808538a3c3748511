/* SPDX-License-Identifier: Apache-2.0 */
/* zmtp: the bytes of ZMTP 3.1. */
#include "protocol/zmtp/zmtp.h"

#include <string.h>
#include <strings.h>

#define SIGNATURE_SIZE 10
#define VERSION_AT 10
#define MECHANISM_AT 12
#define MECHANISM_SIZE 20
#define AS_SERVER_AT 32
#define SHORT_MAX 255

static const char *const mechanism_names[] = { [ZMTP_NULL] = "NULL", [ZMTP_CURVE] = "CURVE" };

void zmtp_greeting_write(enum zmtp_mechanism mechanism, bool as_server, uint8_t ret[ZMTP_GREETING_SIZE])
{
	memset(ret, 0, ZMTP_GREETING_SIZE);
	ret[0] = 0xff;
	ret[8] = 1; /* what version 1 would take for the size of an identity */
	ret[9] = 0x7f;
	ret[VERSION_AT] = 3;
	ret[VERSION_AT + 1] = 1;
	memcpy(ret + MECHANISM_AT, mechanism_names[mechanism], strlen(mechanism_names[mechanism]));
	ret[AS_SERVER_AT] = as_server;
}

/* The padding in between may be anything. */
static bool is_signature(const unsigned char *bytes, size_t len)
{
	return (len < 1 || bytes[0] == 0xff) && (len < SIGNATURE_SIZE || (bytes[SIGNATURE_SIZE - 1] & 1));
}

int zmtp_greeting_check(struct slice bytes, enum zmtp_mechanism mechanism, struct error *err)
{
	const unsigned char *b = (const unsigned char *)bytes.data;
	char name[MECHANISM_SIZE + 1] = "";

	if (!is_signature(b, bytes.len))
		return error_set(err, -EPROTO, "the peer does not speak ZMTP");
	if (bytes.len > VERSION_AT && b[VERSION_AT] < 3)
		return error_set(err, -EPROTO, "the peer speaks ZMTP %d, at least 3.0 is needed", b[VERSION_AT]);
	if (bytes.len < ZMTP_GREETING_SIZE)
		return 0;
	(void)strcpy(name, mechanism_names[mechanism]);
	if (memcmp(b + MECHANISM_AT, name, MECHANISM_SIZE) != 0)
		return error_set(err, -EPROTO, "the peer does not use the security mechanism %s", name);
	return 0;
}

int zmtp_frame_parse(struct slice bytes, struct zmtp_frame *ret)
{
	const unsigned char *b = (const unsigned char *)bytes.data;
	uint64_t size = 0;
	int n;

	if (bytes.len < 1)
		return 0;
	if (b[0] & ~(ZMTP_FLAG_MORE | ZMTP_FLAG_LONG | ZMTP_FLAG_COMMAND))
		return -EPROTO;
	if ((b[0] & ZMTP_FLAG_COMMAND) && (b[0] & ZMTP_FLAG_MORE))
		return -EPROTO;
	n = b[0] & ZMTP_FLAG_LONG ? ZMTP_FRAME_HEADER_MAX : 2;
	if (bytes.len < (size_t)n)
		return 0;
	for (int i = 1; i < n; i++)
		size = size << 8 | b[i];
	if (size > INT64_MAX)
		return -EPROTO;
	*ret = (struct zmtp_frame){ b[0] & (ZMTP_FLAG_MORE | ZMTP_FLAG_COMMAND), size };
	return n;
}

size_t zmtp_frame_write(uint8_t flags, uint64_t size, uint8_t ret[ZMTP_FRAME_HEADER_MAX])
{
	if (size <= SHORT_MAX) {
		ret[0] = flags;
		ret[1] = (uint8_t)size;
		return 2;
	}
	ret[0] = flags | ZMTP_FLAG_LONG;
	for (int i = 0; i < 8; i++)
		ret[1 + i] = (uint8_t)(size >> (56 - 8 * i));
	return ZMTP_FRAME_HEADER_MAX;
}

int zmtp_command_parse(struct slice body, struct slice *ret_name, struct slice *ret_data)
{
	size_t n = body.len ? (unsigned char)body.data[0] : 0;

	if (n == 0 || n + 1 > body.len)
		return -EPROTO;
	*ret_name = slice_from(body.data + 1, n);
	*ret_data = slice_from(body.data + 1 + n, body.len - 1 - n);
	return 0;
}

void zmtp_command_begin(struct buffer *out, const char *name)
{
	buffer_append_char(out, (char)strlen(name));
	buffer_append_str(out, name);
}

int zmtp_property_next(struct slice *rest, struct slice *ret_name, struct slice *ret_value)
{
	const unsigned char *b = (const unsigned char *)rest->data;
	size_t n_name, n_value;

	if (rest->len == 0)
		return 0;
	n_name = b[0];
	if (n_name == 0 || rest->len < 1 + n_name + 4)
		return -EPROTO;
	b += 1 + n_name;
	n_value = (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
	if (n_value > rest->len - (1 + n_name + 4))
		return -EPROTO;
	*ret_name = slice_from(rest->data + 1, n_name);
	*ret_value = slice_from(b + 4, n_value);
	*rest = slice_from(b + 4 + n_value, rest->len - (1 + n_name + 4) - n_value);
	return 1;
}

void zmtp_property_append(struct buffer *out, const char *name, struct slice value)
{
	const char size[4] = { (char)(value.len >> 24), (char)(value.len >> 16), (char)(value.len >> 8), (char)value.len };

	buffer_append_char(out, (char)strlen(name));
	buffer_append_str(out, name);
	buffer_append(out, size, sizeof(size));
	buffer_append_slice(out, value);
}

bool zmtp_property_is(struct slice name, const char *wanted)
{
	return name.len == strlen(wanted) && strncasecmp(name.data, wanted, name.len) == 0;
}
