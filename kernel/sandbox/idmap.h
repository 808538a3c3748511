/* SPDX-License-Identifier: Apache-2.0 */
/* idmap: a user namespace that stands for one pair of ids, for id-mapped mounts (mount_setattr(2)). */
#ifndef HUSK_SANDBOX_IDMAP_H
#define HUSK_SANDBOX_IDMAP_H

#include <sys/types.h>

#include "protocol/base/error.h"

/*
 * Files of uid and gid on the file system are shown as those of id, and what id makes there is stored as theirs. A
 * descriptor of the namespace, which needs the rights to set such a map, or -errno.
 */
int idmap_open(uid_t uid, gid_t gid, uid_t id, struct error *err) must_check;

#endif
