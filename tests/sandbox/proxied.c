/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxied: the proxy of a profile for test_proxy.py, on a port of the network namespace that it is started in. Prints the port; ends, and the
 * proxy with it, at the end of its standard input.
 *
 * usage: proxied PROFILE
 */
#include <stdio.h>
#include <sys/wait.h>

#include "kernel/sandbox/proxy.h"

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
	if (geteuid() == 0) {
		o.change_user = true;
		o.uid = o.gid = 65534;
	}
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
