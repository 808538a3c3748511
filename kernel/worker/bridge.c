/* SPDX-License-Identifier: Apache-2.0 */
/* bridge: the built-in module _husk, the core's face to Python (kernel/worker/py/_husk.pyi). */
#include "kernel/worker/bridge.h"

#include <math.h>
#include <stdio.h>

#include "kernel/worker/bytecode.h"
#include "kernel/worker/confine.h"
#include "kernel/worker/exceptions.h"
#include "kernel/worker/hooks.h"
#include "kernel/worker/interrupt.h"
#include "kernel/worker/memory.h"
#include "kernel/worker/murmur2.h"
#include "kernel/worker/output.h"
#include "kernel/worker/peer.h"
#include "kernel/worker/stream.h"
#include "protocol/base/clock.h"
#include "protocol/link/link.h"
#include "protocol/link/reason.h"

/* ---- the link ---- */

/* Seconds or None to microseconds. -1 with an exception. */
static int read_timeout(PyObject *value, uint64_t *ret_usec)
{
	double seconds;

	*ret_usec = USEC_NEVER;
	if (value == Py_None)
		return 0;
	seconds = PyFloat_AsDouble(value);
	if (seconds == -1.0 && PyErr_Occurred() != NULL)
		return -1;
	if (!(seconds >= 0) || seconds > 1e9) {
		PyErr_Format(PyExc_ValueError, "timeout %R is not between 0 and 1e9 seconds", value);
		return -1;
	}
	*ret_usec = (uint64_t)ceil(seconds * (double)USEC_PER_SEC);
	return 0;
}

static PyObject *bridge_recv(PyObject *module, PyObject *args, PyObject *kwargs)
{
	static char fd_name[] = "fd", timeout_name[] = "timeout", also_name[] = "also";
	static char *names[] = { fd_name, timeout_name, also_name, NULL };
	int fd = LINK_FD_SOCKET;
	int also = -1;
	PyObject *borrowed_timeout = Py_None;
	PyObject *frame;
	uint64_t timeout;

	(void)module;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|iOi:recv", names, &fd, &borrowed_timeout, &also) ||
	    read_timeout(borrowed_timeout, &timeout) < 0)
		return NULL;
	frame = peer_recv(fd, timeout, also);
	return frame == NULL && memory_try_again() ? peer_recv(fd, timeout, also) : frame;
}

static PyObject *bridge_pending(PyObject *module, PyObject *args)
{
	int fd = LINK_FD_SOCKET;
	int r;

	(void)module;
	if (!PyArg_ParseTuple(args, "|i:pending", &fd))
		return NULL;
	r = peer_pending(fd);
	return r < 0 ? NULL : PyBool_FromLong(r);
}

