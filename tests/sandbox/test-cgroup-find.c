/* SPDX-License-Identifier: Apache-2.0 */
/* Tests for kernel/sandbox/cgroup-find: what is read from proc, and which names are refused. */
#include "tests/unit/test.h"

#include "kernel/sandbox/cgroup-impl.h"

static struct cgroup_mounts mounts;

static const struct cgroup_mount *mount_with(uint32_t controllers)
{
	for (size_t i = 0; i < mounts.n; i++)
		if (controllers ? mounts.mount[i].controllers == controllers : mounts.mount[i].is_v2)
			return &mounts.mount[i];
	return NULL;
}

static void test_hierarchies_one_by_one(void **state)
{
	(void)state;
	cgroup_parse_mounts("31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
			    "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
			    "33 31 0:30 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n"
			    "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
			    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 master:2 - cgroup cgroup rw,memory\n"
			    "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
			    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
	    "9:name=systemd:/\n8:pids:/\n4:memory:/api/f207:x\n3:cpuset:/\n2:cpuacct:/\n1:cpu:/\n0::/u\n", &mounts);
	assert_int_equal(mounts.n, 4);
	assert_string_equal(mount_with(CGROUP_MEMORY)->own, "/api/f207:x");
	assert_string_equal(mount_with(CGROUP_MEMORY)->point, "/sys/fs/cgroup/memory");
	assert_string_equal(mount_with(CGROUP_CPU)->own, "/");
	assert_string_equal(mount_with(0)->own, "/u");
	assert_string_equal(mount_with(0)->point, "/sys/fs/cgroup/unified");
}

static void test_hierarchies_together(void **state)
{
	(void)state;
	cgroup_parse_mounts("32 31 0:29 / /cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n",
	    "4:cpu,cpuacct:/user.slice\n0::/user.slice\n", &mounts);
	assert_int_equal(mounts.n, 1);
	assert_non_null(mount_with(CGROUP_CPU | CGROUP_CPUACCT));
	assert_string_equal(mounts.mount[0].own, "/user.slice");
}

