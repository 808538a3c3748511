/* SPDX-License-Identifier: Apache-2.0 */
/* test-cache-dir: what a directory and its files must be like to be used. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "kernel/worker/cache-dir.h"

struct place {
	char base[64];
	char dir[96];
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	strcpy(p->base, "/tmp/test-cache-dir-XXXXXX");
	assert_non_null(mkdtemp(p->base));
	(void)snprintf(p->dir, sizeof(p->dir), "%s/parent/husk", p->base);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	_cleanup_(freep) struct place *p = *state;
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", p->base);
	return system(command);
}

static int open_cache(void **state)
{
	const struct place *p = *state;
	int fd = cache_dir_open(p->dir);

	assert_true(fd >= 0);
	return fd;
}

static void test_a_missing_directory_is_made_for_the_owner(void **state)
{
	_cleanup_(closep) int fd = open_cache(state);
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void test_a_directory_that_others_may_enter_is_refused(void **state)
{
	static const mode_t modes[] = { 0755, 0750, 0770, 0707, 01700, 02700 };
	const struct place *p = *state;

	(void)close(open_cache(state));
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		assert_int_equal(chmod(p->dir, modes[i]), 0);
		assert_row(i, cache_dir_open(p->dir) == -EPERM);
	}
}

static void test_a_symbolic_link_is_refused(void **state)
{
	const struct place *p = *state;
	char link[128];

	(void)close(open_cache(state));
	(void)snprintf(link, sizeof(link), "%s/link", p->base);
	assert_int_equal(symlink(p->dir, link), 0);
	assert_true(cache_dir_open(link) < 0);
}

static void test_what_is_written_is_read_and_mapped(void **state)
{
	_cleanup_(closep) int fd = open_cache(state);
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
	struct slice map;

	assert_int_equal(cache_file_write(fd, "name", SLICE_LIT("first")), 0);
	assert_int_equal(cache_file_map(fd, "name", &map), 0);
	assert_int_equal(cache_file_write(fd, "name", SLICE_LIT("second")), 0);
	assert_int_equal(cache_file_read(fd, "name", &out), 0);
	assert_slice_is(buffer_slice(&out), "second");
	assert_slice_is(map, "first");
}

static void test_a_file_that_others_may_write_is_refused(void **state)
{
	_cleanup_(closep) int fd = open_cache(state);
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);

	assert_int_equal(cache_file_write(fd, "name", SLICE_LIT("text")), 0);
	assert_int_equal(fchmodat(fd, "name", 0620, 0), 0);
	assert_int_equal(cache_file_read(fd, "name", &out), -EPERM);
	assert_int_equal(fchmodat(fd, "name", 0602, 0), 0);
	assert_int_equal(cache_file_read(fd, "name", &out), -EPERM);
}

static void test_what_is_no_regular_file_is_refused_without_waiting(void **state)
{
	_cleanup_(closep) int fd = open_cache(state);
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
	struct slice map;

	assert_int_equal(mkfifoat(fd, "fifo", 0600), 0);
	assert_int_equal(mkdirat(fd, "dir", 0700), 0);
	assert_int_equal(cache_file_write(fd, "file", SLICE_LIT("text")), 0);
	assert_int_equal(symlinkat("file", fd, "link"), 0);
	assert_int_equal(cache_file_read(fd, "fifo", &out), -EPERM);
	assert_int_equal(cache_file_read(fd, "dir", &out), -EPERM);
	assert_int_equal(cache_file_read(fd, "link", &out), -ELOOP);
	assert_int_equal(cache_file_read(fd, "none", &out), -ENOENT);
	assert_int_equal(cache_file_map(fd, "fifo", &map), -EPERM);
	assert_int_equal(out.len, 0);
}

static void test_a_write_leaves_no_other_file(void **state)
{
	_cleanup_(closep) int fd = open_cache(state);

	assert_int_equal(mkdirat(fd, "taken", 0700), 0);
	assert_true(cache_file_write(fd, "taken", SLICE_LIT("text")) < 0);
	assert_int_equal(unlinkat(fd, "taken", AT_REMOVEDIR), 0);
	cache_dir_prune(fd, "taken", 0);
	assert_int_equal(cache_file_write(fd, "taken", SLICE_LIT("text")), 0);
}

static void test_pruning_begins_above_the_limit(void **state)
{
	_cleanup_(closep) int fd = open_cache(state);
	char name[32];

	for (unsigned i = 0; i < 5; i++) {
		(void)snprintf(name, sizeof(name), "code-%u", i);
		assert_int_equal(cache_file_write(fd, name, SLICE_LIT("x")), 0);
	}
	assert_int_equal(cache_file_write(fd, "other", SLICE_LIT("x")), 0);
	cache_dir_prune(fd, "code-", 5);
	assert_int_equal(faccessat(fd, "code-0", F_OK, 0), 0);
	cache_dir_prune(fd, "code-", 4);
	assert_int_not_equal(faccessat(fd, "code-0", F_OK, 0), 0);
	assert_int_not_equal(faccessat(fd, "code-4", F_OK, 0), 0);
	assert_int_equal(faccessat(fd, "other", F_OK, 0), 0);
}

static void test_the_default_follows_xdg_and_home(void **state)
{
	char path[64];

	(void)state;
	assert_int_equal(setenv("XDG_CACHE_HOME", "/x/cache", 1), 0);
	assert_int_equal(setenv("HOME", "/home/u", 1), 0);
	assert_int_equal(cache_dir_default(path, sizeof(path)), 0);
	assert_string_equal(path, "/x/cache/husk");
	assert_int_equal(setenv("XDG_CACHE_HOME", "relative", 1), 0);
	assert_int_equal(cache_dir_default(path, sizeof(path)), 0);
	assert_string_equal(path, "/home/u/.cache/husk");
	assert_int_equal(cache_dir_default(path, 10), -ENAMETOOLONG);
	assert_int_equal(setenv("HOME", "", 1), 0);
	assert_int_equal(cache_dir_default(path, sizeof(path)), -ENOENT);
	assert_int_equal(unsetenv("HOME"), 0);
	assert_int_equal(cache_dir_default(path, sizeof(path)), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_missing_directory_is_made_for_the_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_directory_that_others_may_enter_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_symbolic_link_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_written_is_read_and_mapped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_file_that_others_may_write_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_regular_file_is_refused_without_waiting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_write_leaves_no_other_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pruning_begins_above_the_limit, setup, teardown),
		cmocka_unit_test(test_the_default_follows_xdg_and_home),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
