/* SPDX-License-Identifier: Apache-2.0 */
/* listen: the listening sockets of a kernel. */
#include "kernel/front/listen.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define FLAGS (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
#define BACKLOG 128

static const char *name_of(enum connection_port port)
{
	static const char *const names[CONNECTION_PORT_COUNT] = {
		[CONNECTION_SHELL] = "shell", [CONNECTION_IOPUB] = "iopub", [CONNECTION_STDIN] = "stdin",
		[CONNECTION_CONTROL] = "control", [CONNECTION_HB] = "heartbeat",
	};

	return names[port];
}

/* Binds and listens; takes fd. */
static int bind_to(int fd, const struct sockaddr *address, socklen_t size)
{
	int r = fd < 0 ? -errno : 0;

	if (r == 0 && (bind(fd, address, size) < 0 || listen(fd, BACKLOG) < 0))
		r = -errno;
	if (r < 0 && fd >= 0)
		(void)close(fd);
	return r < 0 ? r : fd;
}

static int open_address(const struct addrinfo *a)
{
	int on = 1, fd = socket(a->ai_family, FLAGS, 0);

	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind_to(fd, a->ai_addr, a->ai_addrlen);
}

/* Numbers need no resolver, which may load libraries and ask the network. */
static int resolve(const struct connection *c, enum connection_port port, struct addrinfo **ret)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
	};
	char host[sizeof(c->ip)], service[16];
	size_t n = strlen(c->ip);
	int r;

	/* As in an endpoint: any address, and an IPv6 address in brackets. */
	(void)snprintf(host, sizeof(host), "%s", strcmp(c->ip, "*") == 0 ? "0.0.0.0" : c->ip);
	if (n > 2 && c->ip[0] == '[' && c->ip[n - 1] == ']')
		(void)snprintf(host, sizeof(host), "%.*s", (int)n - 2, c->ip + 1);

	(void)snprintf(service, sizeof(service), "%d", c->ports[port]);
	r = getaddrinfo(host, service, &hints, ret);
	if (r == EAI_NONAME) {
		hints.ai_flags &= ~AI_NUMERICHOST;
		r = getaddrinfo(host, service, &hints, ret);
	}
	return r;
}

static int port_of(int fd)
{
	struct sockaddr_storage address = { 0 };
	socklen_t size = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return -errno;
	return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port :
						     ((struct sockaddr_in *)&address)->sin_port);
}

static int open_tcp(struct connection *c, enum connection_port port, const char *endpoint, struct error *err)
{
	struct addrinfo *list = NULL;
	int fd, r = resolve(c, port, &list);

	if (r != 0)
		return error_set(err, -EADDRNOTAVAIL, "cannot bind the %s socket to %s: %s", name_of(port), endpoint,
		    gai_strerror(r));
	fd = open_address(list);
	freeaddrinfo(list);
	if (fd < 0)
		return error_set(err, fd, "cannot bind the %s socket to %s: %s", name_of(port), endpoint, strerror(-fd));
	if (c->ports[port] == 0)
		c->ports[port] = port_of(fd);
	return fd;
}

/* A file that nobody listens at is what a dead kernel left behind. */
static bool is_stale(const struct sockaddr_un *address)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0 || lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	return connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 && errno == ECONNREFUSED;
}

static int open_path(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t before;
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	(void)strcpy(address.sun_path, path);
	if (is_stale(&address))
		(void)unlink(path);
	before = umask(0177);
	fd = bind_to(socket(AF_UNIX, FLAGS, 0), (const struct sockaddr *)&address, sizeof(address));
	(void)umask(before);
	return fd;
}

/* ipc has no port 0: the first number whose path is free. */
static int choose_ipc_port(const struct connection *c, enum connection_port port)
{
	struct connection probe = *c;
	char endpoint[320];

	for (int n = 1; n < 10000; n++) {
		bool taken = false;

		for (int i = 0; i < CONNECTION_PORT_COUNT; i++)
			taken |= c->ports[i] == n;
		probe.ports[port] = n;
		if (taken || connection_endpoint(&probe, port, endpoint, sizeof(endpoint)) < 0)
			continue;
		if (access(endpoint + strlen("ipc://"), F_OK) < 0)
			return n;
	}
	return -EADDRINUSE;
}

int listen_open(struct connection *c, enum connection_port port, char *ret_path, size_t path_size, struct error *err)
{
	bool ipc = strcmp(c->transport, "ipc") == 0;
	char endpoint[320];
	int r;

	ret_path[0] = '\0';
	if (ipc && c->ports[port] == 0) {
		r = choose_ipc_port(c, port);
		if (r < 0)
			return error_set(err, r, "%s: no free ipc path after %s-1", name_of(port), c->ip);
		c->ports[port] = r;
	}
	if (connection_endpoint(c, port, endpoint, sizeof(endpoint)) < 0)
		return error_set(err, -ENAMETOOLONG, "%s: the address is too long", name_of(port));
	if (!ipc)
		return open_tcp(c, port, endpoint, err);
	r = open_path(endpoint + strlen("ipc://"));
	if (r < 0)
		return error_set(err, r, "cannot bind the %s socket to %s: %s", name_of(port), endpoint, strerror(-r));
	(void)snprintf(ret_path, path_size, "%s", endpoint + strlen("ipc://"));
	return r;
}

int listen_accept(int fd)
{
	int on = 1, client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (client < 0)
		return errno == ECONNABORTED || errno == EINTR ? -EAGAIN : -errno;
	(void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* refused for ipc, which has no delay */
	return client;
}
