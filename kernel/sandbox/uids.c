/* SPDX-License-Identifier: Apache-2.0 */
/* uids: leases of user ids of the host. */
#include "kernel/sandbox/uids.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_DIRECTORY "/run/husk/uids"
#define LOCK_FILE "leases"
#define MAX_TEXT 65536
#define FREE_SECONDS 3600
#define NEAR_LEASES 32u

/* -- the range ----------------------------------------------------------------------------------------------------- */

/* A number of at most ten digits, and what ends it. */
static bool parse_number(const char **text, char end, uint64_t *ret)
{
	size_t n = strspn(*text, "0123456789");

	if (n < 1 || n > 10 || (*text)[n] != end)
		return false;
	*ret = strtoull(*text, NULL, 10);
	*text += n + 1;
	return true;
}

/* "NAME:FIRST:COUNT"; numbers that no user id can be make the line one of nobody. */
static bool parse_line(const char *line, const char *name, struct uids_range *ret)
{
	size_t n = strlen(name);
	const char *at = line + n + 1;
	uint64_t first, count;

	if (strncmp(line, name, n) != 0 || line[n] != ':' || !parse_number(&at, ':', &first) ||
	    !(parse_number(&at, '\n', &count) || parse_number(&at, '\0', &count)))
		return false;
	if (first < 1 || first >= UINT32_MAX)
		return false;
	count = MIN(count, UINT32_MAX - first); /* (uid_t)-1 is nobody's */
	*ret = (struct uids_range){ (uid_t)first, (unsigned)MIN(count, (uint64_t)UIDS_DEFAULT_COUNT) };
	return ret->count >= UIDS_PER_LEASE;
}

struct uids_range uids_parse_subuid(const char *text)
{
	static const char *const names[] = { "husk", "root" };
	struct uids_range range;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL)
			if (parse_line(line, names[i], &range))
				return range;
	return (struct uids_range){ UIDS_DEFAULT_FIRST, UIDS_DEFAULT_COUNT };
}

static void read_text(const char *path, char text[MAX_TEXT])
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, MAX_TEXT - 1);

	text[n > 0 ? n : 0] = '\0';
}

static struct uids_range configured_range(void)
{
	_cleanup_(freep) char *text = malloc(MAX_TEXT);

	if (!text)
		return uids_parse_subuid("");
	read_text("/etc/subuid", text);
	return uids_parse_subuid(text);
}

/* In a container most numbers are not there. */
static bool is_mapped(const struct uids_range *range, const char *map)
{
	char text[4096];
	_cleanup_(closep) int fd = open(map, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return fd < 0 && errno == ENOENT; /* a kernel without user namespaces */
	text[n] = '\0';
	for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL) {
		uint64_t inside, outside, count;

		if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64, &inside, &outside, &count) == 3 &&
		    range->first >= inside && (uint64_t)range->first + range->count <= inside + count)
			return true;
	}
	return false;
}

/* Whether the machine knows somebody of one of the numbers. What cannot be answered counts as yes. */
static bool is_somebody(uid_t first)
{
	struct passwd user, *found_user = NULL;
	struct group group, *found_group = NULL;
	char text[4096];

	for (uid_t id = first; id < first + UIDS_PER_LEASE; id++) {
		int u = getpwuid_r(id, &user, text, sizeof(text), &found_user);
		int g = getgrgid_r((gid_t)id, &group, text, sizeof(text), &found_group);

		if (found_user || found_group || u == ERANGE || g == ERANGE || u == EIO || g == EIO)
			return true;
	}
	return false;
}

/* By a child: what the name service loads and connects to does not stay with who asks. */
static bool ask_for_somebody(uid_t first)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(is_somebody(first));
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return true;
	return status != 0;
}

/* -- the locks ----------------------------------------------------------------------------------------------------- */

