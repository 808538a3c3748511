/* SPDX-License-Identifier: Apache-2.0 */
/* profile-text: one pass over the tokens of a profile, without meaning. */
#include "kernel/sandbox/profile-text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAX_DIGITS 18      /* that fit in 64 bits */
#define MAX_INT_DIGITS 9   /* that the parser takes without a mark */
#define MAX_SHOWN_NAME 64
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

struct name {
	struct slice text;
	unsigned line;
	unsigned group;
	unsigned n_again;
};

/* A bracket that is open. */
struct bracket {
	unsigned group; /* its number */
	unsigned line;
	char open, close;
};

struct scan {
	struct slice text;
	size_t at;
	unsigned line;
	struct buffer *out;
	profile_text_report_fn report;
	void *userdata;
	bool is_hopeless;
	struct bracket brackets[PROFILE_TEXT_MAX_DEPTH + 1]; /* 0: the file */
	size_t depth;
	unsigned n_groups;
	struct name names[PROFILE_TEXT_MAX_NAMES];
	size_t n_names;
};

static void complain(struct scan *s, bool is_hopeless, const char *format, ...) printf_like(3, 4);

static void complain(struct scan *s, bool is_hopeless, const char *format, ...)
{
	char sentence[256];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	s->report(s->userdata, s->line, sentence);
	s->is_hopeless |= is_hopeless;
}

static int peek(const struct scan *s, size_t ahead)
{
	return s->at + ahead < s->text.len ? (unsigned char)s->text.data[s->at + ahead] : -1;
}

static void take(struct scan *s, size_t n)
{
	buffer_append(s->out, s->text.data + s->at, n);
	s->at += n;
}

static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_start(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '*';
}

static bool is_name_char(int c)
{
	return is_name_start(c) || is_digit(c) || c == '_' || c == '-';
}

