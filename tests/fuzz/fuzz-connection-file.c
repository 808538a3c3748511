/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-connection-file: any text; what is accepted survives being merged and read again. */
#include "protocol/wire/connection-file.h"
#include "protocol/wire/json.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(buffer_deinitp) struct buffer merged = BUFFER_INIT(0);
	struct slice text = slice_from(data, size);
	struct error err = { .code = 0 };
	struct connection c, again;
	char endpoint[300];

	if (connection_parse(text, &c, &err) < 0) {
		CHECK(err.code < 0 && err.text[0] != '\0');
		return 0;
	}
	for (int p = 0; p < CONNECTION_PORT_COUNT; p++)
		if (c.ports[p] == 0)
			c.ports[p] = 40000 + p; /* may collide with one that is given */
	CHECK(connection_merge(text, &c, &merged) == 0 && json_is_valid_object(buffer_slice(&merged)));
	if (connection_parse(buffer_slice(&merged), &again, &err) < 0) {
		CHECK(strstr(err.text, "are both") || merged.len > CONNECTION_FILE_MAX_BYTES);
		return 0;
	}
	CHECK(memcmp(c.ports, again.ports, sizeof(c.ports)) == 0 && strcmp(c.ip, again.ip) == 0);
	CHECK(strcmp(c.transport, again.transport) == 0 && strcmp(c.signature_scheme, again.signature_scheme) == 0);
	CHECK(c.key_len == again.key_len && memcmp(c.key, again.key, c.key_len) == 0 && c.has_curve == again.has_curve);
	CHECK(connection_endpoint(&c, CONNECTION_HB, endpoint, sizeof(endpoint)) == 0);
	return 0;
}
