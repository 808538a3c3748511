/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pyapi: the part of CPython's interface that the core uses: the limited API of 3.11, and the few functions outside
 * of it that every supported minor exports with the same signature. Include this instead of Python.h.
 */
#ifndef HUSK_WORKER_PYAPI_H
#define HUSK_WORKER_PYAPI_H

#undef Py_LIMITED_API
#define Py_LIMITED_API 0x030b0000
#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>

#include "protocol/base/util.h"

/* Hand-declared: cpython/ceval.h, cpython/pyframe.h, marshal.h, context.h, cpython/initconfig.h. */
enum { PY_TRACE_CALL = 0, PY_TRACE_LINE = 2 };
typedef int (*py_tracefunc)(PyObject *object, PyFrameObject *frame, int what, PyObject *arg);
void PyEval_SetTrace(py_tracefunc func, PyObject *object);
PyObject *PyFrame_GetGlobals(PyFrameObject *frame);
PyFrameObject *PyFrame_GetBack(PyFrameObject *frame); /* a new reference, or NULL */
PyObject *PyMarshal_ReadObjectFromString(const char *data, Py_ssize_t len);
PyObject *PyMarshal_WriteObjectToString(PyObject *value, int version);
int PyContextVar_Get(PyObject *var, PyObject *default_value, PyObject **ret_value);

#define PY_MARSHAL_VERSION 4

struct py_status {
	int type; /* 0 ok, 1 error, 2 exit */
	const char *func;
	const char *err_msg;
	int exitcode;
};
void PyConfig_InitPythonConfig(void *config);
struct py_status PyConfig_SetBytesString(void *config, wchar_t **field, const char *value);
void PyConfig_Clear(void *config);
struct py_status Py_InitializeFromConfig(const void *config);

static inline void py_decrefp(PyObject **p)
{
	Py_XDECREF(*p);
}

#define _py_ref_ _cleanup_(py_decrefp)

#endif
