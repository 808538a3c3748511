/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remove-tree: deletes a directory that a tenant has filled.
 *
 * Depth costs neither stack nor descriptors: a directory that is not empty is moved to the top under a number, so no path
 * gets longer than two names. The tenant may have used such names itself. Whoever fills it has ended before.
 */
#include "kernel/sandbox/remove-tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/base/util.h"

#define NAME_SIZE 32

static void write_name(unsigned number, char ret_name[NAME_SIZE])
{
	(void)snprintf(ret_name, NAME_SIZE, ".husk-removed-%u", number);
}

/* Of one that has its number already, or whose name is taken for it. */
static bool is_numbered(const char *name, unsigned n_moved)
{
	char own[NAME_SIZE];
	unsigned number;

	if (sscanf(name, ".husk-removed-%9u", &number) != 1 || number >= n_moved)
		return false;
	write_name(number, own);
	return strcmp(name, own) == 0;
}

static int move(int from, const char *name, int top, unsigned *n_moved)
{
	char moved[NAME_SIZE];
	int r;

	/* A directory is written when it gets another parent. */
	if (fchmodat(from, name, 0700, 0) < 0)
		return -errno;
	do {
		write_name((*n_moved)++, moved);
		r = renameat2(from, name, top, moved, RENAME_NOREPLACE);
	} while (r < 0 && errno == EEXIST);
	return r < 0 ? -errno : 0;
}

/* Empties one directory; what is a directory in it is moved to the top. -errno of the first failure. */
static int empty(int top, const char *name, unsigned *n_moved)
{
	bool is_top = strcmp(name, ".") == 0;
	_cleanup_(closep) int fd = -1;
	const struct dirent *entry;
	DIR *dir;
	int r = 0;

	if (fchmodat(top, name, 0700, 0) < 0)
		return -errno;
	fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dir = fd >= 0 ? fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 3)) : NULL;
	if (!dir)
		return -errno;
	while (r == 0 && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    unlinkat(fd, entry->d_name, 0) == 0)
			continue;
		if (unlinkat(fd, entry->d_name, AT_REMOVEDIR) == 0)
			continue;
		if (!is_top || !is_numbered(entry->d_name, *n_moved))
			r = move(fd, entry->d_name, top, n_moved);
	}
	(void)closedir(dir);
	return r;
}

/* Nothing can be looked up in a directory that is shut, so it is named by its descriptor. */
static int open_up(int fd)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return chmod(path, 0700) < 0 ? -errno : 0;
}

int remove_tree(const char *path)
{
	_cleanup_(closep) int top = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	unsigned n_moved = 0, n_done = 0;
	char name[NAME_SIZE];
	int r;

	if (top < 0)
		return -errno;
	r = open_up(top);
	if (r == 0)
		r = empty(top, ".", &n_moved);
	for (; n_done < n_moved && r == 0; n_done++) {
		write_name(n_done, name);
		r = empty(top, name, &n_moved);
		if (r == -ENOENT)
			r = 0; /* the number was taken by what has gone already */
		else if (unlinkat(top, name, AT_REMOVEDIR) < 0 && r == 0)
			r = -errno;
	}
	return rmdir(path) < 0 ? -errno : r;
}
