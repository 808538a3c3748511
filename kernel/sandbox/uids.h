/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uids: three consecutive user ids of the host for one sandbox that root starts: its front, its holder, its tenant
 * (and group ids of the same numbers). They are leased: a lock on a file that all kernels of the machine share covers
 * just these numbers, so leases of different ranges cannot overlap either. It lasts until the last copy of its
 * descriptor is closed, wherever fork and SCM_RIGHTS have taken it.
 */
#ifndef HUSK_SANDBOX_UIDS_H
#define HUSK_SANDBOX_UIDS_H

#include <sys/types.h>

#include "protocol/base/error.h"

#define UIDS_PER_LEASE 3
#define UIDS_MAX_LEASES 21845 /* of a range, which may be larger: the rest is left alone */

/*
 * The range that is used when neither "husk" nor "root" has one in /etc/subuid: above those that systemd gives to
 * containers.
 */
#define UIDS_DEFAULT_FIRST 1879048192u
#define UIDS_DEFAULT_COUNT ((unsigned)UIDS_MAX_LEASES * UIDS_PER_LEASE)

struct uids_range {
	uid_t first;
	unsigned count;
};

struct uids {
	uid_t front;
	uid_t holder;
	uid_t tenant;
	int lock_fd; /* whoever cleans up keeps it; a front that gives up root closes its copy: it could lock others' numbers */
};

/*
 * The text of an /etc/subuid: the first line for "husk", else for "root", that holds a lease; else the default. Pure.
 */
struct uids_range uids_parse_subuid(const char *text);

/*
 * directory: where the locks are, NULL for /run/husk/uids; made, and refused when it is not ours alone. range: NULL
 * for that of /etc/subuid. Numbers that a user or group of the machine has are passed over; that nobody has them is
 * remembered in the file of the locks for an hour. -EAGAIN when all are leased, -EINVAL when the range is not mapped in
 * this process' user namespace.
 */
int uids_lease(const char *directory, const struct uids_range *range, struct uids *ret, struct error *err) must_check;
void uids_release(struct uids *uids);

#endif
