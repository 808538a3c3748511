/* SPDX-License-Identifier: Apache-2.0 */
/* cpus: see the header. What is written is what lscpu(1), psutil and the C library read. */
#include "kernel/sandbox/cpus.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/base/util.h"

#define TOP "sys/devices/system/cpu"
#define WORD_BITS 32
#define WORDS (CPU_SETSIZE / WORD_BITS)

/* The longest: CPUS_MOST numbers of four digits, or all words of a mask. */
struct text {
	char data[MAX(CPUS_MOST * sizeof("1023,"), WORDS * sizeof("ffffffff,"))];
	size_t len;
};

static int fail(struct error *err, const char *path)
{
	int saved = errno;

	return error_set(err, -saved, "cannot write /%s: %s", path, strerror(saved));
}

static printf_like(2, 3) void add(struct text *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text->len += (size_t)vsnprintf(text->data + text->len, sizeof(text->data) - text->len, format, args);
	va_end(args);
}

/* "0-3,8\n" */
static struct text as_list(const cpu_set_t *set)
{
	struct text text = { .len = 0 };

	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		unsigned last = cpu;

		if (!CPU_ISSET(cpu, set))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set))
			last++;
		add(&text, "%s%u", text.len > 0 ? "," : "", cpu);
		if (last > cpu)
			add(&text, "-%u", last);
		cpu = last;
	}
	add(&text, "\n");
	return text;
}

/* "1,0000000f\n": words of 32 bits, the highest first. */
static struct text as_mask(const cpu_set_t *set)
{
	struct text text = { .len = 0 };

	for (unsigned word = WORDS; word-- > 0;) {
		unsigned bits = 0;

		for (unsigned i = 0; i < WORD_BITS; i++)
			if (CPU_ISSET(word * WORD_BITS + i, set))
				bits |= 1u << i;
		if (text.len > 0)
			add(&text, ",%08x", bits);
		else if (bits != 0 || word == 0)
			add(&text, "%x", bits);
	}
	add(&text, "\n");
	return text;
}

static int write_text(const char *folder, const char *name, struct text text, struct error *err)
{
	_cleanup_(closep) int fd = -1;
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0 || write(fd, text.data, text.len) != (ssize_t)text.len)
		return fail(err, path);
	return 0;
}

static int write_cpu(unsigned cpu, const cpu_set_t *all, struct error *err)
{
	struct text id = { .len = 0 };
	char folder[64];
	cpu_set_t own;
	int r;

	CPU_ZERO(&own);
	CPU_SET(cpu, &own);
	add(&id, "%u\n", cpu);
	(void)snprintf(folder, sizeof(folder), TOP "/cpu%u", cpu);
	r = mkdir(folder, 0755) < 0 ? fail(err, folder) : 0;
	(void)snprintf(folder, sizeof(folder), TOP "/cpu%u/topology", cpu);
	if (r == 0 && mkdir(folder, 0755) < 0)
		r = fail(err, folder);
	if (r == 0)
		r = write_text(folder, "core_id", id, err);
	if (r == 0)
		r = write_text(folder, "core_cpus_list", as_list(&own), err);
	if (r == 0)
		r = write_text(folder, "thread_siblings", as_mask(&own), err);
	return r < 0 ? r : write_text(folder, "core_siblings", as_mask(all), err);
}

int cpus_write(const cpu_set_t *set, struct error *err)
{
	static const char *const folders[] = { "sys", "sys/devices", "sys/devices/system", TOP };
	static const char *const lists[] = { "possible", "present", "online" };
	int r = 0;

	if (CPU_COUNT(set) > CPUS_MOST)
		return 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(folders); i++)
		if (mkdir(folders[i], 0755) < 0)
			r = fail(err, folders[i]);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(lists); i++)
		r = write_text(TOP, lists[i], as_list(set), err);
	for (unsigned cpu = 0; r == 0 && cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, set))
			r = write_cpu(cpu, set, err);
	return r;
}
