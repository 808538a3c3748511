/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core-argv: what the launcher tells the core, as the arguments of the interpreter that it executes:
 *   PYTHON --husk-worker=VERSION CACHE_DIR    be a worker
 *   PYTHON --husk-prime=VERSION CACHE_DIR     compile what the core carries into CACHE_DIR, and end
 * PYTHON is the path by which the user names the interpreter; CACHE_DIR may be empty (no cache), or "fd:N": the file of
 * compiled code itself, open
 * at descriptor N. Should the core not be loaded,
 * the interpreter refuses the unknown option and exits with 2.
 */
#ifndef HUSK_WORKER_CORE_ARGV_H
#define HUSK_WORKER_CORE_ARGV_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define CORE_ARGV_OPTION "--husk-worker="
#define CORE_ARGV_PRIME "--husk-prime="
#define CORE_ARGV_FD "fd:"
#define CORE_ARGV_VERSION "1"
#define CORE_ARGV_COUNT 3

struct core_argv {
	const char *python;
	const char *cache_dir; /* NULL: none */
	int code_fd;           /* -1: none */
	bool prime;
};

static inline bool core_argv_is_worker(int argc, char **argv)
{
	return argc >= 2 && (strncmp(argv[1], CORE_ARGV_OPTION, sizeof(CORE_ARGV_OPTION) - 1) == 0 ||
			     strncmp(argv[1], CORE_ARGV_PRIME, sizeof(CORE_ARGV_PRIME) - 1) == 0);
}

static inline int core_argv_parse(int argc, char **argv, struct core_argv *ret)
{
	int n = 0;

	if (argc != CORE_ARGV_COUNT)
		return -EINVAL;
	*ret = (struct core_argv){
	    .python = argv[0], .code_fd = -1, .prime = strcmp(argv[1], CORE_ARGV_PRIME CORE_ARGV_VERSION) == 0};
	if (!ret->prime && strcmp(argv[1], CORE_ARGV_OPTION CORE_ARGV_VERSION) != 0)
		return -EINVAL;
	if (sscanf(argv[2], CORE_ARGV_FD "%d%n", &ret->code_fd, &n) == 1 && argv[2][n] == '\0')
		return 0;
	ret->code_fd = -1;
	if (argv[2][0] != '\0')
		ret->cache_dir = argv[2];
	return 0;
}

#endif
