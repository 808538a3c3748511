/* SPDX-License-Identifier: Apache-2.0 */
/* process: one kernel process group. */
#include "tests/bench/process.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define MAX_PIDS 4096
#define MAX_ARGUMENTS 64

static unsigned int processes_started;

uint64_t monotonic_usec(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int process_adopt_orphans(void)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ? -errno : 0;
}

/* Five ports that were free at the same moment. Another program may take one before the kernel does; then it fails. */
static int ports_find(int ports[5])
{
	int fds[5] = { -1, -1, -1, -1, -1 }, ret = 0;

	for (int i = 0; i < 5 && ret == 0; i++) {
		struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
		socklen_t size = sizeof(address);

		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fds[i] < 0 || bind(fds[i], (struct sockaddr *)&address, size) < 0 ||
		    getsockname(fds[i], (struct sockaddr *)&address, &size) < 0)
			ret = -errno;
		ports[i] = ntohs(address.sin_port);
	}
	for (int i = 0; i < 5; i++)
		closep(&fds[i]);
	return ret;
}

static int connection_write(struct process *p, const char *directory)
{
	struct connection *c = &p->connection;
	int ports[5], ret;
	FILE *file;

	ret = ports_find(ports);
	if (ret < 0)
		return ret;
	(void)snprintf(c->ip, sizeof(c->ip), "127.0.0.1");
	(void)snprintf(c->key, sizeof(c->key), "bench-key-%d-%08" PRIx64, (int)getpid(), monotonic_usec());
	for (int channel = 0; channel < WIRE_CHANNEL_COUNT; channel++)
		c->ports[channel] = ports[channel];
	c->hb_port = ports[4];
	(void)snprintf(p->connection_file, sizeof(p->connection_file), "%s/kernel-%d-%u.json", directory,
		       (int)getpid(), processes_started++);
	file = fopen(p->connection_file, "we");
	if (!file)
		return -errno;
	(void)fprintf(file,
		      "{\"transport\": \"tcp\", \"ip\": \"%s\", \"shell_port\": %d, \"control_port\": %d, "
		      "\"stdin_port\": %d, \"iopub_port\": %d, \"hb_port\": %d, \"key\": \"%s\", "
		      "\"signature_scheme\": \"hmac-sha256\", \"kernel_name\": \"\"}\n",
		      c->ip, c->ports[WIRE_SHELL], c->ports[WIRE_CONTROL], c->ports[WIRE_STDIN], c->ports[WIRE_IOPUB],
		      c->hb_port, c->key);
	(void)fchmod(fileno(file), 0600);
	return fclose(file) < 0 ? -errno : 0;
}

/* As a Jupyter client starts kernels: own session, stdin empty, JPY_PARENT_PID. Never returns. */
static void child_run(const struct process_options *options, struct process *p, const char *log, pid_t parent)
{
	char *argv[MAX_ARGUMENTS + 1], number[16];
	int null_fd, log_fd, n = 0;

	for (; options->argv[n] && n < MAX_ARGUMENTS; n++)
		argv[n] = strcmp(options->argv[n], "{connection_file}") == 0 ? p->connection_file : options->argv[n];
	argv[n] = NULL;
	(void)setsid();
	if (options->cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(options->cpu, &set);
		(void)sched_setaffinity(0, sizeof(set), &set);
	}
	null_fd = open("/dev/null", O_RDONLY);
	log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (null_fd < 0 || log_fd < 0 || dup2(null_fd, 0) < 0 || dup2(log_fd, 1) < 0 || dup2(log_fd, 2) < 0)
		_exit(126);
	(void)close_range(3, ~0U, 0);
	(void)snprintf(number, sizeof(number), "%d", (int)parent);
	(void)setenv("JPY_PARENT_PID", number, 1);
	(void)setenv("IPYTHONDIR", options->directory, 1);
	(void)unsetenv("PYTHONUNBUFFERED"); /* it makes print() in ipykernel and xeus-python slower than it is */
	(void)unsetenv("PYTHONDONTWRITEBYTECODE");
	(void)unsetenv("PYTHONPATH");
	(void)execvp(argv[0], argv);
	_exit(127);
}

int process_start(const struct process_options *options, struct process *ret_process)
{
	struct process *p = ret_process;
	pid_t parent = getpid();
	char log[4096];
	int ret;

	*p = (struct process){ .pid = -1, .pidfd = -1 };
	ret = connection_write(p, options->directory);
	if (ret < 0)
		return ret;
	(void)snprintf(log, sizeof(log), "%s/kernel.log", options->directory);
	p->start_usec = monotonic_usec();
	p->pid = fork();
	if (p->pid < 0)
		return -errno;
	if (p->pid == 0)
		child_run(options, p, log, parent);
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	return p->pidfd < 0 ? -errno : 0;
}

bool process_is_running(struct process *p)
{
	struct pollfd item = { .fd = p->pidfd, .events = POLLIN };

	return p->pidfd >= 0 && poll(&item, 1, 0) == 0;
}

