/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure: what is measured, as a table, and how.
 *
 * Times are from just before a request is written until its reply and its idle were received and verified.
 * Warm measurements share a kernel; each begins with a few uncounted rounds, and with a rest in which a kernel may do
 * what it put off.
 */
#include "tests/bench/measure.h"

#include <poll.h>
#include <signal.h>
#include <string.h>

#define WARM_UP_ROUNDS 30
#define REST_MS 1000
#define IDLE_SECONDS 10

#define FULL_SET (SEEN_BUSY | SEEN_INPUT | SEEN_IDLE)

static void rest(int ms)
{
	(void)poll(NULL, 0, ms);
}

static void series_add(struct series *series, double value)
{
	if (series->n < SERIES_MAX)
		series->values[series->n++] = value;
}

static void series_print(const struct series *series)
{
	printf("{\"name\": \"%s\", \"unit\": \"%s\", \"samples\": [", series->name, series->unit);
	for (unsigned int i = 0; i < series->n; i++)
		printf("%s%.3f", i ? ", " : "", series->values[i]);
	printf("]}\n");
	(void)fflush(stdout);
}

static int fail(struct session *s, int ret, const char *trouble)
{
	s->trouble = trouble;
	return ret;
}

/* Cold start: to kernel_info_reply, and to the reply of the first cell, sent as soon as that has come. */
static int run_spawn(struct session *s, const struct measurement *m, unsigned int count)
{
	struct series info = { .name = "spawn_info", .unit = "ms" }, cell = { .name = m->name, .unit = "ms" };
	struct series cpu = { .unit = "ms" };
	char content[512], id[WIRE_ID_SIZE], name[64];

	(void)snprintf(name, sizeof(name), "%s_cpu", m->name);
	cpu.name = name;

	(void)snprintf(content, sizeof(content), "{\"code\":\"%s\",\"silent\":false,\"store_history\":true,"
		       "\"user_expressions\":{},\"allow_stdin\":false,\"stop_on_error\":true}", m->code);
	for (unsigned int i = 0; i < count; i++) {
		struct process_cost cost;
		struct exchange e;
		uint64_t usec;
		int ret;

		ret = session_start(s, 1, &usec);
		if (ret < 0)
			return ret;
		ret = session_send(s, WIRE_SHELL, "execute_request", content, &e, id);
		if (ret < 0)
			return ret;
		ret = session_collect(s, id, SEEN_REPLY, &e);
		if (ret < 0)
			return ret;
		if (!(e.seen & SEEN_REPLY_OK))
			return fail(s, -EPROTO, "the first cell failed");
		if (process_cost(&cost) == 0)
			series_add(&cpu, (double)cost.cpu_nsec / 1000000);
		series_add(&info, (double)usec / 1000);
		series_add(&cell, (double)(e.sent_usec + e.reply_usec - s->process.start_usec) / 1000);
		session_stop(s);
	}
	if (m->expect)
		series_print(&info);
	series_print(&cell);
	series_print(&cpu);
	return 0;
}

static int setup(struct session *s, const struct measurement *m)
{
	struct exchange e;
	int ret;

	if (!m->setup)
		return 0;
	ret = session_execute(s, m->setup, &e);
	if (ret < 0)
		return ret;
	rest(REST_MS);
	return e.seen & SEEN_REPLY_OK ? 0 : fail(s, -EPROTO, "the preparing cell failed");
}

static int request_once(struct session *s, const struct measurement *m, struct exchange *ret_exchange)
{
	int ret;

	if (m->msg_type)
		ret = session_exchange(s, WIRE_SHELL, m->msg_type, m->code, ret_exchange);
	else
		ret = session_execute(s, m->code, ret_exchange);
	if (ret < 0)
		return ret;
	if ((ret_exchange->seen & m->expect) != m->expect)
		return fail(s, -EPROTO, "a message that belongs to the answer is missing");
	return 0;
}

