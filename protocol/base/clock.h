/* SPDX-License-Identifier: Apache-2.0 */
/* clock: one time type. Microseconds; *_now functions are the only ones that read a clock. */
#ifndef HUSK_BASE_CLOCK_H
#define HUSK_BASE_CLOCK_H

#include <stdint.h>

#define USEC_PER_SEC 1000000ULL
#define USEC_PER_MSEC 1000ULL
#define USEC_NEVER UINT64_MAX

uint64_t clock_monotonic_usec(void);
uint64_t clock_realtime_usec(void);

#define CLOCK_ISO8601_SIZE 28 /* "2026-11-21T13:14:40.123456Z" and NUL */

/* Writes the UTC time as ISO 8601 with six fraction digits and Z (wire.md: header date). Pure. */
void clock_iso8601(uint64_t realtime_usec, char ret_text[CLOCK_ISO8601_SIZE]);

#endif
