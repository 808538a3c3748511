/* SPDX-License-Identifier: Apache-2.0 */
/*
 * husk-worker: the launcher of a worker. Finds the interpreter, says HELLO, and executes it with the core preloaded.
 *
 * usage: husk-worker [--python PATH] [--core PATH] [--cache-dir DIR]                    be a worker
 *        husk-worker --prepare --record-fd N [--python PATH] [--cache-dir DIR]          find all of it for a later one
 *        husk-worker --record-fd N [--code-fd N] [--core PATH]                          be that one     (specs/link.md 2)
 */
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "kernel/worker/cache-dir.h"
#include "kernel/worker/core-argv.h"
#include "kernel/worker/interpreter.h"
#include "kernel/worker/prepare.h"
#include "kernel/worker/uplink.h"
#include "protocol/base/msgpack.h"
#include "protocol/link/link.h"

struct options {
	const char *python;
	const char *core;
	const char *cache_dir;
	bool prepare;
	int record_fd; /* -1: none */
	int code_fd;   /* -1: none */
};

static int usage(void)
{
	(void)fputs("usage: husk-worker [--python PATH] [--core PATH] [--cache-dir DIR]\n"
	            "       husk-worker --prepare --record-fd N [--python PATH] [--cache-dir DIR]\n"
	            "       husk-worker --record-fd N [--code-fd N] [--core PATH]\n"
	            "Started by husk-kernel with its link on descriptors 3 to 7.\n",
	    stderr);
	return 2;
}

