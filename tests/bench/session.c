/* SPDX-License-Identifier: Apache-2.0 */
/* session: a running kernel with its clients. */
#include "tests/bench/session.h"

#include <stdio.h>
#include <string.h>

#define START_TIMEOUT_USEC 60000000ULL

/* What one client has seen of a request. */
struct view {
	unsigned int seen;
	uint64_t n_streams, text_bytes, text_lines;
};

static int fail(struct session *s, int ret, const char *trouble)
{
	s->trouble = trouble;
	return ret;
}

/* Text arrives as JSON; the only escape in what the measurements print is the line end. */
static void stream_count(struct view *v, struct bytes content)
{
	struct bytes text;
	const char *p, *end;

	v->n_streams++;
	v->seen |= SEEN_STREAM;
	if (!json_string(content, "text", &text))
		return;
	v->text_bytes += text.size;
	end = text.data + text.size;
	for (p = text.data; (p = memchr(p, '\\', (size_t)(end - p))); p += 2) {
		v->text_lines++;
		v->text_bytes--;
	}
}

static void iopub_note(struct view *v, const struct wire_message *m, struct bytes type)
{
	struct bytes state;

	if (bytes_equal(type, "status")) {
		if (!json_string(m->content, "execution_state", &state))
			return;
		if (bytes_equal(state, "busy"))
			v->seen |= SEEN_BUSY;
		else if (bytes_equal(state, "idle"))
			v->seen |= SEEN_IDLE;
	} else if (bytes_equal(type, "stream")) {
		stream_count(v, m->content);
	} else if (bytes_equal(type, "execute_input")) {
		v->seen |= SEEN_INPUT;
	} else if (bytes_equal(type, "execute_result")) {
		v->seen |= SEEN_RESULT;
	} else if (bytes_equal(type, "display_data")) {
		v->seen |= SEEN_DISPLAY;
	} else if (bytes_equal(type, "error")) {
		v->seen |= SEEN_ERROR;
	}
}

static void reply_note(struct view *v, const struct wire_message *m)
{
	struct bytes status;

	if (!json_string(m->content, "status", &status))
		v->seen |= SEEN_REPLY_OTHER;
	else if (bytes_equal(status, "ok"))
		v->seen |= SEEN_REPLY_OK;
	else if (bytes_equal(status, "error"))
		v->seen |= SEEN_REPLY_ERROR;
	else
		v->seen |= SEEN_REPLY_OTHER;
}

/* Takes all that one client has of a request. 1 when anything at all came, 0, -errno. */
static int view_update(struct wire *w, const char *id, struct view *v)
{
	static const enum wire_channel channels[] = { WIRE_SHELL, WIRE_CONTROL, WIRE_IOPUB };
	int ret, any = 0;

	for (size_t i = 0; i < ARRAY_SIZE(channels); i++) {
		for (;;) {
			struct wire_message m;
			struct bytes parent_id, type;

			ret = wire_receive(w, channels[i], &m);
			if (ret < 0)
				return ret;
			if (ret == 0)
				break;
			any = 1;
			if (json_string(m.parent, "msg_id", &parent_id) && bytes_equal(parent_id, id) &&
			    json_string(m.header, "msg_type", &type)) {
				if (channels[i] == WIRE_IOPUB)
					iopub_note(v, &m, type);
				else
					reply_note(v, &m);
			}
			wire_message_close(&m);
		}
	}
	return any;
}

static void exchange_merge(struct exchange *e, const struct view *views, unsigned int n)
{
	e->n_streams = views[0].n_streams;
	e->text_bytes = views[0].text_bytes;
	e->text_lines = views[0].text_lines;
	for (unsigned int i = 1; i < n; i++) {
		e->n_streams = MIN(e->n_streams, views[i].n_streams);
		e->text_bytes = MIN(e->text_bytes, views[i].text_bytes);
		e->text_lines = MIN(e->text_lines, views[i].text_lines);
	}
	for (unsigned int i = 0; i < n; i++)
		e->seen |= views[i].seen;
}

/* Whether all that is waited for has come: replies at the first client, the rest at every one. */
static bool is_complete(const struct view *views, unsigned int n, unsigned int until)
{
	if ((until & SEEN_REPLY) && !(views[0].seen & SEEN_REPLY))
		return false;
	for (unsigned int i = 0; i < n; i++)
		if ((views[i].seen & until & ~SEEN_REPLY) != (until & ~SEEN_REPLY))
			return false;
	return true;
}

