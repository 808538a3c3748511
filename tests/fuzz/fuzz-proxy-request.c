/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-proxy-request: any bytes for the proxy; what a server gets of them is the same place and body. */
#include "kernel/sandbox/proxy-request.h"
#include "tests/fuzz/fuzz.h"

/* The head as the server reads it, given the form that a proxy reads again. */
static void check_written(const struct proxy_request *q)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
	_cleanup_(buffer_deinitp) struct buffer again = BUFFER_INIT(0);
	char place[TARGET_MAX_TEXT];
	struct proxy_request r;
	struct error err = { .code = 0 };
	unsigned status;
	int k;

	proxy_request_write(q, &out);
	CHECK(!out.failed && out.len < q->head_bytes + 2 * TARGET_MAX_TEXT);
	target_format(q->target.host, q->target.port, place);
	buffer_append(&again, out.data, q->method.len + 1);
	buffer_append_str(&again, "http://");
	buffer_append_str(&again, place);
	buffer_append(&again, out.data + q->method.len + 1, out.len - q->method.len - 1);
	if (again.len > PROXY_REQUEST_MAX_HEAD)
		return;
	k = proxy_request_parse(buffer_slice(&again), &r, &status, &err);
	if (k < 0 && strstr(err.text, "at most 128")) /* of headers: two were added */
		return;
	CHECK(k == 0 && r.head_bytes == again.len);
	CHECK(!r.is_connect && r.target.port == q->target.port && strcmp(r.target.host, q->target.host) == 0 &&
	      r.body_bytes == q->body_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_request q = { .head_bytes = 0 };
	struct error err = { .code = 0 };
	unsigned status = 0;
	int r = proxy_request_parse(slice_from(data, size), &q, &status, &err);

	CHECK(r <= 1 && (r >= 0 || (status >= 400 && status < 500 && err.text[0])));
	if (r != 0) {
		CHECK(q.head_bytes == 0);
		return 0;
	}
	CHECK(q.head_bytes <= size && q.head_bytes <= PROXY_REQUEST_MAX_HEAD && q.target.port > 0 && q.target.host[0]);
	if (!q.is_connect)
		check_written(&q);
	return 0;
}