static int make_parents(const char *directory)
{
	char path[512];
	size_t n = strlen(directory);

	if (n >= sizeof(path) || directory[0] != '/')
		return -EINVAL;
	memcpy(path, directory, n + 1);
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* Everybody who may open the file can hold a lock for ever, so it must be ours alone. */
static int open_locks(const char *directory, struct error *err)
{
	_cleanup_(closep) int dir_fd = -1, fd = -1;
	struct stat st;
	int r = make_parents(directory);

	if (r < 0)
		return error_set(err, r, "%s cannot be made: %s", directory, strerror(-r));
	dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir_fd < 0 || fstat(dir_fd, &st) < 0)
		return error_set(err, -errno, "%s cannot be opened: %s", directory, strerror(errno));
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return error_set(err, -EPERM,
		    "%s is of user %u with mode %03o; it must be of user %u with mode 700",
		    directory, st.st_uid, st.st_mode & 0777, geteuid());
	fd = openat(dir_fd, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(err, -errno, "%s/" LOCK_FILE " cannot be opened: %s", directory, strerror(errno));
	return STEAL_FD(fd);
}

/* 1: somebody else has one of them. */
static int lock(int fd, uid_t first)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)first, .l_len = UIDS_PER_LEASE };

	if (fcntl(fd, F_OFD_SETLK, &l) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? 1 : -errno;
}

static void unlock(int fd, uid_t first)
{
	struct flock l = { .l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = (off_t)first, .l_len = UIDS_PER_LEASE };

	(void)fcntl(fd, F_OFD_SETLK, &l);
}

/* Seconds since the machine's start, by which a stamp in the file of the locks is told; never 0. */
static uint64_t stamp_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec + 1;
}

static off_t stamp_place(uid_t first)
{
	return (off_t)first * (off_t)sizeof(uint64_t);
}

/* That nobody has the numbers is remembered for a while: a name service takes longer than all else of a lease. */
static bool is_known_free(int fd, uid_t first)
{
	uint64_t stamp = 0, now = stamp_now();

	return pread(fd, &stamp, sizeof(stamp), stamp_place(first)) == sizeof(stamp) && stamp > 0 && stamp <= now &&
	       now - stamp < FREE_SECONDS;
}

static void remember_free(int fd, uid_t first)
{
	uint64_t stamp = stamp_now();

	(void)!pwrite(fd, &stamp, sizeof(stamp), stamp_place(first));
}

/* 0: ours; 1: not to be had. */
static int try_lease(int fd, uid_t first)
{
	int r = lock(fd, first);

	if (r != 0 || is_known_free(fd, first))
		return r;
	if (ask_for_somebody(first)) {
		unlock(fd, first);
		return 1;
	}
	remember_free(fd, first);
	return 0;
}

/* Kernels that start at the same time look in different places first, but not in many: what was free before is known. */
static unsigned place_of(unsigned i, unsigned leases)
{
	unsigned near = MIN(leases, NEAR_LEASES);

	return i < near ? ((unsigned)getpid() + i) % near : i;
}

int uids_lease(const char *directory, const struct uids_range *range, struct uids *ret, struct error *err)
{
	struct uids_range r = range ? *range : configured_range();
	_cleanup_(closep) int fd = -1;
	unsigned leases = MIN(r.count / UIDS_PER_LEASE, (unsigned)UIDS_MAX_LEASES);

	if (leases == 0 || r.first == 0 || !is_mapped(&r, "/proc/self/uid_map") || !is_mapped(&r, "/proc/self/gid_map"))
		return error_set(err, -EINVAL,
		    "the user ids %u to %u are not all there in this user namespace; give husk others in "
		    "/etc/subuid (husk:FIRST:COUNT)", r.first, r.first + r.count - 1);
	fd = open_locks(directory ? directory : DEFAULT_DIRECTORY, err);
	if (fd < 0)
		return fd;
	for (unsigned i = 0; i < leases; i++) {
		uid_t first = r.first + place_of(i, leases) * UIDS_PER_LEASE;
		int t = try_lease(fd, first);

		if (t < 0)
			return error_set(err, t, "user ids cannot be locked: %s", strerror(-t));
		if (t > 0)
			continue;
		*ret = (struct uids){ .front = first, .holder = first + 1, .tenant = first + 2, .lock_fd = STEAL_FD(fd) };
		return 0;
	}
	return error_set(err, -EAGAIN,
	    "all %u leases of the user ids %u to %u are in use; end kernels, or give husk more in /etc/subuid",
	    leases, r.first, r.first + r.count - 1);
}

void uids_release(struct uids *uids)
{
	closep(&uids->lock_fd);
	uids->lock_fd = -1;
}
