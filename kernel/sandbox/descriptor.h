/* SPDX-License-Identifier: Apache-2.0 */
/* descriptor: messages with descriptors over unix sockets (unix(7), SCM_RIGHTS). */
#ifndef HUSK_SANDBOX_DESCRIPTOR_H
#define HUSK_SANDBOX_DESCRIPTOR_H

#include <stddef.h>
#include <sys/types.h>

#include "protocol/base/util.h"

#define DESCRIPTOR_MAX 16 /* with one message */

/* One message with n descriptors, which stay the caller's. flags: of send(2). 0 or -errno. */
int descriptor_send_message(int socket, const void *data, size_t len, const int fds[], size_t n, int flags) must_check;
/* One message of at most len bytes and the descriptors that came with it, close-on-exec; *ret_n of them. Its length or -errno. */
ssize_t descriptor_receive_message(int socket, void *data, size_t len, int fds[DESCRIPTOR_MAX], size_t *ret_n,
				   int flags) must_check;

/* A single descriptor with one byte. */
int descriptor_send(int socket, int fd) must_check;
int descriptor_receive(int socket) must_check; /* the descriptor or -errno */

#endif
