/* SPDX-License-Identifier: Apache-2.0 */
/*
 * try-syscall FILTER: makes every system call under one filter of seccomp.def, as an ordinary user without capabilities, each in a process of
 * its own, with arguments that do no harm whatever the answer is. One line each: number, name, answer. The answer is "ok", an error,
 * the signal that ended the process, "waits" or "ends". tests/sandbox/syscalls.golden has what is expected.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/sandbox/confinement.h"
#include "protocol/base/util.h"

#if defined(__x86_64__)

#define MOST 1024   /* further than any kernel's calls */
#define X32 0x40000000
#define WAIT_USEC 200000
#define NOBODY 65534

enum door { DOOR_NATIVE, DOOR_I386 };

struct attempt {
	long number;
	enum door door;
	long arguments[6];
};

/* What a call gets for arguments: all bits set is no pointer, no descriptor, no process, no flag for most. */
static const long nothing[6] = { -1, -1, -1, -1, -1, -1 };

static const struct {
	long number;
	long arguments[6];
} special[] = {
	{ SYS_kill, { 0x7fffffff, 0 } },          /* a process that is not there, and no signal */
	{ SYS_clone, { SIGCHLD } },               /* as fork */
	{ SYS_flock, { -1, 1 } },                 /* LOCK_SH; all bits set is an obsolete request that is granted */
	{ SYS_futex, { 1, 1, 1 } },               /* FUTEX_WAKE, where no lock can be */
	{ SYS_msgget, { 0x6875736b, 0 } },        /* all flags would make a queue that stays */
	{ SYS_semget, { 0x6875736b, 1, 0 } },
	{ SYS_shmget, { 0x6875736b, 4096, 0 } },
	{ SYS_socket, { AF_UNIX, SOCK_STREAM, 0 } },
	{ SYS_socketpair, { AF_UNIX, SOCK_STREAM, 0, -1 } },
	{ SYS_ioctl, { -1, 0 } },
	{ SYS_prctl, { PR_GET_DUMPABLE } },
	{ SYS_sched_setaffinity, { 0x7fffffff, 0, 0 } },   /* not this thread: what the filter judges */
	{ SYS_sched_setparam, { 0x7fffffff, 0 } },
	{ SYS_sched_setscheduler, { 0x7fffffff, 0, 0 } },
	{ SYS_sched_setattr, { 0x7fffffff, 0, 0 } },
	{ SYS_setpriority, { 0, 0x7fffffff, 0 } },
	{ SYS_ioprio_set, { 1, 0x7fffffff, 0 } },
	{ SYS_prlimit64, { 0x7fffffff, 0, 1, 0 } },
	{ SYS_wait4, { -1, 0, WNOHANG, 0 } },
};

static const struct {
	int number;
	const char *name;
} names[] = {
#define CALL(name, x86_64, ...) { x86_64, #name },
#define WHEN(...)
#include "kernel/sandbox/seccomp.def"
#undef CALL
#undef WHEN
};

static struct result {
	int is_there;
	long value;
} *result;

/* Inlined, for after vfork the child runs on this frame. */
static inline __attribute__((always_inline)) long call(enum door door, long n, const long a[6])
{
	register long r10 __asm__("r10") = a[3];
	register long r8 __asm__("r8") = a[4];
	register long r9 __asm__("r9") = a[5];
	long value;

	if (door == DOOR_I386)
		__asm__ volatile("int $0x80" : "=a"(value) : "a"(n), "b"(a[0]), "c"(a[1]), "d"(a[2]) : "memory", "r8", "r9", "r10", "r11");
	else
		__asm__ volatile("syscall"
				 : "=a"(value)
				 : "a"(n), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
				 : "rcx", "r11", "memory");
	return value;
}

static void attempt(const struct attempt *a)
{
	static const long ended[6] = { 0 };
	long value = call(a->door, a->number, a->arguments);

	if (value == 0 && (a->number == SYS_fork || a->number == SYS_vfork || a->number == SYS_clone))
		for (;;)
			(void)call(DOOR_NATIVE, SYS_exit, ended);
	result->value = value;
	result->is_there = 1;
	_exit(0);
}

static void describe(char *text, size_t size, int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		(void)snprintf(text, size, "waits");
	else if (WIFSIGNALED(status))
		(void)snprintf(text, size, "SIG%s", sigabbrev_np(WTERMSIG(status)));
	else if (!result->is_there)
		(void)snprintf(text, size, "ends");
	else if (result->value >= -4095 && result->value < 0)
		(void)snprintf(text, size, "%s", strerrorname_np((int)-result->value));
	else
		(void)snprintf(text, size, "ok");
}

/* All bits set stops what would wait: a timer ends the process. */
static int try_one(const struct attempt *a, const char *name)
{
	const struct itimerval timer = { .it_value = { .tv_usec = WAIT_USEC } };
	char text[32];
	int status;
	pid_t pid;

	*result = (struct result) { 0 };
	(void)fflush(stdout);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		(void)signal(SIGSEGV, SIG_DFL); /* a sanitizer has a handler */
		if (setitimer(ITIMER_REAL, &timer, NULL) == 0)
			attempt(a);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	describe(text, sizeof(text), status);
	printf("%s%ld %s %s\n", a->door == DOOR_I386 ? "i386-" : "", a->number, name, text);
	return 0;
}

static int try_all(void)
{
	struct attempt a;
	int r = 0;

	for (long n = 0; n < MOST && r == 0; n++) {
		const char *name = "-";

		a = (struct attempt) { .number = n };
		memcpy(a.arguments, nothing, sizeof(nothing));
		for (size_t i = 0; i < ARRAY_SIZE(special); i++)
			if (special[i].number == n)
				memcpy(a.arguments, special[i].arguments, sizeof(nothing));
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (names[i].number == n)
				name = names[i].name;
		r = try_one(&a, name);
	}
	a = (struct attempt) { .number = X32 | SYS_getpid };
	if (r == 0)
		r = try_one(&a, "x32");
	a = (struct attempt) { .number = 20, .door = DOOR_I386 };
	return r == 0 ? try_one(&a, "getpid") : r;
}

static int confine(const char *filter)
{
	struct confinement c = { .fault = -1, .change_user = getuid() == 0, .uid = NOBODY, .gid = NOBODY };
	int r;

	c.level = strcmp(filter, "own") == 0 ? SANDBOX_FULL : SANDBOX_RESTRICTED;
	c.host_network = strcmp(filter, "shared") == 0;
	if (getuid() == 0) {
		r = confinement_drop_user(&c);
		if (r < 0)
			return r;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return confinement_seccomp(&c);
}

int main(int argc, char **argv)
{
	int r;

	if (argc != 2)
		return 2;
	result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (result == MAP_FAILED)
		return 1;
	r = confine(argv[1]);
	if (r == 0)
		r = try_all();
	if (r < 0)
		(void)fprintf(stderr, "try-syscall: %s\n", strerror(-r));
	/* Not exit: the leak checker of a sanitized build would make calls that are refused. */
	(void)fflush(stdout);
	_exit(r < 0);
}

#else

int main(void)
{
	(void)fprintf(stderr, "try-syscall: written for x86_64 alone\n");
	return 77;
}

#endif
