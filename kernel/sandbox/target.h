/* SPDX-License-Identifier: Apache-2.0 */
/* target: a place in the network, "host:port", as profiles allow it and requests to the proxy name it. Pure. */
#ifndef HUSK_SANDBOX_TARGET_H
#define HUSK_SANDBOX_TARGET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/slice.h"
#include "protocol/base/util.h"

#define TARGET_MAX_HOST 253
#define TARGET_MAX_TEXT (TARGET_MAX_HOST + sizeof("[]:65535"))

struct target {
	char host[TARGET_MAX_HOST + 1]; /* lower case name, "*.name", or an address in its canonical form */
	uint16_t port;
	int family;                     /* AF_INET, AF_INET6: the host is an address; AF_UNSPEC: a name */
	union {
		struct in_addr v4;
		struct in6_addr v6;
	} address;
};

enum target_form {
	TARGET_REQUEST, /* the port may be missing when there is a default */
	TARGET_RULE,    /* and "*.example.org" is for all names below */
};

/*
 * "example.org:443", "10.0.0.5:3141", "[2001:db8::1]:443". What a resolver might take for an address and is not one in
 * full ("127.1", "0x7f.1") is refused, and so are addresses that nobody connects to (unspecified, multicast) and IPv4
 * written as IPv6. default_port: 0 when the port must be there. 0 or -EINVAL.
 */
int target_parse(struct slice text, enum target_form form, uint16_t default_port, struct target *ret) must_check;

/* The same, host and port apart; false for a pattern that is not written as one. */
bool target_is_below(const char *pattern, const char *name); /* "*.example.org", "a.b.example.org" */

/* "host:port", with brackets where they are needed. */
void target_format(const char *host, uint16_t port, char ret[TARGET_MAX_TEXT]);

/*
 * Whether an address belongs to the public internet: neither private, loopback, link-local, shared (CGNAT), multicast,
 * documentation or reserved, nor a way of writing one of those in IPv6. *ret_why (may be NULL) says what it is
 * otherwise: "a private address".
 */
bool target_is_public(const struct sockaddr *address, const char **ret_why);

#endif
