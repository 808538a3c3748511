/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup-files: reading, writing and keeping the files of a group. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/sandbox/cgroup-impl.h"

static const struct {
	uint32_t controller;
	const char *v1;
	const char *v2;
	int access;
	bool is_needed;
} file_rows[CGROUP_FILE_COUNT] = {
#define CGROUP_FILE(name, controller, v1, v2, access, is_needed) { controller, v1, v2, access, is_needed },
#include "kernel/sandbox/cgroup-files.def"
#undef CGROUP_FILE
};

ssize_t cgroup_pread(int fd, char *text, size_t size)
{
	ssize_t n = fd < 0 ? (errno = EBADF, -1) : pread(fd, text, size - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return n < 0 ? -errno : n;
}

ssize_t cgroup_read_at(int dir_fd, const char *name, char *text, size_t size)
{
	_cleanup_(closep) int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0) {
		text[0] = '\0';
		return -errno;
	}
	return cgroup_pread(fd, text, size);
}

int cgroup_write_at(int dir_fd, const char *name, const char *text)
{
	_cleanup_(closep) int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

uint64_t cgroup_field(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL)
		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			return strtoull(line + len, NULL, 10);
	return 0;
}

const char *cgroup_file_name(enum cgroup_file file, bool is_v2)
{
	return is_v2 ? file_rows[file].v2 : file_rows[file].v1;
}

int cgroup_open_files(struct cgroup *c, const struct cgroup_group *g, struct error *err)
{
	for (int i = 0; i < CGROUP_FILE_COUNT; i++) {
		const char *name = cgroup_file_name((enum cgroup_file)i, g->is_v2);

		if (!(file_rows[i].controller & g->does) || !*name)
			continue;
		c->file[i] = openat(g->fd, name, file_rows[i].access | O_CLOEXEC | O_NOFOLLOW);
		if (c->file[i] >= 0 || (errno == ENOENT && !file_rows[i].is_needed))
			continue;
		return error_set(err, -errno,
		    "%s of the control group %s cannot be opened: %s", name, c->name, strerror(errno));
	}
	return 0;
}
