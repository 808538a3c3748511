/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holder: pid 1 of a sandbox. It builds the sandbox, then forks workers, reaps everything, and kills everything when
 * its owner says so or is gone. At
 * level "restricted" it is an ordinary process and the subreaper of what runs below it.
 *
 * Its owner speaks to it over a SOCK_SEQPACKET pair, the lifeline: one struct per message, descriptors ride with it.
 * The holder trusts its owner;
 * no tenant has an end of it.
 */
#ifndef HUSK_SANDBOX_HOLDER_H
#define HUSK_SANDBOX_HOLDER_H

#include <stdint.h>
#include <sys/resource.h>

#include "kernel/sandbox/plan.h"
#include "protocol/base/error.h"

#define HOLDER_MAX_FDS 16 /* of a worker: they become descriptors 0.. in their order */

/*
 * Files of the workspace into which the owner writes what is left out of a turn's output: its own ids are not known in the sandbox, so it
 * could not make them. Named HOLDER_OUTPUTS with a number from 1.
 */
#define HOLDER_MAX_OUTPUTS 4
#define HOLDER_OUTPUTS ".husk/output-%u.txt"

enum holder_order {
	HOLDER_SPAWN =
	    1,           /* n_fds descriptors ride with it; answered by SPAWNED or SPAWN_FAILED, in the end by EXITED */
	HOLDER_KILL_ALL, /* everything but the holder; answered by EMPTY when nothing is left */
	HOLDER_SIGNAL,   /* to the worker's main thread, for an owner that may not send it; not answered */
	HOLDER_END_OTHERS, /* everything but the holder and this worker that has begun at `since` or later; not answered */
};

struct holder_command {
	uint32_t order;
	uint32_t serial; /* of the worker */
	int32_t signal;
	uint64_t since; /* as processes_now() */
};

enum holder_event {
	HOLDER_READY = 1,    /* the sandbox stands; layers and level are set; a descriptor of its proc rides with it */
	HOLDER_FAILED,       /* it does not; error, layer; the holder ends */
	HOLDER_SPAWNED,      /* a pidfd rides with it; layers: all that hold for the worker */
	HOLDER_SPAWN_FAILED, /* error, layer */
	HOLDER_EXITED,       /* status, cpu */
	HOLDER_EMPTY,
	HOLDER_WORKSPACE, /* before READY, where the workspace lives and dies with the sandbox: descriptors of it and of its files for output */
	HOLDER_LISTENS, /* before READY: the socket of the network proxy rides with it */
};

struct holder_report {
	uint32_t event;
	uint32_t serial;
	uint32_t layers;
	uint32_t level;
	int32_t status; /* EXITED: wait status; SPAWNED: the worker's pid, as pid 1 sees it */
	int32_t layer;  /* that failed */
	struct error error;
};

/*
 * Runs in the process that becomes the holder; never returns. go_fd: one byte there says that the ids are mapped (-1:
 * maps them itself).
 */
_Noreturn void holder_main(struct sandbox_plan *plan, int lifeline, int go_fd);

#endif
