/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytecode: code objects of the embedded modules.
 *
 * The file: struct head, one struct entry per embedded module in their order, then the marshalled code objects. The
 * name of the file and the head name the interpreter (cache tag, magic number) and the sources (hash). Marshal
 * trusts its input, so each piece carries a checksum that is compared before it is loaded.
 */
#include "kernel/worker/bytecode.h"

#include <stdio.h>

#include "kernel/worker/cache-dir.h"
#include "kernel/worker/code-file.h"

#define FILE_MAGIC 0x31636b7375680a0dULL
#define MAX_FILES 32 /* interpreters times versions of husk */

struct head {
	uint64_t magic;
	uint64_t python; /* PyImport_GetMagicNumber() */
	uint64_t n_modules;
	char hash[64];
};

struct entry {
	uint64_t offset; /* from the start of the file */
	uint64_t len;
	uint64_t checksum;
};

static struct slice cache; /* a file that has passed check_file(), or empty */

static uint64_t checksum(struct slice bytes)
{
	uint64_t sum = 0x9e3779b97f4a7c15ULL ^ bytes.len;
	uint64_t word;

	for (; bytes.len > 0; bytes.data += MIN(bytes.len, 8), bytes.len -= MIN(bytes.len, 8)) {
		word = 0;
		memcpy(&word, bytes.data, MIN(bytes.len, 8));
		sum = (sum ^ word) * 0xff51afd7ed558ccdULL;
		sum ^= sum >> 32;
	}
	return sum;
}

static struct head expected_head(void)
{
	struct head head = {
		.magic = FILE_MAGIC,
		.python = (uint64_t)PyImport_GetMagicNumber(),
		.n_modules = embedded_n_modules,
	};

	memcpy(head.hash, embedded_hash, sizeof(head.hash));
	return head;
}

static size_t entries_end(void)
{
	return sizeof(struct head) + embedded_n_modules * sizeof(struct entry);
}

static struct entry read_entry(struct slice file, size_t i)
{
	struct entry entry;

	memcpy(&entry, file.data + sizeof(struct head) + i * sizeof(entry), sizeof(entry));
	return entry;
}

static bool check_file(struct slice file)
{
	struct head head = expected_head();

	if (file.len < entries_end() || memcmp(file.data, &head, sizeof(head)) != 0)
		return false;
	for (size_t i = 0; i < embedded_n_modules; i++) {
		struct entry entry = read_entry(file, i);

		if (entry.offset > file.len || entry.len > file.len - entry.offset)
			return false;
	}
	return true;
}

const struct embedded *bytecode_find(const char *name)
{
	size_t low = 0;
	size_t high = embedded_n_modules;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(name, embedded_modules[middle].name);

		if (order == 0)
			return &embedded_modules[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Level 0 whatever the environment says: one cache for all, and docstrings stay. */
static PyObject *compile_module(const struct embedded *module)
{
	_py_ref_ PyObject *builtins = PyImport_ImportModule("builtins");
	_py_ref_ PyObject *compile = builtins != NULL ? PyObject_GetAttrString(builtins, "compile") : NULL;

	if (compile == NULL)
		return NULL;
	return PyObject_CallFunction(compile, "y#ssiii", module->source, (Py_ssize_t)module->len, module->file, "exec", 0,
	    1, 0);
}

static PyObject *load_cached(const struct embedded *module)
{
	struct entry entry;
	struct slice piece;

	if (cache.len == 0)
		return NULL;
	entry = read_entry(cache, (size_t)(module - embedded_modules));
	piece = slice_from(cache.data + entry.offset, entry.len);
	if (checksum(piece) != entry.checksum)
		return NULL;
	return PyMarshal_ReadObjectFromString(piece.data, (Py_ssize_t)piece.len);
}

PyObject *bytecode_load(const struct embedded *module)
{
	PyObject *code = load_cached(module);

	if (code != NULL)
		return code;
	PyErr_Clear();
	return compile_module(module);
}

static int build_one(struct buffer *file, size_t i)
{
	_py_ref_ PyObject *code = compile_module(&embedded_modules[i]);
	_py_ref_ PyObject *bytes = code != NULL ? PyMarshal_WriteObjectToString(code, PY_MARSHAL_VERSION) : NULL;
	struct entry entry = { .offset = file->len };
	struct slice piece;

	if (bytes == NULL)
		return -1;
	piece = slice_from(PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes));
	entry.len = piece.len;
	entry.checksum = checksum(piece);
	buffer_append_slice(file, piece);
	if (file->failed != 0)
		return -1;
	memcpy(file->data + sizeof(struct head) + i * sizeof(entry), &entry, sizeof(entry));
	return 0;
}

static int build_file(struct buffer *file)
{
	struct head head = expected_head();
	static const struct entry empty;

	buffer_append(file, &head, sizeof(head));
	for (size_t i = 0; i < embedded_n_modules; i++)
		buffer_append(file, &empty, sizeof(empty));
	for (size_t i = 0; file->failed == 0 && i < embedded_n_modules; i++) {
		if (build_one(file, i) < 0)
			return -1;
	}
	return file->failed;
}

/* False when the interpreter has no cache tag. */
static bool file_name(char *ret_name, size_t size)
{
	PyObject *borrowed_implementation = PySys_GetObject("implementation");
	_py_ref_ PyObject *tag = NULL;
	const char *text;

	if (borrowed_implementation != NULL)
		tag = PyObject_GetAttrString(borrowed_implementation, "cache_tag");
	text = tag != NULL && PyUnicode_Check(tag) ? PyUnicode_AsUTF8AndSize(tag, NULL) : NULL;
	PyErr_Clear();
	return text != NULL && code_file_name(text, (long)Py_Version, embedded_hash, ret_name, size);
}

/* Compiles all modules and keeps them, in memory and, when that is possible, in the file. */
static void make_cache(int dir_fd, const char *name)
{
	_cleanup_(buffer_deinitp) struct buffer file = BUFFER_INIT(CACHE_FILE_MAX);
	char *data;

	if (build_file(&file) < 0) {
		PyErr_Clear();
		return;
	}
	cache_dir_prune(dir_fd, CODE_FILE_PREFIX, MAX_FILES);
	if (cache_file_write(dir_fd, name, buffer_slice(&file)) == 0 && cache_file_map(dir_fd, name, &cache) == 0)
		return;
	cache.len = buffer_steal(&file, &data);
	cache.data = data;
}

void bytecode_use(int fd)
{
	struct slice found;

	if (cache_file_map_fd(fd, &found) == 0 && check_file(found))
		cache = found;
}

void bytecode_init(const char *dir)
{
	_cleanup_(closep) int dir_fd = dir != NULL ? cache_dir_open(dir) : -1;
	struct slice found;
	char name[128];

	if (dir_fd < 0 || !file_name(name, sizeof(name)))
		return;
	if (cache_file_map(dir_fd, name, &found) == 0 && check_file(found))
		cache = found;
	else
		make_cache(dir_fd, name);
}
