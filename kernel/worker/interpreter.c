/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interpreter: which Python a worker is to be, and what is known of it.
 *
 * A record in the cache is the key in one NUL-ended field, then the fields of the probe as they came. A script (a shim
 * of a version manager) may name another interpreter at each call: it is asked each time.
 */
#include "kernel/worker/interpreter.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "kernel/worker/cache-dir.h"
#include "kernel/worker/probe.h"
#include "kernel/worker/pyconfig.h"

#define PROBE_VERSION "husk-probe-1"
#define CACHE_PREFIX "python-"
#define MAX_RECORDS 64

void interpreter_deinit(struct interpreter *i)
{
	buffer_deinit(&i->record);
	*i = (struct interpreter){ .hexversion = 0 };
}

/* ---- the record ---- */

/* The next NUL-ended field; NULL when the record is at its end. */
static const char *next_field(const char **pos, const char *end)
{
	const char *field = *pos;
	const char *nul = *pos < end ? memchr(*pos, '\0', (size_t)(end - *pos)) : NULL;

	if (nul == NULL)
		return NULL;
	*pos = nul + 1;
	return field;
}

static bool is_true(const char *field)
{
	return strcmp(field, "1") == 0;
}

static bool number_is(const char *field, long *ret)
{
	char *end;

	errno = 0;
	*ret = strtol(field, &end, 10);
	return errno == 0 && end != field && *end == '\0';
}

/* The fields in the order of the probe. */
enum {
	FIELD_PROBE,
	FIELD_IMPLEMENTATION,
	FIELD_HEXVERSION,
	FIELD_VERSION,
	FIELD_VERSION_TEXT,
	FIELD_DEBUG,
	FIELD_FREE_THREADED,
	FIELD_SHARED,
	FIELD_EXECUTABLE,
	FIELD_BASE_EXECUTABLE,
	FIELD_BINARY,
	FIELD_PREFIX,
	FIELD_BASE_PREFIX,
	FIELD_EXEC_PREFIX,
	FIELD_CACHE_TAG,
	FIELD_64BIT,
	FIELD_IPYTHON,
	FIELD_DEBUGPY,
	FIELD_COUNT,
};

static void fill(struct interpreter *ret, const char *const field[FIELD_COUNT], long hexversion)
{
	*ret = (struct interpreter){
		.implementation = field[FIELD_IMPLEMENTATION],
		.hexversion = hexversion,
		.version = field[FIELD_VERSION],
		.version_text = field[FIELD_VERSION_TEXT],
		.is_debug = is_true(field[FIELD_DEBUG]),
		.is_free_threaded = is_true(field[FIELD_FREE_THREADED]),
		.is_shared = is_true(field[FIELD_SHARED]),
		.executable = field[FIELD_EXECUTABLE],
		.base_executable = field[FIELD_BASE_EXECUTABLE],
		.binary = field[FIELD_BINARY],
		.prefix = field[FIELD_PREFIX],
		.base_prefix = field[FIELD_BASE_PREFIX],
		.exec_prefix = field[FIELD_EXEC_PREFIX],
		.cache_tag = field[FIELD_CACHE_TAG],
		.is_64bit = is_true(field[FIELD_64BIT]),
		.ipython = field[FIELD_IPYTHON],
		.has_debugpy = is_true(field[FIELD_DEBUGPY]),
	};
}

int interpreter_parse(struct buffer *record, struct interpreter *ret)
{
	const char *pos = record->data;
	const char *end = record->data + record->len;
	const char *fields[FIELD_COUNT];
	long hexversion;

	if (record->len == 0 || end[-1] != '\0' || next_field(&pos, end) == NULL)
		return -EBADMSG;
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		fields[i] = next_field(&pos, end);
		if (fields[i] == NULL)
			return -EBADMSG;
	}
	if (strcmp(fields[FIELD_PROBE], PROBE_VERSION) != 0 || !number_is(fields[FIELD_HEXVERSION], &hexversion))
		return -EBADMSG;
	fill(ret, fields, hexversion);
	ret->paths = pos;
	ret->record = *record;
	*record = (struct buffer){ .max = record->max };
	return 0;
}

