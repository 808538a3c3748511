/* SPDX-License-Identifier: Apache-2.0 */
/* Tests for kernel/sandbox/uids. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/sandbox/uids.h"

#define N_STARTS 50

static char directory[64];

/* A range that this process has, whatever its namespace; its numbers are nobody's in all likelihood. */
static const struct uids_range range = { 61000, N_STARTS * UIDS_PER_LEASE };

static int make_directory(void **state)
{
	(void)state;
	(void)snprintf(directory, sizeof(directory), "/tmp/husk-test-uids-%d", (int)getpid());
	return mkdir(directory, 0700);
}

static int remove_directory(void **state)
{
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/leases", directory);
	(void)unlink(path);
	return rmdir(directory);
}

/* Maps of an ordinary user's namespace may hold one number alone. */
static void need_numbers(void)
{
	struct error err;
	struct uids u;
	int r = uids_lease(directory, &range, &u, &err);

	if (r == -EINVAL) {
		print_message("skipped: %s\n", err.text);
		skip();
	}
	assert_int_equal(r, 0);
	uids_release(&u);
}

static void test_the_range_of_etc_subuid(void **state)
{
	static const struct {
		const char *text;
		uid_t first;
		unsigned count;
	} rows[] = {
		{ "", UIDS_DEFAULT_FIRST, UIDS_DEFAULT_COUNT },
		{ "root:100000:65536\n", 100000, UIDS_DEFAULT_COUNT },
		{ "root:100000:600\nhusk:200000:300", 200000, 300 },
		{ "husk2:1000:300\nroot:5000:3\n", 5000, 3 },
		{ "husk:1000:2\nhusk:2000:3\n", 2000, 3 },
		{ "husk:0:100\n", UIDS_DEFAULT_FIRST, UIDS_DEFAULT_COUNT },
		{ "husk:-5:100\nhusk:5:-1\n", UIDS_DEFAULT_FIRST, UIDS_DEFAULT_COUNT },
		{ "husk:4294967290:100\n", 4294967290u, 5 },
		{ "husk:4294967295:100\nhusk:99999999999:5\n", UIDS_DEFAULT_FIRST, UIDS_DEFAULT_COUNT },
		{ "husk:1:2x\nhusk:1000\nhusk::\n:::\n# husk:7:7\n", UIDS_DEFAULT_FIRST, UIDS_DEFAULT_COUNT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct uids_range r = uids_parse_subuid(rows[i].text);

		assert_row(i, r.first == rows[i].first);
		assert_row(i, r.count == rows[i].count);
	}
}

static void test_a_lease_is_three_numbers_that_nobody_else_gets(void **state)
{
	const struct uids_range two = { range.first, 2 * UIDS_PER_LEASE };
	struct uids a, b, c;
	struct error err;

	(void)state;
	need_numbers();
	assert_int_equal(uids_lease(directory, &two, &a, &err), 0);
	assert_int_equal(uids_lease(directory, &two, &b, &err), 0);
	assert_int_equal(a.holder, a.front + 1);
	assert_int_equal(a.tenant, a.front + 2);
	assert_int_not_equal(a.front, b.front);
	assert_int_equal(uids_lease(directory, &two, &c, &err), -EAGAIN);
	assert_contains(err.text, "all 2 leases");
	uids_release(&a);
	assert_int_equal(a.lock_fd, -1);
	assert_int_equal(uids_lease(directory, &two, &c, &err), 0);
	assert_int_equal(a.front, c.front);
	uids_release(&b);
	uids_release(&c);
}

static void test_ranges_that_overlap_do_not_collide(void **state)
{
	const struct uids_range one = { range.first, 3 }, across = { range.first + 1, 3 }, beside = { range.first + 3, 3 };
	struct uids a, b;
	struct error err;

	(void)state;
	need_numbers();
	assert_int_equal(uids_lease(directory, &one, &a, &err), 0);
	assert_int_equal(uids_lease(directory, &across, &b, &err), -EAGAIN);
	assert_int_equal(uids_lease(directory, &beside, &b, &err), 0);
	uids_release(&a);
	uids_release(&b);
}

static void test_a_fork_keeps_the_lease(void **state)
{
	const struct uids_range one = { range.first, 3 };
	struct uids a, b;
	struct error err;
	int end[2];
	pid_t child;
	char c;

	(void)state;
	need_numbers();
	assert_int_equal(uids_lease(directory, &one, &a, &err), 0);
	assert_int_equal(pipe(end), 0);
	child = fork();
	if (child == 0) {
		(void)close(end[1]);
		_exit((int)read(end[0], &c, 1));
	}
	(void)close(end[0]);
	uids_release(&a);
	assert_int_equal(uids_lease(directory, &one, &b, &err), -EAGAIN);
	(void)close(end[1]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(uids_lease(directory, &one, &b, &err), 0);
	uids_release(&b);
}

static void test_numbers_of_users_and_groups_are_passed_over(void **state)
{
	/* "daemon" and "bin" of every Debian. */
	const struct uids_range taken = { 1, 3 };
	struct uids a;
	struct error err;

	(void)state;
	need_numbers();
	assert_int_equal(uids_lease(directory, &taken, &a, &err), -EAGAIN);
}

/* Seconds since the machine's start for each number, in the file of the locks. */
static void write_stamp(uid_t first, uint64_t stamp)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/leases", directory);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &stamp, sizeof(stamp), (off_t)(first * sizeof(stamp))), sizeof(stamp));
	assert_int_equal(close(fd), 0);
}

static void test_what_was_free_is_remembered_for_an_hour(void **state)
{
	const struct uids_range taken = { 1, 3 };
	struct timespec now;
	struct uids a;
	struct error err;

	(void)state;
	need_numbers();
	assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &now), 0);
	/* A lie about "daemon", so that the asking shows. */
	write_stamp(1, (uint64_t)now.tv_sec + 1);
	assert_int_equal(uids_lease(directory, &taken, &a, &err), 0);
	uids_release(&a);
	write_stamp(1, (uint64_t)now.tv_sec + 7200);
	assert_int_equal(uids_lease(directory, &taken, &a, &err), -EAGAIN);
	if (now.tv_sec > 3600) {
		write_stamp(1, (uint64_t)now.tv_sec - 3600);
		assert_int_equal(uids_lease(directory, &taken, &a, &err), -EAGAIN);
	}
	write_stamp(1, 0);
	assert_int_equal(uids_lease(directory, &taken, &a, &err), -EAGAIN);
}

