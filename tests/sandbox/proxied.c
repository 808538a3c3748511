/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxied: the proxy of a profile for test_proxy.py, on a port of the network namespace that it is started in. Prints
 * the port; ends, and the proxy with it, at the end of its standard input.
 *
 * usage: proxied PROFILE
 */
#include <stdio.h>
#include <sys/wait.h>

#include "kernel/sandbox/proxy.h"

#define NOBODY 65534

/* Not as an ordinary user, and not in a user namespace with few ids. */
static bool is_possible(uid_t uid)
{
	return geteuid() == 0 && seteuid(uid) == 0 && seteuid(0) == 0;
}

int main(int argc, char *argv[])
{
	struct profile_errors errors = { .n = 0 };
	struct profile profile;
	struct error err;
	struct proxy_options o = { .lifeline_fd = STDIN_FILENO };
	uint16_t port;
	int status;
	pid_t pid;

	if (argc != 2 || profile_load(argv[1], &profile, &errors) < 0) {
		(void)fprintf(stderr, "%s\n", errors.n > 0 ? errors.text[0] : "usage: proxied PROFILE");
		return 2;
	}
	o.allow = profile.allow;
	o.n_allow = profile.n_allow;
	o.profile = profile.name;
	o.uid = o.gid = NOBODY;
	o.change_user = is_possible(NOBODY);
	if (proxy_listen(0, &o.listen_fd, &port) < 0 || proxy_start(&o, &pid, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	(void)close(o.listen_fd);
	(void)printf("%u %d\n", port, (int)pid);
	(void)fflush(stdout);
	if (waitpid(pid, &status, 0) != pid)
		return 1;
	profile_deinit(&profile);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
