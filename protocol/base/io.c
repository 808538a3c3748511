/* SPDX-License-Identifier: Apache-2.0 */
/* io: reading and writing descriptors that block. */
#include "protocol/base/io.h"

#include <errno.h>
#include <unistd.h>

#define PIECE 4096

ssize_t io_read(int fd, struct buffer *out)
{
	ssize_t n;

	if (buffer_reserve(out, PIECE) < 0)
		return -EMSGSIZE;
	do
		n = read(fd, out->data + out->len, PIECE);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	out->len += (size_t)n;
	return n;
}

int io_write_all(int fd, struct slice bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.data, bytes.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes = slice_from(bytes.data + n, bytes.len - (size_t)n);
	}
	return 0;
}
