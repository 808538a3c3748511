/* SPDX-License-Identifier: Apache-2.0 */
/* turn-limits: limits as JSON. */
#include "kernel/front/turn-limits.h"

#include <stdio.h>

#include "protocol/wire/json.h"

#define MAX_TEXT 64

/* For sentences: a token of JSON, cut where it is long. */
static void quote(struct slice token, char text[MAX_TEXT])
{
	(void)snprintf(text, MAX_TEXT, "%.*s%s", (int)MIN(token.len, 40), token.data, token.len > 40 ? "..." : "");
	for (char *p = text; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
}

static int refuse_above(enum limit which, uint64_t asked, uint64_t allowed, struct error *err)
{
	_cleanup_(buffer_deinitp) struct buffer a = BUFFER_INIT(MAX_TEXT);
	_cleanup_(buffer_deinitp) struct buffer b = BUFFER_INIT(MAX_TEXT);

	limit_format(which, asked, &a);
	limit_format(which, allowed, &b);
	return error_set(err, -EINVAL, "metadata.husk.limits: %s is %.*s, which is above the %.*s of the kernel's profile; a turn can only "
	    "have less", limit_rows[which].name, (int)a.len, a.data, (int)b.len, b.data);
}

/* Digits alone: a number in the limit's unit. */
static int parse_number(enum limit which, struct slice token, uint64_t *ret, struct error *err)
{
	const struct limit_row *row = &limit_rows[which];
	char text[MAX_TEXT];
	uint64_t value = 0;
	size_t i = 0;

	for (; i < token.len && i < 19 && token.data[i] >= '0' && token.data[i] <= '9'; i++)
		value = value * 10 + (uint64_t)(token.data[i] - '0');
	if (i == token.len && i && value >= row->least && value <= row->most) {
		*ret = value;
		return 0;
	}
	quote(token, text);
	return error_set(err, -EINVAL, "metadata.husk.limits: %s is %s; as a number it must be a whole one from %llu to %llu (%s)", row->name,
	    text, (unsigned long long)row->least, (unsigned long long)row->most,
	    row->unit == LIMIT_UNIT_USEC ? "microseconds" : row->unit == LIMIT_UNIT_BYTES ? "bytes" : "a count");
}

static int parse_text(enum limit which, struct slice token, uint64_t *ret, struct error *err)
{
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(4096);
	int r = json_decode_string(token, &text);

	if (r < 0 || text.failed)
		return error_set(err, -EINVAL, "metadata.husk.limits: the value of %s is too long", limit_rows[which].name);
	r = limit_parse(which, buffer_slice(&text), ret, err);
	return r < 0 ? error_prefix(err, "metadata.husk.limits") : 0;
}

static enum limit find(struct slice name)
{
	int i = 0;

	while (i < LIMIT_COUNT && !json_string_equals(name, limit_rows[i].name))
		i++;
	return (enum limit)i;
}

static int refuse_unknown(const char *name, struct error *err)
{
	_cleanup_(buffer_deinitp) struct buffer known = BUFFER_INIT(512);

	for (int i = 0; i < LIMIT_COUNT; i++)
		if (limit_rows[i].lowerable)
			buffer_printf(&known, "%s%s", known.len ? ", " : "", limit_rows[i].name);
	return error_set(err, -EINVAL, "metadata.husk.limits: there is no limit %s; a turn may lower %.*s", name, (int)known.len, known.data);
}

/* own: the kernel's; of members with the same name the last one counts. */
static int lower_one(struct slice name, struct slice value, const struct limits *own, struct limits *limits, struct error *err)
{
	enum limit which = find(name);
	enum json_type type = json_type(value);
	char text[MAX_TEXT];
	uint64_t asked = 0;
	int r;

	quote(name, text);
	if (which == LIMIT_COUNT)
		return refuse_unknown(text, err);
	if (!limit_rows[which].lowerable)
		return error_set(err, -EINVAL, "metadata.husk.limits: %s holds for the whole kernel, a turn cannot lower it", text);
	if (type == JSON_STRING)
		r = parse_text(which, value, &asked, err);
	else if (type == JSON_NUMBER)
		r = parse_number(which, value, &asked, err);
	else
		r = error_set(err, -EINVAL, "metadata.husk.limits: %s is neither a text such as \"10 s\" nor a number", text);
	if (r < 0)
		return r;
	if (asked > own->value[which])
		return refuse_above(which, asked, own->value[which], err);
	limits->value[which] = asked;
	return 0;
}

int turn_limits_lower(struct slice metadata, struct limits *limits, struct error *err)
{
	struct limits own = *limits;
	struct slice husk, asked, name, value;
	struct json_iter it;
	enum json_type type;
	int r = 0;

	if (json_member(metadata, "husk", &husk) != JSON_OBJECT)
		return 0;
	type = json_member(husk, "limits", &asked);
	if (type == JSON_INVALID || type == JSON_NULL)
		return 0;
	if (type != JSON_OBJECT)
		return error_set(err, -EINVAL, "metadata.husk.limits is not an object");
	it = json_iter(asked);
	while (r == 0 && json_next(&it, &name, &value))
		r = lower_one(name, value, &own, limits, err);
	return r;
}

void turn_limits_write(const struct limits *limits, struct buffer *out)
{
	char mark = '{';

	for (int i = 0; i < LIMIT_COUNT; i++) {
		if (limits->value[i] == LIMITS_NONE)
			continue;
		buffer_append_char(out, mark);
		buffer_append_char(out, '"');
		buffer_append_str(out, limit_rows[i].name);
		buffer_append_str(out, "\":");
		buffer_append_u64(out, limits->value[i]);
		mark = ',';
	}
	if (mark == '{')
		buffer_append_char(out, mark);
	buffer_append_char(out, '}');
}