static void test_ranges_that_cannot_be(void **state)
{
	static const struct uids_range rows[] = { { 0, 3 }, { 61000, 2 }, { 61000, 0 }, { 4294967295u, 3 }, { 4294967290u, 30 } };
	struct uids a;
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_row(i, uids_lease(directory, &rows[i], &a, &err) == -EINVAL);
	assert_contains(err.text, "/etc/subuid");
}

static void test_a_directory_that_others_may_enter_is_refused(void **state)
{
	struct uids a;
	struct error err;
	char link[128];

	(void)state;
	need_numbers();
	assert_int_equal(chmod(directory, 0755), 0);
	assert_int_equal(uids_lease(directory, &range, &a, &err), -EPERM);
	assert_contains(err.text, "mode 755");
	assert_int_equal(chmod(directory, 0700), 0);
	(void)snprintf(link, sizeof(link), "%s.link", directory);
	assert_int_equal(symlink(directory, link), 0);
	assert_true(uids_lease(link, &range, &a, &err) < 0);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(uids_lease("relative", &range, &a, &err), -EINVAL);
}

/* All begin together, and keep theirs until all have one. */
static void test_fifty_that_start_at_once_get_different_numbers(void **state)
{
	bool seen[N_STARTS] = { false };
	int go[2], got[2], end[2];
	char c;

	(void)state;
	need_numbers();
	assert_int_equal(pipe(go) | pipe(got) | pipe(end), 0);
	for (unsigned i = 0; i < N_STARTS; i++)
		if (fork() == 0) {
			struct uids u = { .front = 0 };
			struct error err;

			(void)close(go[1]);
			(void)close(end[1]);
			(void)!read(go[0], &c, 1);
			if (uids_lease(directory, &range, &u, &err) < 0)
				u.front = 0;
			(void)!write(got[1], &u.front, sizeof(u.front));
			(void)!read(end[0], &c, 1);
			_exit(0);
		}
	(void)close(go[1]);
	for (unsigned i = 0; i < N_STARTS; i++) {
		uid_t front;

		assert_int_equal(read(got[0], &front, sizeof(front)), sizeof(front));
		assert_true(front >= range.first && front < range.first + range.count);
		assert_int_equal((front - range.first) % UIDS_PER_LEASE, 0);
		assert_false(seen[(front - range.first) / UIDS_PER_LEASE]);
		seen[(front - range.first) / UIDS_PER_LEASE] = true;
	}
	(void)close(end[1]);
	for (unsigned i = 0; i < N_STARTS; i++)
		assert_true(wait(NULL) > 0);
	(void)close(go[0]);
	(void)close(got[0]);
	(void)close(got[1]);
	(void)close(end[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_range_of_etc_subuid),
		cmocka_unit_test(test_a_lease_is_three_numbers_that_nobody_else_gets),
		cmocka_unit_test(test_ranges_that_overlap_do_not_collide),
		cmocka_unit_test(test_a_fork_keeps_the_lease),
		cmocka_unit_test(test_numbers_of_users_and_groups_are_passed_over),
		cmocka_unit_test(test_what_was_free_is_remembered_for_an_hour),
		cmocka_unit_test(test_ranges_that_cannot_be),
		cmocka_unit_test(test_a_directory_that_others_may_enter_is_refused),
		cmocka_unit_test(test_fifty_that_start_at_once_get_different_numbers),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
