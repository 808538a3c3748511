/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp: the installation of a filter; what it says is in seccomp.def. */
#include "kernel/sandbox/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/sandbox/confinement.h"
#include "protocol/base/util.h"

static enum seccomp_filter_kind choose(const struct confinement *c)
{
	if (c->level >= SANDBOX_FULL_NOCG)
		return SECCOMP_FILTER_OWN;
	return c->host_network ? SECCOMP_FILTER_SHARED : SECCOMP_FILTER_OFFLINE;
}

int confinement_seccomp(const struct confinement *c)
{
	const struct seccomp_filter *filter = &seccomp_filters[choose(c)];
	/* The kernel only reads the code, but the header does not say so. */
	struct sock_fprog program = { .len = filter->n, .filter = (struct sock_filter *)(uintptr_t)filter->code };

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0u, &program) < 0 ? -errno : 0;
}