static bool is_listening(int port)
{
	char line[256], pattern[32];
	bool found = false;
	FILE *file;

	(void)snprintf(pattern, sizeof(pattern), ":%04X 00000000:0000 0A", (unsigned int)port);
	file = fopen("/proc/net/tcp", "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = strstr(line, pattern) != NULL;
	(void)fclose(file);
	return found;
}

int process_wait_listening(struct process *p, uint64_t timeout_usec)
{
	uint64_t deadline = monotonic_usec() + timeout_usec;

	while (!is_listening(p->connection.ports[WIRE_SHELL])) {
		struct timespec pause = { 0, 100000 };

		if (!process_is_running(p))
			return -ESRCH;
		if (monotonic_usec() > deadline)
			return -ETIMEDOUT;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

static pid_t parent_of(pid_t pid)
{
	char path[64], line[512], *close;
	pid_t parent = -1;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	if (fgets(line, sizeof(line), file)) {
		int number;
		char state;

		close = strrchr(line, ')');
		if (close && sscanf(close + 1, " %c %d", &state, &number) == 2 && state != 'Z')
			parent = number;
	}
	(void)fclose(file);
	return parent;
}

/* All living descendants of the caller; /proc is read in ascending order, so repeat until nothing is added. */
static unsigned int descendants(pid_t pids[MAX_PIDS])
{
	unsigned int n = 0, before;
	pid_t self = getpid();

	do {
		struct dirent *entry;
		DIR *directory;

		before = n;
		directory = opendir("/proc");
		if (!directory)
			return n;
		while ((entry = readdir(directory)) && n < MAX_PIDS) {
			pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10), parent;
			bool is_known = false, is_child;

			if (pid <= 0)
				continue;
			parent = parent_of(pid);
			is_child = parent == self;
			for (unsigned int i = 0; i < n; i++) {
				is_known = is_known || pids[i] == pid;
				is_child = is_child || pids[i] == parent;
			}
			if (is_child && !is_known)
				pids[n++] = pid;
		}
		(void)closedir(directory);
	} while (n != before);
	return n;
}

int process_wait_gone(struct process *p, uint64_t timeout_usec)
{
	uint64_t deadline = monotonic_usec() + timeout_usec, now;
	struct pollfd item = { .fd = p->pidfd, .events = POLLIN };

	now = monotonic_usec();
	if (poll(&item, 1, (int)((deadline - now) / 1000)) != 1)
		return -ETIMEDOUT;
	/* Orphans fall to the caller; waiting for them one by one ends when none is left. */
	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0 && errno == ECHILD)
			break;
		if (monotonic_usec() > deadline)
			return -ETIMEDOUT;
		if (pid == 0)
			(void)poll(NULL, 0, 1);
	}
	closep(&p->pidfd);
	p->pidfd = -1;
	p->pid = -1;
	(void)unlink(p->connection_file);
	return 0;
}

void process_kill(struct process *p)
{
	pid_t pids[MAX_PIDS];
	unsigned int n;

	for (int round = 0; round < 3; round++) {
		n = descendants(pids);
		for (unsigned int i = 0; i < n; i++)
			(void)kill(pids[i], SIGKILL);
		while (waitpid(-1, NULL, n > 0 && round < 2 ? 0 : WNOHANG) > 0)
			;
	}
	if (p->pidfd >= 0)
		closep(&p->pidfd);
	p->pidfd = -1;
	p->pid = -1;
	(void)unlink(p->connection_file);
}

/* Adds up the numbers of the lines that begin with one of the names. */
static uint64_t file_sum(const char *path, const char *name, const char *other_name)
{
	uint64_t sum = 0;
	char line[256];
	FILE *file;

	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		const char *colon = strchr(line, ':');
		size_t length = colon ? (size_t)(colon - line) : 0;

		if ((length == strlen(name) && memcmp(line, name, length) == 0) ||
		    (other_name && length == strlen(other_name) && memcmp(line, other_name, length) == 0))
			sum += strtoull(colon + 1, NULL, 10);
	}
	(void)fclose(file);
	return sum;
}

/* The first number of schedstat: time on a CPU, in ns. */
static uint64_t cpu_nsec_of(const char *path)
{
	unsigned long long nsec = 0;
	FILE *file;

	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%llu", &nsec) != 1)
		nsec = 0;
	(void)fclose(file);
	return nsec;
}

static void threads_add(pid_t pid, struct process_cost *cost)
{
	struct dirent *entry;
	char path[512];
	DIR *directory;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	directory = opendir(path);
	if (!directory)
		return;
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%.32s/status", (int)pid, entry->d_name);
		cost->switches += file_sum(path, "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches");
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%.32s/schedstat", (int)pid, entry->d_name);
		cost->cpu_nsec += cpu_nsec_of(path);
		cost->n_threads++;
	}
	(void)closedir(directory);
}

int process_cost(struct process_cost *ret_cost)
{
	struct process_cost cost = { 0 };
	pid_t pids[MAX_PIDS];
	unsigned int n;

	n = descendants(pids);
	if (n == 0)
		return -ESRCH;
	for (unsigned int i = 0; i < n; i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pids[i]);
		cost.pss_kib += file_sum(path, "Pss", NULL);
		cost.rss_kib += file_sum(path, "Rss", NULL);
		threads_add(pids[i], &cost);
		cost.n_processes++;
	}
	*ret_cost = cost;
	return 0;
}