static void test_a_mount_may_show_a_part(void **state)
{
	static const struct {
		const char *root;
		const char *own;
		const char *expected;
	} rows[] = {
		{ "/docker/12", "/docker/12", "/" },
		{ "/docker/12", "/docker/12/a", "/a" },
		{ "/docker/12", "/docker/123", "" },
		{ "/docker/12", "/", "" },
		{ "/", "/../x", "" },
		{ "/..", "/..", "/" },
		{ "/", "/a//b", "" },
		{ "/", "", "" },
		{ "/a\\040b", "/a b/c", "/c" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char info[256], self[256];

		(void)snprintf(info, sizeof(info), "1 2 0:3 %s /sys/fs/cgroup ro - cgroup2 cgroup rw\n", rows[i].root);
		(void)snprintf(self, sizeof(self), "0::%s\n", rows[i].own);
		cgroup_parse_mounts(info, self, &mounts);
		assert_row(i, mounts.n == 1);
		assert_row(i, strcmp(mounts.mount[0].own, rows[i].expected) == 0);
	}
}

static void test_odd_texts_give_nothing(void **state)
{
	static const char *const texts[] = {
		"", "\n", "x", " - ", " - cgroup", " - cgroup2 a b", "1 2 0:3 / \n", "1 2 0:3 x y z - cgroup2 a b",
		"1 2 3 / /a rw - cgroup c rw,blkio\n", "\n\n - cgroup2\n", "1 2 3 / /\\ rw - ext4 c rw\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		cgroup_parse_mounts(texts[i], "0::/\n::\n:\n0:", &mounts);
		assert_row(i, mounts.n == 0);
	}
}

static void test_more_mounts_than_are_looked_at(void **state)
{
	char text[8192] = "";

	(void)state;
	for (size_t i = 0; i < 64; i++)
		(void)strcat(text, "1 2 0:3 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
	cgroup_parse_mounts(text, "0::/a\n", &mounts);
	assert_int_equal(mounts.n, CGROUP_MAX_MOUNTS);
}

static void test_paths(void **state)
{
	static const struct {
		const char *path;
		bool is_valid;
	} rows[] = {
		{ "/", true }, { "/a", true }, { "/a/b.c/...", true }, { "/user.slice/user@1000.service", true },
		{ "", false }, { "a", false }, { "//", false }, { "/a/", false }, { "/a//b", false }, { "/.", false },
		{ "/..", false }, { "/a/../b", false }, { "/a/./b", false }, { "/a\nb", false }, { "/a\x7f", false },
	};
	char path[CGROUP_PATH_MAX + 1] = "/";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_row(i, cgroup_path_is_valid(rows[i].path) == rows[i].is_valid);
	memset(path + 1, 'a', 256);
	assert_false(cgroup_path_is_valid(path));
	for (size_t i = 1; i < CGROUP_PATH_MAX; i++)
		path[i] = i % 2 ? 'a' : '/';
	path[CGROUP_PATH_MAX] = '\0';
	assert_false(cgroup_path_is_valid(path));
}

static void test_names(void **state)
{
	char name[CGROUP_NAME_MAX + 2];

	(void)state;
	assert_true(cgroup_name_is_valid("a"));
	assert_true(cgroup_name_is_valid("k1-2_3.x"));
	assert_false(cgroup_name_is_valid(""));
	assert_false(cgroup_name_is_valid(".a"));
	assert_false(cgroup_name_is_valid("a/b"));
	assert_false(cgroup_name_is_valid("a b"));
	assert_false(cgroup_name_is_valid("\xc3\xa4"));
	memset(name, 'a', sizeof(name));
	name[CGROUP_NAME_MAX + 1] = '\0';
	assert_false(cgroup_name_is_valid(name));
	name[CGROUP_NAME_MAX] = '\0';
	assert_true(cgroup_name_is_valid(name));
}

static void test_a_name_tells_whether_its_process_lives(void **state)
{
	char own[CGROUP_NAME_MAX + 1], text[256];
	unsigned long long pid, start, space;

	(void)state;
	assert_int_equal(cgroup_own_name(own), 0);
	assert_true(cgroup_name_is_valid(own));
	(void)snprintf(text, sizeof(text), CGROUP_PREFIX "%s", own);
	assert_false(cgroup_name_is_stale(text));
	assert_int_equal(sscanf(own, "k%llu-%llu-%llu", &pid, &start, &space), 3);
	/* The same number after it was given away again. */
	(void)snprintf(text, sizeof(text), CGROUP_PREFIX "k%llu-%llu-%llu", pid, start + 1, space);
	assert_true(cgroup_name_is_stale(text));
	(void)snprintf(text, sizeof(text), CGROUP_PREFIX "k2147483647-1-%llu", space);
	assert_true(cgroup_name_is_stale(text));
	/* Of another namespace, where it may live; and what husk has not written. */
	(void)snprintf(text, sizeof(text), CGROUP_PREFIX "k%llu-%llu-%llu", pid, start + 1, space + 1);
	assert_false(cgroup_name_is_stale(text));
	(void)snprintf(text, sizeof(text), CGROUP_PREFIX "k2147483647-1-%llux", space);
	assert_false(cgroup_name_is_stale(text));
	(void)snprintf(text, sizeof(text), CGROUP_PREFIX "k02147483647-1-%llu", space);
	assert_false(cgroup_name_is_stale(text));
	(void)snprintf(text, sizeof(text), CGROUP_PREFIX "k99999999999-1-%llu", space);
	assert_false(cgroup_name_is_stale(text));
	assert_false(cgroup_name_is_stale(CGROUP_LEAF));
	assert_false(cgroup_name_is_stale(""));
}

static void test_fields(void **state)
{
	(void)state;
	assert_int_equal(cgroup_field("low 0\nhigh 12\nmax 3\noom 4\noom_kill 5\n", "oom_kill"), 5);
	assert_int_equal(cgroup_field("low 0\nhigh 12\nmax 3\noom 4\noom_kill 5\n", "oom"), 4);
	assert_int_equal(cgroup_field("low 0", "low"), 0);
	assert_int_equal(cgroup_field("slow 7\n", "low"), 0);
	assert_int_equal(cgroup_field("", "low"), 0);
	assert_int_equal(cgroup_field("low", "low"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hierarchies_one_by_one),
		cmocka_unit_test(test_hierarchies_together),
		cmocka_unit_test(test_a_mount_may_show_a_part),
		cmocka_unit_test(test_odd_texts_give_nothing),
		cmocka_unit_test(test_more_mounts_than_are_looked_at),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_a_name_tells_whether_its_process_lives),
		cmocka_unit_test(test_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
