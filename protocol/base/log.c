/* SPDX-License-Identifier: Apache-2.0 */
/* log: one event, one line on stderr, written by one write() so that lines of several processes do not mix. */
#include "protocol/base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/base/clock.h"

#define LOG_LINE_MAX 2048

/* The only state of the library: a program says once who it is. */
static struct {
	const char *program;
	enum log_level max;
	bool journal;
} log_state = { "husk", LOG_LEVEL_INFO, false };

/* JOURNAL_STREAM is "device:inode" of the journal's socket; an inherited variable alone proves nothing. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_init(const char *program, enum log_level max)
{
	log_state.program = program;
	log_state.max = max;
	log_state.journal = stderr_is_journal();
}

/* What a peer sent may be in the line: no control character may start a new line or drive a terminal. */
static void replace_controls(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = ' ';
}

static void write_all(const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nowhere left to report to */
		text += n;
		len -= (size_t)n;
	}
}

static void write_line(enum log_level level, unsigned n_suppressed, const char *format, va_list args)
    printf_like(3, 0);

static void write_line(enum log_level level, unsigned n_suppressed, const char *format, va_list args)
{
	char line[LOG_LINE_MAX], prefix[8] = "", note[64] = "";
	int saved = errno, start, n;
	size_t len;

	if (log_state.journal)
		(void)snprintf(prefix, sizeof(prefix), "<%d>", (int)level);
	if (n_suppressed)
		(void)snprintf(note, sizeof(note), " (and %u more like it were not written)", n_suppressed);
	start = snprintf(line, sizeof(line) / 2, "%s%s[%ld]: ", prefix, log_state.program, (long)getpid());
	if (start < 0)
		return;
	len = MIN((size_t)start, sizeof(line) / 2 - 1);
	errno = saved; /* for %m */
	n = vsnprintf(line + len, sizeof(line) - sizeof(note) - 1 - len, format, args);
	if (n > 0)
		len += MIN((size_t)n, sizeof(line) - sizeof(note) - 2 - len);
	replace_controls(line, len);
	memcpy(line + len, note, strlen(note));
	len += strlen(note);
	line[len++] = '\n';
	write_all(line, len);
	errno = saved;
}

void log_write(enum log_level level, const char *format, ...)
{
	va_list args;

	if (level > log_state.max)
		return;
	va_start(args, format);
	write_line(level, 0, format, args);
	va_end(args);
}

void log_limited(struct log_ratelimit *limit, enum log_level level, const char *format, ...)
{
	uint64_t now = clock_monotonic_usec();
	va_list args;

	if (level > log_state.max)
		return;
	if (now < limit->next_usec) {
		limit->n_suppressed++;
		return;
	}
	limit->next_usec = now + limit->interval_usec;
	va_start(args, format);
	write_line(level, STEAL(limit->n_suppressed), format, args);
	va_end(args);
}
