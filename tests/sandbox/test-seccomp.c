/* SPDX-License-Identifier: Apache-2.0 */
/* test-seccomp: what the filters say about arguments, asked of the kernel. The numbers of all calls: test_syscalls.py. */
#include "tests/sandbox/child.h"

#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "kernel/sandbox/confinement.h"
#include "protocol/base/util.h"

#define OWN (1u << 0)
#define SHARED (1u << 1)
#define OFFLINE (1u << 2)
#define RESTRICTED (SHARED | OFFLINE)
#define ALL (OWN | RESTRICTED)
#define NOT_THERE 0x7fffffff
#define HIGH (1L << 35)
#define BAD (-1L)   /* no pointer and no descriptor */

/* The answer ok: at least 0. */
enum { ANSWER_OK = 0 };

static const struct attempt {
	unsigned filters;
	long number;
	long arguments[4];
	int error;
} attempts[] = {
	{ ALL, SYS_clone, { CLONE_NEWUSER | SIGCHLD }, EPERM },
	{ ALL, SYS_clone, { CLONE_NEWNS | SIGCHLD }, EPERM },
	{ ALL, SYS_clone, { CLONE_NEWPID | SIGCHLD }, EPERM },
	{ ALL, SYS_clone, { CLONE_NEWNET | SIGCHLD }, EPERM },
	{ ALL, SYS_clone, { CLONE_NEWIPC | SIGCHLD }, EPERM },
	{ ALL, SYS_clone, { CLONE_NEWUTS | SIGCHLD }, EPERM },
	{ ALL, SYS_clone, { CLONE_NEWCGROUP | SIGCHLD }, EPERM },
	{ ALL, SYS_clone, { CLONE_NEWUSER | HIGH | SIGCHLD }, EPERM },
	{ ALL, SYS_clone, { CLONE_PARENT | SIGCHLD }, EPERM },
	{ ALL, SYS_clone3, { BAD, 88 }, ENOSYS },
	{ ALL, SYS_unshare, { 0 }, EPERM },

	{ ALL, SYS_personality, { 0xffffffff }, ANSWER_OK },
	{ ALL, SYS_personality, { PER_LINUX }, ANSWER_OK },
	{ ALL, SYS_personality, { ADDR_NO_RANDOMIZE }, EPERM },
	{ ALL, SYS_personality, { READ_IMPLIES_EXEC | HIGH }, EPERM },

	{ ALL, SYS_prctl, { PR_SET_SECCOMP, SECCOMP_MODE_STRICT }, EPERM },
	{ ALL, SYS_prctl, { PR_SET_SECCOMP, SECCOMP_MODE_FILTER, BAD }, EPERM },
	{ ALL, SYS_prctl, { PR_SET_SECCOMP | HIGH, SECCOMP_MODE_STRICT }, EPERM },
	{ ALL, SYS_prctl, { PR_SET_MM, PR_SET_MM_BRK, 0 }, EPERM },
	{ ALL, SYS_prctl, { 59, 1, 0, 0 }, EPERM },      /* PR_SET_SYSCALL_USER_DISPATCH */
	{ ALL, SYS_prctl, { 59 | HIGH, 1, 0, 0 }, EPERM },
	{ ALL, SYS_prctl, { 62, 0, 0, 0 }, EPERM },      /* PR_SCHED_CORE */
	{ ALL, SYS_prctl, { 67, 1 }, EPERM },            /* PR_SET_MEMORY_MERGE */
	{ ALL, SYS_prctl, { 0x7000 }, EINVAL },
	{ ALL, SYS_prctl, { 0 }, EINVAL },
	{ ALL, SYS_prctl, { PR_GET_DUMPABLE }, ANSWER_OK },
	{ ALL, SYS_prctl, { PR_SET_NAME, (long)"name" }, ANSWER_OK },
	{ ALL, SYS_prctl, { PR_GET_SECCOMP }, ANSWER_OK },
	{ ALL, SYS_prctl, { PR_SET_PDEATHSIG, 0 }, ANSWER_OK },
	{ ALL, SYS_seccomp, { SECCOMP_SET_MODE_STRICT }, ENOSYS },
	{ ALL, SYS_seccomp, { SECCOMP_SET_MODE_FILTER, 0, BAD }, ENOSYS },

	{ ALL, SYS_ioctl, { BAD, TIOCSTI, BAD }, EPERM },
	{ ALL, SYS_ioctl, { BAD, TIOCSTI | HIGH, BAD }, EPERM },
	{ ALL, SYS_ioctl, { BAD, TIOCSTI | BAD << 32, BAD }, EPERM },
	{ ALL, SYS_ioctl, { BAD, TIOCLINUX, BAD }, EPERM },
	{ ALL, SYS_ioctl, { BAD, TIOCLINUX | HIGH, BAD }, EPERM },
	{ ALL, SYS_ioctl, { BAD, TIOCSETD, BAD }, EPERM },
	{ ALL, SYS_ioctl, { BAD, TIOCGWINSZ, BAD }, EBADF },
	{ ALL, SYS_ioctl, { BAD, TIOCSCTTY, 0 }, EBADF },

	{ OWN, SYS_socket, { AF_UNIX, SOCK_STREAM, 0 }, ANSWER_OK },
	{ OWN, SYS_socket, { AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0 }, ANSWER_OK },
	{ RESTRICTED, SYS_socket, { AF_UNIX, SOCK_STREAM, 0 }, EACCES },
	{ RESTRICTED, SYS_socket, { AF_UNIX | HIGH, SOCK_STREAM, 0 }, EACCES },
	{ OWN | SHARED, SYS_socket, { AF_INET, SOCK_STREAM, 0 }, ANSWER_OK },
	{ OWN | SHARED, SYS_socket, { AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP }, ANSWER_OK },
	{ OWN | SHARED, SYS_socket, { AF_INET6, SOCK_DGRAM, IPPROTO_UDP }, ANSWER_OK },
	{ OFFLINE, SYS_socket, { AF_INET, SOCK_STREAM, 0 }, EACCES },
	{ OFFLINE, SYS_socket, { AF_INET6, SOCK_DGRAM, 0 }, EACCES },
	{ ALL, SYS_socket, { AF_INET | HIGH, SOCK_RAW, 0 }, -1 },
	{ OWN | SHARED, SYS_socket, { AF_INET, SOCK_RAW, IPPROTO_TCP }, EAFNOSUPPORT },
	{ OWN | SHARED, SYS_socket, { AF_INET, SOCK_RAW, IPPROTO_RAW }, EAFNOSUPPORT },
	{ OWN | SHARED, SYS_socket, { AF_INET, SOCK_DGRAM, IPPROTO_ICMP }, EAFNOSUPPORT },
	{ OWN | SHARED, SYS_socket, { AF_INET, SOCK_STREAM, 262 }, EAFNOSUPPORT },          /* MPTCP */
	{ OWN | SHARED, SYS_socket, { AF_INET, SOCK_STREAM, IPPROTO_SCTP }, EAFNOSUPPORT },
	{ OWN | SHARED, SYS_socket, { AF_INET6, SOCK_SEQPACKET, IPPROTO_SCTP }, EAFNOSUPPORT },
	{ OWN | SHARED, SYS_socket, { AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE }, EAFNOSUPPORT },
	{ OWN | SHARED, SYS_socket, { AF_NETLINK, SOCK_RAW, NETLINK_ROUTE }, ANSWER_OK },
	{ OWN | SHARED, SYS_socket, { AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER }, EAFNOSUPPORT },
	{ OWN | SHARED, SYS_socket, { AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG }, EAFNOSUPPORT },
	{ OFFLINE, SYS_socket, { AF_NETLINK, SOCK_RAW, NETLINK_ROUTE }, EACCES },
	{ ALL, SYS_socket, { AF_VSOCK, SOCK_STREAM, 0 }, EAFNOSUPPORT },
	{ ALL, SYS_socket, { AF_ALG, SOCK_SEQPACKET, 0 }, EAFNOSUPPORT },
	{ ALL, SYS_socket, { AF_PACKET, SOCK_RAW, 0 }, EAFNOSUPPORT },
	{ ALL, SYS_socket, { AF_TIPC, SOCK_SEQPACKET, 0 }, EAFNOSUPPORT },
	{ ALL, SYS_socket, { AF_BLUETOOTH, SOCK_RAW, 1 }, EAFNOSUPPORT },
	{ ALL, SYS_socketpair, { AF_UNIX, SOCK_STREAM, 0, BAD }, EFAULT },
	{ ALL, SYS_socketpair, { AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, BAD }, EFAULT },
	{ OWN, SYS_socketpair, { AF_UNIX, SOCK_DGRAM, 0, BAD }, EFAULT },
	{ RESTRICTED, SYS_socketpair, { AF_UNIX, SOCK_DGRAM, 0, BAD }, EACCES },
	{ RESTRICTED, SYS_socketpair, { AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, BAD }, EACCES },
	{ RESTRICTED, SYS_socketpair, { AF_UNIX, SOCK_RAW, 0, BAD }, EACCES },
	{ ALL, SYS_socketpair, { AF_TIPC, SOCK_SEQPACKET, 0, BAD }, EAFNOSUPPORT },

	{ ALL, SYS_setsockopt, { BAD, SOL_SOCKET, SO_ATTACH_FILTER, BAD }, EPERM },
	{ ALL, SYS_setsockopt, { BAD, SOL_SOCKET | HIGH, SO_ATTACH_FILTER | HIGH, BAD }, EPERM },
	{ ALL, SYS_setsockopt, { BAD, SOL_SOCKET, SO_ATTACH_BPF, BAD }, EPERM },
	{ ALL, SYS_setsockopt, { BAD, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, BAD }, EPERM },
	{ ALL, SYS_setsockopt, { BAD, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, BAD }, EPERM },
	{ ALL, SYS_setsockopt, { BAD, SOL_SOCKET, SO_REUSEADDR, BAD }, EBADF },
	{ ALL, SYS_setsockopt, { BAD, IPPROTO_TCP, 31, BAD }, ENOPROTOOPT },                 /* TCP_ULP */
	{ ALL, SYS_setsockopt, { BAD, IPPROTO_TCP, 1, BAD }, EBADF },                        /* TCP_NODELAY */

	{ ALL, SYS_setrlimit, { RLIMIT_CORE, BAD }, ANSWER_OK },
	{ ALL, SYS_setrlimit, { RLIMIT_CPU, BAD }, EFAULT },
	{ ALL, SYS_prlimit64, { 0, RLIMIT_CORE, BAD, 0 }, ANSWER_OK },
	{ ALL, SYS_prlimit64, { 0, RLIMIT_CORE, HIGH, BAD }, ANSWER_OK },
	{ ALL, SYS_prlimit64, { 0, RLIMIT_CORE, 0, BAD }, EFAULT },

	{ ALL, SYS_sync, { 0 }, ANSWER_OK },
	{ ALL, SYS_syncfs, { BAD }, ANSWER_OK },

	{ ALL, SYS_prlimit64, { 0, RLIMIT_CPU, 0, 0 }, ANSWER_OK },
	{ ALL, SYS_prlimit64, { 0, RLIMIT_CPU, BAD, 0 }, EFAULT },
	{ OWN, SYS_prlimit64, { NOT_THERE, RLIMIT_CPU, 0, 0 }, ESRCH },
	{ RESTRICTED, SYS_prlimit64, { NOT_THERE, RLIMIT_CPU, 0, 0 }, ESRCH },
	{ RESTRICTED, SYS_prlimit64, { NOT_THERE, RLIMIT_CPU, BAD, 0 }, EPERM },
	{ RESTRICTED, SYS_prlimit64, { NOT_THERE, RLIMIT_CPU, HIGH, 0 }, EPERM },
	{ ALL, SYS_setpriority, { PRIO_PROCESS, 0, 19 }, ANSWER_OK },
	{ OWN, SYS_setpriority, { PRIO_PROCESS, NOT_THERE, 19 }, ESRCH },
	{ RESTRICTED, SYS_setpriority, { PRIO_PROCESS, NOT_THERE, 19 }, EPERM },
	{ RESTRICTED, SYS_setpriority, { PRIO_USER, 0, 19 }, EPERM },
	{ RESTRICTED, SYS_setpriority, { PRIO_PGRP, 0, 19 }, EPERM },
	{ ALL, SYS_sched_setaffinity, { 0, 0, 0 }, EINVAL },
	{ OWN, SYS_sched_setaffinity, { NOT_THERE, 0, 0 }, ESRCH },
	{ RESTRICTED, SYS_sched_setaffinity, { NOT_THERE, 0, 0 }, EPERM },
	{ RESTRICTED, SYS_sched_setscheduler, { NOT_THERE, SCHED_IDLE, BAD }, EPERM },
	{ RESTRICTED, SYS_sched_setparam, { NOT_THERE, BAD }, EPERM },
	{ RESTRICTED, SYS_sched_setattr, { NOT_THERE, BAD, 0 }, EPERM },
	{ ALL, SYS_ioprio_set, { 1, 0, 3 << 13 }, ANSWER_OK },
	{ OWN, SYS_ioprio_set, { 1, NOT_THERE, 3 << 13 }, ESRCH },
	{ RESTRICTED, SYS_ioprio_set, { 1, NOT_THERE, 3 << 13 }, EPERM },
	{ RESTRICTED, SYS_ioprio_set, { 3, 0, 3 << 13 }, EPERM },
	{ OWN, SYS_shmget, { 0x6875736b, 4096, 0 }, ENOENT },
	{ RESTRICTED, SYS_shmget, { 0x6875736b, 4096, 0 }, ENOSYS },
};

