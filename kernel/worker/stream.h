/* SPDX-License-Identifier: Apache-2.0 */
/* stream: the type _husk.Stream, text into the output ring. */
#ifndef HUSK_WORKER_STREAM_H
#define HUSK_WORKER_STREAM_H

#include "kernel/worker/pyapi.h"

/* Makes the type and adds it to the module. -1 with an exception. */
int stream_add_type(PyObject *module) must_check;

/* The context variable that says which turn text belongs to; NULL or None: none. */
void stream_set_context_var(PyObject *var);

#endif
