/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper: a small process between a stand-alone front and its sandbox. Forked before the front reads its key, it keeps
 * the rights
 * that the front gives up, makes holders, and when the front has gone, however it went, it clears away what would be
 * left.
 */
#ifndef HUSK_SANDBOX_KEEPER_H
#define HUSK_SANDBOX_KEEPER_H

#include <stdint.h>

#include "kernel/sandbox/plan.h"

#define KEEPER_MAX_FILES 16
#define KEEPER_MAX_PATH 512

enum keeper_order {
	KEEPER_MAKE = 1, /* a holder at that level; its end of a lifeline rides with it */
	KEEPER_REMOVE,   /* that file, at the end */
	KEEPER_PROXY,    /* the network proxy, on the socket that rides with it; answered by a struct error */
	KEEPER_SEAL, /* of all orders only the next one is taken from now on: the front is about to listen to others */
	KEEPER_MEASURE, /* the workspace, where that is a directory of the host; answered by a struct measure_answer */
};

struct keeper_command {
	uint32_t order;
	uint32_t level;
	char path[KEEPER_MAX_PATH];
};

/*
 * Runs in the process that becomes the keeper; never returns. control: its end of a SOCK_SEQPACKET pair. cgroup may be
 * NULL.
 */
_Noreturn void keeper_main(struct sandbox_plan *plan, int control, struct cgroup *cgroup);

#endif
