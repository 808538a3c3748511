/* SPDX-License-Identifier: Apache-2.0 */
/* pack: Python objects to msgpack and back, with bounded depth. */
#include "kernel/worker/pack.h"

#include <string.h>

/* In "surrogatepass" UTF-8 a surrogate is ED A0..BF xx; U+FFFD has three bytes too, so the repair is in place. */
static void repair_surrogates(char *text, size_t len)
{
	char *p = text;
	char *end = text + len;

	while (end - p >= 3 && (p = memchr(p, 0xed, (size_t)(end - p))) != NULL && end - p >= 3) {
		if ((unsigned char)p[1] >= 0xa0)
			memcpy(p, "\xef\xbf\xbd", 3);
		p += 3;
	}
}

int pack_utf8(PyObject *text, struct slice *ret_text, PyObject **ret_owner)
{
	Py_ssize_t len;
	const char *utf8 = PyUnicode_AsUTF8AndSize(text, &len);
	PyObject *bytes;

	*ret_owner = NULL;
	if (utf8 != NULL) {
		*ret_text = slice_from(utf8, (size_t)len);
		return 0;
	}
	if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
		return -1;
	PyErr_Clear();
	bytes = PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass");
	if (bytes == NULL)
		return -1;
	/* The object is new and nobody else has seen it: writing into it is allowed. */
	repair_surrogates(PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes));
	*ret_text = slice_from(PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes));
	*ret_owner = bytes;
	return 0;
}

static int encode(struct buffer *out, PyObject *value, int depth);

static int encode_int(struct buffer *out, PyObject *value)
{
	int overflow;
	long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
	unsigned long long large;

	if (number == -1 && PyErr_Occurred() != NULL)
		return -1;
	if (overflow == 0) {
		msgpack_write_i64(out, number);
		return 0;
	}
	large = PyLong_AsUnsignedLongLong(value);
	if (large == (unsigned long long)-1 && PyErr_Occurred() != NULL)
		return -1;
	msgpack_write_u64(out, large);
	return 0;
}

static int encode_str(struct buffer *out, PyObject *value)
{
	_py_ref_ PyObject *owner = NULL;
	struct slice text;

	if (pack_utf8(value, &text, &owner) < 0)
		return -1;
	msgpack_write_str(out, text);
	return 0;
}

static int encode_buffer(struct buffer *out, PyObject *value)
{
	Py_buffer view;

	if (PyObject_GetBuffer(value, &view, PyBUF_SIMPLE) < 0)
		return -1;
	msgpack_write_bin(out, slice_from(view.buf, (size_t)view.len));
	PyBuffer_Release(&view);
	return 0;
}

/* The items are fetched by index and owned while they are encoded: a buffer's owner may be changed by what it runs. */
static int encode_sequence(struct buffer *out, PyObject *value, int depth)
{
	Py_ssize_t n = PySequence_Size(value);

	if (n < 0)
		return -1;
	msgpack_write_array(out, (uint32_t)n);
	for (Py_ssize_t i = 0; i < n; i++) {
		_py_ref_ PyObject *item = PySequence_GetItem(value, i);

		if (item == NULL || encode(out, item, depth + 1) < 0)
			return -1;
	}
	return 0;
}

static int encode_dict(struct buffer *out, PyObject *value, int depth)
{
	_py_ref_ PyObject *items = PyDict_Items(value);
	Py_ssize_t n;

	if (items == NULL)
		return -1;
	n = PyList_Size(items);
	msgpack_write_map(out, (uint32_t)n);
	for (Py_ssize_t i = 0; i < n; i++) {
		PyObject *borrowed_pair = PyList_GetItem(items, i);

		if (encode(out, PyTuple_GetItem(borrowed_pair, 0), depth + 1) < 0 ||
		    encode(out, PyTuple_GetItem(borrowed_pair, 1), depth + 1) < 0)
			return -1;
	}
	return 0;
}

static int encode_other(struct buffer *out, PyObject *value)
{
	if (PyFloat_Check(value)) {
		msgpack_write_double(out, PyFloat_AsDouble(value));
		return 0;
	}
	if (PyObject_CheckBuffer(value))
		return encode_buffer(out, value);
	PyErr_Format(PyExc_TypeError, "a frame cannot hold an object of type %R", (PyObject *)Py_TYPE(value));
	return -1;
}

