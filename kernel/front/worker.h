/* SPDX-License-Identifier: Apache-2.0 */
/* worker: starting, signalling and burying the process that runs Python. One interface for every way to start one. */
#ifndef HUSK_FRONT_WORKER_H
#define HUSK_FRONT_WORKER_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "protocol/base/error.h"

struct sandbox;

/* How a worker is made: executed by the front itself, or in its sandbox by pid 1 there. */
struct worker_source {
	const char *launcher; /* path of husk-worker */
	const char *python;   /* --python, or NULL */
	const char *cwd;      /* NULL: the front's */
	struct rlimit data;   /* its RLIMIT_DATA: the front's own limit is not for Python */
	struct sandbox *sandbox; /* NULL: none */
	const struct limits *limits; /* of the front's own child: what the system can keep of them; NULL: none */
	bool sandbox_lost;    /* nothing runs in it any more, and nothing will */
};

struct worker {
	pid_t pid;    /* 0: none, WORKER_PID_UNKNOWN: the sandbox has not said it yet */
	int pidfd;    /* in a sandbox; -1: unknown */
	uint32_t serial; /* in a sandbox: what its reports are about */
	struct sandbox *sandbox; /* borrowed */
	int link_fd;  /* front's end; owned until taken */
	int doorbell; /* eventfd */
	int pipes[2]; /* read ends, non-blocking; open files of the front's alone */
	int exit_status; /* wait status once dead */
};

#define WORKER_NONE ((struct worker){ .pidfd = -1, .link_fd = -1, .doorbell = -1, .pipes = { -1, -1 } })
#define WORKER_PID_UNKNOWN (-1)

/* First half: descriptors, so that the ring can be made from the pipes. Second half: the process. */
#define WORKER_CHILD_FDS 4 /* the worker's ends of its pipes: both to write, both to read */
#define WORKER_NO_CHILD_FDS { -1, -1, -1, -1 }
int worker_prepare(struct worker *w, int ret_child_fds[WORKER_CHILD_FDS], struct error *err) must_check;
int worker_start(struct worker *w, const struct worker_source *source, int ring_fd, const int child_fds[WORKER_CHILD_FDS],
    struct error *err) must_check; /* it begins when something has been written to its link */

/* The sandbox has started it: takes a copy of the pidfd. -ESRCH when it is gone already. */
int worker_adopt(struct worker *w, int pidfd) must_check;

/* How long this process wants to run at a time (sched(7): Linux 6.12 and later take it from sched_runtime, others ignore it);
 * 0: as is usual, which every worker gets. Failure costs latency alone. */
void worker_set_slice(uint64_t nsec);

void worker_close(struct worker *w); /* closes descriptors; the process must be gone */
void worker_kill(const struct worker *w); /* in a sandbox: and everything else that runs there */

/* Stage 1 and 2 of an interrupt: the reserved signal to the main thread (specs/link.md 5). */
#define WORKER_INTERRUPT_SIGNAL (SIGRTMIN + 5)
void worker_signal(const struct worker *w);

/* "signal 11 (SIGSEGV)" or "exit code 3". */
void worker_describe_status(int wait_status, char *ret_text, size_t size);

#endif
