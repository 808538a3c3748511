/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy-request: strict where servers and proxies are known to read differently: ends of lines are CR LF, headers are
 * not folded, a name of a header is followed by its colon, and a body has one length.
 */
#include "kernel/sandbox/proxy-request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAX_METHOD 32
#define DEFAULT_HTTP_PORT 80
#define DEFAULT_CONNECT_PORT 443

/* Meant for the next hop alone, or replaced. What says where the body ends always goes on. */
static const char *const dropped_headers[] = {
	"Connection", "Host", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "TE", "Upgrade",
};
static const char *const kept_headers[] = { "Content-Length", "Transfer-Encoding" };

struct header {
	struct slice line; /* with its end */
	struct slice name;
	struct slice value;
};

static bool is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] <= ' ' || s.data[i] > '~' || strchr("\"(),/:;<=>?@[\\]{}", s.data[i]))
			return false;
	return s.len > 0;
}

static bool is_name(struct slice s, const char *name)
{
	return s.len == strlen(name) && strncasecmp(s.data, name, s.len) == 0;
}

static bool is_one_of(struct slice s, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_name(s, names[i]))
			return true;
	return false;
}

static struct slice trim(struct slice s)
{
	while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
		s = slice_from(s.data + 1, s.len - 1);
	while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Takes what stands before the separator, and the separator, from *rest; all when there is none. */
static struct slice cut(struct slice *rest, char separator)
{
	const char *end = rest->len > 0 ? memchr(rest->data, separator, rest->len) : NULL;
	struct slice part = slice_from(rest->data, end ? (size_t)(end - rest->data) : rest->len);

