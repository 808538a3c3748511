/* SPDX-License-Identifier: Apache-2.0 */
/* limits: the table of limits.def, and reading and writing of its values. */
#include "kernel/sandbox/limits.h"

#include <stdio.h>
#include <string.h>

#define MAX_ECHO 48            /* of a text that is refused, in the sentence that refuses it */
#define MAX_FRACTION_DIGITS 6  /* 10^6 times the largest scale fits */
#define MAX_FORMATTED 32

const struct limit_row limit_rows[LIMIT_COUNT] = {
#define LIMIT(name, unit, fallback, least, most, lowerable, help) \
	{ #name, LIMIT_UNIT_##unit, fallback, least, most, lowerable, help },
#include "kernel/sandbox/limits.def"
#undef LIMIT
};

struct scale {
	const char *suffix; /* "": a plain number */
	uint64_t factor;
};

/* From the smallest; the first is what values are counted in. */
static const struct scale times[] = {
	{ "us", 1 }, { "ms", 1000 }, { "s", LIMIT_SECOND }, { "min", 60 * LIMIT_SECOND }, { "h", 3600 * LIMIT_SECOND }, { "d", 86400 * LIMIT_SECOND },
};
static const struct scale sizes[] = {
	{ "B", 1 }, { "KiB", UINT64_C(1) << 10 }, { "MiB", LIMIT_MIB }, { "GiB", LIMIT_GIB }, { "TiB", UINT64_C(1) << 40 },
};
static const struct scale counts[] = { { "", 1 } };
static const struct scale percents[] = { { "%", 1 } };

static const struct unit {
	const struct scale *scales;
	size_t n_scales;
	bool may_be_plain; /* a number alone counts in the first scale */
	const char *advice;
} units[] = {
	[LIMIT_UNIT_USEC] = { times, ARRAY_SIZE(times), false,
			      "a number with us, ms, s, min, h or d, such as \"120 s\"" },
	[LIMIT_UNIT_BYTES] = { sizes, ARRAY_SIZE(sizes), true,
			       "a number with B, KiB, MiB, GiB or TiB, such as \"512 MiB\"" },
	[LIMIT_UNIT_COUNT] = { counts, ARRAY_SIZE(counts), true, "a number" },
	[LIMIT_UNIT_PERCENT] = { percents, ARRAY_SIZE(percents), true, "a number with %, such as \"150 %\"" },
};

struct limits limits_unlimited(void)
{
	struct limits l;

	for (int i = 0; i < LIMIT_COUNT; i++)
		l.value[i] = LIMITS_NONE;
	return l;
}

struct limits limits_default(void)
{
	struct limits l;

	for (int i = 0; i < LIMIT_COUNT; i++)
		l.value[i] = limit_rows[i].fallback;
	return l;
}

enum limit limit_find(struct slice name)
{
	for (int i = 0; i < LIMIT_COUNT; i++)
		if (slice_equal_str(name, limit_rows[i].name))
			return i;
	return LIMIT_COUNT;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * Decimal digits from text[*i] on, at most max of them. 0; -EINVAL when there is none or more, -ERANGE when the number
 * is too large.
 */
static int read_digits(struct slice text, size_t *i, size_t max, uint64_t *ret, size_t *ret_n)
{
	uint64_t value = 0;
	size_t start = *i;

	for (; *i < text.len && is_digit(text.data[*i]); (*i)++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(text.data[*i] - '0'), &value))
			return -ERANGE;
	if (*i == start || *i - start > max)
		return -EINVAL;
	*ret = value;
	*ret_n = *i - start;
	return 0;
}

static const struct scale *find_scale(const struct unit *unit, struct slice suffix)
{
	if (suffix.len == 0)
		return unit->may_be_plain ? &unit->scales[0] : NULL;
	for (size_t i = 0; i < unit->n_scales; i++)
		if (slice_equal_str(suffix, unit->scales[i].suffix))
			return &unit->scales[i];
	return NULL;
}

/* NUMBER[.FRACTION][ ]*SUFFIX, exact in the first scale. 0, -EINVAL, -ERANGE. */
static int read_value(const struct unit *unit, struct slice text, uint64_t *ret)
{
	uint64_t whole, fraction = 0, part = 1;
	const struct scale *scale;
	size_t i = 0, n;
	int r = read_digits(text, &i, SIZE_MAX, &whole, &n);

	if (r < 0)
		return r;
	if (i < text.len && text.data[i] == '.') {
		i++;
		r = read_digits(text, &i, MAX_FRACTION_DIGITS, &fraction, &n);
		if (r < 0)
			return r;
		while (n-- > 0)
			part *= 10;
	}
	while (i < text.len && text.data[i] == ' ')
		i++;
	scale = find_scale(unit, slice_from(text.data + i, text.len - i));
	if (!scale || fraction * scale->factor % part != 0)
		return -EINVAL;
	if (__builtin_mul_overflow(whole, scale->factor, &whole) ||
	    __builtin_add_overflow(whole, fraction * scale->factor / part, &whole))
		return -ERANGE;
	*ret = whole;
	return 0;
}

/* Printable ASCII, cut: the text may come from a client. */
static void echo(struct slice text, char ret[MAX_ECHO + 4])
{
	size_t n = MIN(text.len, (size_t)MAX_ECHO);

	for (size_t i = 0; i < n; i++)
		ret[i] = text.data[i] >= ' ' && text.data[i] <= '~' ? text.data[i] : '?';
	(void)strcpy(ret + n, text.len > n ? "..." : "");
}

/*
 * The shortest of the exact forms, the one of the smaller scale when two are as short: 120 s and not 2 min, 2 h and not
 * 120 min. Whatever the value, the first scale is exact.
 */
static void format_value(enum limit which, uint64_t value, char ret[MAX_FORMATTED])
{
	const struct unit *unit = &units[limit_rows[which].unit];
	int shortest = MAX_FORMATTED;

	if (value == LIMITS_NONE) {
		(void)strcpy(ret, "none");
		return;
	}
	for (size_t i = 0; i < unit->n_scales; i++) {
		const struct scale *scale = &unit->scales[i];
		char form[MAX_FORMATTED];
		int n;

		if (value % scale->factor != 0)
			continue;
		n = snprintf(form, sizeof(form), "%llu%s%s", (unsigned long long)(value / scale->factor),
		    scale->suffix[0] ? " " : "", scale->suffix);
		if (n < shortest) {
			shortest = n;
			memcpy(ret, form, sizeof(form));
		}
	}
}

int limit_parse(enum limit which, struct slice text, uint64_t *ret, struct error *err)
{
	const struct limit_row *row = &limit_rows[which];
	char given[MAX_ECHO + 4], least[MAX_FORMATTED], most[MAX_FORMATTED];
	uint64_t value;
	int r;

	if (slice_equal_str(text, "none")) {
		*ret = LIMITS_NONE;
		return 0;
	}
	r = read_value(&units[row->unit], text, &value);
	if (r == 0 && value >= row->least && value <= row->most) {
		*ret = value;
		return 0;
	}
	echo(text, given);
	format_value(which, row->least, least);
	format_value(which, row->most, most);
	if (r == -EINVAL)
		return error_set(err, -EINVAL, "limit %s is \"%s\"; it must be %s, %s to %s, or \"none\"", row->name,
				 given, units[row->unit].advice, least, most);
	return error_set(err, -EINVAL, "limit %s is \"%s\"; it must be %s to %s, or \"none\"", row->name, given, least,
			 most);
}

void limit_format(enum limit which, uint64_t value, struct buffer *out)
{
	char form[MAX_FORMATTED];

	format_value(which, value, form);
	buffer_append_str(out, form);
}
