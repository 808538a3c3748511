/* SPDX-License-Identifier: Apache-2.0 */
/* install: writes the kernelspec (kernels.rst "Kernel specs") for an interpreter. */
#ifndef HUSK_FRONT_INSTALL_H
#define HUSK_FRONT_INSTALL_H

#include "kernel/front/options.h"

int install_run(const struct options *o, struct error *err) must_check; /* prints where it wrote */

#endif
