/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: the type _husk.Stream, text into the output ring.
 *
 * Its base is _io._TextIOBase, whose size the limited API does not know: our part lies behind it, at an offset that is
 * found at run time. io.TextIOBase, the class that people test for, is an abstract base class and takes Stream by
 * registration, as it takes TextIOWrapper.
 */
#include "kernel/worker/stream.h"

#include "kernel/worker/output.h"
#include "kernel/worker/pack.h"
#include "protocol/link/ring.h"

struct stream {
	uint32_t number; /* RING_STDOUT, RING_STDERR */
};

static Py_ssize_t base_size;
static PyObject *turn_var;

static struct stream *stream_of(PyObject *self)
{
	return (struct stream *)((char *)self + base_size);
}

void stream_set_context_var(PyObject *var)
{
	PyObject *old = turn_var;

	if (var == Py_None)
		var = NULL;
	Py_XINCREF(var);
	turn_var = var;
	Py_XDECREF(old);
}

/* The turn of the writing context, else the current one. -1 with an exception. */
static int find_turn(uint32_t *ret_turn)
{
	_py_ref_ PyObject *value = NULL;
	unsigned long turn;

	*ret_turn = output_get_turn();
	if (turn_var == NULL)
		return 0;
	if (PyContextVar_Get(turn_var, NULL, &value) < 0)
		return -1;
	if (value == NULL || value == Py_None)
		return 0;
	turn = PyLong_AsUnsignedLong(value);
	if (turn == (unsigned long)-1 && PyErr_Occurred() != NULL)
		return -1;
	*ret_turn = (uint32_t)turn;
	return 0;
}

static PyObject *stream_write(PyObject *self, PyObject *text)
{
	_py_ref_ PyObject *owner = NULL;
	struct slice utf8;
	uint32_t turn;

	if (!PyUnicode_Check(text)) {
		_py_ref_ PyObject *name = PyObject_GetAttrString((PyObject *)Py_TYPE(text), "__name__");

		if (name != NULL)
			PyErr_Format(PyExc_TypeError, "write() argument must be str, not %U", name);
		return NULL;
	}
	if (pack_utf8(text, &utf8, &owner) < 0 || find_turn(&turn) < 0 ||
	    output_write(turn, stream_of(self)->number, utf8) < 0)
		return NULL;
	return PyLong_FromSsize_t(PyUnicode_GetLength(text));
}

/* Nothing is held back here: the front reads the ring in its own time. */
static PyObject *stream_flush(PyObject *self, PyObject *unused)
{
	(void)self;
	(void)unused;
	Py_RETURN_NONE;
}

static PyObject *stream_writable(PyObject *self, PyObject *unused)
{
	(void)self;
	(void)unused;
	Py_RETURN_TRUE;
}

static int stream_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static char name_number[] = "number";
	static char *names[] = { name_number, NULL };
	int number;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i:Stream", names, &number))
		return -1;
	if (number != RING_STDOUT && number != RING_STDERR) {
		PyErr_Format(PyExc_ValueError, "stream number %d is not %d (stdout) or %d (stderr)", number, RING_STDOUT,
		    RING_STDERR);
		return -1;
	}
	stream_of(self)->number = (uint32_t)number;
	return 0;
}

static PyMethodDef methods[] = {
	{ "write", stream_write, METH_O, "Write str to the stream and return its length." },
	{ "flush", stream_flush, METH_NOARGS, "Nothing is held back here." },
	{ "writable", stream_writable, METH_NOARGS, "True." },
	{ NULL, NULL, 0, NULL },
};

static char doc[] = "Text stream into the output ring: Stream(number), 0 stdout, 1 stderr.";

static PyType_Slot slots[] = {
	{ Py_tp_doc, doc },
	{ Py_tp_init, stream_init },
	{ Py_tp_methods, methods },
	{ 0, NULL },
};

static PyType_Spec spec = {
	.name = "_husk.Stream",
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	.slots = slots,
};

static int register_with_io(PyObject *type)
{
	_py_ref_ PyObject *io = PyImport_ImportModule("io");
	_py_ref_ PyObject *abc = io != NULL ? PyObject_GetAttrString(io, "TextIOBase") : NULL;
	_py_ref_ PyObject *result = abc != NULL ? PyObject_CallMethod(abc, "register", "O", type) : NULL;

	return result != NULL ? 0 : -1;
}

int stream_add_type(PyObject *module)
{
	_py_ref_ PyObject *io = PyImport_ImportModule("_io");
	_py_ref_ PyObject *base = io != NULL ? PyObject_GetAttrString(io, "_TextIOBase") : NULL;
	_py_ref_ PyObject *size = base != NULL ? PyObject_GetAttrString(base, "__basicsize__") : NULL;
	_py_ref_ PyObject *type = NULL;

	if (size == NULL)
		return -1;
	base_size = PyLong_AsSsize_t(size);
	spec.basicsize = (int)(base_size + (Py_ssize_t)sizeof(struct stream) + 4);
	type = PyType_FromSpecWithBases(&spec, base);
	if (type == NULL || register_with_io(type) < 0)
		return -1;
	return PyModule_AddObjectRef(module, "Stream", type);
}
