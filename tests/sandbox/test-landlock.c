/* SPDX-License-Identifier: Apache-2.0 */
/* test-landlock: what is left of files, signals and sockets, at each ABI that this kernel can play. */
#include "tests/sandbox/child.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <pty.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "kernel/sandbox/confinement.h"
#include "protocol/base/util.h"

static char top[64]; /* of each test: ro, rw and out, with a file "old" each */
static int top_fd;
static const char *const folders[] = { "ro", "rw", "out" };

static int make_tree(void **state)
{
	(void)state;
	(void)snprintf(top, sizeof(top), "/tmp/husk-landlock-XXXXXX");
	assert_non_null(mkdtemp(top));
	assert_int_equal(chmod(top, 0777), 0);
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(top_fd >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		char old[32];
		int fd;

		(void)snprintf(old, sizeof(old), "%s/old", folders[i]);
		assert_int_equal(mkdirat(top_fd, folders[i], 0777), 0);
		assert_int_equal(fchmodat(top_fd, folders[i], 0777, 0), 0);
		fd = openat(top_fd, old, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
		assert_true(fd >= 0);
		assert_int_equal(fchmod(fd, 0666), 0);
		(void)close(fd);
	}
	return 0;
}

static int remove_tree(void **state)
{
	char command[96];

	(void)state;
	(void)close(top_fd);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", top);
	return system(command);
}

/* The rules of most tests. Their strings are this function's, and as long-lived. */
static struct confinement rules(enum sandbox_level level)
{
	static char ro[96], rw[96];
	struct confinement c = { .level = level, .fault = -1 };

	(void)snprintf(ro, sizeof(ro), "%s/ro", top);
	(void)snprintf(rw, sizeof(rw), "%s/rw", top);
	c.paths[c.n_paths++] = (struct confinement_path) { .path = "/usr" };
	c.paths[c.n_paths++] = (struct confinement_path) { .path = "/lib", .optional = true };
	c.paths[c.n_paths++] = (struct confinement_path) { .path = "/lib64", .optional = true };
	c.paths[c.n_paths++] = (struct confinement_path) { .path = "/bin", .optional = true };
	c.paths[c.n_paths++] = (struct confinement_path) { .path = "/proc" };
	c.paths[c.n_paths++] = (struct confinement_path) { .path = "/dev", .writable = true };
	c.paths[c.n_paths++] = (struct confinement_path) { .path = ro };
	c.paths[c.n_paths++] = (struct confinement_path) { .path = rw, .writable = true };
	return c;
}

static void restrict_as(enum sandbox_level level, int abi)
{
	struct confinement c = rules(level);

	claim(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	claim(confinement_landlock_as(&c, abi) == 0);
}

static void try_open(const char *name, int flags, int error)
{
	int fd = openat(top_fd, name, flags | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)close(fd);
	if ((error == 0) != (fd >= 0) || (fd < 0 && errno != error))
		child_fail(name, error);
}

static void files_read_only(void)
{
	try_open("ro/old", O_RDONLY, 0);
	try_open("ro", O_RDONLY | O_DIRECTORY, 0);
	try_open("ro/old", O_WRONLY, EACCES);
	try_open("ro/new", O_WRONLY | O_CREAT, EACCES);
	claim_errno(unlinkat(top_fd, "ro/old", 0), EACCES);
	claim_errno(mkdirat(top_fd, "ro/directory", 0700), EACCES);
	claim_errno(symlinkat("old", top_fd, "ro/link"), EACCES);
}

static void files_outside(void)
{
	try_open("out/old", O_RDONLY, EACCES);
	try_open("out", O_RDONLY | O_DIRECTORY, EACCES);
	try_open("out/new", O_WRONLY | O_CREAT, EACCES);
	claim_errno(open("/etc/passwd", O_RDONLY | O_CLOEXEC), EACCES);
}

static void files_writable(void)
{
	int fd;

	try_open("rw/old", O_RDWR, 0);
	try_open("rw/new", O_WRONLY | O_CREAT, 0);
	try_open("rw/new", O_WRONLY | O_TRUNC, 0);
	claim(mkdirat(top_fd, "rw/directory", 0700) == 0);
	claim(symlinkat("old", top_fd, "rw/link") == 0);
	claim(mknodat(top_fd, "rw/fifo", S_IFIFO | 0600, 0) == 0);
	claim(renameat(top_fd, "rw/new", top_fd, "rw/directory/moved") == 0);
	claim(linkat(top_fd, "rw/old", top_fd, "rw/directory/linked", 0) == 0);
	fd = openat(top_fd, "rw/directory/moved", O_WRONLY | O_CLOEXEC);
	claim(ftruncate(fd, 10) == 0);
	(void)close(fd);
	claim(unlinkat(top_fd, "rw/directory/moved", 0) == 0);
	claim(unlinkat(top_fd, "rw/directory/linked", 0) == 0);
	claim(unlinkat(top_fd, "rw/directory", AT_REMOVEDIR) == 0);
	/* Neither devices nor ways out. */
	claim(mknodat(top_fd, "rw/device", S_IFCHR | 0600, 0) < 0);
	claim(renameat(top_fd, "rw/old", top_fd, "ro/moved") < 0);
	claim(linkat(top_fd, "rw/old", top_fd, "out/linked", 0) < 0);
}

static void devices(void)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	int leader, follower, fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	claim(fd >= 0 && write(fd, "x", 1) == 1);
	(void)close(fd);
	claim(openpty(&leader, &follower, NULL, NULL, &size) == 0);
	claim(ioctl(follower, TIOCGWINSZ, &size) == 0 && size.ws_col == 80);
	(void)close(leader);
	(void)close(follower);
}

static void use_files(const void *arg)
{
	restrict_as(SANDBOX_FULL, *(const int *)arg);
	files_read_only();
	files_outside();
	files_writable();
	devices();
	claim(memfd_create("memory", 0) >= 0);
}

static void test_files_at_each_abi(void **state)
{
	int most = confinement_landlock_abi();

	if (most == 0)
		skip();
	for (int abi = 2; abi <= most; abi++) {
		(void)make_tree(state);
		child_run(CHILD_ORDINARY, use_files, &abi);
		assert_int_equal(remove_tree(state), 0);
	}
}

static void answers_of_old_kernels(const void *arg)
{
	struct confinement c = rules(SANDBOX_FULL);

	(void)arg;
	claim(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	claim(confinement_landlock_as(&c, 0) == 1);
	claim(confinement_landlock_as(&c, 1) == 1);
	c.level = SANDBOX_RESTRICTED;
	for (int abi = 0; abi < CONFINEMENT_RESTRICTED_ABI; abi++)
		claim(confinement_landlock_as(&c, abi) == -EOPNOTSUPP);
	/* Nothing was restricted by asking. */
	claim(open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0);
}

static void test_an_old_kernel_is_enough_where_mounts_decide(void **state)
{
	(void)state;
	child_run(CHILD_ORDINARY, answers_of_old_kernels, NULL);
}

static void wrong_paths(const void *arg)
{
	struct confinement c = rules(SANDBOX_FULL);
	size_t n = c.n_paths;

	(void)arg;
	claim(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	c.paths[c.n_paths++] = (struct confinement_path) { .path = "/no/such/path" };
	claim(confinement_landlock(&c) == -ENOENT);
	claim(strcmp(confinement_missing_path(&c), "/no/such/path") == 0);
	c.n_paths = CONFINEMENT_MAX_PATHS + 1;
	claim(confinement_landlock(&c) == -E2BIG);
	c.n_paths = n;
	c.paths[c.n_paths++] = (struct confinement_path) { .path = "/no/such/path", .optional = true };
	c.paths[c.n_paths++] = (struct confinement_path) { .path = "/dev/null", .writable = true }; /* no directory */
	claim(confinement_missing_path(&c) == NULL);
	claim(confinement_landlock(&c) == 0);
}

static void test_a_path_that_is_missing(void **state)
{
	(void)state;
	if (confinement_landlock_abi() == 0)
		skip();
	child_run(CHILD_ORDINARY, wrong_paths, NULL);
}

static void send_signals(const void *arg)
{
	pid_t child;
	int status;

	(void)arg;
	restrict_as(SANDBOX_FULL, confinement_landlock_abi());
	claim_errno(kill(getppid(), 0), EPERM);
	claim_errno(kill(1, 0), EPERM);
	child = fork();
	if (child == 0)
		for (;;)
			(void)pause();
	claim(child > 0 && kill(child, SIGKILL) == 0);
	claim(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL);
}

static void test_signals_stay_within(void **state)
{
	(void)state;
	if (confinement_landlock_abi() < CONFINEMENT_RESTRICTED_ABI)
		skip();
	child_run(CHILD_AS_IS, send_signals, NULL);
	child_run(CHILD_ORDINARY, send_signals, NULL);
}

static int listen_abstract(struct sockaddr_un *address, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_un) { .sun_family = AF_UNIX };
	*len = offsetof(struct sockaddr_un, sun_path);
	/* Without a name the kernel chooses one. */
	if (fd < 0 || bind(fd, (struct sockaddr *)address, sizeof(sa_family_t)) < 0 || listen(fd, 1) < 0)
		return -1;
	*len = sizeof(*address);
	return getsockname(fd, (struct sockaddr *)address, len) < 0 ? -1 : fd;
}

static void connect_abstract(const void *arg)
{
	struct sockaddr_un outside, inside;
	socklen_t outside_len, inside_len;

	(void)arg;
	claim(listen_abstract(&outside, &outside_len) >= 0);
	restrict_as(SANDBOX_FULL, confinement_landlock_abi());
	claim(listen_abstract(&inside, &inside_len) >= 0);
	claim_errno(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&outside, outside_len), EPERM);
	claim(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&inside, inside_len) == 0);
}

