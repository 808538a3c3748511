/* SPDX-License-Identifier: Apache-2.0 */
/*
 * masks: what of /proc a tenant sees.
 *
 * Files that programs read at their start (meminfo, stat, loadavg) are there, with what holds for the sandbox; what
 * tells of the machine's other users or lets it be set is covered by nothing, or read-only.
 *
 * What covers lies in a place that is mounted read-only before anything is taken from it: each copy of a mount has its
 * flags, and needs no call of its own to get them.
 */
#include "kernel/sandbox/masks.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum cover { COVER_NOTHING, COVER_READONLY };

static const struct {
	const char *path;
	enum cover cover;
} covers[] = {
    {"acpi", COVER_NOTHING},        {"asound", COVER_NOTHING},        {"bus", COVER_NOTHING},
    {"driver", COVER_NOTHING},      {"dynamic_debug", COVER_NOTHING}, {"fs", COVER_NOTHING},
    {"irq", COVER_NOTHING},         {"scsi", COVER_NOTHING},          {"pressure", COVER_NOTHING},
    {"buddyinfo", COVER_NOTHING},   {"cmdline", COVER_NOTHING},       {"config.gz", COVER_NOTHING},
    {"consoles", COVER_NOTHING},    {"diskstats", COVER_NOTHING},     {"interrupts", COVER_NOTHING},
    {"iomem", COVER_NOTHING},       {"ioports", COVER_NOTHING},       {"kallsyms", COVER_NOTHING},
    {"kcore", COVER_NOTHING},       {"key-users", COVER_NOTHING},     {"keys", COVER_NOTHING},
    {"kmsg", COVER_NOTHING},        {"kpagecgroup", COVER_NOTHING},   {"kpagecount", COVER_NOTHING},
    {"kpageflags", COVER_NOTHING},  {"latency_stats", COVER_NOTHING}, {"locks", COVER_NOTHING},
    {"modules", COVER_NOTHING},     {"pagetypeinfo", COVER_NOTHING},  {"partitions", COVER_NOTHING},
    {"sched_debug", COVER_NOTHING}, {"schedstat", COVER_NOTHING},     {"slabinfo", COVER_NOTHING},
    {"softirqs", COVER_NOTHING},    {"swaps", COVER_NOTHING},         {"sysrq-trigger", COVER_NOTHING},
    {"timer_list", COVER_NOTHING},  {"timer_stats", COVER_NOTHING},   {"vmallocinfo", COVER_NOTHING},
    {"zoneinfo", COVER_NOTHING},    {"sys", COVER_READONLY},
};

#define PLACE ".mask"

static int fail(struct error *err, const char *path)
{
	int saved = errno;

	return error_set(err, -saved, "cannot cover /proc/%s: %s", path, strerror(saved));
}

static int bind_readonly(const char *path)
{
	struct mount_attr attr = {.attr_set =
				      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};

	return mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0
		   ? -1
		   : mount_setattr(AT_FDCWD, path, 0, &attr, sizeof(attr));
}

/* An empty file or directory of the place stands for what is covered. */
static int cover(const char *name, enum cover kind, struct error *err)
{
	char path[64];
	struct stat st;
	int r;

	(void)snprintf(path, sizeof(path), "proc/%s", name);
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : fail(err, name);
	if (kind == COVER_READONLY)
		r = bind_readonly(path);
	else
		r = mount(S_ISDIR(st.st_mode) ? PLACE "/directory" : PLACE "/file", path, NULL, MS_BIND, NULL);
	return r < 0 ? fail(err, name) : 0;
}

static int cover_with(const char *name, struct error *err)
{
	char path[64], source[64];

	(void)snprintf(path, sizeof(path), "proc/%s", name);
	(void)snprintf(source, sizeof(source), PLACE "/%s", name);
	return mount(source, path, NULL, MS_BIND, NULL) < 0 ? fail(err, name) : 0;
}

static int write_own(const char *name, const char *text, struct error *err)
{
	char path[64];
	size_t len = strlen(text);
	_cleanup_(closep) int fd = -1;

	(void)snprintf(path, sizeof(path), PLACE "/%s", name);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC | O_EXCL, 0444);
	return fd < 0 || write(fd, text, len) != (ssize_t)len ? fail(err, name) : 0;
}

static int write_meminfo(const struct limits *limits, struct error *err)
{
	uint64_t bytes = limits->value[LIMIT_memory] != LIMITS_NONE
			     ? limits->value[LIMIT_memory]
			     : (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	unsigned long long kib = bytes >> 10;
	char text[512];

	(void)snprintf(
	    text, sizeof(text),
	    "MemTotal:       %8llu kB\nMemFree:        %8llu kB\nMemAvailable:   %8llu kB\nBuffers:               0 kB\n"
	    "Cached:                0 kB\nSwapCached:            0 kB\nActive:                0 kB\nInactive:              0 kB\n"
	    "SwapTotal:             0 kB\nSwapFree:              0 kB\nShmem:                 0 kB\nSlab:                  0 kB\n",
	    kib, kib, kib);
	return write_own("meminfo", text, err);
}

/* As /proc/uptime, which is not covered, tells it: programs reckon from it when a process began. */
static long long boot_time(void)
{
	struct timespec now, up;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)clock_gettime(CLOCK_BOOTTIME, &up);
	return (long long)now.tv_sec - up.tv_sec - (now.tv_nsec < up.tv_nsec);
}

static int write_stat(struct error *err)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	char text[8192];
	int len = snprintf(text, sizeof(text), "cpu  0 0 0 0 0 0 0 0 0 0\n");

	for (long i = 0; i < n && len < (int)sizeof(text) - 256; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "cpu%ld 0 0 0 0 0 0 0 0 0 0\n", i);
	(void)snprintf(text + len, sizeof(text) - (size_t)len,
		       "intr 0\nctxt 0\nbtime %lld\nprocesses 0\nprocs_running 1\nprocs_blocked 0\n", boot_time());
	return write_own("stat", text, err);
}

static const char *const own_files[] = {"meminfo", "stat", "loadavg", "vmstat"};

static int make_place(const struct limits *limits, struct error *err)
{
	int r;

	if (mkdir(PLACE, 0755) < 0 || mkdir(PLACE "/directory", 0555) < 0)
		return fail(err, PLACE);
	r = write_own("file", "", err);
	if (r == 0)
		r = write_meminfo(limits, err);
	if (r == 0)
		r = write_stat(err);
	if (r == 0)
		r = write_own("loadavg", "0.00 0.00 0.00 1/1 1\n", err);
	if (r == 0)
		r = write_own("vmstat", "pgpgin 0\npgpgout 0\npswpin 0\npswpout 0\n", err);
	return r == 0 && bind_readonly(PLACE) < 0 ? fail(err, PLACE) : r;
}

/* What is mounted goes on without its names. */
static int remove_place(struct error *err)
{
	char path[64];

	if (umount2(PLACE, MNT_DETACH) < 0)
		return fail(err, PLACE);
	for (size_t i = 0; i < ARRAY_SIZE(own_files); i++) {
		(void)snprintf(path, sizeof(path), PLACE "/%s", own_files[i]);
		(void)unlink(path);
	}
	(void)unlink(PLACE "/file");
	(void)rmdir(PLACE "/directory");
	return rmdir(PLACE) < 0 ? fail(err, PLACE) : 0;
}

int masks_apply(const struct limits *limits, struct error *err)
{
	int r = make_place(limits, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(covers); i++)
		r = cover(covers[i].path, covers[i].cover, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(own_files); i++)
		r = cover_with(own_files[i], err);
	return r < 0 ? r : remove_place(err);
}
