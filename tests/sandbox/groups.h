/* SPDX-License-Identifier: Apache-2.0 */
/*
 * groups: the groups of this machine that the tests of cgroup make. HUSK_TEST_CGROUP_PARENT names a group to make them
 * in; else, as a kernel does, they are made where this process is. What a child does that is to be limited, it does
 * inside a group alone.
 */
#ifndef HUSK_TESTS_SANDBOX_GROUPS_H
#define HUSK_TESTS_SANDBOX_GROUPS_H

#include "tests/unit/test.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/sandbox/cgroup-impl.h"

#define MIB ((uint64_t)1 << 20)

#define TEST(name) cmocka_unit_test_teardown(name, remove_rest)

static const char *parent;

/* What the test that runs has made, for its teardown. */
static struct cgroup *made[4];

static inline void note(struct cgroup *from, struct cgroup *to)
{
	for (size_t i = 0; i < ARRAY_SIZE(made); i++)
		if (made[i] == from) {
			made[i] = to;
			return;
		}
}

/* The tests of another tree may run at the same time, and process ids be the same in its namespace. */
static inline const char *own_name(const char *name)
{
	static char text[64];
	static unsigned salt;

	if (!salt)
		assert_int_equal(getrandom(&salt, sizeof(salt), 0), sizeof(salt));
	(void)snprintf(text, sizeof(text), "%s-%08x", name, salt);
	return text;
}

/* A group of this test; without groups on this machine the test is skipped. */
static inline struct cgroup *make(const char *name)
{
	struct cgroup *c = NULL;
	struct error err;
	int r = cgroup_new(name ? own_name(name) : NULL, parent, &c, &err);

	if (r == -ENOTSUP) {
		print_message("skipped: %s\n", err.text);
		skip();
	}
	if (r < 0)
		fail_msg("cgroup_new: %s", err.text);
	note(NULL, c);
	return c;
}

static inline void limit(struct cgroup *c, enum limit which, uint64_t value)
{
	struct limits l = limits_unlimited();
	struct error err;

	l.value[which] = value;
	if (cgroup_set_limits(c, &l, &err) < 0)
		fail_msg("cgroup_set_limits: %s", err.text);
}

static inline void forget(struct cgroup *c)
{
	note(c, NULL);
	(void)cgroup_free(c);
}

static inline void finish(struct cgroup *c)
{
	assert_int_equal(cgroup_kill(c), 0);
	while (waitpid(-1, NULL, 0) > 0)
		;
	assert_int_equal(cgroup_remove(c), 0);
	forget(c);
}

/* After a test that failed. */
static inline int remove_rest(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		if (!made[i])
			continue;
		(void)!cgroup_kill(made[i]);
		(void)!cgroup_remove(made[i]);
		forget(made[i]);
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return 0;
}

static inline void enter(const struct cgroup *c)
{
	int fds[CGROUP_MAX_ATTACH];
	size_t n = cgroup_attach_fds(c, fds);

	for (size_t i = 0; i < n; i++)
		if (write(fds[i], "0", 1) != 1)
			_exit(99);
}

/* A child in the group, which does something, tells its number, and waits for its end. */
static inline pid_t start_in(const struct cgroup *c, int (*act)(void), int *ret)
{
	int answer[2], value = -1;
	pid_t child;

	assert_int_equal(pipe(answer), 0);
	child = fork();
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		enter(c);
		value = act();
		(void)!write(answer[1], &value, sizeof(value));
		(void)close(answer[1]);
		for (;;)
			(void)pause();
	}
	(void)close(answer[1]);
	if (ret) {
		assert_int_equal(read(answer[0], &value, sizeof(value)), sizeof(value));
		*ret = value;
	}
	(void)close(answer[0]);
	return child;
}

/* Before all of them: what is orphaned comes here, to be waited for. */
static inline int begin(void **state)
{
	(void)state;
	parent = getenv("HUSK_TEST_CGROUP_PARENT");
	return prctl(PR_SET_CHILD_SUBREAPER, 1);
}

#endif