static PyObject *bridge_hold(PyObject *module, PyObject *args)
{
	int type;
	int fd = LINK_FD_SOCKET;
	PyObject *borrowed_fields;

	(void)module;
	if (!PyArg_ParseTuple(args, "iO|i:hold", &type, &borrowed_fields, &fd))
		return NULL;
	if (peer_hold(fd, (enum link_type)type, borrowed_fields) < 0 &&
	    (!memory_try_again() || peer_hold(fd, (enum link_type)type, borrowed_fields) < 0))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *bridge_send(PyObject *module, PyObject *args, PyObject *kwargs)
{
	static char type_name[] = "type", fields_name[] = "fields", fd_name[] = "fd";
	static char *names[] = { type_name, fields_name, fd_name, NULL };
	int type;
	int fd = LINK_FD_SOCKET;
	PyObject *borrowed_fields;

	(void)module;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iO|i:send", names, &type, &borrowed_fields, &fd))
		return NULL;
	if (peer_send(fd, (enum link_type)type, borrowed_fields) < 0 &&
	    (!memory_try_again() || peer_send(fd, (enum link_type)type, borrowed_fields) < 0))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *bridge_limit_frames(PyObject *module, PyObject *args)
{
	unsigned long long limit = 0;

	(void)module;
	if (!PyArg_ParseTuple(args, "|K:limit_frames", &limit))
		return NULL;
	return PyLong_FromSize_t(peer_limit((size_t)limit));
}

/* ---- output ---- */

/* A turn: 0 to 2**32 - 1. -1 with an exception. */
static int read_turn(PyObject *value, uint32_t *ret_turn)
{
	unsigned long turn = PyLong_AsUnsignedLong(value);

	if (turn == (unsigned long)-1 && PyErr_Occurred() != NULL)
		return -1;
	if (turn > UINT32_MAX) {
		PyErr_Format(PyExc_ValueError, "turn %lu is not between 0 and %lu", turn, (unsigned long)UINT32_MAX);
		return -1;
	}
	*ret_turn = (uint32_t)turn;
	return 0;
}

static PyObject *bridge_set_turn(PyObject *module, PyObject *value)
{
	uint32_t turn;

	(void)module;
	if (read_turn(value, &turn) < 0)
		return NULL;
	output_set_turn(turn);
	Py_RETURN_NONE;
}

static PyObject *bridge_get_turn(PyObject *module, PyObject *unused)
{
	(void)module;
	(void)unused;
	return PyLong_FromUnsignedLong(output_get_turn());
}

static PyObject *bridge_drain(PyObject *module, PyObject *unused)
{
	(void)module;
	(void)unused;
	output_drain();
	Py_RETURN_NONE;
}

static PyObject *bridge_set_context_var(PyObject *module, PyObject *var)
{
	(void)module;
	stream_set_context_var(var);
	Py_RETURN_NONE;
}

/* ---- interrupts ---- */

static PyObject *bridge_guard(PyObject *module, PyObject *args)
{
	Py_ssize_t n = PyTuple_Size(args);
	_py_ref_ PyObject *rest = NULL;
	uint32_t turn;

	(void)module;
	if (n < 2) {
		PyErr_SetString(PyExc_TypeError, "guard() needs a turn and a function");
		return NULL;
	}
	if (read_turn(PyTuple_GetItem(args, 0), &turn) < 0)
		return NULL;
	rest = PyTuple_GetSlice(args, 2, n);
	return rest != NULL ? interrupt_guard(turn, PyTuple_GetItem(args, 1), rest) : NULL;
}

static PyObject *bridge_between(PyObject *module, PyObject *func)
{
	(void)module;
	return interrupt_between(func);
}

static PyObject *bridge_arm(PyObject *module, PyObject *value)
{
	uint32_t turn;

	(void)module;
	if (read_turn(value, &turn) < 0 || interrupt_arm(turn) < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *bridge_disarm(PyObject *module, PyObject *unused)
{
	(void)module;
	(void)unused;
	interrupt_disarm();
	Py_RETURN_NONE;
}

static PyObject *bridge_set_attention(PyObject *module, PyObject *callback)
{
	(void)module;
	if (!PyCallable_Check(callback)) {
		PyErr_SetString(PyExc_TypeError, "set_attention() needs a function");
		return NULL;
	}
	interrupt_set_attention(callback);
	Py_RETURN_NONE;
}

static PyObject *bridge_interrupt_thread(PyObject *module, PyObject *args)
{
	struct cause cause;
	unsigned long thread;
	unsigned long long limit = 0;
	unsigned long long used = 0;
	unsigned int reason = RING_REASON_INTERRUPT;
	int r;

	(void)module;
	if (!PyArg_ParseTuple(args, "k|IKK:interrupt_thread", &thread, &reason, &limit, &used))
		return NULL;
	cause = (struct cause){ reason, limit, used };
	r = interrupt_thread(thread, &cause);
	return r < 0 ? NULL : PyBool_FromLong(r);
}

static PyObject *bridge_interruption(PyObject *module, PyObject *args)
{
	struct cause cause;
	unsigned long long limit = 0;
	unsigned long long used = 0;
	unsigned int reason = RING_REASON_INTERRUPT;

	(void)module;
	if (!PyArg_ParseTuple(args, "|IKK:interruption", &reason, &limit, &used))
		return NULL;
	cause = (struct cause){ reason, limit, used };
	return exceptions_new(&cause);
}

/* ---- memory ---- */

static PyObject *bridge_limit_memory(PyObject *module, PyObject *value)
{
	unsigned long long limit = PyLong_AsUnsignedLongLong(value);
	struct error err;

	(void)module;
	if (limit == (unsigned long long)-1 && PyErr_Occurred() != NULL)
		return NULL;
	if (memory_limit(limit, &err) < 0) {
		PyErr_SetString(PyExc_RuntimeError, err.text);
		return NULL;
	}
	Py_RETURN_NONE;
}

static PyObject *bridge_limit_turn(PyObject *module, PyObject *args)
{
	unsigned int turn;
	unsigned long long limit;

	(void)module;
	if (!PyArg_ParseTuple(args, "IK:limit_turn", &turn, &limit))
		return NULL;
	memory_limit_turn(turn, limit);
	Py_RETURN_NONE;
}

static PyObject *bridge_count_memory(PyObject *module, PyObject *on)
{
	int r = PyObject_IsTrue(on);

	(void)module;
	if (r < 0)
		return NULL;
	memory_count(r > 0);
	Py_RETURN_NONE;
}

static PyObject *bridge_make_room(PyObject *module, PyObject *unused)
{
	char text[REASON_MESSAGE_MAX];
	struct cause cause;

	(void)module;
	(void)unused;
	if (!memory_is_limited())
		Py_RETURN_NONE;
	memory_make_room();
	cause = memory_cause();
	reason_message(cause.reason, cause.limit, cause.used, text);
	return PyUnicode_FromString(text);
}

/* ---- life ---- */

static PyObject *bridge_confine(PyObject *module, PyObject *unused)
{
	_py_ref_ PyObject *list = PyList_New(0);
	const char *const *layers;
	struct error err;

	(void)module;
	(void)unused;
	if (list == NULL)
		return NULL;
	if (confine(&layers, &err) < 0) {
		PyErr_SetString(PyExc_RuntimeError, err.text);
		return NULL;
	}
	for (; *layers != NULL; layers++) {
		_py_ref_ PyObject *name = PyUnicode_FromString(*layers);

		if (name == NULL || PyList_Append(list, name) < 0)
			return NULL;
	}
	return PyList_AsTuple(list);
}

static PyObject *bridge_in_child(PyObject *module, PyObject *unused)
{
	(void)module;
	(void)unused;
	return PyBool_FromLong(hooks_in_child());
}

static PyObject *bridge_adopt(PyObject *module, PyObject *unused)
{
	struct error err;

	(void)module;
	(void)unused;
	if (!hooks_in_child()) {
		PyErr_SetString(PyExc_RuntimeError, "only a forked process can be made a worker");
		return NULL;
	}
	if (output_attach(&err) < 0) {
		PyErr_SetString(PyExc_OSError, err.text);
		return NULL;
	}
	peer_adopt();
	interrupt_adopt();
	hooks_adopt();
	Py_RETURN_NONE;
}

static PyObject *bridge_exit(PyObject *module, PyObject *args)
{
	int code;

	(void)module;
	if (!PyArg_ParseTuple(args, "i:exit", &code))
		return NULL;
	output_drain();
	_exit(code);
}

/* ---- embedded modules ---- */

static const struct embedded *find_module(PyObject *name)
{
	const char *text = PyUnicode_Check(name) ? PyUnicode_AsUTF8AndSize(name, NULL) : NULL;

	PyErr_Clear();
	return text != NULL ? bytecode_find(text) : NULL;
}

static PyObject *bridge_embedded_source(PyObject *module, PyObject *name)
{
	const struct embedded *found = find_module(name);

	(void)module;
	if (found == NULL)
		Py_RETURN_NONE;
	return PyBytes_FromStringAndSize(found->source, (Py_ssize_t)found->len);
}

static PyObject *bridge_embedded_info(PyObject *module, PyObject *name)
{
	const struct embedded *found = find_module(name);

	(void)module;
	if (found == NULL)
		Py_RETURN_NONE;
	return Py_BuildValue("(sO)", found->file, found->is_package ? Py_True : Py_False);
}

static PyObject *bridge_embedded_code(PyObject *module, PyObject *name)
{
	const struct embedded *found = find_module(name);

	(void)module;
	if (found == NULL) {
		PyErr_Format(PyExc_ImportError, "no module named %R is embedded", name);
		return NULL;
	}
	return bytecode_load(found);
}

/* ---- names of cells ---- */

static PyObject *bridge_murmur2(PyObject *module, PyObject *args)
{
	const char *data;
	Py_ssize_t len;
	unsigned int seed;

	(void)module;
	if (!PyArg_ParseTuple(args, "y#I:murmur2", &data, &len, &seed))
		return NULL;
	return PyLong_FromUnsignedLong(murmur2(slice_from(data, (size_t)len), seed));
}

/* ---- the module ---- */

#define KEYWORDS(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef methods[] = {
	{ "recv", KEYWORDS(bridge_recv), METH_VARARGS | METH_KEYWORDS, "Next frame of a link." },
	{ "pending", bridge_pending, METH_VARARGS, "Whether a frame or a part of one waits." },
	{ "hold", bridge_hold, METH_VARARGS, "Sends one frame with the next one." },
	{ "send", KEYWORDS(bridge_send), METH_VARARGS | METH_KEYWORDS, "Sends one frame." },
	{ "limit_frames", bridge_limit_frames, METH_VARARGS, "The largest frame that is no output; sets it, when it is given." },
	{ "set_turn", bridge_set_turn, METH_O, "The turn that text belongs to from now on." },
	{ "get_turn", bridge_get_turn, METH_NOARGS, "The turn of set_turn()." },
	{ "drain", bridge_drain, METH_NOARGS, "Copies what the pipes on fd 1 and 2 hold into the ring." },
	{ "set_context_var", bridge_set_context_var, METH_O, "The context variable that holds the turn." },
	{ "guard", bridge_guard, METH_VARARGS, "guard(turn, func, *args): calls func with interrupts armed." },
	{ "between", bridge_between, METH_O, "between(func): calls func; an interrupt of a turn that has not begun is raised in it." },
	{ "arm", bridge_arm, METH_O, "As entering guard()." },
	{ "disarm", bridge_disarm, METH_NOARGS, "Ends arm()." },
	{ "set_attention", bridge_set_attention, METH_O, "The function to call when a frame does not wait for the cell's end." },
	{ "interrupt_thread", bridge_interrupt_thread, METH_VARARGS, "Raises in the thread of that identifier." },
	{ "interruption", bridge_interruption, METH_VARARGS, "The exception of a reason." },
	{ "limit_memory", bridge_limit_memory, METH_O, "Limits what the process takes from now on." },
	{ "limit_turn", bridge_limit_turn, METH_VARARGS, "limit_turn(turn, limit): a smaller limit for that turn." },
	{ "count_memory", bridge_count_memory, METH_O, "False: what is taken until True is not counted." },
	{ "make_room", bridge_make_room, METH_NOARGS, "Opens the reserve for a report; what a refusal is told with, or None." },
	{ "confine", bridge_confine, METH_NOARGS, "Applies the sandbox; names of the layers applied." },
	{ "in_child", bridge_in_child, METH_NOARGS, "True in a process forked from this worker." },
	{ "adopt", bridge_adopt, METH_NOARGS, "Makes a forked process a worker with the links on its descriptors 3 to 7." },
	{ "exit", bridge_exit, METH_VARARGS, "Ends the process after its text has been written." },
	{ "murmur2", bridge_murmur2, METH_VARARGS, "murmur2(data, seed): 32-bit MurmurHash2." },
	{ "embedded_source", bridge_embedded_source, METH_O, "Source text of an embedded module, or None." },
	{ "embedded_info", bridge_embedded_info, METH_O, "(file, is_package) of an embedded module, or None." },
	{ "embedded_code", bridge_embedded_code, METH_O, "Code object of an embedded module." },
	{ NULL, NULL, 0, NULL },
};

static const struct {
	const char *name;
	long value;
} constants[] = {
#define LINK(name, number, direction, max, fields) { #name, number },
#include "protocol/link/link.def"
#undef LINK
	{ "FD", LINK_FD_SOCKET },
	{ "EXEC_SILENT", LINK_EXEC_SILENT },
	{ "EXEC_STORE_HISTORY", LINK_EXEC_STORE_HISTORY },
	{ "EXEC_ALLOW_STDIN", LINK_EXEC_ALLOW_STDIN },
	{ "EXEC_STOP_ON_ERROR", LINK_EXEC_STOP_ON_ERROR },
	{ "DISPLAY_DATA", LINK_DISPLAY_DATA },
	{ "DISPLAY_UPDATE", LINK_DISPLAY_UPDATE },
	{ "DISPLAY_RESULT", LINK_DISPLAY_RESULT },
	{ "MIME_TEXT", LINK_MIME_TEXT },
	{ "MIME_JSON", LINK_MIME_JSON },
	{ "STATUS_OK", LINK_STATUS_OK },
	{ "STATUS_ERROR", LINK_STATUS_ERROR },
	{ "STATUS_ABORTED", LINK_STATUS_ABORTED },
	{ "REPLY_MEMORY_REFUSED", LINK_REPLY_MEMORY_REFUSED },
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "_husk",
	.m_doc = "What the core gives to the Python side of a worker.",
	.m_size = -1,
	.m_methods = methods,
};

static int add_constants(PyObject *module)
{
	for (size_t i = 0; i < ARRAY_SIZE(constants); i++) {
		if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value) < 0)
			return -1;
	}
	return PyModule_AddIntConstant(module, "INTERRUPT_SIGNAL", hooks_reserved_signal());
}

PyObject *bridge_create(void)
{
	_py_ref_ PyObject *module = PyModule_Create(&definition);

	if (module == NULL || add_constants(module) < 0 || peer_init() < 0 ||
	    PyModule_AddObjectRef(module, "Closed", peer_closed_class()) < 0 ||
	    PyModule_AddObjectRef(module, "TooLarge", peer_too_large_class()) < 0 || stream_add_type(module) < 0)
		return NULL;
	return STEAL(module);
}
