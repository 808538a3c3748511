/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp: the filters of seccomp.def, as the kernel takes them. */
#ifndef HUSK_SANDBOX_SECCOMP_H
#define HUSK_SANDBOX_SECCOMP_H

#include <linux/filter.h>

enum seccomp_filter_kind {
	SECCOMP_FILTER_OWN,     /* the process has namespaces of its own */
	SECCOMP_FILTER_SHARED,  /* none; the network is the machine's */
	SECCOMP_FILTER_OFFLINE, /* none, and no network */
	SECCOMP_FILTER_COUNT
};

struct seccomp_filter {
	const struct sock_filter *code;
	unsigned short n;
};

extern const struct seccomp_filter seccomp_filters[SECCOMP_FILTER_COUNT];

#endif
