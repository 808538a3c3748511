/* SPDX-License-Identifier: Apache-2.0 */
/* test-sender: messages are signed and complete, and go where they should. Channels are a double. */
#include "tests/unit/test.h"

#include "kernel/front/sender.h"
#include "protocol/base/clock.h"
#include "protocol/wire/json.h"

/* ---- the double ---- */

struct channels {
	struct buffer frames[64];
	size_t n;
	bool owned[64];
	enum connection_port port;
	uint64_t to; /* from, only */
	bool vital;
	bool hold;
	bool hurry;
	size_t n_published;
	size_t n_dropped[2]; /* for the connections 1 and 2 */
};

static struct channels channels;

static int keep(struct channels *ch, const struct channels_frame *frames, size_t n)
{
	assert_true(n <= ARRAY_SIZE(ch->frames));
	for (size_t i = 0; i < ch->n; i++)
		buffer_deinit(&ch->frames[i]);
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

int channels_send(struct channels *ch, enum connection_port port, uint64_t from, const struct channels_frame *frames,
    size_t n)
{
	ch->port = port;
	ch->to = from;
	return keep(ch, frames, n);
}

int channels_publish(struct channels *ch, const struct channels_frame *frames, size_t n, bool vital, uint64_t only)
{
	ch->port = CONNECTION_IOPUB;
	ch->to = only;
	ch->vital = vital;
	ch->n_published++;
	return keep(ch, frames, n);
}

bool channels_hold(struct channels *ch, uint64_t now_usec, bool hurry)
{
	(void)now_usec;
	ch->hurry = hurry;
	return ch->hold;
}

uint64_t channels_hold_deadline(const struct channels *ch)
{
	return ch->hold ? 77 : USEC_NEVER;
}

bool channels_recovered(struct channels *ch, uint64_t *ret_from, size_t *ret_n_dropped)
{
	for (size_t i = 0; i < ARRAY_SIZE(ch->n_dropped); i++)
		if (ch->n_dropped[i]) {
			*ret_from = i + 1;
			*ret_n_dropped = STEAL(ch->n_dropped[i]);
			return true;
		}
	return false;
}

/* ---- ---- */

static struct sender *sender;
static struct sign_key *key;

static int set_up(void **state)
{
	const struct header_origin origin = { .session = "8b3ad8c4-0000-4000-8000-000000000000", .username = "u", .pid = 7 };
	struct error err;

	(void)state;
	channels.hold = channels.hurry = false;
	channels.n_published = 0;
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
	sender_reply(sender, CONNECTION_CONTROL, 42, identities, 3, &out);
	assert_int_equal(channels.port, CONNECTION_CONTROL);
	assert_int_equal(channels.to, 42);
	assert_int_equal(channels.n, 3 + MESSAGE_PARTS + 2);
	assert_slice_is(buffer_slice(&channels.frames[0]), "a");
	assert_slice_is(buffer_slice(&channels.frames[2]), "c");
	assert_slice_is(buffer_slice(&channels.frames[channels.n - 2]), "b1");
	assert_int_equal(received(3).frames.n_buffers, 2);
	buffer_deinit(&content);
}

static void test_large_contents_are_handed_over_and_small_ones_copied(void **state)
{
	static const char filler[20000];
	struct buffer content = BUFFER_INIT(0);
	struct outgoing out = { .msg_type = "x", .content = &content };

	(void)state;
	buffer_append_str(&content, "{}");
	sender_reply(sender, CONNECTION_SHELL, 0, NULL, 0, &out);
	assert_false(channels.owned[channels.n - 1]);
	buffer_append(&content, filler, sizeof(filler));
	sender_reply(sender, CONNECTION_SHELL, 0, NULL, 0, &out);
	assert_true(channels.owned[channels.n - 1]);
	assert_int_equal(content.len, 0);
	buffer_deinit(&content);
}

static void test_bulk_may_be_dropped_and_a_welcome_is_for_one(void **state)
{
	struct buffer content = BUFFER_INIT(0);
	struct outgoing out = { .msg_type = "stream", .content = &content, .bulk = true };

	(void)state;
	buffer_append_str(&content, "{}");
	sender_publish(sender, "stream.stdout", &out);
	assert_false(channels.vital);
	assert_int_equal(channels.to, 0);
	buffer_append_str(&content, "{}");
	out = (struct outgoing){ .msg_type = "iopub_welcome", .content = &content, .only = 9 };
	sender_publish(sender, "", &out);
	assert_true(channels.vital);
	assert_int_equal(channels.to, 9);
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

static void test_output_waits_for_the_channels_and_a_hurry_is_passed_on(void **state)
{
	(void)state;
	assert_false(sender_is_blocked(sender, 1));
	assert_int_equal(sender_deadline(sender), USEC_NEVER);
	channels.hold = true;
	assert_true(sender_is_blocked(sender, 1));
	assert_false(channels.hurry);
	assert_int_equal(sender_deadline(sender), 77);
	sender_hurry(sender, true);
	(void)sender_is_blocked(sender, 1);
	assert_true(channels.hurry);
}

static void test_each_subscriber_that_reads_again_is_told_what_it_missed(void **state)
{
	(void)state;
	sender_report_dropped(sender);
	assert_int_equal(channels.n_published, 0);
	channels.n_dropped[0] = 10;
	channels.n_dropped[1] = 123;
	sender_report_dropped(sender);
	assert_int_equal(channels.n_published, 2);
	assert_int_equal(channels.to, 2);
	assert_slice_is(buffer_slice(&channels.frames[0]), "stream.stderr");
	assert_slice_is(received(1).frames.json[FRAMES_CONTENT],
	    "{\"name\":\"stderr\",\"text\":\"\\n[husk: 123 bytes of output were dropped, this client did not read]\\n\"}");
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_published_message_is_signed_and_has_its_topic),
		T(test_the_longest_subscription_is_a_topic_in_full),
		T(test_identities_go_first_and_buffers_last),
		T(test_large_contents_are_handed_over_and_small_ones_copied),
		T(test_bulk_may_be_dropped_and_a_welcome_is_for_one),
		T(test_ids_never_repeat),
		T(test_output_waits_for_the_channels_and_a_hurry_is_passed_on),
		T(test_each_subscriber_that_reads_again_is_told_what_it_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
