/* SPDX-License-Identifier: Apache-2.0 */
/* child: a process below the test that ends with it, and that has got somewhere when the test goes on. */
#ifndef HUSK_TESTS_FRONT_CHILD_H
#define HUSK_TESTS_FRONT_CHILD_H

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/unit/test.h"

/* prepare runs in the child; it, or a process that it makes, writes a byte to ready. Then the child waits for signals. */
static inline pid_t child_start(void (*prepare)(int ready, const void *data), const void *data)
{
	int ready[2];
	char byte;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		prepare(ready[1], data);
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
	return child;
}

#endif
