/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: one event, one line on stderr: "husk-kernel[123]: sentence". Only programs log; library code returns.
 * A level prefix "<4>" in the sense of sd-daemon(3) is written when stderr is the journal (JOURNAL_STREAM is set).
 * Never log tenant code, keys or connection files.
 */
#ifndef HUSK_BASE_LOG_H
#define HUSK_BASE_LOG_H

#include "protocol/base/util.h"

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

void log_init(const char *program, enum log_level max);
void log_write(enum log_level level, const char *format, ...) printf_like(2, 3);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* For lines a peer can trigger: at most one line per interval; what was suppressed is counted in the next line. */
struct log_ratelimit {
	uint64_t interval_usec;
	uint64_t next_usec;
	unsigned n_suppressed;
};
void log_limited(struct log_ratelimit *limit, enum log_level level, const char *format, ...) printf_like(3, 4);

#endif
