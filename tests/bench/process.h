/* SPDX-License-Identifier: Apache-2.0 */
/* process: one kernel process group: its connection file, its start, its end, what it costs. */
#ifndef HUSK_TESTS_BENCH_PROCESS_H
#define HUSK_TESTS_BENCH_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "tests/bench/wire.h"

struct process_options {
	char *const *argv;     /* {connection_file} is replaced */
	const char *directory; /* for connection files, logs, IPYTHONDIR; exists */
	int cpu;               /* the kernel's CPU, -1: any */
};

struct process {
	pid_t pid;
	int pidfd;
	struct connection connection;
	char connection_file[4096];
	uint64_t start_usec; /* CLOCK_MONOTONIC just before fork */
};

struct process_cost {
	uint64_t pss_kib;
	uint64_t rss_kib;
	uint64_t switches; /* voluntary and involuntary, all threads */
	uint64_t cpu_nsec; /* all living threads */
	unsigned int n_processes, n_threads;
};

/* Makes the caller the one that orphans of its kernels fall to, so that "gone" means the whole tree. 0 or -errno. */
int process_adopt_orphans(void) must_check;

/* Writes a connection file with five free ports and starts the kernel in a session of its own. 0 or -errno. */
int process_start(const struct process_options *options, struct process *ret_process) must_check;

bool process_is_running(struct process *p) must_check;

/* Waits until something listens on the kernel's shell port, without touching it. 0, -ETIMEDOUT, -ESRCH: it ended. */
int process_wait_listening(struct process *p, uint64_t timeout_usec) must_check;

/* Waits until the kernel and all it left behind have ended. 0, or -ETIMEDOUT. */
int process_wait_gone(struct process *p, uint64_t timeout_usec) must_check;
void process_kill(struct process *p); /* SIGKILL to the whole tree, removes the file; idempotent */

/* Sums over all descendants of the caller. 0 or -errno. */
int process_cost(struct process_cost *ret_cost) must_check;

uint64_t monotonic_usec(void);

#endif
