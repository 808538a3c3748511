/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remove-tree: deletes a directory that a tenant has filled.
 *
 * Depth costs neither stack nor descriptors: a directory that is not empty is moved up beside its parent, so no path
 * gets
 * longer than two names. Whoever fills it has ended before.
 */
#include "kernel/sandbox/remove-tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/base/util.h"

/* Empties one directory; what is a directory in it is moved to the top. -errno of the first failure. */
static int empty(int top, const char *name, unsigned *n_moved)
{
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
		char moved[32];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    unlinkat(fd, entry->d_name, 0) == 0)
			continue;
		if (unlinkat(fd, entry->d_name, AT_REMOVEDIR) == 0)
			continue;
		(void)snprintf(moved, sizeof(moved), ".husk-removed-%u", (*n_moved)++);
		if (renameat(fd, entry->d_name, top, moved) < 0)
			r = -errno;
	}
	(void)closedir(dir);
	return r;
}

int remove_tree(const char *path)
{
	_cleanup_(closep) int top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	unsigned n_moved = 0, n_done = 0;
	char name[32];
	int r;

	if (top < 0)
		return -errno;
	r = empty(top, ".", &n_moved);
	for (; n_done < n_moved && r == 0; n_done++) {
		(void)snprintf(name, sizeof(name), ".husk-removed-%u", n_done);
		r = empty(top, name, &n_moved);
		if (unlinkat(top, name, AT_REMOVEDIR) < 0 && r == 0)
			r = -errno;
	}
	return rmdir(path) < 0 ? -errno : r;
}
