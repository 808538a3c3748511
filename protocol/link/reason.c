/* SPDX-License-Identifier: Apache-2.0 */
/* reason: why a turn is interrupted, as the people who read the exception are told. */
#include "protocol/link/reason.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "protocol/base/util.h"

#define AMOUNT_MAX 48

static const struct reason_row rows[RING_REASON_COUNT] = {
#define REASON(name, class_name, sentence, unit, asked) \
	[RING_REASON_##name] = { #name, class_name, sentence, REASON_UNIT_##unit, REASON_ASKED_##asked },
#include "protocol/link/reason.def"
#undef REASON
};

const struct reason_row *reason_row(uint32_t reason)
{
	return &rows[reason < RING_REASON_COUNT ? reason : RING_REASON_INTERRUPT];
}

void reason_setting(uint32_t reason, char ret_name[REASON_SETTING_MAX])
{
	const char *name = reason_row(reason)->name;
	size_t n = 0;

	if (reason_row(reason) != &rows[RING_REASON_INTERRUPT]) {
		for (; name[n] != '\0' && n < REASON_SETTING_MAX - 1; n++)
			ret_name[n] = (char)(name[n] >= 'A' && name[n] <= 'Z' ? name[n] + ('a' - 'A') : name[n]);
	}
	ret_name[n] = '\0';
}

/* "2.5 MiB", "120 s": no zeros at the end. */
static void write_decimal(double value, int decimals, const char *unit, char ret_text[AMOUNT_MAX])
{
	char digits[AMOUNT_MAX / 2];
	size_t len;

	(void)snprintf(digits, sizeof(digits), "%.*f", decimals, value);
	len = strlen(digits);
	while (len > 0 && strchr(digits, '.') != NULL && digits[len - 1] == '0')
		digits[--len] = '\0';
	if (len > 0 && digits[len - 1] == '.')
		digits[--len] = '\0';
	(void)snprintf(ret_text, AMOUNT_MAX, "%s %s", digits, unit);
}

static void write_bytes(uint64_t value, char ret_text[AMOUNT_MAX])
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB" };
	size_t which = 0;

	while (which < ARRAY_SIZE(units) - 1 && value >> (10 * (which + 1)) != 0)
		which++;
	write_decimal((double)value / (double)(UINT64_C(1) << (10 * which)), which == 0 ? 0 : 2, units[which], ret_text);
}

static void write_amount(enum reason_unit unit, uint64_t value, char ret_text[AMOUNT_MAX])
{
	if (unit == REASON_UNIT_USEC)
		write_decimal((double)value / 1e6, 3, "s", ret_text);
	else if (unit == REASON_UNIT_BYTES)
		write_bytes(value, ret_text);
	else
		(void)snprintf(ret_text, AMOUNT_MAX, "%" PRIu64, value);
}

void reason_message(uint32_t reason, uint64_t limit, uint64_t used, char ret_text[REASON_MESSAGE_MAX])
{
	const struct reason_row *row = reason_row(reason);
	char setting[REASON_SETTING_MAX];
	char allowed[AMOUNT_MAX];
	char taken[AMOUNT_MAX];

	ret_text[0] = '\0';
	if (row->unit == REASON_UNIT_NONE)
		return;
	reason_setting(reason, setting);
	write_amount(row->unit, limit, allowed);
	write_amount(row->unit, used, taken);
	(void)snprintf(ret_text, REASON_MESSAGE_MAX,
	    "%s: %s allowed, %s used; to have more, ask for a larger limits.%s in %sthe kernel's profile", row->sentence,
	    allowed, taken, setting, row->asked == REASON_ASKED_REQUEST ? "the request or " : "");
}
