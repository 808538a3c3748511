/* SPDX-License-Identifier: Apache-2.0 */
/*
 * comm-routes: which shell answers belong to (wire.md 7.15). A comm may be used in another shell than the one that a client
 * answers to; an answer goes to the shell that has asked last, or to the one whose question it names.
 *
 * A bounded memory of hashes: what is forgotten, or hit by a collision, goes where the client has sent it, or to another
 * shell of the same kernel.
 */
#ifndef HUSK_FRONT_COMM_ROUTES_H
#define HUSK_FRONT_COMM_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/slice.h"

#define COMM_ROUTES_MAX 4096u /* a power of two */
#define COMM_ROUTES_WAYS 4u

struct comm_routes {
	struct comm_route {
		uint64_t key; /* 0: free */
		uint32_t shell;
		uint32_t noted; /* when, counted in notes */
	} *slots; /* NULL before the first note */
	uint32_t n_notes;
};

/* The worker has published comm_open or comm_msg with that content for a request of that shell. */
void comm_routes_note(struct comm_routes *t, struct slice content, uint32_t shell);
/* It has published comm_close. */
void comm_routes_forget(struct comm_routes *t, struct slice content);
/* Where a comm_msg or comm_close of a client belongs. A question is answered once. False: nobody has asked. */
bool comm_routes_take(struct comm_routes *t, struct slice content, uint32_t *ret_shell);
void comm_routes_deinit(struct comm_routes *t);

#endif
