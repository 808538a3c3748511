/* SPDX-License-Identifier: Apache-2.0 */
/* cache-dir: small files in a directory that only its owner can write. */
#include "kernel/worker/cache-dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "protocol/base/io.h"

int cache_dir_default(char *ret_path, size_t size)
{
	const char *base = getenv("XDG_CACHE_HOME");
	int n;

	/* The XDG specification: a relative path is to be ignored. */
	if (base != NULL && base[0] == '/') {
		n = snprintf(ret_path, size, "%s/husk", base);
	} else {
		base = getenv("HOME");
		if (base == NULL || base[0] != '/')
			return -ENOENT;
		n = snprintf(ret_path, size, "%s/.cache/husk", base);
	}
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* A file or directory is trusted when it is ours or root's and nobody else may write it. */
static int check_owner(const struct stat *st)
{
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return -EPERM;
	return (st->st_mode & (S_IWGRP | S_IWOTH)) != 0 ? -EPERM : 0;
}

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* mkdir for the last two components: ~/.cache may be missing too. */
static int make_dir(const char *path)
{
	char parent[4096];
	const char *slash = strrchr(path, '/');
	size_t len = slash != NULL ? (size_t)(slash - path) : 0;

	if (len > 0 && len < sizeof(parent)) {
		memcpy(parent, path, len);
		parent[len] = '\0';
		(void)mkdir(parent, 0700);
	}
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

int cache_dir_open(const char *path)
{
	_cleanup_(closep) int fd = open_dir(path);
	struct stat st;
	int r;

	if (fd == -ENOENT) {
		r = make_dir(path);
		if (r < 0)
			return r;
		fd = open_dir(path);
	}
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	/* Names are not secret, but what others may read is more than they need: 0700, as it was made. */
	if ((st.st_mode & 07777) != 0700)
		return -EPERM;
	r = check_owner(&st);
	return r < 0 ? r : STEAL_FD(fd);
}

static int read_all(int fd, size_t size, struct buffer *out)
{
	int r = buffer_reserve(out, size);

	if (r < 0)
		return r;
	while (size > 0) {
		ssize_t n = read(fd, out->data + out->len, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		out->len += (size_t)n;
		size -= (size_t)n;
	}
	return 0;
}

/* An open regular file of ours, or -errno. */
static int open_file(int dir_fd, const char *name, size_t *ret_size)
{
	_cleanup_(closep) int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EPERM;
	r = check_owner(&st);
	if (r < 0)
		return r;
	if ((uint64_t)st.st_size > CACHE_FILE_MAX)
		return -EFBIG;
	*ret_size = (size_t)st.st_size;
	return STEAL_FD(fd);
}

int cache_file_read(int dir_fd, const char *name, struct buffer *out)
{
	size_t size;
	_cleanup_(closep) int fd = open_file(dir_fd, name, &size);

	return fd < 0 ? fd : read_all(fd, size, out);
}

int cache_file_map_fd(int fd, struct slice *ret)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > CACHE_FILE_MAX)
		return -EBADMSG;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	*ret = slice_from(map, (size_t)st.st_size);
	return 0;
}

int cache_file_map(int dir_fd, const char *name, struct slice *ret)
{
	size_t size;
	_cleanup_(closep) int fd = open_file(dir_fd, name, &size);

	return fd < 0 ? fd : cache_file_map_fd(fd, ret);
}

int cache_file_open(int dir_fd, const char *name)
{
	size_t size;

	return open_file(dir_fd, name, &size);
}

int cache_file_write(int dir_fd, const char *name, struct slice content)
{
	_cleanup_(closep) int fd = -1;
	char temporary[300];
	int n = snprintf(temporary, sizeof(temporary), "%s.%ld", name, (long)getpid());
	int r;

	if (n < 0 || (size_t)n >= sizeof(temporary))
		return -ENAMETOOLONG;
	/* A leftover of a process that died here and had our number. */
	(void)unlinkat(dir_fd, temporary, 0);
	fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = io_write_all(fd, content);
	if (r == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir_fd, temporary, 0);
	return r;
}

static unsigned count_or_remove(int dir_fd, DIR *dir, const char *prefix, bool remove)
{
	unsigned n = 0;
	const struct dirent *entry;

	while ((entry = readdir(dir)) != NULL) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		n++;
		if (remove && unlinkat(dir_fd, entry->d_name, 0) < 0)
			break;
	}
	return n;
}

void cache_dir_prune(int dir_fd, const char *prefix, unsigned max)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (dir == NULL) {
		closep(&fd);
		return;
	}
	if (count_or_remove(dir_fd, dir, prefix, false) > max) {
		rewinddir(dir);
		(void)count_or_remove(dir_fd, dir, prefix, true);
	}
	(void)closedir(dir);
}
