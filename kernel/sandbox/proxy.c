/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy: its process: what it keeps of its parent, and what it gives up before it reads the first byte of a tenant.
 * System calls as in a sandbox without namespaces, where the network is the machine's; of the file system what
 * resolving names needs; no capability.
 */
#include "kernel/sandbox/proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kernel/sandbox/confinement.h"
#include "protocol/base/log.h"

#define BACKLOG 64
#define MAX_DESCRIPTORS 512
#define MAX_DATA_BYTES ((rlim_t)256 << 20)

/* Descriptors of the proxy from its start on. */
enum { LISTEN_FD = 3, LIFELINE_FD, READY_FD, FIRST_FREE_FD };

#define ADDRESS "http://127.0.0.1:3128"
const char *const proxy_environment[] = {
	"http_proxy=" ADDRESS, "https_proxy=" ADDRESS, "HTTP_PROXY=" ADDRESS, "HTTPS_PROXY=" ADDRESS, "no_proxy=localhost,127.0.0.1,::1",
	"NO_PROXY=localhost,127.0.0.1,::1", NULL,
};
_Static_assert(PROXY_PORT == 3128, "the port stands in the address too");

int proxy_listen(uint16_t port, int *ret_fd, uint16_t *ret_port)
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	*ret_port = ntohs(address.sin_port);
	*ret_fd = STEAL_FD(fd);
	return 0;
}

/*
 * Moves the descriptors to their places, above all of them first, so that none is overwritten, and closes all others
 * but stderr.
 */
static int keep_descriptors(const struct proxy_options *o, int ready_fd)
{
	int from[] = { o->listen_fd, o->lifeline_fd, ready_fd };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (size_t i = 0; i < ARRAY_SIZE(from); i++) {
		from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, FIRST_FREE_FD);
		if (from[i] < 0)
			return -errno;
	}
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(from); i++)
		if (dup3(from[i], LISTEN_FD + (int)i, O_CLOEXEC) < 0)
			return -errno;
	return close_range(FIRST_FREE_FD, ~0u, 0) < 0 ? -errno : 0;
}

static int lower_limit(int resource, rlim_t most)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
		return -errno;
	limit.rlim_max = MIN(limit.rlim_max, most);
	limit.rlim_cur = limit.rlim_max;
	return setrlimit((__rlimit_resource_t)resource, &limit) < 0 ? -errno : 0;
}

/* Of the machine it needs processor, network, and memory for what is on its way. */
static int lower_limits(void)
{
	static const struct {
		int resource;
		rlim_t most;
	} rows[] = {
		{ RLIMIT_CORE, 0 }, { RLIMIT_MEMLOCK, 0 }, { RLIMIT_MSGQUEUE, 0 }, { RLIMIT_NOFILE, MAX_DESCRIPTORS },
		{ RLIMIT_DATA, HUSK_SANITIZED ? RLIM_INFINITY : MAX_DATA_BYTES },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int r = lower_limit(rows[i].resource, rows[i].most);

		if (r < 0)
			return r;
	}
	return 0;
}

static int confine(const struct proxy_options *o, struct error *err)
{
	struct confinement c = {
		.level = SANDBOX_RESTRICTED,
		.change_user = o->change_user,
		.uid = o->uid,
		.gid = o->gid,
		.host_network = true,
		.paths = { { "/etc", false, true },
			   { "/usr", false, true },
			   { "/lib", false, true },
			   { "/lib64", false, true },
			   { "/run", false, true } },
		.n_paths = 5,
		.fault = -1,
	};
	int r;

	r = confinement_session();
	if (r < 0)
		return error_set(err, r, "proxy: no session of its own: %s", strerror(-r));
	r = lower_limits();
	if (r < 0)
		return error_set(err, r, "proxy: its resource limits cannot be set: %s", strerror(-r));
	r = confinement_drop_user(&c);
	if (r < 0)
		return error_set(err, r, "proxy: its user id and capabilities cannot be given up: %s", strerror(-r));
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		r = -errno;
		return error_set(err, r, "proxy: no_new_privs cannot be set: %s", strerror(-r));
	}
	/*
	 * An older Landlock would not do what this one does; the proxy runs nobody's code, so the filter of system
	 * calls is enough then.
	 */
	if (confinement_landlock_abi() >= CONFINEMENT_RESTRICTED_ABI) {
		r = confinement_landlock(&c);
		if (r < 0)
			return error_set(err, r, "proxy: Landlock cannot be set up: %s", strerror(-r));
	}
	r = confinement_seccomp(&c);
	if (r < 0)
		return error_set(err, r, "proxy: the filter of system calls cannot be set: %s", strerror(-r));
	return 0;
}

static void run(const struct proxy_options *o, int ready_fd) __attribute__((noreturn));

static void run(const struct proxy_options *o, int ready_fd)
{
	struct proxy_options own = *o;
	struct error err = { .code = 0 };
	sigset_t none;
	int r;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_NAME, "husk-proxy", 0, 0, 0);
	log_init("husk-proxy", LOG_LEVEL_WARNING);
	r = keep_descriptors(o, ready_fd);
	if (r < 0)
		_exit(1); /* the other end of ready_fd sees the end */
	own.listen_fd = LISTEN_FD;
	own.lifeline_fd = LIFELINE_FD;
	r = confine(&own, &err);
	if (write(READY_FD, &err, sizeof(err)) != sizeof(err) || r < 0)
		_exit(1);
	(void)close(READY_FD);
	r = proxy_serve(&own, &err);
	if (r < 0)
		log_error("%s", err.text);
	_exit(r < 0 ? 1 : 0);
}

int proxy_start(const struct proxy_options *options, pid_t *ret_pid, struct error *err)
{
	_cleanup_(closep) int reader = -1;
	_cleanup_(closep) int writer = -1;
	struct error answer;
	int pair[2], r;
	ssize_t n;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0) {
		r = -errno;
		return error_set(err, r, "proxy: no pipe: %s", strerror(-r));
	}
	reader = pair[0];
	writer = pair[1];
	pid = fork();
	if (pid < 0) {
		r = -errno;
		return error_set(err, r, "proxy: no process: %s", strerror(-r));
	}
	if (pid == 0)
		run(options, writer);
	(void)close(STEAL_FD(writer));
	do
		n = read(reader, &answer, sizeof(answer));
	while (n < 0 && errno == EINTR);
	if (n == sizeof(answer) && answer.code == 0) {
		*ret_pid = pid;
		return 0;
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	if (n != sizeof(answer))
		return error_set(err, -EIO, "proxy: its process ended while it started");
	return error_set(err, answer.code, "%s", answer.text);
}
