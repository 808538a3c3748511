/* SPDX-License-Identifier: Apache-2.0 */
/* limits: the values of limits.def, and how people write them. Pure. */
#ifndef HUSK_SANDBOX_LIMITS_H
#define HUSK_SANDBOX_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/slice.h"

#define LIMITS_NONE UINT64_MAX

enum limit {
#define LIMIT(name, ...) LIMIT_##name,
#include "kernel/sandbox/limits.def"
#undef LIMIT
	LIMIT_COUNT
};

enum limit_unit { LIMIT_UNIT_USEC, LIMIT_UNIT_BYTES, LIMIT_UNIT_COUNT, LIMIT_UNIT_PERCENT };

struct limit_row {
	const char *name;
	enum limit_unit unit;
	uint64_t fallback; /* the default of limits.def */
	uint64_t least;
	uint64_t most;
	bool lowerable;
	const char *help;
};

extern const struct limit_row limit_rows[LIMIT_COUNT];

struct limits {
	uint64_t value[LIMIT_COUNT]; /* LIMITS_NONE: not limited */
};

#define LIMITS_UNLIMITED limits_unlimited()
struct limits limits_unlimited(void);
struct limits limits_default(void);

/* The limit of that name; LIMIT_COUNT when there is none. */
enum limit limit_find(struct slice name);

/*
 * "120 s", "1 GiB", "none"; judged by the limit's unit and range. -EINVAL with a sentence that names limit, value,
 * range.
 */
int limit_parse(enum limit which, struct slice text, uint64_t *ret, struct error *err) must_check;

/* "120 s", "1 GiB", "none": the shortest exact form; limit_parse() reads it back. */
void limit_format(enum limit which, uint64_t value, struct buffer *out);

#endif
