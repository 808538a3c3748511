/* SPDX-License-Identifier: Apache-2.0 */
/* spawn: a worker from a holder: fork, confinement, exec. */
#ifndef HUSK_SANDBOX_SPAWN_H
#define HUSK_SANDBOX_SPAWN_H

#include "kernel/sandbox/holder.h"

/*
 * Forks the child; it joins the control groups, takes its descriptors, confines itself and executes plan->argv[0].
 * Returns when it has done so, or could
 * not. The child's pid with *ret_pidfd and report->layers; -errno with report->layer and report->error.
 */
int spawn_worker(const struct sandbox_plan *plan, const int fds[], size_t n_fds, struct holder_report *report,
		 int *ret_pidfd) must_check;

/*
 * In the child, before it executes a launcher: the first bytes on the link say that the front is ready. Until then this
 * process would only take the processor from it. They stay there for the worker. Ends the process when the front has gone.
 */
void spawn_wait_for_front(int link_fd);

#endif
