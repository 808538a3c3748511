/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pyconfig: the one place where a Python interpreter is configured and started.
 *
 * The configuration is the one of the python program (environment variables, user site, locale coercion and UTF-8
 * mode by the locale), because a kernel has to be what "python -m ..." in the same environment is. It differs in that: no
 * argv is parsed, so nothing is put before the standard path; signal handlers are the core's; faulthandler is on, to
 * the pipe on fd 2; program_name and executable are the path that the user names, so that pyvenv.cfg beside it is honoured.
 */
#include "kernel/worker/pyconfig.h"

#include <signal.h>
#include <string.h>

#include "kernel/worker/pyapi.h"

static int *int_at(void *config, size_t offset)
{
	return (int *)((char *)config + offset);
}

static wchar_t **string_at(void *config, size_t offset)
{
	return (wchar_t **)((char *)config + offset);
}

/* The defaults of the python configuration are known; anything else there means that the table is not about this build. */
static int check_defaults(void *config, const struct pyconfig_layout *layout, struct error *err)
{
	if (*int_at(config, layout->use_environment) == 1 && *int_at(config, layout->install_signal_handlers) == 1 &&
	    *int_at(config, layout->faulthandler) == -1 && *int_at(config, layout->parse_argv) == 1 &&
	    *string_at(config, layout->program_name) == NULL && *string_at(config, layout->executable) == NULL)
		return 0;
	return error_set(err, -ENOTSUP, "this build of Python 3.%d lays PyConfig out in a way that husk does not know",
	    layout->minor);
}

static int check_status(struct py_status status, struct error *err)
{
	if (status.type == 0)
		return 0;
	return error_set(err, -EIO, "Python does not start: %s%s%s", status.func != NULL ? status.func : "",
	    status.func != NULL ? ": " : "", status.err_msg != NULL ? status.err_msg : "it wants to exit");
}

static int configure(void *config, const struct pyconfig_layout *layout, const char *python, struct error *err)
{
	int r;

	*int_at(config, layout->parse_argv) = 0;
	*int_at(config, layout->install_signal_handlers) = 0;
	*int_at(config, layout->faulthandler) = 1;
	r = check_status(PyConfig_SetBytesString(config, string_at(config, layout->program_name), python), err);
	if (r < 0)
		return r;
	r = check_status(PyConfig_SetBytesString(config, string_at(config, layout->executable), python), err);
	return r < 0 ? r : check_status(Py_InitializeFromConfig(config), err);
}

/* A string that was set at the place of another shows here. */
static int check_executable(const char *python, struct error *err)
{
	PyObject *borrowed_executable = PySys_GetObject("executable");
	_py_ref_ PyObject *bytes = NULL;

	if (borrowed_executable != NULL && PyUnicode_Check(borrowed_executable))
		bytes = PyUnicode_EncodeFSDefault(borrowed_executable);
	PyErr_Clear();
	if (bytes != NULL && strcmp(PyBytes_AsString(bytes), python) == 0)
		return 0;
	return error_set(err, -ENOTSUP, "Python has not taken over the path %s", python);
}

int pyconfig_start(const char *python, struct error *err)
{
	const struct pyconfig_layout *layout = pyconfig_layout((int)(Py_Version >> 16 & 0xff));
	_cleanup_(freep) void *config = NULL;
	int r;

	if (layout == NULL || Py_Version >> 24 != 3)
		return error_set(err, -ENOTSUP, "Python %lu.%lu is not supported", Py_Version >> 24, Py_Version >> 16 & 0xff);
	config = calloc(1, layout->size);
	if (config == NULL)
		return error_set(err, -ENOMEM, "out of memory");
	/* What the interpreter itself would ignore; the rest of its handlers is not wanted. */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	PyConfig_InitPythonConfig(config);
	r = check_defaults(config, layout, err);
	if (r == 0)
		r = configure(config, layout, python, err);
	PyConfig_Clear(config);
	return r < 0 ? r : check_executable(python, err);
}
