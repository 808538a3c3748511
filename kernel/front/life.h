/* SPDX-License-Identifier: Apache-2.0 */
/* life: the worker's start and death, and the kernel's end. */
#ifndef HUSK_FRONT_LIFE_H
#define HUSK_FRONT_LIFE_H

#include "kernel/front/state.h"

int life_start_worker(struct front *f, struct error *err) must_check;
void life_confirm_start(struct front *f);    /* sends START: sockets and history are known now */
void life_reap(struct front *f);             /* SIGCHLD */
/* used: by all that it has waited for; NULL from the sandbox, which measures by itself */
void life_worker_exited(struct front *f, int status, const struct rusage *used);
bool life_pull_output(struct front *f); /* ring text, in order with the frames; true when there may be more */
void life_pull_pipes(struct front *f);
void life_start_tick(struct front *f, uint64_t now);
void life_condemn(struct front *f);          /* kills the worker; what has not begun waits for the next one */
void life_violation(struct front *f, const struct error *why);
void life_lane_closed(struct front *f, struct lane *lane); /* a thread of the worker closed its link */
void life_shutdown(struct front *f, int exit_code, bool restart);
void life_ending_tick(struct front *f, uint64_t now);
void life_replace_tick(struct front *f, uint64_t now); /* a new worker, once what the last one left has ended */
int life_attach(struct front *f, struct lane *lane, const char *kind) must_check;
void life_detach(struct front *f, struct lane *lane);

#endif
