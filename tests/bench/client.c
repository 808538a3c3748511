/* SPDX-License-Identifier: Apache-2.0 */
/* bench-client: starts one kind of kernel by its argv and measures it; prints a line of JSON per quantity. */
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/measure.h"

static int usage(FILE *file)
{
	(void)fprintf(file,
		      "usage: bench-client [options] MEASUREMENT[=COUNT] ... -- KERNEL-ARGV with {connection_file}\n\n"
		      "  --directory DIR     for connection files, kernel.log and IPYTHONDIR (required)\n"
		      "  --client-cpu N      CPU of this program (default: any)\n"
		      "  --kernel-cpu N      CPU of the kernel (default: any)\n"
		      "  --timeout SECONDS   for one answer (default 180)\n\n"
		      "Measurements (default count):\n");
	measurements_list(file);
	return file == stdout ? 0 : 2;
}

static int pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}

static int measure_one(struct session *s, const struct measurement *m, unsigned int count)
{
	unsigned int n_clients = m->n_clients ? m->n_clients : 1;
	uint64_t patience = s->timeout_usec;
	int ret = 0;

	s->trouble = NULL;
	if (m->is_cold)
		session_stop(s);
	else if (s->n_wires != n_clients || !process_is_running(&s->process))
		ret = session_start(s, n_clients, NULL);
	if (ret == 0)
		ret = m->run(s, m, count);
	s->timeout_usec = patience;
	if (ret < 0) {
		printf("{\"name\": \"%s\", \"failed\": \"%s\", \"error\": \"%s\"}\n", m->name,
		       s->trouble ? s->trouble : "failed", strerror(-ret));
		session_stop(s);
	}
	return ret;
}

static int measure_all(struct session *s, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		const char *equals = strchr(argv[i], '=');
		size_t size = equals ? (size_t)(equals - argv[i]) : strlen(argv[i]);
		const struct measurement *m = measurement_find(argv[i], size);
		unsigned int count;

		if (!m) {
			(void)fprintf(stderr, "bench-client: no measurement named '%s'\n", argv[i]);
			return 2;
		}
		count = equals ? (unsigned int)strtoul(equals + 1, NULL, 10) : m->default_count;
		if (count == 0 || count > SERIES_MAX) {
			(void)fprintf(stderr, "bench-client: count of '%s' must be 1 to %d\n", argv[i], SERIES_MAX);
			return 2;
		}
		(void)measure_one(s, m, count);
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "directory", required_argument, NULL, 'd' },	{ "client-cpu", required_argument, NULL, 'c' },
		{ "kernel-cpu", required_argument, NULL, 'k' }, { "timeout", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },		{ 0 },
	};
	struct session s = { .process = { .pid = -1, .pidfd = -1 }, .options = { .cpu = -1 }, .timeout_usec = 180000000 };
	int option, separator = 0, ret;

	for (int i = 1; i < argc && !separator; i++)
		if (strcmp(argv[i], "--") == 0)
			separator = i;
	if (separator) {
		s.options.argv = argv + separator + 1;
		argv[separator] = NULL;
	}
	while ((option = getopt_long(separator ? separator : argc, argv, "", options, NULL)) >= 0) {
		if (option == 'd')
			s.options.directory = optarg;
		else if (option == 'k')
			s.options.cpu = (int)strtol(optarg, NULL, 10);
		else if (option == 't')
			s.timeout_usec = strtoull(optarg, NULL, 10) * 1000000;
		else if (option == 'h')
			return usage(stdout);
		else if (option != 'c' || pin((int)strtol(optarg, NULL, 10)) < 0)
			return usage(stderr);
	}
	if (!separator || !s.options.argv[0] || !s.options.directory || optind == separator)
		return usage(stderr);
	ret = process_adopt_orphans();
	if (ret == 0)
		ret = measure_all(&s, separator - optind, argv + optind);
	session_stop(&s);
	return ret;
}
