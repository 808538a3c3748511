/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache-dir: small files in a directory that only its owner can write: what the launcher knows of interpreters, and
 * bytecode. Everything is checked when it is opened (owner, mode, type, no symbolic link); whatever is wrong means "no
 * cache", never an error: a worker works without one.
 */
#ifndef HUSK_WORKER_CACHE_DIR_H
#define HUSK_WORKER_CACHE_DIR_H

#include "protocol/base/buffer.h"
#include "protocol/base/slice.h"

#define CACHE_FILE_MAX ((size_t)64 << 20)

/* Default directory: $XDG_CACHE_HOME/husk or ~/.cache/husk. -ENOENT when neither is known, -ENAMETOOLONG. */
int cache_dir_default(char *ret_path, size_t size) must_check;

/*
 * Opens the directory, made with mode 0700 when it is missing. A descriptor, or -errno (-EPERM: not ours, or others may
 * write).
 */
int cache_dir_open(const char *path) must_check;

/* Reads a file of the directory. 0 or -errno. */
int cache_file_read(int dir_fd, const char *name, struct buffer *out) must_check;

/* Maps a file read-only, for as long as the process lives. Files are replaced, never changed, so it stays what it was. 0 or
 * -errno. */
int cache_file_map(int dir_fd, const char *name, struct slice *ret) must_check;

int cache_file_map_fd(int fd, struct slice *ret) must_check;

/* Checked as above, for reading. A descriptor or -errno. */
int cache_file_open(int dir_fd, const char *name) must_check;

/* Replaces it in one step. 0 or -errno. */
int cache_file_write(int dir_fd, const char *name, struct slice content) must_check;

/* Removes all files whose names begin with prefix when there are more than max: what is still wanted is made again. */
void cache_dir_prune(int dir_fd, const char *prefix, unsigned max);

#endif
