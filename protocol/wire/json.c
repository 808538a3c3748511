/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json: strict JSON over borrowed bytes: validation and look-up. Strings are in json-string.c.
 *
 * Functions that expect validated text never read beyond it when it is not; they only give nonsense.
 */
#include "protocol/wire/json.h"

#include "protocol/wire/json-private.h"

/* Validation. */

static void scan_space(struct scanner *s)
{
	while (s->pos < s->end && (*s->pos == ' ' || *s->pos == '\n' || *s->pos == '\r' || *s->pos == '\t'))
		s->pos++;
}

static bool scan_digits(struct scanner *s)
{
	const byte *start = s->pos;

	while (s->pos < s->end && *s->pos >= '0' && *s->pos <= '9')
		s->pos++;
	return s->pos > start;
}

static bool scan_number(struct scanner *s)
{
	if (*s->pos == '-')
		s->pos++;
	if (s->pos < s->end && *s->pos == '0')
		s->pos++;
	else if (!scan_digits(s))
		return false;
	if (s->pos < s->end && *s->pos == '.') {
		s->pos++;
		if (!scan_digits(s))
			return false;
	}
	if (s->pos < s->end && (*s->pos | 0x20) == 'e') {
		s->pos++;
		if (s->pos < s->end && (*s->pos == '+' || *s->pos == '-'))
			s->pos++;
		return scan_digits(s);
	}
	return true;
}

static bool scan_word(struct scanner *s, struct slice word)
{
	if ((size_t)(s->end - s->pos) < word.len || memcmp(s->pos, word.data, word.len) != 0)
		return false;
	s->pos += word.len;
	return true;
}

static bool scan_scalar(struct scanner *s)
{
	switch (*s->pos) {
	case '"':
		return json_scan_string(s);
	case 't':
		return scan_word(s, SLICE_LIT("true"));
	case 'f':
		return scan_word(s, SLICE_LIT("false"));
	case 'n':
		return scan_word(s, SLICE_LIT("null"));
	default:
		return scan_number(s);
	}
}

static bool scan_name(struct scanner *s)
{
	scan_space(s);
	if (s->pos == s->end || *s->pos != '"' || !json_scan_string(s))
		return false;
	scan_space(s);
	return s->pos < s->end && *s->pos++ == ':';
}

/* What follows a value: 1 another element follows, 0 the outermost value is complete, -1 not JSON. */
static int scan_after_value(struct scanner *s, const char *closers, unsigned *depth)
{
	while (*depth > 0) {
		char closer = closers[*depth - 1];

		scan_space(s);
		if (s->pos == s->end)
			return -1;
		if (*s->pos == ',') {
			s->pos++;
			return closer == ']' || scan_name(s) ? 1 : -1;
		}
		if (*s->pos != (byte)closer)
			return -1;
		s->pos++;
		(*depth)--;
	}
	return 0;
}

/* One value. No recursion: the closing characters of open arrays and objects are the whole state. */
static bool scan_value(struct scanner *s)
{
	char closers[JSON_MAX_DEPTH];
	unsigned depth = 0;
	int more;

	do {
		scan_space(s);
		if (s->pos == s->end)
			return false;
		if (*s->pos == '[' || *s->pos == '{') {
			char closer = *s->pos == '[' ? ']' : '}';

			if (depth == JSON_MAX_DEPTH)
				return false;
			closers[depth++] = closer;
			s->pos++;
			scan_space(s);
			if (s->pos < s->end && *s->pos == (byte)closer) {
				s->pos++;
				depth--;
			} else if (closer == ']' || scan_name(s)) {
				continue; /* the first element */
			} else {
				return false;
			}
		} else if (!scan_scalar(s)) {
			return false;
		}
		more = scan_after_value(s, closers, &depth);
		if (more < 0)
			return false;
	} while (depth > 0);
	return true;
}

bool json_is_valid(struct slice text)
{
	struct scanner s = scanner_init(text);

	if (!scan_value(&s))
		return false;
	scan_space(&s);
	return s.pos == s.end;
}

bool json_is_valid_object(struct slice text)
{
	return json_type(text) == JSON_OBJECT && json_is_valid(text);
}

/* Look-up. */

static enum json_type type_of(byte c)
{
	switch (c) {
	case 'n':
		return JSON_NULL;
	case 'f':
		return JSON_FALSE;
	case 't':
		return JSON_TRUE;
	case '"':
		return JSON_STRING;
	case '[':
		return JSON_ARRAY;
	case '{':
		return JSON_OBJECT;
	default:
		return c == '-' || (c >= '0' && c <= '9') ? JSON_NUMBER : JSON_INVALID;
	}
}

