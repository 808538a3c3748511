/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child: a test body in a process of its own, for what a process does to itself cannot be undone. The body claims; the first claim that does not
 * hold is the parent's failure.
 */
#ifndef HUSK_TESTS_SANDBOX_CHILD_H
#define HUSK_TESTS_SANDBOX_CHILD_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/test.h"

#define CHILD_NOBODY 65534
#define CHILD_SECONDS 30

enum child_user { CHILD_AS_IS, CHILD_ORDINARY }; /* root's tests become nobody first; others are ordinary already */

static int child_pipe;

static inline void child_fail(const char *text, int line)
{
	(void)dprintf(child_pipe, "line %d: %s (errno %s)", line, text, strerrorname_np(errno));
	_exit(1);
}

#define claim(what) \
	do { \
		if (!(what)) \
			child_fail(#what, __LINE__); \
	} while (0)

/* A call that must fail, and how. */
#define claim_errno(what, error) \
	do { \
		errno = 0; \
		if ((what) >= 0 || errno != (error)) \
			child_fail(#what " fails with " #error, __LINE__); \
	} while (0)

static inline void child_become_ordinary(void)
{
	claim(syscall(SYS_setgroups, (size_t)0, NULL) == 0);
	claim(setresgid(CHILD_NOBODY, CHILD_NOBODY, CHILD_NOBODY) == 0);
	claim(setresuid(CHILD_NOBODY, CHILD_NOBODY, CHILD_NOBODY) == 0);
	claim(prctl(PR_SET_DUMPABLE, 1) == 0); /* as after an execution: /proc/self is its own */
}

static inline void child_run(enum child_user user, void (*body)(const void *), const void *arg)
{
	char text[512] = "";
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(ends[0]);
		child_pipe = ends[1];
		(void)alarm(CHILD_SECONDS);
		if (user == CHILD_ORDINARY && geteuid() == 0)
			child_become_ordinary();
		body(arg);
		_exit(0);
	}
	(void)close(ends[1]);
	n = read(ends[0], text, sizeof(text) - 1);
	(void)close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (n != 0 || status != 0)
		fail_msg("%s (status %#x)", text, status);
}

/* The value of a line of /proc/self/status, as it stands there. */
static inline const char *child_status(const char *name)
{
	static char line[256];
	size_t len = strlen(name);
	FILE *file = fopen("/proc/self/status", "r");

	claim(file != NULL);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, len) != 0 || line[len] != ':')
			continue;
		(void)fclose(file);
		line[strcspn(line, "\n")] = '\0';
		return line + len + 1 + strspn(line + len + 1, "\t ");
	}
	child_fail(name, __LINE__);
	return "";
}

#endif