static int refuse(const struct interpreter *i, struct error *err, const char *what)
{
	return error_set(err, -ENOTSUP, "%s is %s %s, %s; husk serves CPython %s with the GIL on 64-bit Linux", i->executable,
	    strcmp(i->implementation, "cpython") == 0 ? "CPython" : i->implementation, i->version, what,
	    pyconfig_known());
}

int interpreter_check(const struct interpreter *i, struct error *err)
{
	int minor = (int)(i->hexversion >> 16 & 0xff);

	if (strcmp(i->implementation, "cpython") != 0)
		return refuse(i, err, "not CPython");
	if (i->hexversion < 0x030b0000)
		return refuse(i, err, "which is too old");
	if (i->hexversion >> 24 != 3 || pyconfig_layout(minor) == NULL)
		return refuse(i, err, "a minor version that is not known yet");
	if (i->is_free_threaded)
		return refuse(i, err, "a free-threaded build");
	if (i->is_debug)
		return refuse(i, err, "a debug build");
	if (!i->is_64bit)
		return refuse(i, err, "a 32-bit build");
	if (i->executable[0] != '/' || i->binary[0] != '/')
		return refuse(i, err, "but does not know its own path");
	return 0;
}

/* ---- where ---- */

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* Relative entries are passed over: they would name another file in every directory. */
static bool is_in_directory(const char *dir, size_t len, const char *name, char ret_path[PATH_MAX])
{
	int n = snprintf(ret_path, PATH_MAX, "%.*s/%s", (int)len, dir, name);

	return dir[0] == '/' && n > 0 && n < PATH_MAX && is_program(ret_path);
}

static int search_path(const char *name, char **ret_path, struct error *err)
{
	const char *dir = getenv("PATH");
	char candidate[PATH_MAX];
	size_t len;

	if (dir == NULL)
		dir = "/usr/local/bin:/usr/bin:/bin";
	for (;; dir += len + 1) {
		len = strcspn(dir, ":");
		if (is_in_directory(dir, len, name, candidate)) {
			*ret_path = strdup(candidate);
			return *ret_path != NULL ? 0 : error_set(err, -ENOMEM, "out of memory");
		}
		if (dir[len] == '\0')
			return error_set(err, -ENOENT, "no %s is on PATH", name);
	}
}

static int locate_file(const char *dir, const char *name, char **ret_path, struct error *err)
{
	_cleanup_(freep) char *path = NULL;

	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	if (!is_program(path))
		return error_set(err, -ENOENT, "there is no Python interpreter at %s", path);
	*ret_path = STEAL(path);
	return 0;
}

int interpreter_locate(const char *named, char **ret_path, struct error *err)
{
	const char *venv = getenv("VIRTUAL_ENV");
	char cwd[PATH_MAX];

	if (named == NULL && venv != NULL && venv[0] == '/')
		return locate_file(venv, "bin/python", ret_path, err);
	if (named == NULL)
		return search_path("python3", ret_path, err);
	if (strchr(named, '/') == NULL)
		return search_path(named, ret_path, err);
	if (named[0] == '/')
		return locate_file("", named + 1, ret_path, err);
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		return error_set(err, -errno, "the working directory of %s cannot be found", named);
	return locate_file(cwd, named, ret_path, err);
}

/* ---- the cache ---- */