static int run_request(struct session *s, const struct measurement *m, unsigned int count)
{
	struct series series = { .name = m->name, .unit = m->unit }, cpu = { .unit = m->unit };
	struct process_cost before = { 0 }, after = { 0 };
	struct exchange e;
	char name[64];
	int ret;

	(void)snprintf(name, sizeof(name), "%s_cpu", m->name);
	cpu.name = name;
	ret = setup(s, m);
	for (unsigned int i = 0; ret == 0 && i < WARM_UP_ROUNDS; i++) {
		ret = request_once(s, m, &e);
		if (i == 0)
			rest(REST_MS);
	}
	if (ret == 0 && process_cost(&before) < 0)
		return fail(s, -ESRCH, "nothing to look at in /proc");
	for (unsigned int i = 0; ret == 0 && i < count; i++) {
		ret = request_once(s, m, &e);
		series_add(&series, (double)e.done_usec);
	}
	if (ret < 0)
		return ret;
	if (process_cost(&after) == 0)
		series_add(&cpu, (double)(after.cpu_nsec - before.cpu_nsec) / 1000 / count);
	series_print(&series);
	series_print(&cpu);
	return 0;
}

static int run_bulk(struct session *s, const struct measurement *m, unsigned int count)
{
	struct series series = { .name = m->name, .unit = m->unit }, messages = { .name = "", .unit = "messages" };
	bool is_rate = strcmp(m->unit, "MB/s") == 0;
	char name[64];

	(void)snprintf(name, sizeof(name), "%s_messages", m->name);
	messages.name = name;
	for (unsigned int i = 0; i < count; i++) {
		struct exchange e;
		int ret;

		ret = request_once(s, m, &e);
		if (ret < 0)
			return ret;
		if (e.text_lines < m->expect_lines || e.text_bytes < m->expect_bytes)
			return fail(s, -EPROTO, "output was lost");
		if (is_rate)
			series_add(&series, (double)m->expect_bytes / (double)e.done_usec);
		else
			series_add(&series, (double)e.done_usec / 1000);
		series_add(&messages, (double)e.n_streams);
		rest(300);
	}
	series_print(&series);
	series_print(&messages);
	return 0;
}

static int run_interrupt(struct session *s, const struct measurement *m, unsigned int count)
{
	static const char content[] = "{\"code\":\"while True: pass\",\"silent\":false,\"store_history\":true,"
				      "\"user_expressions\":{},\"allow_stdin\":false,\"stop_on_error\":true}";
	struct series series = { .name = m->name, .unit = "ms" };
	char id[WIRE_ID_SIZE], ignored_id[WIRE_ID_SIZE];

	s->timeout_usec = 5000000; /* kernels that ignore it */
	for (unsigned int i = 0; i < count; i++) {
		struct exchange e;
		uint64_t start_usec;
		int ret;

		ret = session_send(s, WIRE_SHELL, "execute_request", content, &e, id);
		if (ret < 0)
			return ret;
		ret = session_collect(s, id, SEEN_INPUT, &e);
		if (ret < 0)
			return ret;
		rest(50); /* execute_input precedes the loop by a little */
		start_usec = monotonic_usec();
		if (m->msg_type)
			ret = wire_send(s->wires[0], WIRE_CONTROL, m->msg_type, "{}", ignored_id);
		else
			ret = kill(-s->process.pid, SIGINT) < 0 ? -errno : 0;
		if (ret < 0)
			return fail(s, ret, "the interrupt could not be sent");
		ret = session_collect(s, id, SEEN_REPLY | SEEN_IDLE, &e);
		if (ret < 0)
			return ret;
		if (!(e.seen & SEEN_REPLY_ERROR))
			return fail(s, -EPROTO, "the interrupted cell did not fail");
		series_add(&series, (double)(e.sent_usec + e.reply_usec - start_usec) / 1000);
	}
	series_print(&series);
	return 0;
}

