/* SPDX-License-Identifier: Apache-2.0 */
/* test-confinement: each step's effect as the kernel reports it, as root and as an ordinary user, and what a step that fails does. */
#include "tests/sandbox/child.h"

#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "kernel/sandbox/confinement.h"
#include "protocol/base/util.h"

#define NEW_ID 64123
#define LEVEL_BIT(level) (1u << SANDBOX_##level)

static struct limits defaults;

static struct confinement plan(enum sandbox_level level)
{
	struct confinement c = { .level = level, .limits = &defaults, .has_pid_namespace = true, .fault = -1 };

	c.paths[c.n_paths++] = (struct confinement_path) { .path = "/" };
	return c;
}

/* Sessions. */

static long session_keyring(void)
{
	return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1);
}

static void new_session(const void *arg)
{
	long keyring = session_keyring();

	(void)arg;
	claim(getsid(0) != getpid());
	claim(confinement_session() == 0);
	claim(getsid(0) == getpid());
	if (keyring >= 0)
		claim(session_keyring() != keyring);
	/* A second time is no error: the session is its own already. */
	claim(confinement_session() == 0);
}

static void group_leader(const void *arg)
{
	(void)arg;
	claim(setpgid(0, 0) == 0);
	claim(confinement_session() == -EPERM);
}

static void test_session(void **state)
{
	(void)state;
	child_run(CHILD_AS_IS, new_session, NULL);
	child_run(CHILD_ORDINARY, new_session, NULL);
	child_run(CHILD_ORDINARY, group_leader, NULL);
}

/* Resource limits. */

static void claim_limit(int resource, rlim_t value)
{
	struct rlimit limit;

	claim(getrlimit((__rlimit_resource_t)resource, &limit) == 0);
	if (limit.rlim_cur != value || limit.rlim_max != value) {
		(void)dprintf(child_pipe, "limit %d is %ld and %ld, not %ld", resource, (long)limit.rlim_cur, (long)limit.rlim_max, (long)value);
		_exit(1);
	}
}

static void limits_as_asked(const void *arg)
{
	struct confinement c = plan(SANDBOX_FULL);

	(void)arg;
	claim(confinement_rlimits(&c) == 0);
	claim_limit(RLIMIT_NOFILE, defaults.value[LIMIT_descriptors]);
	claim_limit(RLIMIT_FSIZE, defaults.value[LIMIT_file_size]);
	claim_limit(RLIMIT_NPROC, defaults.value[LIMIT_processes]);
	claim_limit(RLIMIT_CORE, 1);
	claim_limit(RLIMIT_MEMLOCK, 65536);
	claim_limit(RLIMIT_MSGQUEUE, 0);
	claim_limit(RLIMIT_RTPRIO, 0);
	claim_limit(RLIMIT_NICE, 0);
	claim_limit(RLIMIT_SIGPENDING, 4096);
	claim_limit(RLIMIT_STACK, 8 << 20);
	if (!HUSK_SANITIZED)
		claim_limit(RLIMIT_DATA, defaults.value[LIMIT_memory] + (UINT64_C(4) << 30));
	/* Again with the same: the next worker of a sandbox inherits nothing, but a fork of this one does. */
	claim(confinement_rlimits(&c) == 0);
}

static void limits_without_namespaces(const void *arg)
{
	struct limits limits = defaults;
	struct confinement c = plan(SANDBOX_RESTRICTED);
	struct rlimit before, after;

	(void)arg;
	limits.value[LIMIT_cpu_total] = 5 * LIMIT_SECOND;
	c.limits = &limits;
	c.has_pid_namespace = false;
	claim(getrlimit(RLIMIT_NPROC, &before) == 0);
	claim(confinement_rlimits(&c) == 0);
	claim(getrlimit(RLIMIT_NPROC, &after) == 0);
	claim(after.rlim_cur == before.rlim_cur && after.rlim_max == before.rlim_max);
	claim_limit(RLIMIT_CPU, 16);
	c.n_other_tasks = 1000; /* of an ordinary user: the limit is above them */
	claim(confinement_rlimits(&c) == 0);
	claim_limit(RLIMIT_NPROC, defaults.value[LIMIT_processes] + 1000);
	c.change_user = true; /* to an id that nobody else has */
	claim(confinement_rlimits(&c) == 0);
	claim_limit(RLIMIT_NPROC, defaults.value[LIMIT_processes]);
}