static bool parse_options(int argc, char **argv, struct options *ret)
{
	static const struct option names[] = {
		{ "python", required_argument, NULL, 'p' },
		{ "core", required_argument, NULL, 'c' },
		{ "cache-dir", required_argument, NULL, 'd' },
		{ "prepare", no_argument, NULL, 'P' },
		{ "record-fd", required_argument, NULL, 'r' },
		{ "code-fd", required_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	*ret = (struct options){ .record_fd = -1, .code_fd = -1 };
	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (option == 'p')
			ret->python = optarg;
		else if (option == 'c')
			ret->core = optarg;
		else if (option == 'd')
			ret->cache_dir = optarg;
		else if (option == 'P')
			ret->prepare = true;
		else if (option == 'r')
			ret->record_fd = atoi(optarg);
		else if (option == 'o')
			ret->code_fd = atoi(optarg);
		else
			return false;
	}
	return optind == argc && (!ret->prepare || ret->record_fd > STDERR_FILENO);
}

static bool has_link(void)
{
	struct stat st;

	return fstat(LINK_FD_SOCKET, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Nothing of whoever started the front: nohup's SIG_IGN, a blocked signal, a forgotten descriptor. */
static void reset_process(const struct options *options)
{
	unsigned kept = (unsigned)MAX(MAX(options->record_fd, options->code_fd), LINK_FD_END - 1);
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)syscall(SYS_close_range, kept + 1, ~0U, 0);
}

/* Dies with the front. False when the front has gone before it could be arranged. */
static bool follow_parent(void)
{
	pid_t parent = getppid();

	return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
}

static void pack_pair(struct buffer *frame, const char *name, const char *value)
{
	msgpack_write_str(frame, slice_str(name));
	msgpack_write_str(frame, slice_str(value));
}

static int send_hello(const struct interpreter *i)
{
	_cleanup_(buffer_deinitp) struct buffer frame = BUFFER_INIT(65536);
	size_t begin = link_frame_begin(&frame);
	int r;

	msgpack_write_array(&frame, 2);
	msgpack_write_u64(&frame, LINK_VERSION);
	msgpack_write_map(&frame, 7);
	pack_pair(&frame, "executable", i->executable);
	pack_pair(&frame, "prefix", i->prefix);
	pack_pair(&frame, "version", i->version);
	pack_pair(&frame, "version_text", i->version_text);
	pack_pair(&frame, "cache_tag", i->cache_tag);
	msgpack_write_str(&frame, SLICE_LIT("ipython"));
	if (i->ipython[0] != '\0')
		msgpack_write_str(&frame, slice_str(i->ipython));
	else
		msgpack_write_nil(&frame);
	msgpack_write_str(&frame, SLICE_LIT("debugpy"));
	msgpack_write_bool(&frame, i->has_debugpy);
	r = link_frame_end(&frame, begin, LINK_HELLO, 0);
	return r < 0 ? r : uplink_send(LINK_FD_SOCKET, buffer_slice(&frame));
}

/* The core beside the launcher, or the one that is named; absolute. */
static int find_core(const char *named, char ret_path[PATH_MAX], struct error *err)
{
	static const char default_name[] = "husk-core.so";
	ssize_t n;
	char *slash;

	if (named != NULL) {
		if (realpath(named, ret_path) == NULL)
			return error_set(err, -errno, "there is no worker core at %s", named);
		return 0;
	}
	n = readlink("/proc/self/exe", ret_path, PATH_MAX - 1);
	if (n < 0)
		return error_set(err, -errno, "the launcher cannot find itself in /proc");
	ret_path[n] = '\0';
	slash = strrchr(ret_path, '/');
	if (slash == NULL || (size_t)(slash + 1 - ret_path) + sizeof(default_name) > PATH_MAX)
		return error_set(err, -ENAMETOOLONG, "the path of the worker core is too long");
	memcpy(slash + 1, default_name, sizeof(default_name));
	if (access(ret_path, R_OK) < 0)
		return error_set(err, -errno, "there is no worker core at %s", ret_path);
	return 0;
}

/* The core first, then what the user preloads. */
static int set_preload(const char *core, struct error *err)
{
	_cleanup_(freep) char *value = NULL;
	const char *users = getenv("LD_PRELOAD");
	bool has_users = users != NULL && users[0] != '\0';
	char by_number[32];
	int fd;

	/* The loader splits at spaces and colons: such a core is named by its descriptor, which the core closes. */
	if (strpbrk(core, ": ") != NULL) {
		fd = open(core, O_RDONLY);
		if (fd < 0)
			return error_set(err, -errno, "cannot open the worker core %s", core);
		(void)snprintf(by_number, sizeof(by_number), "/proc/self/fd/%d", fd);
		core = by_number;
	}
	if (asprintf(&value, "%s%s%s", core, has_users ? ":" : "", has_users ? users : "") < 0)
		value = NULL;
	if (value == NULL || setenv("LD_PRELOAD", value, 1) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int execute(const struct interpreter *i, const char *core, const char *cache_dir, struct error *err)
{
	char option[] = CORE_ARGV_OPTION CORE_ARGV_VERSION;
	char *argv[CORE_ARGV_COUNT + 1] = { (char *)(uintptr_t)i->executable, option, (char *)(uintptr_t)cache_dir, NULL };
	int r = set_preload(core, err);

	if (r < 0)
		return r;
	(void)execv(i->binary, argv);
	return error_set(err, -errno, "cannot execute %s: error %d", i->binary, errno);
}

static const char *fatal_code(int r)
{
	if (r == -ENOENT)
		return UPLINK_PYTHON_MISSING;
	if (r == -ENOTSUP || r == -EBADMSG || r == -ETIMEDOUT || r == -EMSGSIZE)
		return UPLINK_PYTHON_UNSUPPORTED;
	return UPLINK_INTERNAL;
}

static int find_interpreter(const struct options *options, int dir_fd, struct interpreter *ret, struct error *err)
{
	_cleanup_(freep) char *path = NULL;
	int r = interpreter_locate(options->python, &path, err);

	if (r == 0)
		r = interpreter_probe(path, dir_fd, ret, err);
	return r < 0 ? r : interpreter_check(ret, err);
}

static int open_cache(struct options *options, char default_dir[PATH_MAX])
{
	if (options->cache_dir == NULL && cache_dir_default(default_dir, PATH_MAX) == 0)
		options->cache_dir = default_dir;
	return options->cache_dir != NULL ? cache_dir_open(options->cache_dir) : -1;
}

/* Says on stderr why not. */
static int prepare(struct options *options)
{
	_cleanup_(interpreter_deinitp) struct interpreter interpreter = { .hexversion = 0 };
	char default_dir[PATH_MAX], core[PATH_MAX];
	struct error err;
	_cleanup_(closep) int dir_fd = open_cache(options, default_dir);
	int r;

	prepare_environment();
	r = find_interpreter(options, dir_fd, &interpreter, &err);
	if (r == 0)
		r = find_core(options->core, core, &err);
	if (r == 0)
		r = prepare_write(&interpreter, core, options->cache_dir, dir_fd, options->record_fd, &err);
	if (r == 0)
		return 0;
	(void)fprintf(stderr, "%s", err.text);
	return 1;
}

/* HELLO, then the interpreter. cache: what the core is told of its compiled code. */
static int become(const struct interpreter *i, const struct options *options, const char *cache)
{
	char core[PATH_MAX];
	struct error err;
	int r = find_core(options->core, core, &err);

	if (r < 0)
		return uplink_fatal(UPLINK_INTERNAL, "%s", err.text);
	if (send_hello(i) < 0)
		return 0; /* the front is gone */
	(void)execute(i, core, cache, &err);
	return uplink_fatal(UPLINK_INTERNAL, "%s", err.text);
}

static int become_prepared(const struct options *options)
{
	_cleanup_(interpreter_deinitp) struct interpreter interpreter = { .hexversion = 0 };
	char cache[32] = "";
	struct error err;
	int r = prepare_read(options->record_fd, &interpreter, &err);

	if (r < 0)
		return uplink_fatal(UPLINK_INTERNAL, "%s", err.text);
	(void)close(options->record_fd);
	if (options->code_fd >= 0)
		(void)snprintf(cache, sizeof(cache), CORE_ARGV_FD "%d", options->code_fd);
	return become(&interpreter, options, cache);
}

static int become_found(struct options *options)
{
	_cleanup_(interpreter_deinitp) struct interpreter interpreter = { .hexversion = 0 };
	char default_dir[PATH_MAX];
	struct error err;
	int dir_fd = open_cache(options, default_dir);
	int r = find_interpreter(options, dir_fd, &interpreter, &err);
	bool has_cache = dir_fd >= 0;

	closep(&dir_fd);
	if (r < 0)
		return uplink_fatal(fatal_code(r), "%s", err.text);
	return become(&interpreter, options, has_cache ? options->cache_dir : "");
}

int main(int argc, char **argv)
{
	struct options options;

	if (!parse_options(argc, argv, &options) || (!options.prepare && !has_link()))
		return usage();
	if (options.prepare)
		return prepare(&options);
	if (!follow_parent())
		return 0;
	reset_process(&options);
	return options.record_fd >= 0 ? become_prepared(&options) : become_found(&options);
}
