/* SPDX-License-Identifier: Apache-2.0 */
/* idmap: the ids of user namespaces (user_namespaces(7)). */
#ifndef HUSK_SANDBOX_IDMAP_H
#define HUSK_SANDBOX_IDMAP_H

#include <sys/types.h>

#include "protocol/base/error.h"

/* Writes one of /proc/PID/{uid_map,gid_map,setgroups}; pid 0: this process. 0 or -errno. */
int idmap_write(pid_t pid, const char *name, const char *text) must_check;

/*
 * An ordinary user in a new namespace maps the one id that it has, which it names as the host does; groups cannot be
 * set then. 0 or -errno.
 */
int idmap_write_own(uid_t inside_uid, uid_t uid, gid_t inside_gid, gid_t gid) must_check;

/*
 * A namespace that stands for one pair of ids, for id-mapped mounts (mount_setattr(2)). Files of uid and gid on the
 * file system are shown as those of id, and what id makes there is stored as theirs. A
 * descriptor of the namespace, which needs the rights to set such a map, or -errno.
 */
int idmap_open(uid_t uid, gid_t gid, uid_t id, struct error *err) must_check;

#endif