static void no_limits(const void *arg)
{
	struct limits limits = limits_unlimited();
	struct confinement c = plan(SANDBOX_NONE);
	struct rlimit before[RLIM_NLIMITS], after;

	(void)arg;
	c.limits = &limits;
	for (int i = 0; i < (int)RLIM_NLIMITS; i++)
		claim(getrlimit((__rlimit_resource_t)i, &before[i]) == 0);
	claim(confinement_rlimits(&c) == 0);
	for (int i = 0; i < (int)RLIM_NLIMITS; i++)
		claim(getrlimit((__rlimit_resource_t)i, &after) == 0 && after.rlim_cur == before[i].rlim_cur && after.rlim_max == before[i].rlim_max);
}

static void limits_above_the_hard_ones(const void *arg)
{
	struct rlimit lower = { 64, 64 };
	struct confinement c = plan(SANDBOX_FULL);

	(void)arg;
	claim(setrlimit(RLIMIT_NOFILE, &lower) == 0);
	claim(confinement_rlimits(&c) == -EPERM);
}

static void own_limits_only_sink(const void *arg)
{
	struct confinement c = plan(SANDBOX_FULL);

	(void)arg;
	claim(setrlimit(RLIMIT_STACK, &(struct rlimit) { 1 << 20, 1 << 20 }) == 0);
	claim(confinement_rlimits(&c) == 0);
	claim_limit(RLIMIT_STACK, 1 << 20);
}

static void test_resource_limits(void **state)
{
	(void)state;
	child_run(CHILD_AS_IS, limits_as_asked, NULL);
	child_run(CHILD_ORDINARY, limits_as_asked, NULL);
	child_run(CHILD_ORDINARY, limits_without_namespaces, NULL);
	child_run(CHILD_ORDINARY, no_limits, NULL);
	child_run(CHILD_ORDINARY, limits_above_the_hard_ones, NULL);
	child_run(CHILD_ORDINARY, own_limits_only_sink, NULL);
}

/* Users and capabilities. */

static void claim_no_capabilities(bool bounding_set_too)
{
	static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd" };

	for (size_t i = 0; i < ARRAY_SIZE(sets) - !bounding_set_too; i++)
		if (strcmp(child_status(sets[i]), "0000000000000000") != 0)
			child_fail(sets[i], __LINE__);
}

static void claim_ids(const char *uids, const char *gids)
{
	claim(strcmp(child_status("Uid"), uids) == 0);
	claim(strcmp(child_status("Gid"), gids) == 0);
}

static void claim_locked(void)
{
	int bits = prctl(PR_GET_SECUREBITS);

	claim((bits & SECBIT_NOROOT) && (bits & SECBIT_NOROOT_LOCKED));
	claim((bits & SECBIT_NO_CAP_AMBIENT_RAISE) && (bits & SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED));
	claim(!(bits & SECBIT_KEEP_CAPS) && (bits & SECBIT_KEEP_CAPS_LOCKED));
}

static void root_becomes_another(const void *arg)
{
	struct confinement c = plan(*(const enum sandbox_level *)arg);

	c.change_user = true;
	c.uid = NEW_ID;
	c.gid = NEW_ID + 1;
	claim(confinement_drop_user(&c) == 0);
	claim_ids("64123\t64123\t64123\t64123", "64124\t64124\t64124\t64124");
	claim(getgroups(0, NULL) == 0);
	claim_no_capabilities(true);
	claim_locked();
	claim_errno(setuid(0), EPERM);
	claim_errno(setgid(0), EPERM);
	/* Dumpable again: what is below /proc/self is its own. */
	claim(open("/proc/self/environ", O_RDONLY | O_CLOEXEC) >= 0);
	claim(prctl(PR_GET_DUMPABLE) == 1);
}

/* Root that stays root, and executes something, has no capabilities all the same. */
static void root_stays_root(const void *arg)
{
	struct confinement c = plan(SANDBOX_FULL);

	(void)arg;
	claim(confinement_drop_user(&c) == 0);
	claim_no_capabilities(true);
	(void)execl("/bin/sh", "sh", "-c", "grep -Eq '^CapEff:.0+$' /proc/self/status", NULL);
	claim(false);
}

static void ordinary_user(const void *arg)
{
	struct confinement c = plan(SANDBOX_RESTRICTED);

	(void)arg;
	claim(confinement_drop_user(&c) == 0);
	claim_no_capabilities(false);
	/* In a namespace of its own it would have had the capability to lock them: not to have it is a fault there. */
	c.level = SANDBOX_FULL;
	claim(confinement_drop_user(&c) == -EPERM);
	c.level = SANDBOX_RESTRICTED;
	c.change_user = true;
	c.uid = NEW_ID;
	claim(confinement_drop_user(&c) == -EPERM);
}

