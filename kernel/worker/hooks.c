/* SPDX-License-Identifier: Apache-2.0 */
/* hooks: functions of libc that the preloaded core answers in libc's place. */
#include "kernel/worker/hooks.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/link/link.h"

#define EXPORT __attribute__((visibility("default")))

/* libc's own functions; found by the constructor, before any thread or signal handler can be there. */
static struct {
	int (*sigaction)(int, const struct sigaction *, struct sigaction *);
	sighandler_t (*signal)(int, sighandler_t);
	sighandler_t (*sysv_signal)(int, sighandler_t);
	sighandler_t (*sigset)(int, sighandler_t);
	int (*sighold)(int);
	int (*sigignore)(int);
	int (*sigprocmask)(int, const sigset_t *, sigset_t *);
	int (*pthread_sigmask)(int, const sigset_t *, sigset_t *);
	pid_t (*wait)(int *);
	pid_t (*waitpid)(pid_t, int *, int);
	pid_t (*wait3)(int *, int, struct rusage *);
	pid_t (*wait4)(pid_t, int *, int, struct rusage *);
	int (*waitid)(idtype_t, id_t, siginfo_t *, int);
	int (*system)(const char *);
	int (*pclose)(FILE *);
	ssize_t (*write)(int, const void *, size_t);
} real;

static void (*external_interrupt)(void); /* NULL: not enabled */
static int reserved_signal;
static _Atomic bool reserved_open;
static _Atomic bool barrier;
static _Atomic bool in_child;

/* What the program believes SIGINT's action to be. The handler's address alone decides in signal context. */
static struct {
	_Atomic uintptr_t handler;
	_Atomic int flags;
	sigset_t mask;
} sigint;

static void *find(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void find_real(void)
{
	real.sigaction = find("sigaction");
	real.signal = find("signal");
	real.sysv_signal = find("sysv_signal");
	real.sigset = find("sigset");
	real.sighold = find("sighold");
	real.sigignore = find("sigignore");
	real.sigprocmask = find("sigprocmask");
	real.pthread_sigmask = find("pthread_sigmask");
	real.wait = find("wait");
	real.waitpid = find("waitpid");
	real.wait3 = find("wait3");
	real.wait4 = find("wait4");
	real.waitid = find("waitid");
	real.system = find("system");
	real.pclose = find("pclose");
	real.write = find("write");
}

/* A library's constructor may come before ours. */
#define REAL(name) \
	__extension__({ \
		if (real.name == NULL) \
			find_real(); \
		real.name; \
	})

/* ---- SIGINT ---- */

static bool sent_from_outside(const siginfo_t *info)
{
	if (info->si_code == SI_USER || info->si_code == SI_TKILL || info->si_code == SI_QUEUE)
		return info->si_pid != getpid();
	return true;
}

static void default_sigint(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t set;

	(void)REAL(sigaction)(SIGINT, &action, NULL);
	(void)raise(SIGINT);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)REAL(pthread_sigmask)(SIG_UNBLOCK, &set, NULL);
}

static void on_sigint(int number, siginfo_t *info, void *context)
{
	int saved = errno;
	uintptr_t handler = atomic_load(&sigint.handler);

	if (!atomic_load(&in_child) && sent_from_outside(info))
		external_interrupt();
	else if (handler == (uintptr_t)SIG_DFL)
		default_sigint();
	else if (handler != (uintptr_t)SIG_IGN && (atomic_load(&sigint.flags) & SA_SIGINFO) != 0)
		((void (*)(int, siginfo_t *, void *))handler)(number, info, context);
	else if (handler != (uintptr_t)SIG_IGN)
		((void (*)(int))handler)(number);
	errno = saved;
}

static int sigint_install(int flags)
{
	struct sigaction action = {
		.sa_sigaction = on_sigint,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | (flags & SA_RESTART),
	};

	action.sa_mask = sigint.mask;
	return REAL(sigaction)(SIGINT, &action, NULL);
}

static int sigint_action(const struct sigaction *new, struct sigaction *old)
{
	struct sigaction before = { .sa_mask = sigint.mask, .sa_flags = atomic_load(&sigint.flags) };

	before.sa_sigaction = (void (*)(int, siginfo_t *, void *))atomic_load(&sigint.handler);
	if (new != NULL) {
		/* SIG_DFL and a handler differ in flags only when they are handlers: store the address last. */
		sigint.mask = new->sa_mask;
		atomic_store(&sigint.flags, new->sa_flags);
		atomic_store(&sigint.handler, (uintptr_t)new->sa_sigaction);
		if (sigint_install(new->sa_flags) < 0)
			return -1;
	}
	if (old != NULL)
		*old = before;
	return 0;
}

static bool is_reserved(int number)
{
	return external_interrupt != NULL && number == reserved_signal && !atomic_load(&reserved_open);
}

static bool is_sigint(int number)
{
	return external_interrupt != NULL && number == SIGINT && !atomic_load(&in_child);
}

EXPORT int sigaction(int number, const struct sigaction *restrict new, struct sigaction *restrict old)
{
	if (is_reserved(number)) {
		errno = EINVAL;
		return -1;
	}
	if (is_sigint(number))
		return sigint_action(new, old);
	return REAL(sigaction)(number, new, old);
}

