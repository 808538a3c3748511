/* SPDX-License-Identifier: Apache-2.0 */
/* pyconfig: the one place where a Python interpreter is configured and started. */
#ifndef HUSK_WORKER_PYCONFIG_H
#define HUSK_WORKER_PYCONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/base/error.h"

struct pyconfig_layout {
	int minor;
	size_t size;
	size_t use_environment;
	size_t install_signal_handlers;
	size_t faulthandler;
	size_t parse_argv;
	size_t program_name;
	size_t executable;
};

/* NULL when this minor of Python 3 is not known. */
const struct pyconfig_layout *pyconfig_layout(int minor);

/* The minors of pyconfig.def, for messages: "3.11, 3.12, 3.13". */
const char *pyconfig_known(void);

/* Starts the interpreter as "python", the path by which the user names it, would run. -ENOTSUP when its PyConfig is not
 * the one in the table, -EIO when it does not come up. */
int pyconfig_start(const char *python, struct error *err) must_check;

#endif
