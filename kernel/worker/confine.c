/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine: the one step between "Python is up" and the first tenant byte.
 *
 * A stand-alone kernel runs as its user, who owns everything that it could be kept from: no layer is applied. The
 * layers of a managed kernel (no new privileges, rlimits, Landlock, seccomp, in this order) belong here and nowhere else.
 */
#include "kernel/worker/confine.h"

int confine(const char *const **ret_layers, struct error *err)
{
	static const char *const none[] = { NULL };

	(void)err;
	*ret_layers = none;
	return 0;
}
