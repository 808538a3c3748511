/* SPDX-License-Identifier: Apache-2.0 */
/* prepare: an interpreter, its core and its compiled code, found outside of the sandbox. */
#include "kernel/worker/prepare.h"

#include <limits.h>
#include <stdio.h>
#include <sys/wait.h>

#include "kernel/worker/cache-dir.h"
#include "kernel/worker/code-file.h"
#include "kernel/worker/core-argv.h"
#include "kernel/worker/embedded-hash.h"
#include "protocol/base/io.h"

void prepare_environment(void)
{
	static const char *const unset[] = {"PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONSTARTUP",
					    "PYTHONOPTIMIZE"};

	for (size_t i = 0; i < ARRAY_SIZE(unset); i++)
		(void)unsetenv(unset[i]);
	(void)setenv("PYTHONNOUSERSITE", "1", 1);
	(void)setenv("HOME", "/home/user", 1);
}

/* The interpreter, with the core, compiles what the core carries and ends. */
static void make_code(const struct interpreter *i, const char *core, const char *cache_dir)
{
	char option[] = CORE_ARGV_PRIME CORE_ARGV_VERSION;
	char *argv[CORE_ARGV_COUNT + 1] = {(char *)(uintptr_t)i->executable, option, (char *)(uintptr_t)cache_dir,
					   NULL};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (strpbrk(core, ": ") != NULL || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ||
		    setenv("LD_PRELOAD", core, 1) < 0)
			_exit(127);
		(void)execv(i->binary, argv);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
}

static bool has_file(int dir_fd, const char *name)
{
	_cleanup_(closep) int fd = dir_fd >= 0 ? cache_file_open(dir_fd, name) : -1;

	return fd >= 0;
}

static void find_code(const struct interpreter *i, const char *core, const char *cache_dir, int dir_fd,
		      char ret_path[PATH_MAX])
{
	char name[CODE_FILE_NAME_MAX];
	int n;

	ret_path[0] = '\0';
	if (dir_fd < 0 || !code_file_name(i->cache_tag, i->hexversion, EMBEDDED_HASH, name, sizeof(name)))
		return;
	if (!has_file(dir_fd, name))
		make_code(i, core, cache_dir);
	n = snprintf(ret_path, PATH_MAX, "%s/%s", cache_dir, name);
	if (n < 0 || n >= PATH_MAX || !has_file(dir_fd, name))
		ret_path[0] = '\0';
}

int prepare_write(const struct interpreter *i, const char *core, const char *cache_dir, int dir_fd, int record_fd,
		  struct error *err)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(65536);
	char code[PATH_MAX];
	const char *const fields[] = {i->executable, i->binary, i->prefix, i->base_prefix, i->exec_prefix, core, code};

	find_code(i, core, cache_dir, dir_fd, code);
	for (size_t f = 0; f < ARRAY_SIZE(fields); f++)
		buffer_append(&out, fields[f], strlen(fields[f]) + 1);
	if (out.failed || io_write_all(record_fd, buffer_slice(&i->record)) < 0 ||
	    io_write_all(STDOUT_FILENO, buffer_slice(&out)) < 0)
		return error_set(err, -EIO, "what was found out about %s cannot be handed over", i->executable);
	return 0;
}

int prepare_read(int record_fd, struct interpreter *ret, struct error *err)
{
	_cleanup_(buffer_deinitp) struct buffer record = BUFFER_INIT(INTERPRETER_RECORD_MAX);
	ssize_t n = 0;

	do {
		record.len += (size_t)n;
		if (buffer_reserve(&record, 4096) < 0)
			return error_set(err, -EMSGSIZE, "the interpreter's record is longer than %zu bytes",
					 INTERPRETER_RECORD_MAX);
		n = pread(record_fd, record.data + record.len, 4096, (off_t)record.len);
	} while (n > 0);
	if (n < 0 || interpreter_parse(&record, ret) < 0)
		return error_set(err, -EBADMSG, "the interpreter's record is not whole");
	return 0;
}
