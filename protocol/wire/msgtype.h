/* SPDX-License-Identifier: Apache-2.0 */
/* msgtype: the table of Jupyter message types (msgtype.def). */
#ifndef HUSK_WIRE_MSGTYPE_H
#define HUSK_WIRE_MSGTYPE_H

#include "protocol/base/slice.h"

enum msgtype {
	MSGTYPE_UNKNOWN = 0, /* also "none" */
#define MSGTYPE(name, from, reply, flags) MSGTYPE_##name,
#include "protocol/wire/msgtype.def"
#undef MSGTYPE
	MSGTYPE_COUNT
};

enum { MSGTYPE_FROM_SHELL = 1, MSGTYPE_FROM_CONTROL = 2, MSGTYPE_FROM_STDIN = 4 };
enum { MSGTYPE_FRONT = 1, MSGTYPE_WORKER = 2, MSGTYPE_ABORTS = 4, MSGTYPE_IOPUB = 8 };

struct msgtype_info {
	const char *name;
	unsigned from;      /* MSGTYPE_FROM_* bits */
	enum msgtype reply; /* MSGTYPE_UNKNOWN: no reply */
	unsigned flags;     /* MSGTYPE_FRONT ... bits */
};

const struct msgtype_info *msgtype_info(enum msgtype type); /* never NULL; UNKNOWN has name "unknown" */
enum msgtype msgtype_lookup(struct slice name);            /* undecorated name, no quotes */

#endif
