/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code-file: the name of the file that holds the compiled modules of the core: of one interpreter, and of one version
 * of them.
 */
#ifndef HUSK_WORKER_CODE_FILE_H
#define HUSK_WORKER_CODE_FILE_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define CODE_FILE_PREFIX "code-"
#define CODE_FILE_NAME_MAX 128

/* "code-cpython-311-30b02f0-<hash>"; false when the tag is no part of a name. */
static inline bool code_file_name(const char *cache_tag, long hexversion, const char *hash, char *ret, size_t size)
{
	int n = snprintf(ret, size, CODE_FILE_PREFIX "%s-%lx-%.16s", cache_tag, (unsigned long)hexversion, hash);

	return cache_tag[0] != '\0' && strchr(cache_tag, '/') == NULL && n > 0 && (size_t)n < size;
}

#endif
