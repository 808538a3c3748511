/* SPDX-License-Identifier: Apache-2.0 */
/* test-cpus: what is written for sets of processors. */
#include "tests/sandbox/child.h"

#include <fcntl.h>
#include <sched.h>

#include "kernel/sandbox/cpus.h"
#include "protocol/base/util.h"

static void claim_text(const char *path, const char *expected)
{
	char text[256] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	claim(fd >= 0);
	claim(read(fd, text, sizeof(text) - 1) >= 0);
	(void)close(fd);
	if (strcmp(text, expected) != 0) {
		(void)dprintf(child_pipe, "%s has \"%s\", not \"%s\"", path, text, expected);
		_exit(1);
	}
}

static void write_set(const unsigned *cpus, size_t n)
{
	struct error err = { .code = 0 };
	cpu_set_t set;

	CPU_ZERO(&set);
	for (size_t i = 0; i < n; i++)
		CPU_SET(cpus[i], &set);
	claim(cpus_write(&set, &err) == 0);
}

static void scattered(const void *arg)
{
	static const unsigned cpus[] = { 0, 1, 2, 5, 40, 1023 };

	claim(chdir(arg) == 0);
	write_set(cpus, ARRAY_SIZE(cpus));
	claim_text("sys/devices/system/cpu/possible", "0-2,5,40,1023\n");
	claim_text("sys/devices/system/cpu/present", "0-2,5,40,1023\n");
	claim_text("sys/devices/system/cpu/online", "0-2,5,40,1023\n");
	claim_text("sys/devices/system/cpu/cpu5/topology/core_id", "5\n");
	claim_text("sys/devices/system/cpu/cpu5/topology/core_cpus_list", "5\n");
	claim_text("sys/devices/system/cpu/cpu5/topology/thread_siblings", "20\n");
	claim_text("sys/devices/system/cpu/cpu40/topology/thread_siblings", "100,00000000\n");
	claim(access("sys/devices/system/cpu/cpu3", F_OK) < 0);
}

static void too_many(const void *arg)
{
	unsigned cpus[CPUS_MOST + 1];

	for (unsigned i = 0; i < ARRAY_SIZE(cpus); i++)
		cpus[i] = i;
	claim(chdir(arg) == 0);
	write_set(cpus, ARRAY_SIZE(cpus));
	claim(access("sys", F_OK) < 0);
	write_set(cpus, CPUS_MOST);
	claim_text("sys/devices/system/cpu/online", "0-63\n");
	claim_text("sys/devices/system/cpu/cpu63/topology/core_siblings", "ffffffff,ffffffff\n");
}

static void twice(const void *arg)
{
	static const unsigned cpus[] = { 0 };
	struct error err = { .code = 0 };
	cpu_set_t set;

	claim(chdir(arg) == 0);
	write_set(cpus, 1);
	CPU_ZERO(&set);
	claim(cpus_write(&set, &err) == -EEXIST);
}

static void in_new_directory(void (*body)(const void *))
{
	char path[] = "/tmp/husk-cpus-XXXXXX", command[64];

	assert_non_null(mkdtemp(path));
	child_run(CHILD_AS_IS, body, path);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", path);
	assert_int_equal(system(command), 0);
}

static void test_sets(void **state)
{
	(void)state;
	in_new_directory(scattered);
	in_new_directory(too_many);
	in_new_directory(twice);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
