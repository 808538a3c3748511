/* SPDX-License-Identifier: Apache-2.0 */
/* reason: why a turn is interrupted, as the people who read the exception are told (specs/link.md 5.6). Pure. */
#ifndef HUSK_LINK_REASON_H
#define HUSK_LINK_REASON_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/link/ring.h"

enum reason_unit { REASON_UNIT_NONE, REASON_UNIT_USEC, REASON_UNIT_BYTES, REASON_UNIT_COUNT };
enum reason_asked { REASON_ASKED_PROFILE, REASON_ASKED_REQUEST };

struct reason_row {
	const char *name;       /* "WALL" */
	const char *class_name; /* "WallTimeLimitExceeded" */
	const char *sentence;
	enum reason_unit unit;
	enum reason_asked asked;
};

/* The row of a reason; INTERRUPT's for a number that is none. */
const struct reason_row *reason_row(uint32_t reason);

#define REASON_SETTING_MAX 32
#define REASON_MESSAGE_MAX 256

/* The limit's name in a profile: "wall"; "" for INTERRUPT. */
void reason_setting(uint32_t reason, char ret_name[REASON_SETTING_MAX]);

/* What was limited, the limit, what was used, and the setting to ask for; "" for INTERRUPT. */
void reason_message(uint32_t reason, uint64_t limit, uint64_t used, char ret_text[REASON_MESSAGE_MAX]);

#endif
