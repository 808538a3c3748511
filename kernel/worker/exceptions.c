/* SPDX-License-Identifier: Apache-2.0 */
/* exceptions: what a turn is ended by, and the module husk_limits. */
#include "kernel/worker/exceptions.h"

#include <errno.h>
#include <string.h>

#include "protocol/link/reason.h"

static const char module_doc[] =
    "Exceptions by which a limit of the kernel ends a cell.\n\n"
    "They derive from KeyboardInterrupt, so that \"except Exception\" lets them pass. Code that catches one to clean up should\n"
    "raise it again: it is repeated until the cell has ended. Memory that is refused is Python's MemoryError.";

enum { CLASS_BASE, CLASS_COUNT = 5 };

static const struct {
	const char *name;
	const char *doc;
} rows[CLASS_COUNT] = {
	[CLASS_BASE] = { "husk_limits.LimitExceeded",
	    "A limit of the kernel has been reached.\n\n"
	    "what: the limit's name in the kernel's profile, e.g. \"wall\"; limit, used: seconds, bytes or a number. None in one\n"
	    "that the kernel has not raised." },
	{ "husk_limits.WallTimeLimitExceeded", "The cell has run, or waited for input, for as long as it may." },
	{ "husk_limits.CpuTimeLimitExceeded", "The cell, or the kernel in all its life, has computed for as long as it may." },
	{ "husk_limits.MemoryLimitExceeded",
	    "The name under which a kernel reports that memory has cost its variables; code gets a MemoryError." },
	{ "husk_limits.OutputLimitExceeded", "The cell, or the kernel in all its life, has written as much as it may." },
};

static PyObject *classes[CLASS_COUNT];

/* ---- the classes ---- */

static PyObject *make_base(void)
{
	_py_ref_ PyObject *names = Py_BuildValue("{sOsOsO}", "what", Py_None, "limit", Py_None, "used", Py_None);

	if (names == NULL)
		return NULL;
	return PyErr_NewExceptionWithDoc(rows[CLASS_BASE].name, rows[CLASS_BASE].doc, PyExc_KeyboardInterrupt, names);
}

static int make_classes(void)
{
	for (size_t i = 0; i < CLASS_COUNT; i++) {
		if (classes[i] == NULL)
			classes[i] = i == CLASS_BASE ?
			    make_base() :
			    PyErr_NewExceptionWithDoc(rows[i].name, rows[i].doc, classes[CLASS_BASE], NULL);
		if (classes[i] == NULL)
			return -1;
	}
	return 0;
}

/* Name without the module. */
static const char *short_name(size_t i)
{
	return strchr(rows[i].name, '.') + 1;
}

/* The class of a reason, borrowed; NULL with an exception. */
static PyObject *find_class(const struct reason_row *row)
{
	if (strcmp(row->class_name, "KeyboardInterrupt") == 0)
		return PyExc_KeyboardInterrupt;
	if (strcmp(row->class_name, "MemoryError") == 0)
		return PyExc_MemoryError;
	if (strcmp(row->class_name, "OSError") == 0)
		return PyExc_OSError;
	if (make_classes() < 0)
		return NULL;
	for (size_t i = 0; i < CLASS_COUNT; i++) {
		if (strcmp(short_name(i), row->class_name) == 0)
			return classes[i];
	}
	return PyExc_KeyboardInterrupt;
}

/* ---- the exceptions ---- */

static PyObject *amount(enum reason_unit unit, uint64_t value)
{
	return unit == REASON_UNIT_USEC ? PyFloat_FromDouble((double)value / 1e6) : PyLong_FromUnsignedLongLong(value);
}

static int add_details(PyObject *exception, const struct cause *cause)
{
	enum reason_unit unit = reason_row(cause->reason)->unit;
	char setting[REASON_SETTING_MAX];
	_py_ref_ PyObject *what = NULL;
	_py_ref_ PyObject *limit = amount(unit, cause->limit);
	_py_ref_ PyObject *used = amount(unit, cause->used);

	reason_setting(cause->reason, setting);
	what = PyUnicode_FromString(setting);
	if (what == NULL || limit == NULL || used == NULL)
		return -1;
	if (PyObject_SetAttrString(exception, "what", what) < 0 || PyObject_SetAttrString(exception, "limit", limit) < 0)
		return -1;
	return PyObject_SetAttrString(exception, "used", used);
}

/* As the operating system's own error for it looks. */
static PyObject *new_os_error(const char *text)
{
	_py_ref_ PyObject *message = PyUnicode_FromFormat("No space left on device: %s", text);

	return message == NULL ? NULL : PyObject_CallFunction(PyExc_OSError, "iO", ENOSPC, message);
}

PyObject *exceptions_new(const struct cause *cause)
{
	const struct reason_row *row = reason_row(cause->reason);
	PyObject *borrowed_class = find_class(row);
	_py_ref_ PyObject *exception = NULL;
	char text[REASON_MESSAGE_MAX];

	if (borrowed_class == NULL)
		return NULL;
	if (row->unit == REASON_UNIT_NONE)
		return PyObject_CallNoArgs(borrowed_class);
	reason_message(cause->reason, cause->limit, cause->used, text);
	exception = borrowed_class == PyExc_OSError ? new_os_error(text) : PyObject_CallFunction(borrowed_class, "s", text);
	if (exception == NULL || add_details(exception, cause) < 0)
		return NULL;
	return STEAL(exception);
}

void exceptions_raise(const struct cause *cause)
{
	_py_ref_ PyObject *exception = NULL;

	/* As Python does it for an interrupt: the exception is made when somebody looks at it. */
	if (cause->reason == RING_REASON_INTERRUPT) {
		PyErr_SetNone(PyExc_KeyboardInterrupt);
		return;
	}
	exception = exceptions_new(cause);
	if (exception != NULL)
		PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
}

/* ---- for another thread ---- */

static PyObject *give_exception(PyObject *exception, PyObject *unused_args, PyObject *unused_kwargs)
{
	(void)unused_args;
	(void)unused_kwargs;
	return Py_NewRef(exception);
}

static PyMethodDef give_def = {
	"__new__",
	(PyCFunction)(void (*)(void))give_exception,
	METH_VARARGS | METH_KEYWORDS,
	NULL,
};

PyObject *exceptions_class_of(PyObject *exception)
{
	PyObject *borrowed_class = (PyObject *)Py_TYPE(exception);
	_py_ref_ PyObject *give = PyCFunction_NewEx(&give_def, exception, NULL);
	_py_ref_ PyObject *name = PyObject_GetAttrString(borrowed_class, "__name__");

	if (give == NULL || name == NULL)
		return NULL;
	return PyObject_CallFunction((PyObject *)&PyType_Type, "O(O){sO}", name, borrowed_class, "__new__", give);
}

/* ---- the module ---- */

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "husk_limits",
	.m_doc = module_doc,
	.m_size = -1,
};

PyObject *exceptions_create(void)
{
	_py_ref_ PyObject *module = PyModule_Create(&definition);
	_py_ref_ PyObject *names = PyList_New(0);

	if (module == NULL || names == NULL || make_classes() < 0)
		return NULL;
	for (size_t i = 0; i < CLASS_COUNT; i++) {
		_py_ref_ PyObject *name = PyUnicode_FromString(short_name(i));

		if (name == NULL || PyList_Append(names, name) < 0 ||
		    PyModule_AddObjectRef(module, short_name(i), classes[i]) < 0)
			return NULL;
	}
	if (PyModule_AddObjectRef(module, "__all__", names) < 0)
		return NULL;
	return STEAL(module);
}