static int encode(struct buffer *out, PyObject *value, int depth)
{
	if (depth >= MSGPACK_MAX_DEPTH) {
		PyErr_Format(PyExc_ValueError, "a frame is nested deeper than %d levels", MSGPACK_MAX_DEPTH);
		return -1;
	}
	if (value == Py_None)
		msgpack_write_nil(out);
	else if (PyBool_Check(value))
		msgpack_write_bool(out, value == Py_True);
	else if (PyLong_Check(value))
		return encode_int(out, value);
	else if (PyUnicode_Check(value))
		return encode_str(out, value);
	else if (PyList_Check(value) || PyTuple_Check(value))
		return encode_sequence(out, value, depth);
	else if (PyDict_Check(value))
		return encode_dict(out, value, depth);
	else
		return encode_other(out, value);
	return 0;
}

int pack_encode(struct buffer *out, PyObject *value)
{
	return encode(out, value, 0);
}

static PyObject *decode(struct msgpack_reader *r, int depth);

static PyObject *decode_bad(void)
{
	PyErr_SetString(PyExc_ValueError, "a frame's body is not msgpack");
	return NULL;
}

static PyObject *decode_array(struct msgpack_reader *r, int depth)
{
	_py_ref_ PyObject *list = NULL;
	uint32_t n;

	if (msgpack_read_array(r, &n) < 0)
		return decode_bad();
	/* The reader has checked n against the bytes that are left. */
	list = PyList_New((Py_ssize_t)n);
	for (uint32_t i = 0; list != NULL && i < n; i++) {
		PyObject *item = decode(r, depth + 1);

		if (item == NULL)
			return NULL;
		if (PyList_SetItem(list, (Py_ssize_t)i, item) < 0)
			return NULL;
	}
	return STEAL(list);
}

static PyObject *decode_map(struct msgpack_reader *r, int depth)
{
	_py_ref_ PyObject *dict = NULL;
	uint32_t n;

	if (msgpack_read_map(r, &n) < 0)
		return decode_bad();
	dict = PyDict_New();
	for (uint32_t i = 0; dict != NULL && i < n; i++) {
		_py_ref_ PyObject *key = decode(r, depth + 1);
		_py_ref_ PyObject *item = key != NULL ? decode(r, depth + 1) : NULL;

		if (item == NULL || PyDict_SetItem(dict, key, item) < 0)
			return NULL;
	}
	return STEAL(dict);
}

static PyObject *decode_number(struct msgpack_reader *r, enum msgpack_type type)
{
	uint64_t u;
	int64_t i;
	double d;

	if (type == MSGPACK_TYPE_UINT)
		return msgpack_read_u64(r, &u) < 0 ? decode_bad() : PyLong_FromUnsignedLongLong(u);
	if (type == MSGPACK_TYPE_INT)
		return msgpack_read_i64(r, &i) < 0 ? decode_bad() : PyLong_FromLongLong(i);
	return msgpack_read_double(r, &d) < 0 ? decode_bad() : PyFloat_FromDouble(d);
}

static PyObject *decode_bytes(struct msgpack_reader *r, enum msgpack_type type)
{
	struct slice s;

	if (type == MSGPACK_TYPE_STR) {
		if (msgpack_read_str(r, &s) < 0)
			return decode_bad();
		return PyUnicode_DecodeUTF8(s.data, (Py_ssize_t)s.len, "replace");
	}
	if (msgpack_read_bin(r, &s) < 0)
		return decode_bad();
	return PyBytes_FromStringAndSize(s.data, (Py_ssize_t)s.len);
}

static PyObject *decode(struct msgpack_reader *r, int depth)
{
	enum msgpack_type type = msgpack_peek(r);
	bool b;

	if (depth >= MSGPACK_MAX_DEPTH)
		return decode_bad();
	switch (type) {
	case MSGPACK_TYPE_NIL:
		if (msgpack_read_nil(r) < 0)
			return decode_bad();
		Py_RETURN_NONE;
	case MSGPACK_TYPE_BOOL:
		return msgpack_read_bool(r, &b) < 0 ? decode_bad() : PyBool_FromLong(b);
	case MSGPACK_TYPE_UINT:
	case MSGPACK_TYPE_INT:
	case MSGPACK_TYPE_DOUBLE:
		return decode_number(r, type);
	case MSGPACK_TYPE_STR:
	case MSGPACK_TYPE_BIN:
		return decode_bytes(r, type);
	case MSGPACK_TYPE_ARRAY:
		return decode_array(r, depth);
	case MSGPACK_TYPE_MAP:
		return decode_map(r, depth);
	case MSGPACK_TYPE_EXT:
	case MSGPACK_TYPE_END:
		break;
	}
	return decode_bad();
}

PyObject *pack_decode(struct msgpack_reader *r)
{
	return decode(r, 0);
}