static void confine(unsigned filter)
{
	struct confinement c = { .fault = -1 };

	c.level = filter == OWN ? SANDBOX_FULL : SANDBOX_RESTRICTED;
	c.host_network = filter == SHARED;
	claim(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	claim(confinement_seccomp(&c) == 0);
}

static void try_all(const void *arg)
{
	unsigned filter = *(const unsigned *)arg;

	confine(filter);
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		const struct attempt *a = &attempts[i];
		long value;

		if (!(a->filters & filter))
			continue;
		errno = 0;
		value = syscall(a->number, a->arguments[0], a->arguments[1], a->arguments[2], a->arguments[3]);
		/* A call that should not have been allowed may have made a process. */
		if (a->number == SYS_clone && value == 0)
			_exit(3);
		if ((a->error == ANSWER_OK && value < 0) || (a->error > 0 && (value >= 0 || errno != a->error)) || (a->error < 0 && value >= 0)) {
			(void)dprintf(child_pipe, "row %zu, filter %u: %ld, %s", i, filter, value, strerrorname_np(errno));
			_exit(1);
		}
	}
}

static void test_each_rule_of_arguments(void **state)
{
	static const unsigned filters[] = { OWN, SHARED, OFFLINE };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		child_run(CHILD_AS_IS, try_all, &filters[i]);
		child_run(CHILD_ORDINARY, try_all, &filters[i]);
	}
}

static void needs_no_new_privs(const void *arg)
{
	struct confinement c = { .fault = -1, .level = SANDBOX_FULL };

	(void)arg;
	claim(confinement_seccomp(&c) == -EACCES);
}

static void test_a_filter_is_for_those_who_can_gain_nothing(void **state)
{
	(void)state;
	child_run(CHILD_ORDINARY, needs_no_new_privs, NULL);
}

static void outlives_exec(const void *arg)
{
	(void)arg;
	confine(OWN);
	(void)execl("/bin/sh", "sh", "-c", "grep -q '^Seccomp:.*2' /proc/self/status", NULL);
	claim(false);
}

static void test_a_filter_outlives_execution(void **state)
{
	(void)state;
	child_run(CHILD_ORDINARY, outlives_exec, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_rule_of_arguments),
		cmocka_unit_test(test_a_filter_is_for_those_who_can_gain_nothing),
		cmocka_unit_test(test_a_filter_outlives_execution),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