static void test_user_is_ordinary_afterwards(void **state)
{
	static const enum sandbox_level levels[] = { SANDBOX_FULL, SANDBOX_RESTRICTED };

	(void)state;
	child_run(CHILD_ORDINARY, ordinary_user, NULL);
	if (geteuid() != 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		child_run(CHILD_AS_IS, root_becomes_another, &levels[i]);
	child_run(CHILD_AS_IS, root_stays_root, NULL);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	claim(fd >= 0);
	claim(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	(void)close(fd);
}

/* As the holder of an ordinary user has it: one id is mapped, setgroups is denied. */
static void enter_own_namespace(void)
{
	char map[64];
	unsigned uid = getuid(), gid = getgid();

	claim(unshare(CLONE_NEWUSER) == 0);
	write_text("/proc/self/setgroups", "deny");
	(void)snprintf(map, sizeof(map), "1000 %u 1", uid);
	write_text("/proc/self/uid_map", map);
	(void)snprintf(map, sizeof(map), "1000 %u 1", gid);
	write_text("/proc/self/gid_map", map);
}

static void in_own_namespace(const void *arg)
{
	struct confinement c = plan(SANDBOX_FULL_NOCG);

	(void)arg;
	enter_own_namespace();
	claim(strcmp(child_status("CapEff"), "0000000000000000") != 0);
	claim(confinement_drop_user(&c) == 0);
	claim_ids("1000\t1000\t1000\t1000", "1000\t1000\t1000\t1000");
	claim_no_capabilities(true);
	claim_locked();
	claim(open("/proc/self/environ", O_RDONLY | O_CLOEXEC) >= 0);
}

/* As root's holder has it: 0 and 1000 are mapped; all happens as 0, which owns neither. */
static void in_mapped_namespace(const void *arg)
{
	struct confinement c = plan(SANDBOX_FULL);
	int ready[2], done[2];
	char byte = 0, path[64];
	pid_t child;
	int status;

	(void)arg;
	claim(pipe(ready) == 0 && pipe(done) == 0);
	child = fork();
	if (child == 0) {
		claim(unshare(CLONE_NEWUSER) == 0);
		claim(write(ready[1], &byte, 1) == 1 && read(done[0], &byte, 1) == 1);
		claim(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
		c.change_user = true;
		c.uid = c.gid = 1000;
		claim(confinement_drop_user(&c) == 0);
		claim_ids("1000\t1000\t1000\t1000", "1000\t1000\t1000\t1000");
		claim(getgroups(0, NULL) == 0);
		claim_no_capabilities(true);
		claim_errno(setuid(0), EPERM);
		claim(open("/proc/self/environ", O_RDONLY | O_CLOEXEC) >= 0);
		_exit(0);
	}
	claim(read(ready[0], &byte, 1) == 1);
	(void)snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)child);
	write_text(path, "0 64201 1\n1000 64202 1\n");
	(void)snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)child);
	write_text(path, "0 64201 1\n1000 64202 1\n");
	claim(write(done[1], &byte, 1) == 1);
	claim(waitpid(child, &status, 0) == child && status == 0);
}

static void has_user_namespaces(const void *arg)
{
	(void)arg;
	claim(unshare(CLONE_NEWUSER) == 0);
}

static bool can_make_user_namespaces(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) < 0);
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static void test_user_in_a_namespace(void **state)
{
	(void)state;
	if (!can_make_user_namespaces())
		skip();
	child_run(CHILD_ORDINARY, has_user_namespaces, NULL);
	child_run(CHILD_ORDINARY, in_own_namespace, NULL);
	if (geteuid() == 0)
		child_run(CHILD_AS_IS, in_mapped_namespace, NULL);
}

/* All of it. */

#define SESSION_AND_LIMITS (LAYER_BIT(session) | LAYER_BIT(rlimits))
#define PRIVILEGES (LAYER_BIT(user) | LAYER_BIT(no_new_privs) | LAYER_BIT(seccomp))

struct course {
	enum sandbox_level level;
	bool is_in_namespace;
	bool change_user;
	uint32_t layers;
};

