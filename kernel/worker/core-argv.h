/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core-argv: what the launcher tells the core, as the arguments of the interpreter that it executes:
 *   PYTHON --husk-worker=VERSION CACHE_DIR
 * PYTHON is the path by which the user names the interpreter; CACHE_DIR may be empty (no cache). Should the core not be loaded,
 * the interpreter refuses the unknown option and exits with 2.
 */
#ifndef HUSK_WORKER_CORE_ARGV_H
#define HUSK_WORKER_CORE_ARGV_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define CORE_ARGV_OPTION "--husk-worker="
#define CORE_ARGV_VERSION "1"
#define CORE_ARGV_COUNT 3

struct core_argv {
	const char *python;
	const char *cache_dir; /* NULL: none */
};

static inline bool core_argv_is_worker(int argc, char **argv)
{
	return argc >= 2 && strncmp(argv[1], CORE_ARGV_OPTION, sizeof(CORE_ARGV_OPTION) - 1) == 0;
}

static inline int core_argv_parse(int argc, char **argv, struct core_argv *ret)
{
	if (argc != CORE_ARGV_COUNT || strcmp(argv[1], CORE_ARGV_OPTION CORE_ARGV_VERSION) != 0)
		return -EINVAL;
	*ret = (struct core_argv){ argv[0], argv[2][0] != '\0' ? argv[2] : NULL };
	return 0;
}

#endif