static int run_shutdown(struct session *s, const struct measurement *m, unsigned int count)
{
	struct series series = { .name = m->name, .unit = "ms" };
	char id[WIRE_ID_SIZE];

	for (unsigned int i = 0; i < count; i++) {
		struct exchange e;
		uint64_t start_usec;
		int ret;

		ret = session_start(s, 1, NULL);
		if (ret < 0)
			return ret;
		ret = session_execute(s, m->code, &e);
		if (ret < 0)
			return ret;
		rest(REST_MS);
		start_usec = monotonic_usec();
		ret = wire_send(s->wires[0], WIRE_CONTROL, "shutdown_request", "{\"restart\":false}", id);
		if (ret < 0)
			return fail(s, ret, "sending failed");
		ret = process_wait_gone(&s->process, 20000000);
		if (ret < 0)
			return fail(s, ret, "the kernel did not end");
		series_add(&series, (double)(monotonic_usec() - start_usec) / 1000);
		session_stop(s);
	}
	series_print(&series);
	return 0;
}

/* A kernel that has used IPython once and is left alone: memory, then wake-ups. */
static int run_idle(struct session *s, const struct measurement *m, unsigned int count)
{
	struct series pss = { .name = "idle_pss", .unit = "MB" }, rss = { .name = "idle_rss", .unit = "MB" };
	struct series wakes = { .name = "idle_wakeups", .unit = "per s" }, threads = { .name = "idle_threads", .unit = "" };

	for (unsigned int i = 0; i < count; i++) {
		struct process_cost before, after;
		struct exchange e;
		int ret;

		ret = session_start(s, 1, NULL);
		if (ret < 0)
			return ret;
		ret = session_execute(s, m->code, &e);
		if (ret < 0)
			return ret;
		rest(3000);
		if (process_cost(&before) < 0)
			return fail(s, -ESRCH, "nothing to look at in /proc");
		rest(IDLE_SECONDS * 1000);
		if (process_cost(&after) < 0)
			return fail(s, -ESRCH, "the kernel ended");
		series_add(&pss, (double)before.pss_kib / 1024);
		series_add(&rss, (double)before.rss_kib / 1024);
		series_add(&threads, before.n_threads);
		series_add(&wakes, (double)(after.switches - before.switches) / IDLE_SECONDS);
		session_stop(s);
	}
	series_print(&pss);
	series_print(&rss);
	series_print(&threads);
	series_print(&wakes);
	return 0;
}

#define FRAME "import pandas as pd\\ndf = pd.DataFrame({'a': [1, 2, 3], 'b': [0.5, 1.5, 2.5], 'c': list('xyz')})"
#define MEGABYTES_100 100000000

