/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytecode: code objects of the embedded modules. The sources are compiled once per interpreter and kept in one file of
 * the
 * cache directory; without a usable file each module is compiled in memory when it is imported.
 */
#ifndef HUSK_WORKER_BYTECODE_H
#define HUSK_WORKER_BYTECODE_H

#include "kernel/worker/embedded.h"
#include "kernel/worker/pyapi.h"

/* Opens the cache, or makes it. dir: path of the cache directory, NULL for none. Python must be up. Never fails. */
void bytecode_init(const char *dir);

/* The same from the file itself, open at fd and not closed. What is wrong with it makes it count for nothing. */
void bytecode_use(int fd);

/* NULL when no such module is embedded; no exception is set. */
const struct embedded *bytecode_find(const char *name);

/* New reference to its code object, or NULL with an exception. */
PyObject *bytecode_load(const struct embedded *module) must_check;

#endif
