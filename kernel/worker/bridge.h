/* SPDX-License-Identifier: Apache-2.0 */
/* bridge: the built-in module _husk, the core's face to Python (kernel/worker/py/_husk.pyi). */
#ifndef HUSK_WORKER_BRIDGE_H
#define HUSK_WORKER_BRIDGE_H

#include "kernel/worker/pyapi.h"

/* For PyImport_AppendInittab(). */
PyObject *bridge_create(void);

#endif
