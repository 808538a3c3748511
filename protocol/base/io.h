/* SPDX-License-Identifier: Apache-2.0 */
/* io: reading and writing descriptors that block. Interrupted calls are made again. */
#ifndef HUSK_BASE_IO_H
#define HUSK_BASE_IO_H

#include <sys/types.h>

#include "protocol/base/buffer.h"
#include "protocol/base/slice.h"

/*
 * Appends what is there, up to 4096 bytes. Their number, 0 at the end, -EMSGSIZE when the buffer has no room for as
 * many, or -errno.
 */
ssize_t io_read(int fd, struct buffer *out) must_check;

/* All of it. 0 or -errno. */
int io_write_all(int fd, struct slice bytes) must_check;

#endif
