/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confinement: the steps that need no rules of their own, and the order of all.
 *
 * System calls are made directly where the C library's function does more: setresuid(3) and its kin signal other threads, which a fork
 * of a process with threads has in its lists only.
 */
#include "kernel/sandbox/confinement.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "protocol/base/util.h"

#define STACK_BYTES ((rlim_t)8 << 20)
#define MEMLOCK_BYTES ((rlim_t)64 << 10)
/* At 1 a core is neither written nor piped; 0 is for files alone, and a machine's collector would be run for each crash (core(5)). */
#define CORE_BYTES ((rlim_t)1)
#define PENDING_SIGNALS ((rlim_t)4096)           /* and timers */
#define DATA_LID_BYTES (UINT64_C(4) << 30)       /* above the quota: the interpreter with all that it may have imported */
#define CPU_BACKSTOP_USEC (UINT64_C(10) * 1000000) /* above the quota: time for the front to act */

/* KEEP_CAPS and NO_SETUID_FIXUP stay off: giving up uid 0 then gives up its capabilities too. */
#define SECUREBITS \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | \
	 SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

/* A kernel, or a container's filter, without keyrings refuses every use of them with the same answer: then there is none to leave. */
static int leave_keyring(void)
{
	int joined;

	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0)
		return 0;
	joined = errno;
	if (joined != ENOSYS && joined != EPERM)
		return -joined;
	if (syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) < 0 && errno == joined)
		return 0;
	return -joined;
}

int confinement_session(void)
{
	if (setsid() < 0 && getsid(0) != getpid())
		return -errno;
	return leave_keyring();
}

/* Hard and soft: nobody raises it again. */
static int set_limit(int resource, uint64_t value)
{
	struct rlimit limit = { value, value };

	if (value == LIMITS_NONE)
		return 0;
	return setrlimit((__rlimit_resource_t)resource, &limit) < 0 ? -errno : 0;
}

/* The same for a value that is nobody's wish: one that is lower already stays. */
static int lower_limit(int resource, rlim_t value)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
		return -errno;
	return set_limit(resource, MIN(value, limit.rlim_max));
}

/* With the sanitizers' shadow, which counts as data, no such limit can be kept. */
static uint64_t data_lid(const struct limits *limits)
{
	uint64_t memory = limits->value[LIMIT_memory];

	if (HUSK_SANITIZED || memory > LIMITS_NONE - DATA_LID_BYTES)
		return LIMITS_NONE;
	return memory + DATA_LID_BYTES;
}

static uint64_t cpu_backstop(const struct limits *limits)
{
	uint64_t usec = limits->value[LIMIT_cpu_total];

	if (usec > LIMITS_NONE - CPU_BACKSTOP_USEC)
		return LIMITS_NONE;
	return (usec + CPU_BACKSTOP_USEC) / 1000000 + 1;
}

static int set_own_limits(void)
{
	static const struct {
		int resource;
		rlim_t most;
	} rows[] = {
		{ RLIMIT_CORE, CORE_BYTES },
		{ RLIMIT_MEMLOCK, MEMLOCK_BYTES },
		{ RLIMIT_MSGQUEUE, 0 },
		{ RLIMIT_RTPRIO, 0 },
		{ RLIMIT_NICE, 0 },
		{ RLIMIT_SIGPENDING, PENDING_SIGNALS },
		{ RLIMIT_STACK, STACK_BYTES },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int r = lower_limit(rows[i].resource, rows[i].most);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Counts by user id: of this sandbox alone only in its namespaces, or with an id that is its own. */
static uint64_t most_tasks(const struct confinement *c)
{
	uint64_t most = c->limits->value[LIMIT_processes];

	if (c->has_pid_namespace || c->change_user || most == LIMITS_NONE)
		return most;
	return c->n_other_tasks ? most + c->n_other_tasks : LIMITS_NONE;
}

int confinement_rlimits(const struct confinement *c)
{
	const uint64_t *value = c->limits->value;
	const struct {
		int resource;
		uint64_t value;
	} rows[] = {
		{ RLIMIT_NOFILE, value[LIMIT_descriptors] },
		{ RLIMIT_FSIZE, value[LIMIT_file_size] },
		{ RLIMIT_CPU, cpu_backstop(c->limits) },
		{ RLIMIT_DATA, data_lid(c->limits) },
		{ RLIMIT_NPROC, most_tasks(c) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int r = set_limit(rows[i].resource, rows[i].value);

		if (r < 0)
			return r;
	}
	return c->level > SANDBOX_NONE ? set_own_limits() : 0;
}

static int get_capabilities(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
}

/* Also out of reach of what is executed later. */
static int lock_capabilities(void)
{
	if (prctl(PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0) < 0)
		return -errno;
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	return 0;
}

static int set_ids(uid_t uid, gid_t gid)
{
	if (syscall(SYS_setgroups, (size_t)0, NULL) < 0)
		return -errno;
	if (syscall(SYS_setresgid, gid, gid, gid) < 0 || syscall(SYS_setresuid, uid, uid, uid) < 0)
		return -errno;
	return 0;
}

/* What setresuid leaves: it clears nothing when the old id was not the namespace's root. */
static int clear_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int confinement_drop_user(const struct confinement *c)
{
	struct __user_cap_data_struct data[2];
	int r = get_capabilities(data);

	/* Who has no right to lock them has no capabilities to lock, but in a namespace of its own, where this must not fail. */
	if (r == 0 && (c->level >= SANDBOX_FULL_NOCG || data[0].effective & (1u << CAP_SETPCAP)))
		r = lock_capabilities();
	if (r == 0 && c->change_user)
		r = set_ids(c->uid, c->gid);
	if (r == 0)
		r = clear_capabilities();
	/* Another user id has made /proc/self root's. */
	if (r == 0 && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		r = -errno;
	return r;
}

static int step_session(const struct confinement *c)
{
	(void)c;
	return confinement_session();
}

static int step_no_new_privs(const struct confinement *c)
{
	(void)c;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static bool is_wanted(const struct confinement *c, enum layer layer)
{
	if (layer_rows[layer].levels & (1u << c->level))
		return true;
	if (layer == LAYER_user)
		return c->change_user || c->level == SANDBOX_RESTRICTED;
	return layer == LAYER_landlock && c->level > SANDBOX_NONE;
}

int confinement_apply(const struct confinement *c, uint32_t *ret_layers, enum layer *ret_failed)
{
	static const struct {
		enum layer layer;
		int (*run)(const struct confinement *c);
	} steps[] = {
		{ LAYER_session, step_session },
		{ LAYER_rlimits, confinement_rlimits },
		{ LAYER_user, confinement_drop_user },
		{ LAYER_no_new_privs, step_no_new_privs },
		{ LAYER_landlock, confinement_landlock },
		{ LAYER_seccomp, confinement_seccomp },
	};

	*ret_layers = 0;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int r;

		if (!is_wanted(c, steps[i].layer))
			continue;
		r = (int)steps[i].layer == c->fault ? -EPERM : steps[i].run(c);
		if (r < 0) {
			*ret_failed = steps[i].layer;
			return r;
		}
		if (r == 0)
			*ret_layers |= 1u << steps[i].layer;
	}
	return 0;
}
