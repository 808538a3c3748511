/* SPDX-License-Identifier: Apache-2.0 */
/* uplink: frames to the front without Python. */
#include "kernel/worker/uplink.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include "protocol/base/buffer.h"
#include "protocol/base/msgpack.h"
#include "protocol/link/link.h"

int uplink_send_now(int fd, struct slice *bytes)
{
	while (bytes->len > 0) {
		ssize_t n = send(fd, bytes->data, bytes->len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EINTR ? -EAGAIN : -errno;
		bytes->data += n;
		bytes->len -= (size_t)n;
	}
	return 0;
}

int uplink_send(int fd, struct slice bytes)
{
	for (;;) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
		int r = uplink_send_now(fd, &bytes);

		if (r != -EAGAIN)
			return r;
		if (poll(&poll_fd, 1, -1) < 0 && errno != EINTR)
			return -errno;
	}
}

static int send_fatal(const char *code, const char *sentence)
{
	_cleanup_(buffer_deinitp) struct buffer frame = BUFFER_INIT(4096);
	size_t begin = link_frame_begin(&frame);
	int r;

	msgpack_write_array(&frame, 2);
	msgpack_write_str(&frame, slice_str(code));
	msgpack_write_str(&frame, slice_str(sentence));
	r = link_frame_end(&frame, begin, LINK_FATAL, 0);
	return r < 0 ? r : uplink_send(LINK_FD_SOCKET, buffer_slice(&frame));
}

int uplink_fatal(const char *code, const char *format, ...)
{
	char sentence[1024];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	(void)fprintf(stderr, "husk-worker: %s\n", sentence);
	(void)fflush(stderr);
	if (send_fatal(code, sentence) < 0)
		return 1; /* without a link there is only stderr, which has been told */
	return 1;
}