/* clang-format off */
static const struct measurement measurements[] = {
	{ .name = "spawn_plain", .help = "cold start to kernel_info_reply and to the reply of 1+1", .default_count = 10,
	  .is_cold = true, .run = run_spawn, .code = "1+1", .expect = 1 },
	{ .name = "spawn_ipython", .help = "cold start to the reply of a cell that needs IPython", .default_count = 10,
	  .is_cold = true, .run = run_spawn, .code = "%time 1" },
	{ .name = "plain", .help = "1+1 to reply and idle", .default_count = 300, .run = run_request, .unit = "us",
	  .code = "1+1", .expect = FULL_SET | SEEN_RESULT | SEEN_REPLY_OK },
	{ .name = "magic", .help = "%time 1 to reply and idle", .default_count = 200, .run = run_request, .unit = "us",
	  .code = "%time 1", .expect = FULL_SET | SEEN_STREAM | SEEN_RESULT | SEEN_REPLY_OK },
	{ .name = "dataframe", .help = "a small DataFrame", .default_count = 100, .run = run_request, .unit = "us",
	  .setup = FRAME, .code = "df", .expect = FULL_SET | SEEN_RESULT | SEEN_REPLY_OK },
	{ .name = "error", .help = "1/0 with its traceback", .default_count = 100, .run = run_request, .unit = "us",
	  .code = "1/0", .expect = FULL_SET | SEEN_ERROR | SEEN_REPLY_ERROR },
	{ .name = "complete", .help = "completion of df.co", .default_count = 50, .run = run_request, .unit = "us",
	  .setup = FRAME, .msg_type = "complete_request", .code = "{\"code\":\"df.co\",\"cursor_pos\":5}",
	  .expect = SEEN_BUSY | SEEN_IDLE | SEEN_REPLY_OK },
	{ .name = "inspect", .help = "inspection of print", .default_count = 100, .run = run_request, .unit = "us",
	  .msg_type = "inspect_request", .code = "{\"code\":\"print\",\"cursor_pos\":5,\"detail_level\":0}",
	  .expect = SEEN_BUSY | SEEN_IDLE | SEEN_REPLY_OK },
	{ .name = "kernel_info", .help = "kernel_info on shell", .default_count = 300, .run = run_request, .unit = "us",
	  .msg_type = "kernel_info_request", .code = "{}", .expect = SEEN_BUSY | SEEN_IDLE | SEEN_REPLY_OK },
	{ .name = "print", .help = "1,000,000 times print(i)", .default_count = 3, .run = run_bulk, .unit = "ms",
	  .code = "for i in range(1000000): print(i)", .expect = FULL_SET | SEEN_REPLY_OK,
	  .expect_lines = 1000000, .expect_bytes = 6888890 },
	{ .name = "lines", .help = "100 MB in lines of 100 bytes", .default_count = 3, .run = run_bulk, .unit = "MB/s",
	  .code = "line = 'x' * 99\\nfor i in range(1000000): print(line)", .expect = FULL_SET | SEEN_REPLY_OK,
	  .expect_lines = 1000000, .expect_bytes = MEGABYTES_100 },
	{ .name = "chunks", .help = "100 MB in writes of 1 MB", .default_count = 3, .run = run_bulk, .unit = "MB/s",
	  .code = "import sys\\nchunk = 'x' * 1000000\\nfor i in range(100): sys.stdout.write(chunk)",
	  .expect = FULL_SET | SEEN_REPLY_OK, .expect_bytes = MEGABYTES_100 },
	{ .name = "interrupt_signal", .help = "SIGINT to the group to the reply", .default_count = 10,
	  .run = run_interrupt },
	{ .name = "interrupt_message", .help = "interrupt_request to the reply", .default_count = 10,
	  .run = run_interrupt, .msg_type = "interrupt_request" },
	{ .name = "fanout", .help = "2 MB of prints at 8 clients", .default_count = 5, .n_clients = 8, .run = run_bulk,
	  .unit = "ms", .code = "for i in range(20000): print('x' * 99)", .expect = FULL_SET | SEEN_REPLY_OK,
	  .expect_lines = 20000, .expect_bytes = 2000000 },
	{ .name = "shutdown", .help = "shutdown_request to all processes gone", .default_count = 5, .is_cold = true,
	  .run = run_shutdown, .code = "1+1" },
	{ .name = "idle", .help = "PSS, RSS, threads, wake-ups of an idle kernel that has used IPython",
	  .default_count = 1, .is_cold = true, .run = run_idle, .code = "%time 1" },
};
/* clang-format on */

const struct measurement *measurement_find(const char *name, size_t name_size)
{
	for (size_t i = 0; i < ARRAY_SIZE(measurements); i++)
		if (strlen(measurements[i].name) == name_size && memcmp(measurements[i].name, name, name_size) == 0)
			return &measurements[i];
	return NULL;
}

void measurements_list(FILE *file)
{
	for (size_t i = 0; i < ARRAY_SIZE(measurements); i++)
		(void)fprintf(file, "  %-18s %s (%u)\n", measurements[i].name, measurements[i].help,
			      measurements[i].default_count);
}
