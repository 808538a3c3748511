/* SPDX-License-Identifier: Apache-2.0 */
/* error: the reason a human needs, as a value. */
#include "protocol/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A cut text must not end in half a UTF-8 sequence: the text travels into JSON and logs. */
static void trim_partial_utf8(char *text, size_t len)
{
	size_t start = len;
	unsigned char lead;
	size_t need;

	while (start > 0 && len - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0)
		return;
	lead = (unsigned char)text[start - 1];
	need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
	if (need > 1 && len - (start - 1) < need)
		text[start - 1] = '\0';
}

static void format_text(struct error *err, const char *format, va_list args) printf_like(2, 0);

static void format_text(struct error *err, const char *format, va_list args)
{
	int n = vsnprintf(err->text, sizeof(err->text), format, args);

	if (n < 0)
		err->text[0] = '\0';
	else if ((size_t)n >= sizeof(err->text))
		trim_partial_utf8(err->text, sizeof(err->text) - 1);
}

int error_set(struct error *err, int code, const char *format, ...)
{
	va_list args;

	if (!err)
		return code;
	err->code = code;
	va_start(args, format);
	format_text(err, format, args);
	va_end(args);
	return code;
}

int error_prefix(struct error *err, const char *format, ...)
{
	struct error joined;
	va_list args;
	size_t len, rest;

	if (!err)
		return 0;
	va_start(args, format);
	format_text(&joined, format, args);
	va_end(args);
	len = strlen(joined.text);
	rest = strlen(err->text);
	if (len + 2 < sizeof(joined.text)) {
		memcpy(joined.text + len, ": ", 2);
		len += 2;
		if (rest > sizeof(joined.text) - 1 - len)
			rest = sizeof(joined.text) - 1 - len;
		memcpy(joined.text + len, err->text, rest);
		joined.text[len + rest] = '\0';
		if (err->text[rest] != '\0')
			trim_partial_utf8(joined.text, len + rest);
	}
	memcpy(err->text, joined.text, strlen(joined.text) + 1);
	return err->code;
}
