/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confined FILTER COMMAND [ARGUMENT...]: executes a command under one of the filters of system calls and nothing else of the sandbox.
 * FILTER: own, shared or offline, as in seccomp.def. Exit status 126: not confined, 127: not executed.
 */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "kernel/sandbox/confinement.h"

int main(int argc, char **argv)
{
	struct confinement c = { .fault = -1 };
	int r;

	if (argc < 3) {
		(void)fprintf(stderr, "usage: confined own|shared|offline COMMAND [ARGUMENT...]\n");
		return 126;
	}
	c.level = strcmp(argv[1], "own") == 0 ? SANDBOX_FULL : SANDBOX_RESTRICTED;
	c.host_network = strcmp(argv[1], "shared") == 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		perror("confined: no_new_privs");
		return 126;
	}
	r = confinement_seccomp(&c);
	if (r < 0) {
		(void)fprintf(stderr, "confined: %s\n", strerror(-r));
		return 126;
	}
	(void)execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