static bool is_hex(int c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static void take_line_comment(struct scan *s)
{
	while (peek(s, 0) >= 0 && peek(s, 0) != '\n')
		take(s, 1);
}

static void take_comment(struct scan *s)
{
	unsigned first = s->line;

	take(s, 2);
	while (peek(s, 0) >= 0 && !(peek(s, 0) == '*' && peek(s, 1) == '/')) {
		if (peek(s, 0) == '\n')
			s->line++;
		take(s, 1);
	}
	if (peek(s, 0) >= 0) {
		take(s, 2);
		return;
	}
	s->line = first;
	complain(s, true, "a comment that begins here has no end");
}

static void take_string(struct scan *s)
{
	take(s, 1);
	while (peek(s, 0) != '"') {
		if (peek(s, 0) < 0 || peek(s, 0) == '\n' || (peek(s, 0) == '\r' && peek(s, 1) == '\n')) {
			complain(s, false, "a text that begins here has no end in its line");
			buffer_append_char(s->out, '"');
			return;
		}
		if (peek(s, 0) < ' ' && peek(s, 0) != '\t')
			complain(s, false, "a text has a control character in it");
		if (peek(s, 0) == '\\' && peek(s, 1) == 'x' && peek(s, 2) == '0' && peek(s, 3) == '0')
			complain(s, false, "a text has a zero byte in it (\\x00)");
		take(s, peek(s, 0) == '\\' && peek(s, 1) >= ' ' ? 2 : 1);
	}
	take(s, 1);
}

/* True when what stands at "at" makes the word before it the name of a setting. */
static bool is_assigned(const struct scan *s, size_t at)
{
	while (at < s->text.len && strchr(" \t\r\n", s->text.data[at]) && s->text.data[at])
		at++;
	return at < s->text.len && (s->text.data[at] == '=' || s->text.data[at] == ':');
}

/* How long the unit is that stands after a number without quotes, blanks before it included; 0: none is there. */
static size_t unit_length(const struct scan *s, size_t at)
{
	size_t blanks = 0, n;

	while (peek(s, at + blanks) == ' ' || peek(s, at + blanks) == '\t')
		blanks++;
	n = blanks;
	while (is_name_char(peek(s, at + n)) || peek(s, at + n) == '%')
		n++;
	return n == blanks || is_assigned(s, s->at + at + n) ? 0 : n;
}

static void take_quoted(struct scan *s, size_t n)
{
	buffer_append_char(s->out, '"');
	take(s, n);
	buffer_append_char(s->out, '"');
}

/* Decimal and hexadecimal numbers; what else the parser might see in them is its syntax error. */
static void take_number(struct scan *s)
{
	bool is_hexadecimal = peek(s, 0) == '0' && (peek(s, 1) == 'x' || peek(s, 1) == 'X');
	size_t start = is_hexadecimal ? 2 : 0, n = start, n_digits, n_unit;
	bool is_plain;

	while (is_hexadecimal ? is_hex(peek(s, n)) : is_digit(peek(s, n)))
		n++;
	n_digits = n - start;
	is_plain = !is_hexadecimal && peek(s, n) != '.' && peek(s, n) != 'L';
	while (peek(s, n) == '.' || is_digit(peek(s, n))) /* a fraction is not a number of its own */
		n++;
	while (peek(s, n) == 'L')
		n++;
	n_unit = unit_length(s, n);
	if (n_digits > MAX_DIGITS)
		complain(s, false, "a number has %zu digits; at most %d are allowed", n_digits, MAX_DIGITS);
	else if (is_hexadecimal)
		complain(s, false, "hexadecimal numbers are not allowed");
	else if (n_unit > 0)
		complain(s, false, "%.*s must be in quotes, as it has a unit",
			 (int)MIN(n + n_unit, (size_t)MAX_SHOWN_NAME), s->text.data + s->at);
	if (n_digits > MAX_DIGITS || n_unit > 0) {
		/* As a text: so it is told, too, which setting it is of, and what that allows. */
		take_quoted(s, n + n_unit);
		return;
	}
	take(s, n);
	if (n_digits > MAX_INT_DIGITS && is_plain)
		buffer_append_char(s->out, 'L');
}

static struct name *find_name(struct scan *s, struct slice text)
{
	for (size_t i = 0; i < s->n_names; i++)
		if (s->names[i].group == s->brackets[s->depth].group && slice_equal(s->names[i].text, text))
			return &s->names[i];
	return NULL;
}

static void note_name(struct scan *s, struct slice text)
{
	struct name *before = find_name(s, text);

	if (memchr(text.data, PROFILE_TEXT_DUPLICATE, text.len))
		complain(s, true, "%.*s is not a name", (int)MIN(text.len, (size_t)MAX_SHOWN_NAME), text.data);
	if (before) {
		complain(s, false, "%.*s is there twice; the first is in line %u",
			 (int)MIN(text.len, (size_t)MAX_SHOWN_NAME), text.data, before->line);
		before->n_again++;
		for (unsigned i = 0; i < before->n_again; i++)
			buffer_append_char(s->out, PROFILE_TEXT_DUPLICATE);
	} else if (s->n_names == PROFILE_TEXT_MAX_NAMES) {
		complain(s, true, "there are more than %d settings", PROFILE_TEXT_MAX_NAMES);
	} else {
		s->names[s->n_names++] = (struct name){ text, s->line, s->brackets[s->depth].group, 0 };
	}
}

static bool is_boolean(struct slice word)
{
	return (word.len == 4 && strncasecmp(word.data, "true", 4) == 0) ||
	       (word.len == 5 && strncasecmp(word.data, "false", 5) == 0);
}

/* What is neither a setting nor true or false is reported, and mended so that the parser goes on. */
static void take_word(struct scan *s)
{
	struct slice word;
	size_t n = 0, next;

	while (is_name_char(peek(s, n)))
		n++;
	word = slice_from(s->text.data + s->at, n);
	for (next = n; peek(s, next) == ' ' || peek(s, next) == '\t';)
		next++;
	if (is_assigned(s, s->at + n)) {
		note_name(s, word);
		take(s, n);
	} else if (is_boolean(word)) {
		take(s, n);
	} else if (peek(s, next) > 0 && strchr("{[(", peek(s, next))) {
		complain(s, false, "between %.*s and %c there must be =", (int)MIN(n, (size_t)MAX_SHOWN_NAME), word.data,
			 peek(s, next));
		note_name(s, word);
		take(s, n);
		buffer_append_char(s->out, '=');
	} else {
		complain(s, false, "%.*s is neither true nor false, and no setting, as no = follows; a text is in quotes",
			 (int)MIN(n, (size_t)MAX_SHOWN_NAME), word.data);
		take_quoted(s, n);
	}
}

static void open_bracket(struct scan *s, char open)
{
	if (s->depth == PROFILE_TEXT_MAX_DEPTH) {
		complain(s, true, "brackets are nested deeper than %d", PROFILE_TEXT_MAX_DEPTH);
		return;
	}
	s->brackets[++s->depth] = (struct bracket){
		.group = ++s->n_groups,
		.line = s->line,
		.open = open,
		.close = open == '(' ? ')' : open == '[' ? ']' : '}',
	};
	take(s, 1);
}

static void close_bracket(struct scan *s, char close)
{
	const struct bracket *bracket = &s->brackets[s->depth];

	if (s->depth == 0)
		complain(s, true, "there is nothing that this %c closes", close);
	else if (bracket->close != close)
		complain(s, true, "%c does not close the %c of line %u", close, bracket->open, bracket->line);
	else
		s->depth--;
	take(s, 1);
}

static void close_all(struct scan *s)
{
	for (; s->depth > 0; s->depth--) {
		s->line = s->brackets[s->depth].line;
		complain(s, false, "a %c that stands here is not closed", s->brackets[s->depth].open);
		buffer_append_char(s->out, s->brackets[s->depth].close);
	}
}

static void take_token(struct scan *s)
{
	int c = peek(s, 0);

	if (c == '\n')
		s->line++;
	if (c == '#' || (c == '/' && peek(s, 1) == '/'))
		take_line_comment(s);
	else if (c == '/' && peek(s, 1) == '*')
		take_comment(s);
	else if (c == '"')
		take_string(s);
	else if (is_digit(c))
		take_number(s);
	else if (is_name_start(c))
		take_word(s);
	else if (c == '{' || c == '[' || c == '(')
		open_bracket(s, (char)c);
	else if (c == '}' || c == ']' || c == ')')
		close_bracket(s, (char)c);
	else if (c == '@')
		complain(s, true, "a profile is one file: @include is not allowed");
	else if (c && strchr(" \t\r\n=:;,+-.", c))
		take(s, 1);
	else if (c > ' ' && c <= '~')
		complain(s, true, "the character %c is not allowed here", c);
	else
		complain(s, true, "the byte 0x%02x is not allowed here", (unsigned)c);
}

int profile_text_prepare(struct slice text, struct buffer *out, profile_text_report_fn report, void *userdata)
{
	_cleanup_(freep) struct scan *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->text = text;
	s->line = 1;
	s->out = out;
	s->report = report;
	s->userdata = userdata;
	if (text.len >= strlen(BYTE_ORDER_MARK) && memcmp(text.data, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0) {
		complain(s, false, "the file begins with a byte order mark, 0xef 0xbb 0xbf; it must be saved without one");
		s->at = strlen(BYTE_ORDER_MARK);
	}
	while (s->at < s->text.len && !s->is_hopeless)
		take_token(s);
	if (!s->is_hopeless)
		close_all(s);
	if (out->failed)
		return out->failed;
	return s->is_hopeless ? -EINVAL : 0;
}
