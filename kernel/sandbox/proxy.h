/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy: the way out of a sandbox whose network policy is "proxy": an HTTP proxy (CONNECT, and http:// requests) that
 * accepts on a socket made in the sandbox's network namespace and connects in its own. A process by itself, without key
 * and without Python; it resolves names, judges the addresses, connects to exactly those, and ends with its owner.
 */
#ifndef HUSK_SANDBOX_PROXY_H
#define HUSK_SANDBOX_PROXY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/sandbox/profile.h"
#include "protocol/base/error.h"

#define PROXY_PORT 3128

struct proxy_options {
	int listen_fd;     /* listens; borrowed */
	int lifeline_fd;   /* the proxy ends when this becomes readable or its other end is closed; borrowed */
	const struct profile_allow *allow;
	size_t n_allow;
	const char *profile; /* its name, for what tenants are told */
	bool change_user;    /* to uid and gid, as root */
	uid_t uid;
	gid_t gid;
};

/*
 * Listens on 127.0.0.1 of the network namespace that the caller is in. port: PROXY_PORT; 0: any, *ret_port says which.
 * 0 or -errno.
 */
int proxy_listen(uint16_t port, int *ret_fd, uint16_t *ret_port) must_check;

/*
 * Forks the proxy. It has confined itself when this returns. To be called before a key is read, by a process with one
 * thread; the caller waits for the child. Negative with a sentence when a step failed: then there is no proxy.
 */
int proxy_start(const struct proxy_options *options, pid_t *ret_pid, struct error *err) must_check;

/* What makes programs in the sandbox use it, NULL at the end. */
extern const char *const proxy_environment[];

/* For proxy.c: serves until the lifeline ends; negative when it cannot. */
int proxy_serve(const struct proxy_options *options, struct error *err) must_check;

#endif
