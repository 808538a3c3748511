/* SPDX-License-Identifier: Apache-2.0 */
/* embedded: the Python sources that the core carries (embedded.c is made by tools/embed-python.py). */
#ifndef HUSK_WORKER_EMBEDDED_H
#define HUSK_WORKER_EMBEDDED_H

#include <stdbool.h>
#include <stddef.h>

/* What the file names of these modules begin with in tracebacks; no such directory exists. */
#define EMBEDDED_PREFIX "<husk>/"

struct embedded {
	const char *name; /* "husk_worker.boot" */
	const char *file; /* "<husk>/husk_worker/boot.py" */
	bool is_package;
	const char *source;
	size_t len;
};

extern const struct embedded embedded_modules[]; /* sorted by name */
extern const size_t embedded_n_modules;
extern const char embedded_hash[65]; /* hex SHA-256 over all names and sources */

#endif
