/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy-resolver: names to addresses as the machine resolves them, in a few threads, for getaddrinfo(3) has no other
 * form. Questions and answers are bounded; a question that is no longer of interest is asked to its end all the same.
 */
#ifndef HUSK_SANDBOX_PROXY_RESOLVER_H
#define HUSK_SANDBOX_PROXY_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "kernel/sandbox/target.h"

#define PROXY_RESOLVER_MAX_THREADS 4
#define PROXY_RESOLVER_MAX_QUESTIONS 64 /* asked and not yet taken */
#define PROXY_RESOLVER_MAX_ADDRESSES 16

struct proxy_answer {
	uint64_t id;
	int error; /* of getaddrinfo(3); 0: there are addresses */
	struct sockaddr_storage address[PROXY_RESOLVER_MAX_ADDRESSES];
	size_t n_addresses;
};

struct proxy_resolver;

int proxy_resolver_new(struct proxy_resolver **ret) must_check;

/* Readable when there may be an answer. */
int proxy_resolver_fd(const struct proxy_resolver *r);

/* 0; 1 when too many questions are open; negative when no thread can be started. */
int proxy_resolver_ask(struct proxy_resolver *r, uint64_t id, const struct target *target) must_check;

/* The next answer; false when there is none yet. */
bool proxy_resolver_take(struct proxy_resolver *r, struct proxy_answer *ret);

#endif
