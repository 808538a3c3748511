/* SPDX-License-Identifier: Apache-2.0 */
/*
 * environment: an interpreter and what a worker of it needs, found and checked outside of any sandbox by "husk-worker
 * --prepare" (specs/link.md 2), which runs no tenant code.
 */
#ifndef HUSK_SANDBOX_ENVIRONMENT_H
#define HUSK_SANDBOX_ENVIRONMENT_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"

struct environment {
	struct buffer text;   /* the fields below point into it */
	const char *launcher; /* path of husk-worker, borrowed from the caller */
	const char *executable;
	const char *binary;
	const char *prefix;
	const char *base_prefix;
	const char *exec_prefix;
	const char *core; /* path of husk-core.so */
	int record_fd;    /* sealed memfd: what --prepare found out */
	int code_fd;      /* file with the compiled Python side, -1: the worker compiles it each time */
	pid_t pid;        /* that looks, 0: environment_wait() has been called */
	int answer_fd;
	int complaint_fd;
};

/*
 * Begins to look; python: --python or NULL. The fields are there after environment_wait(), which does nothing when it is
 * called again and whose errors are those of the launcher, made for people.
 */
int environment_start(const char *launcher, const char *python, struct environment *ret, struct error *err) must_check;
int environment_wait(struct environment *e, struct error *err) must_check;
bool environment_has_failed(const struct environment *e); /* environment_wait() did */
void environment_deinit(struct environment *e);

#endif