static int64_t mtime_of(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static void key_add_file(struct buffer *key, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		buffer_append_str(key, "|-");
	else
		buffer_printf(key, "|%ju:%ju:%jd:%" PRId64, (uintmax_t)st.st_dev, (uintmax_t)st.st_ino, (intmax_t)st.st_size,
		    mtime_of(&st));
}

static void key_add_beside(struct buffer *key, const char *path, const char *name)
{
	char beside[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int n = snprintf(beside, sizeof(beside), "%.*s/%s", slash != NULL ? (int)(slash - path) : 0, path, name);

	if (n > 0 && (size_t)n < sizeof(beside))
		key_add_file(key, beside);
}

/* The path and the variables that the probe's answer depends on. */
static void key_add_question(struct buffer *key, const char *path)
{
	static const char *const variables[] = { "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONNOUSERSITE", "HOME" };

	buffer_append_str(key, path);
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		const char *value = getenv(variables[i]);

		buffer_append_char(key, '|');
		buffer_append_str(key, value != NULL ? value : "");
	}
}

/* Kernels of one interpreter, in a sandbox and without one, ask different questions and take turns: each has its file. */
static void cache_name(const struct buffer *question, char ret_name[64])
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < question->len; i++)
		hash = (hash ^ (unsigned char)question->data[i]) * 0x100000001b3ULL;
	(void)snprintf(ret_name, 64, CACHE_PREFIX "%016" PRIx64, hash);
}

/* All that the probe's answer depends on but the directories it names itself. Ends with a NUL. */
static int make_key(const char *path, struct buffer *key, char ret_name[64])
{
	key_add_question(key, path);
	cache_name(key, ret_name);
	key_add_file(key, path);
	key_add_beside(key, path, "pyvenv.cfg");
	key_add_beside(key, path, "../pyvenv.cfg");
	buffer_append_char(key, '\0');
	return key->failed;
}

/* The directories that modules come from are as they were. */
static bool paths_are_unchanged(const struct interpreter *i)
{
	const char *pos = i->paths;
	const char *end = i->record.data + i->record.len;
	const char *path;

	while ((path = next_field(&pos, end)) != NULL) {
		const char *stamp = next_field(&pos, end);
		struct stat st;
		int64_t now = stat(path, &st) < 0 ? -1 : mtime_of(&st);

		if (stamp == NULL || strtoll(stamp, NULL, 10) != now)
			return false;
	}
	return true;
}

static bool cache_lookup(int dir_fd, const char *name, const struct buffer *key, struct interpreter *ret)
{
	_cleanup_(buffer_deinitp) struct buffer record = BUFFER_INIT(INTERPRETER_RECORD_MAX);

	if (cache_file_read(dir_fd, name, &record) < 0)
		return false;
	if (record.len < key->len || memcmp(record.data, key->data, key->len) != 0)
		return false;
	if (interpreter_parse(&record, ret) < 0)
		return false;
	if (paths_are_unchanged(ret))
		return true;
	interpreter_deinit(ret);
	return false;
}

static bool is_script(const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char start[2];

	return fd < 0 || read(fd, start, sizeof(start)) != sizeof(start) || memcmp(start, "#!", 2) == 0;
}

int interpreter_probe(const char *path, int dir_fd, struct interpreter *ret, struct error *err)
{
	_cleanup_(buffer_deinitp) struct buffer key = BUFFER_INIT(65536);
	_cleanup_(buffer_deinitp) struct buffer record = BUFFER_INIT(INTERPRETER_RECORD_MAX);
	bool cached = dir_fd >= 0 && !is_script(path);
	char name[64];
	int r;

	if (make_key(path, &key, name) < 0)
		return error_set(err, -E2BIG, "the environment variables of Python are longer than %zu bytes", key.max);
	if (cached && cache_lookup(dir_fd, name, &key, ret))
		return 0;
	buffer_append_slice(&record, buffer_slice(&key));
	r = probe_run(path, &record, err);
	if (r < 0)
		return r;
	r = interpreter_parse(&record, ret);
	if (r < 0)
		return error_set(err, r, "%s does not behave as a Python interpreter", path);
	/* Not being able to remember it is no reason not to serve. */
	if (cached && cache_file_write(dir_fd, name, buffer_slice(&ret->record)) == 0)
		cache_dir_prune(dir_fd, CACHE_PREFIX, MAX_RECORDS);
	return 0;
}
