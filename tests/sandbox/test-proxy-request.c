/* SPDX-License-Identifier: Apache-2.0 */
/* test-proxy-request: what the proxy takes for a request, what it makes of it, and what it refuses. */
#include "kernel/sandbox/proxy-request.h"
#include "tests/unit/test.h"

static void test_requests_name_a_place(void **state)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
		bool is_connect;
		uint64_t body;
	} rows[] = {
		{ "CONNECT example.org:443 HTTP/1.1\r\n\r\n", "example.org", 443, true, PROXY_REQUEST_TO_END },
		{ "CONNECT Example.ORG:443 HTTP/1.0\r\nHost: example.org:443\r\n\r\nTLS", "example.org", 443, true, PROXY_REQUEST_TO_END },
		{ "CONNECT example.org:8443 HTTP/1.1\r\nHOST:\texample.org \r\n\r\n", "example.org", 8443, true, PROXY_REQUEST_TO_END },
		{ "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n", "::1", 443, true, PROXY_REQUEST_TO_END },
		{ "GET http://example.org HTTP/1.1\r\nHost: example.org\r\n\r\n", "example.org", 80, false, 0 },
		{ "GET HTTP://example.org:8080/a HTTP/1.1\r\nHost: EXAMPLE.org:8080\r\n\r\n", "example.org", 8080, false, 0 },
		{ "POST http://10.0.0.5:3141/ HTTP/1.1\r\nContent-Length: 12\r\n\r\n", "10.0.0.5", 3141, false, 12 },
		{ "PUT http://a/ HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n", "a", 80, false, PROXY_REQUEST_TO_END },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct proxy_request q;
		struct error err;
		unsigned status = 0;
		size_t end = (size_t)(strstr(rows[i].text, "\r\n\r\n") - rows[i].text) + 4;

		assert_row(i, proxy_request_parse(slice_str(rows[i].text), &q, &status, &err) == 0);
		assert_string_equal(q.target.host, rows[i].host);
		assert_row(i, q.target.port == rows[i].port && q.is_connect == rows[i].is_connect);
		assert_row(i, q.head_bytes == end && q.body_bytes == rows[i].body);
		for (size_t n = 0; n < end; n++)
			assert_row(i, proxy_request_parse(slice_from(rows[i].text, n), &q, &status, &err) == 1);
	}
}

