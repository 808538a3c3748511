/* SPDX-License-Identifier: Apache-2.0 */
/* msgtype: the table of Jupyter message types (msgtype.def). */
#include "protocol/wire/msgtype.h"

#include "protocol/base/util.h"

/* Short words of the table; "none" is a reply that does not exist. */
enum {
	SHELL = MSGTYPE_FROM_SHELL,
	CONTROL = MSGTYPE_FROM_CONTROL,
	STDIN = MSGTYPE_FROM_STDIN,
	FRONT = MSGTYPE_FRONT,
	WORKER = MSGTYPE_WORKER,
	ABORTS = MSGTYPE_ABORTS,
	IOPUB = MSGTYPE_IOPUB,
	MSGTYPE_none = MSGTYPE_UNKNOWN,
};

static const struct msgtype_info infos[MSGTYPE_COUNT] = {
	[MSGTYPE_UNKNOWN] = { "unknown", 0, MSGTYPE_UNKNOWN, 0 },
#define MSGTYPE(name, from, reply, flags) \
	[MSGTYPE_##name] = { #name, (unsigned)(from), (enum msgtype)MSGTYPE_##reply, (unsigned)(flags) },
#include "protocol/wire/msgtype.def"
#undef MSGTYPE
};

static const unsigned char name_lengths[MSGTYPE_COUNT] = {
#define MSGTYPE(name, from, reply, flags) [MSGTYPE_##name] = sizeof(#name) - 1,
#include "protocol/wire/msgtype.def"
#undef MSGTYPE
};

const struct msgtype_info *msgtype_info(enum msgtype type)
{
	return &infos[(unsigned)type < MSGTYPE_COUNT ? type : MSGTYPE_UNKNOWN];
}

/* The table begins with what clients send most; comparing lengths first makes the search a walk over one cache line. */
enum msgtype msgtype_lookup(struct slice name)
{
	for (unsigned i = 1; i < MSGTYPE_COUNT; i++)
		if (name_lengths[i] == name.len && memcmp(infos[i].name, name.data, name.len) == 0)
			return (enum msgtype)i;
	return MSGTYPE_UNKNOWN;
}
