/* SPDX-License-Identifier: Apache-2.0 */
/* environment: asks "husk-worker --prepare" what a worker needs. */
#include "kernel/sandbox/environment.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "protocol/base/io.h"

#define MAX_ANSWER ((size_t)64 << 10)
#define RECORD_FD 3

#define ENVIRONMENT_NONE                                                                                               \
	(struct environment)                                                                                           \
	{                                                                                                              \
		.record_fd = -1, .code_fd = -1, .answer_fd = -1, .complaint_fd = -1, .text = BUFFER_INIT(MAX_ANSWER)   \
	}

static int reap(struct environment *e)
{
	int status = -1;

	while (e->pid > 0 && waitpid(e->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	e->pid = 0;
	closep(&e->answer_fd);
	closep(&e->complaint_fd);
	e->answer_fd = e->complaint_fd = -1;
	return status;
}

void environment_deinit(struct environment *e)
{
	if (e->pid > 0)
		(void)kill(e->pid, SIGKILL);
	(void)reap(e);
	buffer_deinit(&e->text);
	closep(&e->record_fd);
	closep(&e->code_fd);
	*e = ENVIRONMENT_NONE;
}

static _Noreturn void ask(const char *launcher, const char *python, int record_fd, int out_fd, int err_fd)
{
	const char *argv[] = {launcher, "--prepare", "--record-fd", "3", python ? "--python" : NULL, python, NULL};
	int record = fcntl(record_fd, F_DUPFD, 16), out = fcntl(out_fd, F_DUPFD, 16),
	    error = fcntl(err_fd, F_DUPFD, 16);
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(out, STDOUT_FILENO) < 0 || dup2(error, STDERR_FILENO) < 0 || dup2(record, RECORD_FD) < 0)
		_exit(127);
	(void)syscall(SYS_close_range, RECORD_FD + 1, ~0U, 0);
	(void)execv(launcher, (char *const *)(uintptr_t)argv);
	_exit(127);
}

static int read_all(int fd, struct buffer *out)
{
	ssize_t n;

	do
		n = io_read(fd, out);
	while (n > 0);
	return (int)n;
}

static int split(struct environment *e, const char **ret_code)
{
	const char **const fields[] = {&e->executable,  &e->binary, &e->prefix, &e->base_prefix,
				       &e->exec_prefix, &e->core,   ret_code};
	const char *pos = e->text.data, *end = pos + e->text.len;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const char *nul = pos < end ? memchr(pos, '\0', (size_t)(end - pos)) : NULL;

		if (!nul)
			return -EBADMSG;
		*fields[i] = pos;
		pos = nul + 1;
	}
	return 0;
}

static int finish(struct environment *e, struct error *err)
{
	const char *code;

	if (split(e, &code) < 0)
		return error_set(err, -EBADMSG, "%s --prepare has said nothing that can be used", e->launcher);
	if (fcntl(e->record_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return error_set(err, -errno, "cannot seal the interpreter's record: %s", strerror(errno));
	if (code[0])
		e->code_fd = open(code, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return 0;
}

int environment_start(const char *launcher, const char *python, struct environment *ret, struct error *err)
{
	struct environment e = ENVIRONMENT_NONE;
	int pair[2], complaints[2];

	e.launcher = launcher;
	e.record_fd = memfd_create("husk-record", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (e.record_fd < 0 || pipe2(pair, O_CLOEXEC) < 0 || pipe2(complaints, O_CLOEXEC) < 0)
		return error_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
	e.answer_fd = pair[0];
	e.complaint_fd = complaints[0];
	e.pid = fork();
	if (e.pid == 0)
		ask(launcher, python, e.record_fd, pair[1], complaints[1]);
	(void)close(pair[1]);
	(void)close(complaints[1]);
	if (e.pid < 0) {
		int r = error_set(err, -errno, "cannot start %s: %s", launcher, strerror(errno));

		environment_deinit(&e);
		return r;
	}
	*ret = e;
	return 0;
}

bool environment_has_failed(const struct environment *e)
{
	return e->pid == 0 && !e->executable;
}

int environment_wait(struct environment *e, struct error *err)
{
	_cleanup_(buffer_deinitp) struct buffer complaint = BUFFER_INIT(4096);
	int r;

	if (e->pid == 0)
		return e->executable ? 0 : error_set(err, -ENOENT, "%s --prepare has failed before", e->launcher);
	r = read_all(e->answer_fd, &e->text);
	(void)read_all(e->complaint_fd, &complaint);
	if (r < 0)
		return error_set(err, r, "the answer of %s --prepare cannot be read: %s", e->launcher, strerror(-r));
	if (reap(e) != 0)
		return error_set(err, -ENOENT, "%.*s", (int)complaint.len, complaint.len ? complaint.data : "");
	return finish(e, err);
}
