/* SPDX-License-Identifier: Apache-2.0 */
/* test-tree-size: what a directory holds, whatever its tenant makes of it. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "kernel/sandbox/remove-tree.h"
#include "kernel/sandbox/tree-size.h"
#include "tests/sandbox/child.h"

#define MANY 100000
#define DEEP 3000

static char place[64];

static int make_place(void **state)
{
	(void)state;
	(void)snprintf(place, sizeof(place), "/tmp/husk-test-tree.XXXXXX");
	return mkdtemp(place) && chdir(place) == 0 ? 0 : -1;
}

static int remove_place(void **state)
{
	(void)state;
	return chdir("/") < 0 ? -1 : remove_tree(place);
}

static struct tree_size measured(uint64_t max_files)
{
	struct tree_size size;
	int fd = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(tree_size_measure(fd, max_files, &size), 0);
	(void)close(fd);
	return size;
}

static void make_file(const char *name, size_t bytes)
{
	static char data[1 << 16];
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	memset(data, 'x', sizeof(data));
	for (; bytes > 0; bytes -= bytes < sizeof(data) ? bytes : sizeof(data))
		if (write(fd, data, bytes < sizeof(data) ? bytes : sizeof(data)) < 0)
			fail_msg("cannot write %s", name);
	assert_int_equal(close(fd), 0);
}

static void assert_size(struct tree_size size, uint64_t files, uint64_t least, uint64_t most)
{
	assert_false(size.is_cut);
	assert_int_equal(size.files, files);
	assert_in_range(size.bytes, least, most);
}

static void test_an_empty_directory_is_nothing(void **state)
{
	(void)state;
	assert_size(measured(MANY), 0, 0, 0);
}

static void test_files_and_directories_count(void **state)
{
	(void)state;
	make_file("a", 1 << 20);
	assert_int_equal(mkdir("d", 0700), 0);
	make_file("d/b", 2 << 20);
	assert_int_equal(mkdir("d/e", 0700), 0);
	assert_size(measured(MANY), 4, 3 << 20, 4 << 20);
}

static void test_what_a_sparse_file_uses(void **state)
{
	(void)state;
	make_file("sparse", 4096);
	assert_int_equal(truncate("sparse", (off_t)1 << 40), 0);
	assert_size(measured(MANY), 1, 4096, 1 << 20);
}

static void test_names_of_one_file_are_one_size(void **state)
{
	char name[32];

	(void)state;
	make_file("a", 1 << 20);
	assert_int_equal(mkdir("d", 0700), 0);
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "d/%d", i);
		assert_int_equal(link("a", name), 0);
	}
	assert_size(measured(MANY), 302, 1 << 20, 2 << 20);
}

static void test_many_files_of_two_names(void **state)
{
	char name[32], other[32];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "a%d", i);
		(void)snprintf(other, sizeof(other), "b%d", i);
		make_file(name, 1);
		assert_int_equal(link(name, other), 0);
	}
	assert_size(measured(MANY), 2000, 0, 1000 * 4096);
}

static void test_links_are_not_followed(void **state)
{
	(void)state;
	assert_int_equal(symlink("/", "root"), 0);
	assert_int_equal(symlink(".", "self"), 0);
	assert_int_equal(symlink("..", "up"), 0);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_size(measured(MANY), 4, 0, 1 << 16);
}

static void test_hostile_names(void **state)
{
	char name[256];

	(void)state;
	for (int c = 1; c < 256; c++) {
		if (c == '/')
			continue;
		memset(name, c, 255);
		name[255] = '\0';
		assert_int_equal(mkdir(name, 0700), 0);
	}
	assert_int_equal(mkdir("...", 0700), 0);
	assert_int_equal(mkdir("..a", 0700), 0);
	assert_int_equal(measured(MANY).files, 256);
}

static void test_many_directories_in_one(void **state)
{
	char name[300];

	(void)state;
	for (int i = 0; i < 1500; i++) {
		(void)snprintf(name, sizeof(name), "%0200d", i); /* more than one reading */
		assert_int_equal(mkdir(name, 0700), 0);
		(void)snprintf(name, sizeof(name), "%0200d/file", i);
		make_file(name, 0);
	}
	assert_int_equal(measured(MANY).files, 3000);
}

static void test_too_many_files_are_not_all_counted(void **state)
{
	struct tree_size size;
	char name[32];

	(void)state;
	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "%d", i);
		make_file(name, 0);
	}
	assert_false(measured(100).is_cut);
	size = measured(99);
	assert_true(size.is_cut);
	assert_int_equal(size.files, 99);
}

static void go_deep(void)
{
	for (int i = 0; i < DEEP; i++) {
		assert_int_equal(mkdir("d", 0700), 0);
		assert_int_equal(chdir("d"), 0);
	}
	make_file("bottom", 1 << 20);
	assert_int_equal(chdir(place), 0);
}

