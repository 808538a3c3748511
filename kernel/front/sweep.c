/* SPDX-License-Identifier: Apache-2.0 */
/* sweep: ends whatever a worker has left running. */
#include "kernel/front/sweep.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "kernel/sandbox/processes.h"
#include "kernel/sandbox/sandbox.h"

/* The front is the subreaper: what is below it hangs on a child of its own. */
static bool has_children(void)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		continue;
	return pid == 0 || errno != ECHILD;
}

/* No word of warning there: what a tenant has left behind has no claim to one, and pid 1 sees to the rest. */
static void start_inside(struct sweep *s, uint64_t now)
{
	s->emptied = sandbox_kill_all(s->sandbox) < 0;
	s->next = s->emptied ? now : now + SWEEP_SANDBOX_USEC;
}

void sweep_emptied(struct sweep *s)
{
	s->emptied = true;
	s->next = 0;
}

void sweep_start(struct sweep *s, struct sandbox *sandbox, uint64_t now)
{
	*s = (struct sweep){ .running = true, .sandbox = sandbox, .next = now };
	if (sandbox) {
		start_inside(s, now);
		return;
	}
	if (!has_children())
		return;
	(void)processes_signal(SIGTERM);
	s->next = now + SWEEP_TERM_USEC;
}

bool sweep_tick(struct sweep *s, uint64_t now)
{
	if (!s->running)
		return false;
	if (s->sandbox && !s->emptied && now < s->next)
		return false;
	if (!s->sandbox && has_children()) {
		if (now < s->next)
			return false;
		if (s->n_kills++ < SWEEP_KILLS) {
			(void)processes_signal(SIGKILL);
			s->next = now + SWEEP_KILL_USEC;
			return false;
		}
	}
	s->running = false;
	return true;
}

void sweep_wait(void)
{
	struct timespec wait = { 0, 5 * 1000 * 1000 };
	struct sweep s;
	sigset_t child;

	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	sweep_start(&s, NULL, clock_monotonic_usec());
	while (!sweep_tick(&s, clock_monotonic_usec()))
		(void)sigtimedwait(&child, NULL, &wait);
}