/* The older interfaces; flags: what they imply. */
static sighandler_t simple_signal(int number, sighandler_t handler, int flags, sighandler_t (*next)(int, sighandler_t))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	struct sigaction old;

	if (is_reserved(number)) {
		errno = EINVAL;
		return SIG_ERR;
	}
	if (!is_sigint(number))
		return next(number, handler);
	if (sigint_action(&action, &old) < 0)
		return SIG_ERR;
	return old.sa_handler;
}

EXPORT sighandler_t signal(int number, sighandler_t handler)
{
	return simple_signal(number, handler, SA_RESTART, REAL(signal));
}

sighandler_t bsd_signal(int number, sighandler_t handler);
EXPORT sighandler_t bsd_signal(int number, sighandler_t handler)
{
	return simple_signal(number, handler, SA_RESTART, REAL(signal));
}

EXPORT sighandler_t ssignal(int number, sighandler_t handler)
{
	return simple_signal(number, handler, SA_RESTART, REAL(signal));
}

EXPORT sighandler_t sysv_signal(int number, sighandler_t handler)
{
	return simple_signal(number, handler, (int)SA_RESETHAND, REAL(sysv_signal));
}

sighandler_t sigset(int number, sighandler_t handler);
EXPORT sighandler_t sigset(int number, sighandler_t handler)
{
	return simple_signal(number, handler, 0, REAL(sigset));
}

int sighold(int number);
EXPORT int sighold(int number)
{
	if (is_reserved(number)) {
		errno = EINVAL;
		return -1;
	}
	return REAL(sighold)(number);
}

int sigignore(int number);
EXPORT int sigignore(int number)
{
	return simple_signal(number, SIG_IGN, 0, REAL(signal)) == SIG_ERR ? -1 : 0;
}

/* ---- masks ---- */

static const sigset_t *without_reserved(int how, const sigset_t *set, sigset_t *copy)
{
	if (set == NULL || how == SIG_UNBLOCK || external_interrupt == NULL)
		return set;
	*copy = *set;
	(void)sigdelset(copy, reserved_signal);
	return copy;
}

EXPORT int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
	sigset_t copy;

	return REAL(sigprocmask)(how, without_reserved(how, set, &copy), old);
}

EXPORT int pthread_sigmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
	sigset_t copy;

	return REAL(pthread_sigmask)(how, without_reserved(how, set, &copy), old);
}

/* ---- the output barrier ---- */

static void raise_barrier(void)
{
	atomic_store_explicit(&barrier, true, memory_order_relaxed);
}

EXPORT pid_t wait(int *status)
{
	pid_t pid = REAL(wait)(status);

	if (pid > 0)
		raise_barrier();
	return pid;
}

EXPORT pid_t waitpid(pid_t which, int *status, int options)
{
	pid_t pid = REAL(waitpid)(which, status, options);

	if (pid > 0)
		raise_barrier();
	return pid;
}

EXPORT pid_t wait3(int *status, int options, struct rusage *usage)
{
	pid_t pid = REAL(wait3)(status, options, usage);

	if (pid > 0)
		raise_barrier();
	return pid;
}

EXPORT pid_t wait4(pid_t which, int *status, int options, struct rusage *usage)
{
	pid_t pid = REAL(wait4)(which, status, options, usage);

	if (pid > 0)
		raise_barrier();
	return pid;
}

EXPORT int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	int r = REAL(waitid)(type, id, info, options);

	if (r == 0)
		raise_barrier();
	return r;
}

EXPORT int system(const char *command)
{
	int status = REAL(system)(command);

	raise_barrier();
	return status;
}

EXPORT int pclose(FILE *stream)
{
	int status = REAL(pclose)(stream);

	raise_barrier();
	return status;
}

EXPORT ssize_t write(int fd, const void *data, size_t len)
{
	ssize_t n = REAL(write)(fd, data, len);

	if (fd == 1 || fd == 2)
		raise_barrier();
	return n;
}

bool hooks_take_barrier(void)
{
	return atomic_load_explicit(&barrier, memory_order_relaxed) && atomic_exchange(&barrier, false);
}

/* ---- life ---- */

/* The link is the parent's alone; and who holds the read end of its own pipe is never told that nobody reads. */
static void after_fork_in_child(void)
{
	atomic_store(&in_child, true);
	for (int fd = LINK_FD_SOCKET; fd < LINK_FD_END; fd++)
		(void)close(fd);
}

bool hooks_in_child(void)
{
	return atomic_load_explicit(&in_child, memory_order_relaxed);
}

/* Puts our handler of SIGINT before the one that is there. */
static void take_sigint(void)
{
	struct sigaction now;

	if (REAL(sigaction)(SIGINT, NULL, &now) < 0 || now.sa_sigaction == on_sigint)
		return;
	sigint.mask = now.sa_mask;
	atomic_store(&sigint.flags, now.sa_flags);
	atomic_store(&sigint.handler, (uintptr_t)now.sa_sigaction);
	(void)sigint_install(now.sa_flags);
}

void hooks_adopt(void)
{
	take_sigint();
	atomic_store(&in_child, false);
}

int hooks_reserved_signal(void)
{
	return SIGRTMIN + 5;
}

void hooks_open_reserved(bool open)
{
	atomic_store(&reserved_open, open);
}

void hooks_enable(void (*external)(void))
{
	reserved_signal = SIGRTMIN + 5;
	(void)pthread_atfork(NULL, NULL, after_fork_in_child);
	external_interrupt = external;
	take_sigint();
}