static void test_everything_else_is_refused_with_a_status_and_a_sentence(void **state)
{
	static const struct {
		const char *text;
		unsigned status;
		const char *part;
	} rows[] = {
		{ "\r\n\r\n", 400, "first line" },
		{ "GET\r\n\r\n", 400, "first line" },
		{ "GET http://a/\r\n\r\n", 400, "first line" },
		{ "GET  http://a/ HTTP/1.1\r\n\r\n", 400, "first line" },
		{ "GET http://a/ HTTP/1.1 \r\n\r\n", 400, "first line" },
		{ "GET http://a/ HTTP/2.0\r\n\r\n", 400, "first line" },
		{ "G(T http://a/ HTTP/1.1\r\n\r\n", 400, "first line" },
		{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "this is a proxy" },
		{ "GET https://a/ HTTP/1.1\r\n\r\n", 400, "use CONNECT" },
		{ "OPTIONS * HTTP/1.1\r\n\r\n", 400, "this is a proxy" },
		{ "connect a:443 HTTP/1.1\r\n\r\n", 400, "this is a proxy" },
		{ "CONNECT a HTTP/1.1\r\n\r\n", 400, "host:port" },
		{ "CONNECT http://a:443 HTTP/1.1\r\n\r\n", 400, "host:port" },
		{ "CONNECT 127.1:443 HTTP/1.1\r\n\r\n", 400, "host:port" },
		{ "GET http://user:pw@a/ HTTP/1.1\r\n\r\n", 400, "http://host:port/path" },
		{ "GET http:/// HTTP/1.1\r\n\r\n", 400, "http://host:port/path" },
		{ "GET http://a/#f HTTP/1.1\r\n\r\n", 400, "http://host:port/path" },
		{ "GET http://a/\xc3\xa4 HTTP/1.1\r\n\r\n", 400, "bytes that are not allowed" },
		{ "GET http://a/ HTTP/1.1\nHost: a\n\n", 400, "CR LF" },
		{ "GET http://a/ HTTP/1.1\r\nX: a\rb\r\n\r\n", 400, "CR LF" },
		{ "GET http://a/ HTTP/1.1\r\nX: a\x01\r\n\r\n", 400, "CR LF" },
		{ "GET http://a/ HTTP/1.1\r\n X: a\r\n\r\n", 400, "a header" },
		{ "GET http://a/ HTTP/1.1\r\nX : a\r\n\r\n", 400, "a header" },
		{ "GET http://a/ HTTP/1.1\r\nX\r\n\r\n", 400, "a header" },
		{ "GET http://a/ HTTP/1.1\r\n: a\r\n\r\n", 400, "a header" },
		{ "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 403, "Host header" },
		{ "GET http://a/ HTTP/1.1\r\nHost: a:81\r\n\r\n", 403, "Host header" },
		{ "GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", 403, "Host header" },
		{ "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 403, "Host header" },
		{ "GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", 403, "Host header" },
		{ "CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", 403, "Host header" },
		{ "POST http://a/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "Content-Length" },
		{ "POST http://a/ HTTP/1.1\r\nContent-Length: 1,1\r\n\r\n", 400, "Content-Length" },
		{ "POST http://a/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400, "Content-Length" },
		{ "POST http://a/ HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400, "Content-Length" },
		{ "POST http://a/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "not both" },
		{ "POST http://a/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400, "must be chunked" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct proxy_request q = { .head_bytes = 7 };
		struct error err = { .code = 0 };
		unsigned status = 0;
		int r = proxy_request_parse(slice_str(rows[i].text), &q, &status, &err);

		assert_row(i, r == (rows[i].status == 403 ? -EPERM : -EBADMSG) && status == rows[i].status &&
				  q.head_bytes == 7);
		assert_contains(err.text, rows[i].part);
	}
}

static void test_heads_and_headers_have_a_bound(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(0);
	struct proxy_request q;
	struct error err;
	unsigned status;

	(void)state;
	buffer_append_str(&text, "GET http://a/ HTTP/1.1\r\nX: ");
	while (text.len < PROXY_REQUEST_MAX_HEAD - 1)
		buffer_append_char(&text, 'x');
	assert_int_equal(proxy_request_parse(buffer_slice(&text), &q, &status, &err), 1);
	buffer_append_char(&text, 'x');
	assert_int_equal(proxy_request_parse(buffer_slice(&text), &q, &status, &err), -EBADMSG);
	assert_int_equal(status, 431);
	buffer_reset(&text);
	buffer_append_str(&text, "GET http://a/ HTTP/1.1\r\n");
	for (int i = 0; i <= PROXY_REQUEST_MAX_HEADERS; i++)
		buffer_append_str(&text, "X: y\r\n");
	buffer_append_str(&text, "\r\n");
	assert_int_equal(proxy_request_parse(buffer_slice(&text), &q, &status, &err), -EBADMSG);
	assert_contains(err.text, "at most 128");
}

static void test_servers_get_the_path_and_nothing_that_is_meant_for_the_proxy(void **state)
{
	static const struct {
		const char *text, *written;
	} rows[] = {
		{ "GET http://a HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" },
		{ "GET http://a?q=1 HTTP/1.0\r\n\r\n", "GET /?q=1 HTTP/1.0\r\nHost: a\r\nConnection: close\r\n\r\n" },
		{ "POST http://A:81/x/y?z HTTP/1.1\r\nAccept: */*\r\nHost: a:81\r\nProxy-Connection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
		  "POST /x/y?z HTTP/1.1\r\nHost: a:81\r\nAccept: */*\r\nContent-Length: 3\r\nConnection: close\r\n\r\n" },
		{ "GET http://[::1]/ HTTP/1.1\r\nConnection: keep-alive, X-One ,content-length\r\nX-ONE: 1\r\nX-Two: 2\r\nContent-Length: 0\r\n"
		  "Proxy-Authorization: secret\r\nUpgrade: h2c\r\nTE: trailers\r\nKeep-Alive: 5\r\n\r\n",
		  "GET / HTTP/1.1\r\nHost: [::1]\r\nX-Two: 2\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
		struct proxy_request q;
		struct error err;
		unsigned status;

		assert_row(i, proxy_request_parse(slice_str(rows[i].text), &q, &status, &err) == 0);
		proxy_request_write(&q, &out);
		assert_slice_is(buffer_slice(&out), rows[i].written);
	}
}

static void test_a_refusal_says_why_in_its_first_line_and_in_its_text(void **state)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);

	(void)state;
	proxy_request_write_refusal(403, "a:1 is not allowed", &out);
	assert_slice_is(buffer_slice(&out),
			"HTTP/1.1 403 a:1 is not allowed\r\nContent-Type: text/plain; charset=utf-8\r\n"
			"Content-Length: 19\r\nConnection: close\r\n\r\na:1 is not allowed\n");
	buffer_reset(&out);
	proxy_request_write_refusal(403, "a\r\nb", &out);
	assert_slice_is(buffer_slice(&out), "HTTP/1.1 403 a??b\r\nContent-Type: text/plain; charset=utf-8\r\n"
					    "Content-Length: 5\r\nConnection: close\r\n\r\na??b\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_name_a_place),
		cmocka_unit_test(test_everything_else_is_refused_with_a_status_and_a_sentence),
		cmocka_unit_test(test_heads_and_headers_have_a_bound),
		cmocka_unit_test(test_servers_get_the_path_and_nothing_that_is_meant_for_the_proxy),
		cmocka_unit_test(test_a_refusal_says_why_in_its_first_line_and_in_its_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