static void test_abstract_sockets_stay_within(void **state)
{
	(void)state;
	if (confinement_landlock_abi() < CONFINEMENT_RESTRICTED_ABI)
		skip();
	child_run(CHILD_ORDINARY, connect_abstract, NULL);
}

static void use_loopback(const void *arg)
{
	const struct confinement *how = arg;
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct confinement c = rules(how->level);
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	c.host_network = how->host_network;
	claim(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	claim(confinement_landlock(&c) == 0);
	if (how->level == SANDBOX_RESTRICTED && !how->host_network) {
		claim_errno(bind(fd, (struct sockaddr *)&address, len), EACCES);
		address.sin_port = htons(9);
		claim_errno(connect(fd, (struct sockaddr *)&address, len), EACCES);
		return;
	}
	claim(bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 1) == 0);
	claim(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	claim(connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, len) == 0);
}

static void test_tcp_is_refused_where_there_is_no_network_of_its_own(void **state)
{
	static const struct confinement rows[] = {
		{ .level = SANDBOX_FULL },
		{ .level = SANDBOX_FULL, .host_network = true },
		{ .level = SANDBOX_RESTRICTED },
		{ .level = SANDBOX_RESTRICTED, .host_network = true },
	};

	(void)state;
	if (confinement_landlock_abi() < CONFINEMENT_RESTRICTED_ABI)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		child_run(CHILD_ORDINARY, use_loopback, &rows[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_at_each_abi),
		cmocka_unit_test_setup_teardown(test_an_old_kernel_is_enough_where_mounts_decide, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(test_a_path_that_is_missing, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(test_signals_stay_within, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(test_abstract_sockets_stay_within, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(test_tcp_is_refused_where_there_is_no_network_of_its_own, make_tree, remove_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
