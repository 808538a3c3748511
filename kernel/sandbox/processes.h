/* SPDX-License-Identifier: Apache-2.0 */
/* processes: what runs below this process, in whatever session or group, as /proc tells it. */
#ifndef HUSK_SANDBOX_PROCESSES_H
#define HUSK_SANDBOX_PROCESSES_H

#include <sys/types.h>

#include "protocol/base/util.h"

#define PROCESSES_MAX 4096u /* more are not looked at: a fork bomb must not hold the front */

struct process {
	pid_t pid;
	pid_t parent;
	unsigned long long user;  /* ticks of processor time, its own */
	unsigned long long system;
	unsigned long long waited_user; /* and that of children that it has waited for */
	unsigned long long waited_system;
	unsigned long long start; /* ticks after the machine's start */
	unsigned flags;           /* of the kernel's; those and the state are of its first thread */
	unsigned threads;         /* with the first one, also when that has ended */
	char state;
};

int processes_read(pid_t pid, struct process *ret) must_check; /* -ESRCH when it is gone */
int processes_read_in(int proc_fd, pid_t pid, struct process *ret) must_check; /* the same of another proc */

typedef void processes_fn(const struct process *p, void *data);
unsigned processes_below(processes_fn *fn, void *data); /* calls fn for each; how many there were. Not this process itself. */
unsigned processes_tasks_of(uid_t uid); /* processes and threads of that user, on the whole machine */
unsigned processes_signal(int signal_number);           /* to all below; 0: only counts them */

unsigned long long processes_now(void); /* the start of a process that begins now */
/* SIGKILL to what has begun at that time or later, but for one: of what is below this process, or of what a proc shows, without its
 * pid 1. How many that were: those which are ending already are none of them. */
unsigned processes_end_below(pid_t keep, unsigned long long since);
unsigned processes_end_in(int proc_fd, pid_t keep, unsigned long long since);

#endif