static const struct course courses[] = {
	{ SANDBOX_NONE, false, false, LAYER_BIT(rlimits) },
	{ SANDBOX_RESTRICTED, false, false, SESSION_AND_LIMITS | PRIVILEGES | LAYER_BIT(landlock) },
	{ SANDBOX_FULL_NOCG, true, false, SESSION_AND_LIMITS | PRIVILEGES | LAYER_BIT(landlock) },
	{ SANDBOX_FULL, true, false, SESSION_AND_LIMITS | PRIVILEGES | LAYER_BIT(landlock) },
};

static struct confinement begin(const struct course *course)
{
	struct confinement c = plan(course->level);

	if (course->is_in_namespace)
		enter_own_namespace();
	return c;
}

static void whole_course(const void *arg)
{
	const struct course *course = arg;
	struct confinement c = begin(course);
	enum layer failed = LAYER_COUNT;
	uint32_t layers, expected = course->layers;

	/* Where this kernel has none it is not said to have been done. */
	if (confinement_landlock_abi() == 0)
		expected &= ~LAYER_BIT(landlock);
	claim(confinement_apply(&c, &layers, &failed) == 0);
	claim(layers == expected);
	claim(failed == LAYER_COUNT);
	claim((layers_needed(c.level) & ~layers & ~(LAYER_BIT(session) - 1)) == 0);
	claim(strcmp(child_status("NoNewPrivs"), course->level > SANDBOX_NONE ? "1" : "0") == 0);
	claim(strcmp(child_status("Seccomp"), course->level > SANDBOX_NONE ? "2" : "0") == 0);
	if (course->level == SANDBOX_NONE)
		return;
	claim(getsid(0) == getpid());
	claim_errno(unshare(CLONE_NEWUSER), EPERM);
	if (layers & LAYER_BIT(landlock))
		claim_errno(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), EACCES);
	(void)execl("/bin/sh", "sh", "-c", "exec true", NULL);
	claim(false);
}

static bool is_possible(const struct course *course)
{
	if (course->is_in_namespace && !can_make_user_namespaces())
		return false;
	return course->level != SANDBOX_RESTRICTED || confinement_landlock_abi() >= CONFINEMENT_RESTRICTED_ABI;
}

static void test_every_level_has_its_layers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(courses); i++)
		if (is_possible(&courses[i]))
			child_run(CHILD_ORDINARY, whole_course, &courses[i]);
}

struct fault {
	const struct course *course;
	enum layer layer;
};

static void faulty_course(const void *arg)
{
	const struct fault *fault = arg;
	struct confinement c = begin(fault->course);
	enum layer failed = LAYER_COUNT;
	uint32_t layers = UINT32_MAX;
	bool is_hit = fault->course->layers & (1u << fault->layer);

	c.fault = (int)fault->layer;
	claim(confinement_apply(&c, &layers, &failed) == (is_hit ? -EPERM : 0));
	if (!is_hit)
		return;
	claim(failed == fault->layer);
	/* Those before it, in the order of layers.def, and none after it. */
	claim((layers & ~LAYER_BIT(landlock)) == (fault->course->layers & ((1u << fault->layer) - 1) & ~LAYER_BIT(landlock)));
}

static void test_a_step_that_fails_ends_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(courses); i++)
		for (int layer = LAYER_session; layer < LAYER_COUNT && is_possible(&courses[i]); layer++) {
			struct fault fault = { &courses[i], (enum layer)layer };

			child_run(CHILD_ORDINARY, faulty_course, &fault);
		}
}

/* Root whose own process is confined, as in a level without namespaces under a user id of its own. */
static void root_restricted(const void *arg)
{
	struct confinement c = plan(SANDBOX_RESTRICTED);
	enum layer failed;
	uint32_t layers;

	(void)arg;
	c.has_pid_namespace = false;
	c.change_user = true;
	c.uid = c.gid = NEW_ID;
	claim(confinement_apply(&c, &layers, &failed) == 0);
	claim(layers == courses[1].layers);
	claim_no_capabilities(true);
	claim_limit(RLIMIT_NPROC, defaults.value[LIMIT_processes]);
}

static void test_root_without_namespaces(void **state)
{
	(void)state;
	if (geteuid() != 0 || confinement_landlock_abi() < CONFINEMENT_RESTRICTED_ABI)
		skip();
	child_run(CHILD_AS_IS, root_restricted, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_resource_limits),
		cmocka_unit_test(test_user_is_ordinary_afterwards),
		cmocka_unit_test(test_user_in_a_namespace),
		cmocka_unit_test(test_every_level_has_its_layers),
		cmocka_unit_test(test_a_step_that_fails_ends_it),
		cmocka_unit_test(test_root_without_namespaces),
	};

	defaults = limits_default();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
