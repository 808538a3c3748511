/* SPDX-License-Identifier: Apache-2.0 */
/* clock: one time type. */
#include "protocol/base/clock.h"

#include <time.h>

#define SECONDS_PER_DAY 86400u
#define LAST_SECOND 253402300799ULL /* 9999-12-31T23:59:59Z: the format has four digits for the year */

static uint64_t clock_read(clockid_t id)
{
	struct timespec ts;

	/* Cannot fail: both clocks always exist and ts is ours. */
	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_monotonic_usec(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

uint64_t clock_realtime_usec(void)
{
	return clock_read(CLOCK_REALTIME);
}

static void put_digits(char *at, unsigned value, unsigned n)
{
	while (n > 0) {
		at[--n] = (char)('0' + value % 10);
		value /= 10;
	}
}

/*
 * Days since 1970-01-01 to a date of the Gregorian calendar. Counts from 0000-03-01, so that the leap day is the last
 * day of a year and each month's offset is a linear function ((153 m + 2) / 5) of the month's number since March.
 */
static void put_date(char *at, uint64_t days)
{
	unsigned day_of_era, year_of_era, day_of_year, month, era, year;

	days += 719468;
	era = (unsigned)(days / 146097);
	day_of_era = (unsigned)(days % 146097);
	year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	month = (5 * day_of_year + 2) / 153;
	year = era * 400 + year_of_era + (month >= 10);
	put_digits(at, year, 4);
	at[4] = '-';
	put_digits(at + 5, month < 10 ? month + 3 : month - 9, 2);
	at[7] = '-';
	put_digits(at + 8, day_of_year - (153 * month + 2) / 5 + 1, 2);
}

void clock_iso8601(uint64_t realtime_usec, char ret_text[CLOCK_ISO8601_SIZE])
{
	uint64_t seconds = realtime_usec / USEC_PER_SEC;
	unsigned fraction = (unsigned)(realtime_usec % USEC_PER_SEC);
	unsigned of_day;

	if (seconds > LAST_SECOND) {
		seconds = LAST_SECOND;
		fraction = 999999;
	}
	of_day = (unsigned)(seconds % SECONDS_PER_DAY);
	put_date(ret_text, seconds / SECONDS_PER_DAY);
	ret_text[10] = 'T';
	put_digits(ret_text + 11, of_day / 3600, 2);
	ret_text[13] = ':';
	put_digits(ret_text + 14, of_day / 60 % 60, 2);
	ret_text[16] = ':';
	put_digits(ret_text + 17, of_day % 60, 2);
	ret_text[19] = '.';
	put_digits(ret_text + 20, fraction, 6);
	ret_text[26] = 'Z';
	ret_text[27] = '\0';
}
