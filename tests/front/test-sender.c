/* SPDX-License-Identifier: Apache-2.0 */
/* test-sender: messages are signed and complete; slow subscribers hold output up, then lose it. Channels are a double. */
#include "tests/unit/test.h"

#include "kernel/front/sender.h"
#include "protocol/base/clock.h"
#include "protocol/wire/json.h"

#define STEP (100 * USEC_PER_MSEC)

/* ---- the double ---- */

struct channels {
	struct buffer frames[64];
	size_t n;
	bool owned[64];
	enum connection_port port;
	size_t in_flight;
	size_t mark;
};

static struct channels channels;

int channels_send(struct channels *ch, enum connection_port port, const struct channels_frame *frames, size_t n)
{
	assert_true(n <= ARRAY_SIZE(ch->frames));
	for (size_t i = 0; i < ch->n; i++)
		buffer_deinit(&ch->frames[i]);
	ch->port = port;
	ch->n = n;
	for (size_t i = 0; i < n; i++) {
		ch->frames[i] = BUFFER_INIT(0);
		buffer_append_slice(&ch->frames[i], frames[i].bytes);
		ch->owned[i] = frames[i].owned;
		if (frames[i].owned)
			free((void *)(uintptr_t)frames[i].bytes.data);
	}
	return 0;
}

size_t channels_in_flight(const struct channels *ch)
{
	return ch->in_flight;
}

void channels_notify_below(struct channels *ch, size_t mark)
{
	ch->mark = mark;
}

/* ---- ---- */

static struct sender *sender;
static struct sign_key *key;

static int set_up(void **state)
{
	const struct header_origin origin = { .session = "8b3ad8c4-0000-4000-8000-000000000000", .username = "u", .pid = 7 };
	struct error err;

	(void)state;
	channels.in_flight = channels.mark = 0;
	if (sign_key_new(SLICE_LIT("hmac-sha256"), SLICE_LIT("key"), &key, &err) < 0)
		return -1;
	return sender_new(&channels, key, &origin, "kernel.u", &sender);
}

static int tear_down(void **state)
{
	(void)state;
	sender = sender_free(sender);
	key = sign_key_free(key);
	for (size_t i = 0; i < channels.n; i++)
		buffer_deinit(&channels.frames[i]);
	channels.n = 0;
	return 0;
}

/* What was sent last, judged as a client would. */
static struct message received(size_t n_head)
{
	static struct slice parts[64];
	struct message m;
	struct error err = { 0 };

	for (size_t i = n_head; i < channels.n; i++)
		parts[i - n_head] = buffer_slice(&channels.frames[i]);
	if (message_parse(parts, channels.n - n_head, key, NULL, &m, &err) != 0)
		fail_msg("%s", err.text);
	return m;
}

static void test_a_published_message_is_signed_and_has_its_topic(void **state)
{
	struct buffer content = BUFFER_INIT(0);
	struct outgoing out = { .msg_type = "error", .parent = SLICE_LIT("{\"msg_id\":\"p\"}"), .content = &content };
	struct message m;

	(void)state;
	buffer_append_str(&content, "{\"a\":1}");
	sender_publish(sender, NULL, &out);
	assert_int_equal(channels.port, CONNECTION_IOPUB);
	assert_slice_is(buffer_slice(&channels.frames[0]), "kernel.u.error");
	m = received(1);
	assert_slice_is(m.frames.json[FRAMES_PARENT], "{\"msg_id\":\"p\"}");
	assert_slice_is(m.frames.json[FRAMES_METADATA], "{}");
	assert_slice_is(m.frames.json[FRAMES_CONTENT], "{\"a\":1}");
	assert_slice_is(m.header.msg_type, "\"error\"");
	assert_int_equal(content.len, 0);
	buffer_deinit(&content);
}

static void test_the_longest_subscription_is_a_topic_in_full(void **state)
{
	struct buffer content = BUFFER_INIT(0);
	struct outgoing out = { .msg_type = "iopub_welcome", .content = &content };
	char topic[257];

	(void)state;
	memset(topic, 't', 256);
	topic[256] = '\0';
	buffer_append_str(&content, "{}");
	sender_publish(sender, topic, &out);
	assert_slice_is(buffer_slice(&channels.frames[0]), topic);
	buffer_deinit(&content);
}

static void test_identities_go_first_and_buffers_last(void **state)
{
	const struct slice identities[] = { SLICE_LIT("a"), SLICE_LIT(""), SLICE_LIT("c") };
	const struct slice buffers[] = { SLICE_LIT("b1"), SLICE_LIT("") };
	struct buffer content = BUFFER_INIT(0);
	struct outgoing out = { .msg_type = "x_reply", .content = &content, .buffers = buffers, .n_buffers = 2 };

	(void)state;
	buffer_append_str(&content, "{}");
	sender_reply(sender, CONNECTION_CONTROL, identities, 3, &out);
	assert_int_equal(channels.port, CONNECTION_CONTROL);
	assert_int_equal(channels.n, 3 + MESSAGE_PARTS + 2);
	assert_slice_is(buffer_slice(&channels.frames[0]), "a");
	assert_slice_is(buffer_slice(&channels.frames[2]), "c");
	assert_slice_is(buffer_slice(&channels.frames[channels.n - 2]), "b1");
	assert_int_equal(received(3).frames.n_buffers, 2);
	buffer_deinit(&content);
}

