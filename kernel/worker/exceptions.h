/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exceptions: what a turn is ended by, and the module husk_limits, by which user code names it (specs/link.md 5.6).
 *
 * The classes are made at the first use and are the same ever after, whatever user code does to sys.modules.
 */
#ifndef HUSK_WORKER_EXCEPTIONS_H
#define HUSK_WORKER_EXCEPTIONS_H

#include <stdint.h>

#include "kernel/worker/pyapi.h"

/* Why: a reason of reason.def, and the two numbers of its message. Zeros: an interrupt. */
struct cause {
	uint32_t reason;
	uint64_t limit;
	uint64_t used;
};

/* For PyImport_AppendInittab(). */
PyObject *exceptions_create(void);

/* A new exception, or NULL with another one set. */
PyObject *exceptions_new(const struct cause *cause) must_check;

/* Sets the exception; MemoryError when it cannot be made. */
void exceptions_raise(const struct cause *cause);

/*
 * A class that gives this very exception whenever it is called without arguments: for PyThreadState_SetAsyncExc(), which takes
 * classes only. It derives from the exception's class. A new reference, or NULL with an exception.
 */
PyObject *exceptions_class_of(PyObject *exception) must_check;

#endif
