/* SPDX-License-Identifier: Apache-2.0 */
/* worker: starting, signalling and burying the process that runs Python. One interface for every way to start one. */
#ifndef HUSK_FRONT_WORKER_H
#define HUSK_FRONT_WORKER_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "protocol/base/error.h"

/* How a worker is made. Today it is executed; a holder or a zygote hands over the same three things later. */
struct worker_source {
	const char *launcher; /* path of husk-worker */
	const char *python;   /* --python, or NULL */
	const char *cwd;      /* NULL: the front's */
	struct rlimit data;   /* its RLIMIT_DATA: the front's own limit is not for Python */
};

struct worker {
	pid_t pid;    /* 0: none */
	int link_fd;  /* front's end; owned until taken */
	int doorbell; /* eventfd */
	int pipes[2]; /* read ends, non-blocking */
	int exit_status; /* wait status once dead */
};

#define WORKER_NONE ((struct worker){ .link_fd = -1, .doorbell = -1, .pipes = { -1, -1 } })

/* First half: descriptors, so that the ring can be made from the pipes. Second half: the process. */
int worker_prepare(struct worker *w, int ret_child_fds[2], struct error *err) must_check;
int worker_start(struct worker *w, const struct worker_source *source, int ring_fd, const int child_fds[2],
    struct error *err) must_check; /* it begins when something has been written to its link */

/* How long this process wants to run at a time (sched(7): Linux 6.12 and later take it from sched_runtime, others ignore it);
 * 0: as is usual, which every worker gets. Failure costs latency alone. */
void worker_set_slice(uint64_t nsec);

void worker_close(struct worker *w); /* closes descriptors; the process must be gone */
void worker_kill(const struct worker *w);

/* Stage 1 and 2 of an interrupt: the reserved signal to the main thread (specs/link.md 5). */
void worker_signal(const struct worker *w);

/* "signal 11 (SIGSEGV)" or "exit code 3". */
void worker_describe_status(int wait_status, char *ret_text, size_t size);

#endif