static void limit_descriptors(rlim_t soft)
{
	struct rlimit limit;

	claim(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
	claim(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	claim(limit.rlim_cur == soft);
}

static void measure_deep(const void *arg)
{
	const rlim_t *descriptors = arg;
	struct tree_size size;

	limit_descriptors(*descriptors);
	claim(tree_size_measure(AT_FDCWD, MANY, &size) == 0);
	claim(size.is_cut == (*descriptors < DEEP));
	claim(size.is_cut || (size.files == DEEP + 1 && size.bytes >= 1 << 20));
}

static void test_depth_costs_descriptors(void **state)
{
	const rlim_t enough = DEEP + 50, few = 64;

	(void)state;
	go_deep();
	child_run(CHILD_AS_IS, measure_deep, &enough);
	child_run(CHILD_AS_IS, measure_deep, &few);
}

static void measure_shut(const void *unused)
{
	struct tree_size size;

	(void)unused;
	claim(mkdir("open/shut", 0700) == 0 && mkdir("open/shut/in", 0700) == 0 && chmod("open/shut", 0) == 0);
	claim(tree_size_measure(AT_FDCWD, MANY, &size) == 0);
	claim(size.is_cut && size.files == 3);
	claim(chmod("open/shut", 0400) == 0);
	claim(tree_size_measure(AT_FDCWD, MANY, &size) == 0);
	claim(size.is_cut && size.files == 3);
	claim(chmod("open/shut", 0700) == 0 && rmdir("open/shut/in") == 0 && rmdir("open/shut") == 0);
	claim(tree_size_measure(AT_FDCWD, MANY, &size) == 0);
	claim(!size.is_cut || geteuid() == 0);
}

/* One of another owner is not the tenant's to fill. */
static void test_shut_by_its_owner_it_may_hide_anything(void **state)
{
	(void)state;
	assert_int_equal(chmod(place, 0711), 0);
	assert_int_equal(chmod(place, 0755), 0);
	assert_int_equal(mkdir("open", 0777), 0);
	assert_int_equal(chmod("open", 0777), 0);
	assert_int_equal(mkdir("closed", 0700), 0);
	child_run(CHILD_ORDINARY, measure_shut, NULL);
}

static void write_map(const char *path, unsigned id)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	claim(fd >= 0 && dprintf(fd, "0 %u 1", id) > 0 && close(fd) == 0);
}

static void measure_mounted(const void *unused)
{
	unsigned uid = geteuid(), gid = getegid();
	struct tree_size size;
	int fd;

	(void)unused;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return; /* no namespaces: nothing can be mounted here */
	fd = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
	claim(fd >= 0 && write(fd, "deny", 4) == 4 && close(fd) == 0);
	write_map("/proc/self/gid_map", gid);
	write_map("/proc/self/uid_map", uid);
	if (mount("tmpfs", "on", "tmpfs", 0, "mode=777") < 0 || mount("a", "bound", NULL, MS_BIND, NULL) < 0)
		return;
	claim(mkdir("on/more", 0700) == 0);
	claim(tree_size_measure(AT_FDCWD, MANY, &size) == 0);
	claim(!size.is_cut && size.files == 4); /* the bound one's content where it is, and not again */
}

static void test_mounts_are_not_entered(void **state)
{
	(void)state;
	assert_int_equal(mkdir("on", 0777), 0);
	assert_int_equal(mkdir("bound", 0777), 0);
	assert_int_equal(mkdir("a", 0777), 0);
	make_file("a/file", 0);
	child_run(CHILD_AS_IS, measure_mounted, NULL);
}

/* Renames, makes and removes until it is killed. */
static _Noreturn void disturb(void)
{
	(void)alarm(CHILD_SECONDS);
	for (;;) {
		(void)mkdir("x", 0700);
		(void)mkdir("x/y", 0700);
		(void)mkdir("x/y/z", 0700);
		(void)rename("x/y", "moved");
		(void)rename("moved/z", "z");
		(void)rename("moved", "z/moved");
		(void)!symlink("/", "x/link");
		(void)rename("x/link", "x/y");
		(void)unlink("x/y");
		(void)unlink("x/link");
		(void)rmdir("z/moved");
		(void)rmdir("z");
		(void)rmdir("x");
	}
}

static void test_what_changes_meanwhile_does_no_harm(void **state)
{
	pid_t pid;

	(void)state;
	make_file("kept", 1 << 16);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		disturb();
	for (int i = 0; i < 500; i++) {
		struct tree_size size = measured(MANY);

		assert_in_range(size.files, 1, 64);
		assert_in_range(size.bytes, 1 << 16, 1 << 20);
	}
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_what_is_no_directory(void **state)
{
	struct tree_size size;
	int fd;

	(void)state;
	make_file("a", 0);
	fd = open("a", O_PATH | O_CLOEXEC);
	assert_int_equal(tree_size_measure(fd, MANY, &size), -ENOTDIR);
	(void)close(fd);
	assert_int_equal(tree_size_measure(-1, MANY, &size), -EBADF);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_an_empty_directory_is_nothing),
	    TEST(test_files_and_directories_count),
	    TEST(test_what_a_sparse_file_uses),
	    TEST(test_names_of_one_file_are_one_size),
	    TEST(test_many_files_of_two_names),
	    TEST(test_links_are_not_followed),
	    TEST(test_hostile_names),
	    TEST(test_many_directories_in_one),
	    TEST(test_too_many_files_are_not_all_counted),
	    TEST(test_depth_costs_descriptors),
	    TEST(test_shut_by_its_owner_it_may_hide_anything),
	    TEST(test_mounts_are_not_entered),
	    TEST(test_what_changes_meanwhile_does_no_harm),
	    TEST(test_what_is_no_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
