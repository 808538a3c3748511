/* SPDX-License-Identifier: Apache-2.0 */
/* listen: the listening sockets of a kernel, tcp and ipc. */
#ifndef HUSK_FRONT_LISTEN_H
#define HUSK_FRONT_LISTEN_H

#include "protocol/base/error.h"
#include "protocol/wire/connection-file.h"

/* Binds one port of c and listens, non-blocking; a port that was 0 is chosen and written into c. ret_path: the socket file
 * to be removed at the end, "" for tcp. Returns the descriptor or -errno; err names endpoint and reason. */
int listen_open(struct connection *c, enum connection_port port, char *ret_path, size_t path_size, struct error *err)
    must_check;

/* Sets a fresh connection up. Returns the descriptor, -EAGAIN when nobody waits, or -errno. */
int listen_accept(int fd) must_check;

#endif
