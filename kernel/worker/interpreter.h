/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interpreter: which Python a worker is to be, and what is known of it. The interpreter is run once to say it itself
 * (kernel/worker/probe/husk_probe.py); the answer is cached by path and the stamps of the files it depends on.
 */
#ifndef HUSK_WORKER_INTERPRETER_H
#define HUSK_WORKER_INTERPRETER_H

#include <stdbool.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/slice.h"

#define INTERPRETER_PROBE_SEC 10
#define INTERPRETER_RECORD_MAX ((size_t)256 << 10)

/* One record; the strings lie in it, NUL-ended. */
struct interpreter {
	struct buffer record;
	const char *implementation; /* "cpython" */
	long hexversion;
	const char *version;      /* "3.11.2" */
	const char *version_text; /* sys.version */
	bool is_debug;
	bool is_free_threaded;
	bool is_shared;
	const char *executable;      /* sys.executable */
	const char *base_executable; /* sys._base_executable */
	const char *binary;          /* the ELF file that runs */
	const char *prefix;
	const char *base_prefix;
	const char *exec_prefix;
	const char *cache_tag;
	bool is_64bit;
	const char *ipython; /* version, "" when it cannot be imported */
	bool has_debugpy;
	const char *paths; /* path and modification time in nanoseconds, alternating, to the end of the record */
};

void interpreter_deinit(struct interpreter *i);

static inline void interpreter_deinitp(struct interpreter *i)
{
	interpreter_deinit(i);
}

/* Pure. Takes the record's bytes over on success. -EBADMSG when it is not a whole record. */
int interpreter_parse(struct buffer *record, struct interpreter *ret) must_check;

/* Pure. 0 when husk can serve it, else -ENOTSUP and err says what it is and what is supported. */
int interpreter_check(const struct interpreter *i, struct error *err) must_check;

/* The interpreter's absolute path, symbolic links kept. named: a path or a name on PATH; NULL: the active virtual environment's,
 * else python3 on PATH. *ret_path is the caller's to free. -ENOENT. */
int interpreter_locate(const char *named, char **ret_path, struct error *err) must_check;

/* What is known of the interpreter at path, from the cache (dir_fd, -1: none) or by running it. -ENOENT, -EBADMSG (it is no
 * Python 3), -ETIMEDOUT. */
int interpreter_probe(const char *path, int dir_fd, struct interpreter *ret, struct error *err) must_check;

#endif