int session_collect(struct session *s, const char *id, unsigned int until, struct exchange *exchange)
{
	struct view views[SESSION_MAX_CLIENTS] = { 0 };
	uint64_t deadline = monotonic_usec() + s->timeout_usec;
	int ret;

	for (unsigned int i = 0; i < s->n_wires; i++)
		views[i].seen = exchange->seen;
	for (;;) {
		int any = 0;

		for (unsigned int i = 0; i < s->n_wires; i++) {
			ret = view_update(s->wires[i], id, &views[i]);
			if (ret < 0)
				return fail(s, ret, ret == -EBADMSG ? "wrong signature" : "receiving failed");
			any |= ret;
			if (i == 0 && !exchange->reply_usec && (views[0].seen & SEEN_REPLY))
				exchange->reply_usec = monotonic_usec() - exchange->sent_usec;
		}
		if (is_complete(views, s->n_wires, until))
			break;
		if (any)
			continue;
		ret = wire_wait(s->wires, s->n_wires, 100);
		if (ret < 0)
			return fail(s, ret, "waiting failed");
		if (ret == 0 && !process_is_running(&s->process))
			return fail(s, -ESRCH, "the kernel ended");
		if (ret == 0 && monotonic_usec() > deadline)
			return fail(s, -ETIMEDOUT, "no answer");
	}
	exchange->done_usec = monotonic_usec() - exchange->sent_usec;
	exchange_merge(exchange, views, s->n_wires);
	return 0;
}

int session_send(struct session *s, enum wire_channel channel, const char *msg_type, const char *content,
		 struct exchange *ret_exchange, char ret_id[WIRE_ID_SIZE])
{
	int ret;

	*ret_exchange = (struct exchange){ .sent_usec = monotonic_usec() };
	ret = wire_send(s->wires[0], channel, msg_type, content, ret_id);
	return ret < 0 ? fail(s, ret, "sending failed") : 0;
}

int session_exchange(struct session *s, enum wire_channel channel, const char *msg_type, const char *content,
		     struct exchange *ret_exchange)
{
	char id[WIRE_ID_SIZE];
	int ret;

	ret = session_send(s, channel, msg_type, content, ret_exchange, id);
	return ret < 0 ? ret : session_collect(s, id, SEEN_REPLY | SEEN_IDLE, ret_exchange);
}

int session_execute(struct session *s, const char *code, struct exchange *ret_exchange)
{
	char content[4096];

	(void)snprintf(content, sizeof(content),
		       "{\"code\":\"%s\",\"silent\":false,\"store_history\":true,\"user_expressions\":{},"
		       "\"allow_stdin\":false,\"stop_on_error\":true}",
		       code);
	return session_exchange(s, WIRE_SHELL, "execute_request", content, ret_exchange);
}

/* Every client has its subscription when it has seen the idle of a request that was sent after it connected. */
static int clients_settle(struct session *s)
{
	uint64_t deadline = monotonic_usec() + START_TIMEOUT_USEC, patience = s->timeout_usec;
	struct exchange e;
	char id[WIRE_ID_SIZE];
	int ret;

	do {
		ret = session_send(s, WIRE_SHELL, "kernel_info_request", "{}", &e, id);
		if (ret < 0)
			return ret;
		s->timeout_usec = 200000;
		ret = session_collect(s, id, SEEN_REPLY | SEEN_IDLE, &e);
		s->timeout_usec = patience;
	} while (ret == -ETIMEDOUT && monotonic_usec() < deadline);
	return ret;
}

int session_start(struct session *s, unsigned int n_clients, uint64_t *ret_usec)
{
	uint64_t patience = s->timeout_usec, info_usec;
	struct exchange e;
	char id[WIRE_ID_SIZE];
	int ret;

	session_stop(s);
	for (; s->n_wires < n_clients; s->n_wires++) {
		s->wires[s->n_wires] = wire_new();
		if (!s->wires[s->n_wires])
			return fail(s, -errno, "no sockets");
	}
	ret = process_start(&s->options, &s->process);
	if (ret < 0)
		return fail(s, ret, "the kernel could not be started");
	ret = process_wait_listening(&s->process, START_TIMEOUT_USEC);
	if (ret < 0)
		return fail(s, ret, "the kernel never listened");
	for (unsigned int i = 0; i < n_clients; i++) {
		ret = wire_connect(s->wires[i], &s->process.connection);
		if (ret < 0)
			return fail(s, ret, "connecting failed");
	}
	ret = session_send(s, WIRE_SHELL, "kernel_info_request", "{}", &e, id);
	if (ret < 0)
		return ret;
	s->timeout_usec = START_TIMEOUT_USEC;
	ret = session_collect(s, id, SEEN_REPLY, &e);
	info_usec = monotonic_usec();
	s->timeout_usec = patience;
	if (ret < 0)
		return ret;
	if (ret_usec)
		*ret_usec = info_usec - s->process.start_usec;
	return ret_usec ? 0 : clients_settle(s);
}

void session_stop(struct session *s)
{
	for (unsigned int i = 0; i < s->n_wires; i++)
		s->wires[i] = wire_free(s->wires[i]);
	s->n_wires = 0;
	if (s->process.pid > 0)
		process_kill(&s->process);
	s->process = (struct process){ .pid = -1, .pidfd = -1 };
}