	*rest = end ? slice_from(end + 1, rest->len - part.len - 1) : SLICE_NULL;
	return part;
}

/* The next header of a checked or unchecked block; false at its end. An ill-formed one has no name. */
static bool next_header(struct slice *rest, struct header *ret)
{
	struct slice text;

	if (rest->len == 0)
		return false;
	text = cut(rest, '\n');
	*ret = (struct header){ .line = slice_from(text.data, text.len + 1) };
	if (text.len > 0)
		text.len--;
	ret->name = cut(&text, ':');
	ret->value = trim(text);
	return true;
}

static int bad(struct error *err, unsigned *ret_status, unsigned status, const char *sentence)
{
	*ret_status = status;
	return error_set(err, status == 403 ? -EPERM : -EBADMSG, "%s", sentence);
}

/*
 * Length of the head with its empty line; 0 when it is not all there. Only printable bytes and tabs in lines that end
 * in CR LF.
 */
static int find_end(struct slice bytes, size_t *ret_end)
{
	size_t most = MIN(bytes.len, PROXY_REQUEST_MAX_HEAD), line = 0;

	*ret_end = 0;
	for (size_t i = 0; i < most; i++) {
		unsigned char c = (unsigned char)bytes.data[i];
		bool is_cr = i > 0 && bytes.data[i - 1] == '\r';

		if ((c == '\n') != is_cr || (c < ' ' && c != '\t' && c != '\r' && c != '\n') || c == 0x7f)
			return -EBADMSG;
		if (c != '\n')
			continue;
		if (i - line == 1 && line > 0) {
			*ret_end = i + 1;
			return 0;
		}
		line = i + 1;
	}
	return bytes.len >= PROXY_REQUEST_MAX_HEAD ? -EMSGSIZE : 0;
}

/* "host:port" or "http://host:port/path" */
static int read_target(struct slice target, struct proxy_request *q, unsigned *ret_status, struct error *err)
{
	static const char http[] = "http://";
	size_t n = sizeof(http) - 1, end;

	for (size_t i = 0; i < target.len; i++)
		if (target.data[i] <= ' ' || target.data[i] > '~')
			return bad(err, ret_status, 400, "the target of the request has bytes that are not allowed");
	if (q->is_connect) {
		if (target_parse(target, TARGET_REQUEST, 0, &q->target) < 0)
			return bad(err, ret_status, 400, "the target of CONNECT must be host:port");
		return 0;
	}
	if (target.len < n || strncasecmp(target.data, http, n) != 0)
		return bad(err, ret_status, 400,
			   "this is a proxy: the target of a request must begin with http://, for https use CONNECT");
	for (end = n; end < target.len && !strchr("/?#", target.data[end]);)
		end++;
	if (target_parse(slice_from(target.data + n, end - n), TARGET_REQUEST, DEFAULT_HTTP_PORT, &q->target) < 0 ||
	    memchr(target.data, '#', target.len))
		return bad(err, ret_status, 400, "the target of the request must be http://host:port/path");
	q->path = slice_from(target.data + end, target.len - end);
	return 0;
}

static int read_request_line(struct slice line, struct proxy_request *q, unsigned *ret_status, struct error *err)
{
	struct slice target;

	q->method = cut(&line, ' ');
	target = cut(&line, ' ');
	q->version = line;
	if (!is_token(q->method) || q->method.len > MAX_METHOD || target.len == 0 ||
	    (!slice_equal_str(line, "HTTP/1.1") && !slice_equal_str(line, "HTTP/1.0")))
		return bad(err, ret_status, 400, "the first line must be METHOD TARGET HTTP/1.1");
	q->is_connect = slice_equal_str(q->method, "CONNECT");
	return read_target(target, q, ret_status, err);
}

static int read_length(struct slice value, uint64_t *ret)
{
	uint64_t n = 0;

	if (value.len == 0 || value.len > 18)
		return -EBADMSG;
	for (size_t i = 0; i < value.len; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			return -EBADMSG;
		n = n * 10 + (uint64_t)(value.data[i] - '0');
	}
	*ret = n;
	return 0;
}

static bool is_same_place(struct slice host, const struct proxy_request *q)
{
	uint16_t port = q->is_connect ? DEFAULT_CONNECT_PORT : DEFAULT_HTTP_PORT;
	struct target named;

	/* Clients leave out the default port, and some the port of CONNECT whatever it is. */
	if (target_parse(host, TARGET_REQUEST, q->is_connect ? q->target.port : port, &named) < 0)
		return false;
	return named.port == q->target.port && strcmp(named.host, q->target.host) == 0;
}

struct seen {
	unsigned n, n_hosts, n_lengths, n_encodings;
};

static int read_header(const struct header *h, struct proxy_request *q, struct seen *seen, unsigned *ret_status,
		       struct error *err)
{
	if (!is_token(h->name) || h->name.len == h->line.len - 2 || ++seen->n > PROXY_REQUEST_MAX_HEADERS)
		return bad(err, ret_status, 400, "a header must be Name: value in one line, and there are at most 128");
	if (is_name(h->name, "Host")) {
		if (seen->n_hosts++ > 0 || !is_same_place(h->value, q))
			return bad(err, ret_status, 403,
				   "the Host header is another place than the target of the request");
	} else if (is_name(h->name, "Content-Length")) {
		if (seen->n_lengths++ > 0 || read_length(h->value, &q->body_bytes) < 0)
			return bad(err, ret_status, 400, "Content-Length must be one number");
	} else if (is_name(h->name, "Transfer-Encoding")) {
		if (seen->n_encodings++ > 0 || !is_name(h->value, "chunked"))
			return bad(err, ret_status, 400, "Transfer-Encoding must be chunked");
		q->body_bytes = PROXY_REQUEST_TO_END;
	}
	if (seen->n_lengths > 0 && seen->n_encodings > 0)
		return bad(err, ret_status, 400, "a request has Content-Length or Transfer-Encoding, not both");
	return 0;
}

int proxy_request_parse(struct slice bytes, struct proxy_request *ret, unsigned *ret_status, struct error *err)
{
	struct proxy_request q = { .is_connect = false };
	struct seen seen = { 0 };
	struct slice rest, line;
	struct header h;
	int r = find_end(bytes, &q.head_bytes);

	if (r == -EMSGSIZE)
		return bad(err, ret_status, 431, "the head of a request may have 16 KiB");
	if (r < 0)
		return bad(err, ret_status, 400, "lines must end in CR LF and have no other control characters");
	if (q.head_bytes == 0)
		return 1;
	rest = slice_from(bytes.data, q.head_bytes - 2);
	line = cut(&rest, '\n');
	r = read_request_line(slice_from(line.data, line.len - 1), &q, ret_status, err);
	q.headers = rest;
	while (r == 0 && next_header(&rest, &h))
		r = read_header(&h, &q, &seen, ret_status, err);
	if (r < 0)
		return r;
	if (q.is_connect)
		q.body_bytes = PROXY_REQUEST_TO_END;
	*ret = q;
	return 0;
}

/* Whether one of the Connection headers says that the header is for this hop. */
static bool is_nominated(struct slice headers, struct slice name)
{
	struct header h;

	while (next_header(&headers, &h)) {
		struct slice rest = h.value;

		while (is_name(h.name, "Connection") && rest.len > 0) {
			struct slice word = trim(cut(&rest, ','));

			if (word.len == name.len && strncasecmp(word.data, name.data, name.len) == 0)
				return true;
		}
	}
	return false;
}

static void append_host(const struct target *t, struct buffer *out)
{
	char text[TARGET_MAX_TEXT];

	target_format(t->host, t->port, text);
	if (t->port == DEFAULT_HTTP_PORT)
		*strrchr(text, ':') = '\0';
	buffer_append_str(out, text);
}

void proxy_request_write(const struct proxy_request *q, struct buffer *out)
{
	struct slice rest = q->headers;
	struct header h;

	buffer_append_slice(out, q->method);
	buffer_append_char(out, ' ');
	if (q->path.len == 0 || q->path.data[0] != '/')
		buffer_append_char(out, '/');
	buffer_append_slice(out, q->path);
	buffer_append_char(out, ' ');
	buffer_append_slice(out, q->version);
	buffer_append_str(out, "\r\nHost: ");
	append_host(&q->target, out);
	buffer_append_str(out, "\r\n");
	while (next_header(&rest, &h)) {
		if (is_one_of(h.name, dropped_headers, ARRAY_SIZE(dropped_headers)))
			continue;
		if (is_one_of(h.name, kept_headers, ARRAY_SIZE(kept_headers)) || !is_nominated(q->headers, h.name))
			buffer_append_slice(out, h.line);
	}
	buffer_append_str(out, "Connection: close\r\n\r\n");
}

/* A name of a file may be in the sentence: nothing in it ends a line. */
static void append_sentence(const char *sentence, struct buffer *out)
{
	for (; *sentence; sentence++)
		buffer_append_char(out, (unsigned char)*sentence < ' ' || *sentence == 0x7f ? '?' : *sentence);
}

void proxy_request_write_refusal(unsigned status, const char *sentence, struct buffer *out)
{
	buffer_printf(out, "HTTP/1.1 %u ", status);
	append_sentence(sentence, out);
	buffer_printf(out,
		      "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
		      strlen(sentence) + 1);
	append_sentence(sentence, out);
	buffer_append_char(out, '\n');
}
