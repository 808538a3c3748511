/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message: judge a received multipart message, or build the frames of one to send.
 *
 * The order in message_parse() is the point: nothing that looks inside the frames runs before their signature is known
 * to be good (specs/wire.md 3.1).
 */
#include "protocol/wire/message.h"

#include "protocol/wire/json.h"

static const char *const json_names[FRAMES_JSON_COUNT] = {
	[FRAMES_HEADER] = "header",
	[FRAMES_PARENT] = "parent_header",
	[FRAMES_METADATA] = "metadata",
	[FRAMES_CONTENT] = "content",
};

static int check_signature(const struct frames *f, const struct sign_key *key, struct sign_replay *replay,
    struct error *err)
{
	if (!sign_verify(key, f->signature, f->json, FRAMES_JSON_COUNT)) {
		(void)error_set(err, -EBADMSG, f->signature.len ? "the signature is wrong" : "the signature is missing");
		return MESSAGE_E_SIGNATURE;
	}
	if (replay && sign_is_enabled(key) && sign_replay_seen(replay, f->signature)) {
		(void)error_set(err, -EBADMSG, "this message was received before");
		return MESSAGE_E_REPLAY;
	}
	return 0;
}

static int check_json(const struct frames *f, struct header *ret, struct error *err)
{
	/* The header is validated by header_parse(). */
	for (size_t i = FRAMES_PARENT; i < FRAMES_JSON_COUNT; i++) {
		/* A content of another kind is the client's mistake and gets an error reply (wire.md 4.1). */
		bool any = i == FRAMES_CONTENT;

		if (any ? !json_is_valid(f->json[i]) : !json_is_valid_object(f->json[i])) {
			(void)error_set(err, -EBADMSG, "%s is not %s", json_names[i], any ? "JSON" : "a JSON object");
			return MESSAGE_E_JSON;
		}
	}
	if (header_parse(f->json[FRAMES_HEADER], ret, err) < 0)
		return json_is_valid_object(f->json[FRAMES_HEADER]) ? MESSAGE_E_HEADER : MESSAGE_E_JSON;
	return 0;
}

int message_parse(const struct slice *parts, size_t n_parts, const struct sign_key *key, struct sign_replay *replay,
    struct message *ret, struct error *err)
{
	struct message m;
	int r;

	r = frames_split(parts, n_parts, &m.frames);
	if (r) {
		(void)error_set(err, -EBADMSG, "%s", frames_strerror(r));
		return MESSAGE_E_FRAMES;
	}
	r = check_signature(&m.frames, key, replay, err);
	if (r)
		return r;
	r = check_json(&m.frames, &m.header, err);
	if (r)
		return r;
	*ret = m;
	return 0;
}

/* Where s lies in scratch, or SIZE_MAX: scratch may move when it grows. */
static size_t offset_in(const struct buffer *scratch, struct slice s)
{
	uintptr_t start = (uintptr_t)scratch->data, at = (uintptr_t)s.data;

	return s.len > 0 && at >= start && at - start < scratch->len ? (size_t)(at - start) : SIZE_MAX;
}

int message_build(struct buffer *scratch, const struct sign_key *key, struct slice header, struct slice parent,
    struct slice metadata, struct slice content, struct slice ret_parts[MESSAGE_PARTS])
{
	struct slice json[FRAMES_JSON_COUNT] = { header, parent, metadata, content };
	size_t offsets[FRAMES_JSON_COUNT], signature_at, n;

	for (size_t i = 0; i < FRAMES_JSON_COUNT; i++) {
		if (json[i].len == 0)
			json[i] = SLICE_LIT("{}");
		offsets[i] = offset_in(scratch, json[i]);
	}
	if (buffer_reserve(scratch, SIGN_HEX_MAX) < 0)
		return scratch->failed;
	for (size_t i = 0; i < FRAMES_JSON_COUNT; i++)
		if (offsets[i] != SIZE_MAX)
			json[i].data = scratch->data + offsets[i];
	signature_at = scratch->len;
	n = sign_make(key, json, FRAMES_JSON_COUNT, scratch->data + signature_at);
	scratch->len += n;
	ret_parts[0] = SLICE_LIT(FRAMES_DELIMITER);
	ret_parts[1] = slice_from(scratch->data + signature_at, n);
	for (size_t i = 0; i < FRAMES_JSON_COUNT; i++)
		ret_parts[2 + i] = json[i];
	return 0;
}
