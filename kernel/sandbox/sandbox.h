/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox: one kernel's sandbox, as its front has it.
 *
 * Order: sandbox_new() before the front reads its key; sandbox_seal() and sandbox_leave_root() before the front serves
 * anybody; sandbox_free() at the end, which leaves nothing.
 */
#ifndef HUSK_SANDBOX_SANDBOX_H
#define HUSK_SANDBOX_SANDBOX_H

#include <stdint.h>

#include "kernel/sandbox/environment.h"
#include "kernel/sandbox/holder.h"
#include "kernel/sandbox/measure.h"
#include "kernel/sandbox/profile.h"
#include "kernel/sandbox/usage.h"

struct sandbox;

/*
 * Makes the sandbox at the profile's level, or the next lower one that can be had, down to its minimum; returns when it
 * stands. environment: what runs in it, which may still be looked for; its descriptors stay open until the end.
 * n_worker_fds: how many sandbox_spawn() will pass; link_fd: the one of them on which a worker waits for its first byte.
 * Forks the keeper.
 */
int sandbox_new(const struct profile *profile, struct environment *environment, int n_worker_fds, int link_fd,
		struct sandbox **ret, struct error *err) must_check;
/* Ends everything in it and waits, up to 3 s, until it is cleared away. */
struct sandbox *sandbox_free(struct sandbox *s);

/*
 * Tries a level by doing all of it, up to a child that has confined itself, and takes it away again. For a process that has
 * no sandbox.
 */
struct sandbox_trial {
	int result;      /* 0 or -errno with error */
	uint32_t layers; /* that were done */
	int failed;      /* the layer that was not, -1: none, or it was none of them */
	struct error error;
};
void sandbox_try(const struct profile *profile, struct environment *environment, enum sandbox_level level,
		 int n_worker_fds, int link_fd, struct sandbox_trial *ret);

int sandbox_fd(const struct sandbox *s); /* readable: there is an event */
/* 1 with the next report and a descriptor (or -1) that is the caller's; 0: none now; -EPIPE: the sandbox has ended. */
int sandbox_receive(struct sandbox *s, struct holder_report *ret, int *ret_fd) must_check;

/*
 * A worker with these descriptors from 0 on (the sandbox adds those of the environment). Answered by reports with its
 * serial.
 */
int sandbox_spawn(struct sandbox *s, const int fds[], size_t n_fds, uint32_t *ret_serial) must_check;
int sandbox_kill_all(struct sandbox *s);                      /* everything but pid 1; answered by EMPTY */
int sandbox_signal(struct sandbox *s, int number) must_check; /* to the worker's main thread; not answered */
int sandbox_end_others(struct sandbox *s, uint64_t since) must_check; /* what has begun then or later, but for the worker; not answered */

int sandbox_remove_at_end(struct sandbox *s,
			  const char *path) must_check; /* a file that the front could no longer remove */
int sandbox_seal(struct sandbox *s) must_check;
int sandbox_leave_root(struct sandbox *s, struct error *err) must_check; /* nothing to do for an ordinary user */

/* The tenants' filter of system calls for the front itself: who takes it over gets no further than a tenant. */
int sandbox_confine_front(const struct sandbox *s, struct error *err) must_check;

enum sandbox_level sandbox_get_level(const struct sandbox *s);
const char *sandbox_why_not(const struct sandbox *s); /* the sentence why it is not the profile's; "" when it is */
uint32_t sandbox_get_layers(const struct sandbox *s); /* of the holder, then of the last worker too */
int sandbox_read_usage(struct sandbox *s, struct usage *usage) must_check;
int sandbox_read_others(const struct sandbox *s, uint64_t since, struct usage_others *ret) must_check; /* beside the last worker */
struct cgroup *sandbox_cgroup(const struct sandbox *s); /* borrowed; NULL: none */

/*
 * A workspace that is a directory of the host is measured on demand, one time after the other: measure_fd becomes
 * readable, take is 1 with the answer, 0 when there is none, -EPIPE when the keeper has gone.
 */
bool sandbox_is_on_disk(const struct sandbox *s);
bool sandbox_can_measure(const struct sandbox *s); /* it is on disk, and there is a limit */
int sandbox_measure(struct sandbox *s) must_check;
int sandbox_measure_fd(const struct sandbox *s);
int sandbox_measure_take(struct sandbox *s, struct measure_answer *ret) must_check;

const char *sandbox_package_prefix(const struct sandbox *s); /* where a session may install packages, as seen inside */
int sandbox_workspace_fd(const struct sandbox *s);           /* borrowed, -1: none */
const char *sandbox_workspace_name(const struct sandbox *s); /* as the tenant sees it */
/* Files for output that is left out, HOLDER_OUTPUTS of the workspace; borrowed. 0: the front can make them itself, or there are none. */
size_t sandbox_outputs(const struct sandbox *s, const int **ret_fds);

#endif