enum json_type json_type(struct slice value)
{
	struct scanner s = scanner_init(value);

	scan_space(&s);
	return s.pos < s.end ? type_of(*s.pos) : JSON_INVALID;
}

/* pos is at the opening quote; ends behind the closing one or at end. */
static void skip_string(struct scanner *s)
{
	for (s->pos++; s->pos < s->end; s->pos++) {
		s->pos = json_skip_plain(s->pos, s->end);
		if (s->pos == s->end)
			return;
		if (*s->pos == '"') {
			s->pos++;
			return;
		}
		if (*s->pos == '\\' && s->pos + 1 < s->end)
			s->pos++;
	}
}

static bool is_closer_or_comma(byte c)
{
	return c == ',' || c == ']' || c == '}';
}

/* Over one valid value: brackets are counted, not matched. */
static void skip_value(struct scanner *s)
{
	size_t depth = 0;

	while (s->pos < s->end) {
		byte c = *s->pos;

		if (c == '"') {
			skip_string(s);
			if (depth == 0)
				return;
			continue;
		}
		if (depth == 0 && is_closer_or_comma(c))
			return;
		s->pos++;
		if (c == '[' || c == '{')
			depth++;
		else if ((c == ']' || c == '}') && --depth == 0)
			return;
	}
}

static struct slice token_between(const byte *start, const byte *end)
{
	while (end > start && (end[-1] == ' ' || end[-1] == '\n' || end[-1] == '\r' || end[-1] == '\t'))
		end--;
	return slice_from(start, (size_t)(end - start));
}

struct json_iter json_iter(struct slice text)
{
	struct scanner s = scanner_init(text);
	bool object = false;

	scan_space(&s);
	if (s.pos == s.end || (*s.pos != '{' && *s.pos != '['))
		s.pos = s.end;
	else
		object = *s.pos++ == '{';
	return (struct json_iter){ (const char *)s.pos, (const char *)s.end, object };
}

bool json_next(struct json_iter *it, struct slice *ret_name, struct slice *ret_value)
{
	struct scanner s = { (const byte *)it->pos, (const byte *)it->end };
	struct slice name = SLICE_NULL;
	const byte *start;

	scan_space(&s);
	if (s.pos < s.end && *s.pos == ',') {
		s.pos++;
		scan_space(&s);
	}
	if (s.pos == s.end || *s.pos == ']' || *s.pos == '}')
		goto end;
	if (it->object) {
		start = s.pos;
		if (*s.pos != '"')
			goto end;
		skip_string(&s);
		name = token_between(start, s.pos);
		scan_space(&s);
		if (s.pos == s.end || *s.pos != ':')
			goto end;
		s.pos++;
		scan_space(&s);
	}
	start = s.pos;
	skip_value(&s);
	*ret_name = name;
	*ret_value = token_between(start, s.pos);
	it->pos = (const char *)s.pos;
	return true;
end:
	it->pos = it->end;
	return false;
}

enum json_type json_member(struct slice text, const char *name, struct slice *ret_value)
{
	struct json_iter it = json_iter(text);
	enum json_type found = JSON_INVALID;
	struct slice token, value;

	if (!it.object)
		return JSON_INVALID;
	while (json_next(&it, &token, &value)) {
		if (!json_string_equals(token, name))
			continue;
		found = json_type(value);
		*ret_value = value;
	}
	return found;
}

bool json_get_bool(struct slice text, const char *name, bool fallback)
{
	struct slice value;

	switch (json_member(text, name, &value)) {
	case JSON_TRUE:
		return true;
	case JSON_FALSE:
		return false;
	case JSON_INVALID:
	case JSON_NULL:
	case JSON_NUMBER:
	case JSON_STRING:
	case JSON_ARRAY:
	case JSON_OBJECT:
	default:
		return fallback;
	}
}

int64_t json_get_int(struct slice text, const char *name, int64_t fallback)
{
	struct slice value;
	int64_t v = 0;
	bool negative;

	if (json_member(text, name, &value) != JSON_NUMBER)
		return fallback;
	negative = value.data[0] == '-';
	if (value.len == (size_t)negative)
		return fallback;
	for (size_t i = negative; i < value.len; i++) {
		int digit = value.data[i] - '0';

		if (digit < 0 || digit > 9)
			return fallback;
		/* Built on the negative side, which has room for INT64_MIN. */
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, digit, &v))
			return fallback;
	}
	if (!negative && v == INT64_MIN)
		return fallback;
	return negative ? v : -v;
}
