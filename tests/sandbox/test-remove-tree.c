/* SPDX-License-Identifier: Apache-2.0 */
/* test-remove-tree: a directory goes, whatever a tenant has made in it. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/sandbox/remove-tree.h"
#include "tests/unit/test.h"

static char place[64];

static int make_place(void **state)
{
	(void)state;
	(void)snprintf(place, sizeof(place), "/tmp/husk-test-remove.XXXXXX");
	return mkdtemp(place) && chdir(place) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	(void)state;
	return chdir("/");
}

static void make_filled(const char *name)
{
	char path[300];
	int fd;

	assert_int_equal(mkdir(name, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/file", name);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
}

static void assert_gone(void)
{
	assert_int_equal(remove_tree(place), 0);
	assert_int_equal(access(place, F_OK), -1);
}

/* They are met again while the directory is read, under their new names. */
static void test_many_directories(void **state)
{
	char name[32];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		(void)snprintf(name, sizeof(name), "d%d", i);
		make_filled(name);
	}
	assert_gone();
}

static void test_depth(void **state)
{
	(void)state;
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(mkdir("d", 0700), 0);
		assert_int_equal(chdir("d"), 0);
	}
	assert_gone();
}

static void test_names_that_it_uses_itself(void **state)
{
	char name[64];

	(void)state;
	for (int i = 0; i < 50; i++) {
		(void)snprintf(name, sizeof(name), ".husk-removed-%d", i);
		if (i % 3 == 0)
			make_filled(name);
		else if (i % 3 == 1)
			assert_int_equal(symlink("/nowhere", name), 0);
		else
			assert_int_equal(mkdir(name, 0700), 0);
		(void)snprintf(name, sizeof(name), "d%d", i);
		make_filled(name);
	}
	make_filled(".husk-removed-01");
	make_filled(".husk-removed-1x");
	make_filled(".husk-removed-99999999999999999999");
	assert_gone();
}

static void test_what_is_shut(void **state)
{
	(void)state;
	make_filled("d");
	assert_int_equal(chmod("d", 0), 0);
	assert_gone();
}

#define SOMEBODY 54321

/* Root passes every door; an ordinary user has to open its own first, to move what is behind it too. */
static _Noreturn void remove_what_is_shut(void)
{
	char outer[96];

	(void)snprintf(outer, sizeof(outer), "%s/place", place);
	if (geteuid() == 0 && (setgid(SOMEBODY) < 0 || setuid(SOMEBODY) < 0))
		_exit(2);
	if (mkdir(outer, 0700) < 0 || chdir(outer) < 0 || mkdir("a", 0700) < 0 || mkdir("a/b", 0700) < 0 ||
	    mkdir("a/b/c", 0700) < 0 || chmod("a/b", 0) < 0 || chmod("a", 0) < 0 || chmod(outer, 0) < 0)
		_exit(3);
	_exit(remove_tree(outer) == 0 && access(outer, F_OK) < 0 ? 0 : 1);
}

static void test_what_is_shut_to_its_owner(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(chmod(place, 0777), 0);
	pid = fork();
	if (pid == 0)
		remove_what_is_shut();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_gone();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_many_directories),
	    TEST(test_depth),
	    TEST(test_names_that_it_uses_itself),
	    TEST(test_what_is_shut),
	    TEST(test_what_is_shut_to_its_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
