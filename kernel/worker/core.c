/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core: husk-core.so, preloaded into the interpreter that the launcher executes.
 *
 * It hooks __libc_start_main, so the process is the environment's own interpreter, with its own library, but runs our main. The
 * launcher says that it is meant by argv[1]; a process that got the core in another way runs as if it were not there.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "kernel/worker/bridge.h"
#include "kernel/worker/bytecode.h"
#include "kernel/worker/confine.h"
#include "kernel/worker/core-argv.h"
#include "kernel/worker/exceptions.h"
#include "kernel/worker/hooks.h"
#include "kernel/worker/interrupt.h"
#include "kernel/worker/output.h"
#include "kernel/worker/peer.h"
#include "kernel/worker/pyconfig.h"
#include "kernel/worker/uplink.h"
#include "protocol/link/link.h"

typedef int (*main_func)(int argc, char **argv, char **envp);
typedef int (*start_func)(main_func, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);

static main_func interpreters_main;

/* Nothing of ours may reach the tenant's children: LD_PRELOAD becomes what it was before the launcher. */
static void restore_preload(void)
{
	const char *all = getenv("LD_PRELOAD");
	const char *rest = all != NULL ? strpbrk(all, ": ") : NULL;
	char *copy;

	copy = rest != NULL && rest[1] != '\0' ? strdup(rest + 1) : NULL;
	(void)unsetenv("LD_PRELOAD");
	if (copy != NULL)
		(void)setenv("LD_PRELOAD", copy, 1);
	free(copy);
}

/* 3 to 7 are not for children; beyond them there may be the descriptor by which the core was named. */
static void settle_descriptors(int kept)
{
	for (int fd = LINK_FD_SOCKET; fd < LINK_FD_END; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (kept > LINK_FD_END)
		(void)syscall(SYS_close_range, LINK_FD_END, kept - 1, 0);
	(void)syscall(SYS_close_range, MAX(kept + 1, LINK_FD_END), ~0U, 0);
}

static int send_ready(void)
{
	_cleanup_(buffer_deinitp) struct buffer frame = BUFFER_INIT(4096);
	size_t begin = link_frame_begin(&frame);
	int r;

	msgpack_write_array(&frame, 1);
	msgpack_write_map(&frame, 1);
	msgpack_write_str(&frame, SLICE_LIT("pid"));
	msgpack_write_u64(&frame, (uint64_t)getpid());
	r = link_frame_end(&frame, begin, LINK_READY, output_position());
	return r < 0 ? r : uplink_send(LINK_FD_SOCKET, buffer_slice(&frame));
}

/* husk_importer, then husk_worker.boot.main(). -1 with an exception, else the exit code. */
static int run_boot(void)
{
	const struct embedded *importer = bytecode_find("husk_importer");
	_py_ref_ PyObject *code = NULL;
	_py_ref_ PyObject *importer_module = NULL;
	_py_ref_ PyObject *boot = NULL;
	_py_ref_ PyObject *result = NULL;

	code = importer != NULL ? bytecode_load(importer) : NULL;
	if (code != NULL)
		importer_module = PyImport_ExecCodeModuleEx("husk_importer", code, importer->file);
	if (importer_module != NULL)
		boot = PyImport_ImportModule("husk_worker.boot");
	if (boot != NULL)
		result = PyObject_CallMethod(boot, "main", NULL);
	if (result == NULL)
		return -1;
	return PyLong_Check(result) ? (int)(PyLong_AsLong(result) & 0xff) : 0;
}

/* The exit code of a Python side that has ended by an exception. */
static int report_exception(void)
{
	if (PyErr_ExceptionMatches(peer_closed_class()))
		return 0;
	PyErr_Print();
	return uplink_fatal(UPLINK_INTERNAL, "the Python side of the worker has failed; its traceback is on stderr");
}

static int serve(void)
{
	int code = run_boot();

	if (code < 0)
		code = report_exception();
	output_drain();
	return code;
}

static int start_python(const struct core_argv *arguments, struct error *err)
{
	const char *const *layers;
	int r;

	if (PyImport_AppendInittab("_husk", bridge_create) < 0 ||
	    PyImport_AppendInittab("husk_limits", exceptions_create) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	r = pyconfig_start(arguments->python, err);
	if (r < 0)
		return r;
	if (interrupt_init() < 0) {
		PyErr_Print();
		return error_set(err, -EIO, "the interrupt handler cannot be installed");
	}
	if (arguments->code_fd >= LINK_FD_END) {
		bytecode_use(arguments->code_fd);
		(void)close(arguments->code_fd);
	} else {
		bytecode_init(arguments->cache_dir);
	}
	return confine(&layers, err);
}

/* Leaves the compiled modules in the cache directory. No tenant is near. */
static int prime(const struct core_argv *arguments)
{
	struct error err;
	int r = pyconfig_start(arguments->python, &err);

	if (r == 0)
		bytecode_init(arguments->cache_dir);
	return r < 0;
}

static int worker_main(int argc, char **argv)
{
	struct core_argv arguments;
	struct error err;
	int r;

	restore_preload();
	if (core_argv_parse(argc, argv, &arguments) < 0)
		return uplink_fatal(UPLINK_INTERNAL, "the launcher and the core are not of one version");
	if (arguments.prime)
		return prime(&arguments);
	settle_descriptors(arguments.code_fd);
	r = output_attach(&err);
	if (r == 0)
		r = start_python(&arguments, &err);
	if (r < 0)
		return uplink_fatal(r == -ENOTSUP ? UPLINK_PYTHON_UNSUPPORTED : UPLINK_INTERNAL, "%s", err.text);
	if (send_ready() < 0)
		return 0; /* the front is gone */
	return serve();
}

static int core_main(int argc, char **argv, char **envp)
{
	int code;

	if (!core_argv_is_worker(argc, argv))
		return interpreters_main(argc, argv, envp);
	code = worker_main(argc, argv);
	/* Neither Py_FinalizeEx() nor C's exit handlers: both run foreign code that may never end. */
	_exit(code);
}

/* libc's declaration is hidden; this is its contract with crt1.o. */
int __libc_start_main(main_func main, int argc, char **argv, void (*init)(void), void (*fini)(void),
    void (*rtld_fini)(void), void *stack_end);

__attribute__((visibility("default"))) int __libc_start_main(main_func main, int argc, char **argv, void (*init)(void),
    void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
	start_func real = (start_func)dlsym(RTLD_NEXT, "__libc_start_main");

	if (real == NULL)
		_exit(127);
	interpreters_main = main;
	return real(core_main, argc, argv, init, fini, rtld_fini, stack_end);
}