static void test_every_iopub_message_is_counted_and_small_replies_are_copied(void **state)
{
	struct buffer content = BUFFER_INIT(0);
	struct outgoing out = { .msg_type = "x", .content = &content };

	(void)state;
	sender_status(sender, SLICE_NULL, "busy");
	assert_true(channels.owned[channels.n - 1]);
	buffer_append_str(&content, "{}");
	sender_reply(sender, CONNECTION_SHELL, NULL, 0, &out);
	assert_false(channels.owned[channels.n - 1]);
	buffer_deinit(&content);
}

static void test_ids_never_repeat(void **state)
{
	char last[200] = "", id[200];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct slice token;

		sender_status(sender, SLICE_NULL, "idle");
		token = received(1).header.msg_id;
		(void)snprintf(id, sizeof(id), "%.*s", (int)token.len, token.data);
		assert_string_not_equal(id, last);
		(void)snprintf(last, sizeof(last), "%s", id);
	}
}

static void test_below_the_budget_nothing_waits(void **state)
{
	(void)state;
	channels.in_flight = SENDER_BUDGET_BYTES - 1;
	assert_false(sender_is_blocked(sender, 1));
	assert_false(sender_is_stalled(sender));
	assert_int_equal(sender_deadline(sender), USEC_NEVER);
}

static void test_above_the_budget_output_waits_and_goes_on_at_half(void **state)
{
	(void)state;
	channels.in_flight = SENDER_BUDGET_BYTES;
	assert_true(sender_is_blocked(sender, STEP));
	assert_int_equal(channels.mark, SENDER_BUDGET_BYTES / 2);
	assert_int_equal(sender_deadline(sender), STEP + SENDER_STALL_USEC);
	channels.in_flight = SENDER_BUDGET_BYTES / 2;
	assert_true(sender_is_blocked(sender, 2 * STEP));
	channels.in_flight = SENDER_BUDGET_BYTES / 2 - 1;
	assert_false(sender_is_blocked(sender, 3 * STEP));
	assert_int_equal(sender_deadline(sender), USEC_NEVER);
}

static void test_a_slow_reader_may_take_as_long_as_it_reads(void **state)
{
	uint64_t now = STEP;

	(void)state;
	channels.in_flight = SENDER_BUDGET_BYTES;
	for (int i = 0; i < 20; i++, now += SENDER_STALL_USEC - 1) {
		assert_true(sender_is_blocked(sender, now));
		channels.in_flight -= 1000;
	}
	assert_false(sender_is_stalled(sender));
}

static void test_who_does_not_read_at_all_loses_output_until_half_is_free(void **state)
{
	(void)state;
	channels.in_flight = SENDER_BUDGET_BYTES;
	assert_true(sender_is_blocked(sender, STEP));
	assert_false(sender_is_blocked(sender, STEP + SENDER_STALL_USEC));
	assert_true(sender_is_stalled(sender));
	assert_int_equal(sender_deadline(sender), USEC_NEVER);
	assert_int_equal(channels.mark, SENDER_BUDGET_BYTES / 2); /* the end of the stall wakes the loop */
	sender_count_dropped(sender, 100);
	channels.in_flight -= 1000; /* reading a little changes nothing yet */
	assert_false(sender_is_blocked(sender, 2 * STEP + SENDER_STALL_USEC));
	assert_true(sender_is_stalled(sender));
	assert_int_equal(sender_recovered(sender), 0);
	channels.in_flight = 1000;
	assert_false(sender_is_blocked(sender, 3 * STEP + SENDER_STALL_USEC));
	assert_false(sender_is_stalled(sender));
	assert_int_equal(sender_recovered(sender), 100);
	assert_int_equal(sender_recovered(sender), 0);
}

static void test_in_a_hurry_nothing_waits(void **state)
{
	(void)state;
	channels.in_flight = SENDER_BUDGET_BYTES;
	assert_true(sender_is_blocked(sender, STEP));
	sender_hurry(sender, true);
	assert_false(sender_is_blocked(sender, STEP + 1));
	assert_true(sender_is_stalled(sender));
	sender_hurry(sender, false);
	channels.in_flight = 0;
	assert_false(sender_is_blocked(sender, STEP + 2));
	channels.in_flight = SENDER_BUDGET_BYTES;
	assert_true(sender_is_blocked(sender, STEP + 3));
}

static void test_twice_the_budget_is_full(void **state)
{
	(void)state;
	channels.in_flight = 2 * SENDER_BUDGET_BYTES - 1;
	assert_false(sender_is_full(sender));
	channels.in_flight++;
	assert_true(sender_is_full(sender));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_published_message_is_signed_and_has_its_topic),
		T(test_the_longest_subscription_is_a_topic_in_full),
		T(test_identities_go_first_and_buffers_last),
		T(test_every_iopub_message_is_counted_and_small_replies_are_copied),
		T(test_ids_never_repeat),
		T(test_below_the_budget_nothing_waits),
		T(test_above_the_budget_output_waits_and_goes_on_at_half),
		T(test_a_slow_reader_may_take_as_long_as_it_reads),
		T(test_who_does_not_read_at_all_loses_output_until_half_is_free),
		T(test_in_a_hurry_nothing_waits),
		T(test_twice_the_budget_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
