/* SPDX-License-Identifier: Apache-2.0 */
/* descriptor: messages with descriptors over unix sockets. */
#include "kernel/sandbox/descriptor.h"

#include <string.h>
#include <sys/socket.h>

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(DESCRIPTOR_MAX * sizeof(int))];
};

int descriptor_send_message(int socket, const void *data, size_t len, const int fds[], size_t n, int flags)
{
	struct iovec iov = {(void *)(uintptr_t)data, len};
	union control control = {0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n > DESCRIPTOR_MAX)
		return -EINVAL;
	if (n > 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(n * sizeof(int));
		CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, n * sizeof(int));
	}
	return sendmsg(socket, &m, flags | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

ssize_t descriptor_receive_message(int socket, void *data, size_t len, int fds[DESCRIPTOR_MAX], size_t *ret_n,
				   int flags)
{
	struct iovec iov = {data, len};
	union control control;
	struct msghdr m = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
	ssize_t n;

	do
		n = recvmsg(socket, &m, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	*ret_n = 0;
	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		*ret_n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), *ret_n * sizeof(int));
	}
	return n;
}

int descriptor_send(int socket, int fd)
{
	return descriptor_send_message(socket, "", 1, &fd, 1, 0);
}

int descriptor_receive(int socket)
{
	int fds[DESCRIPTOR_MAX];
	size_t n;
	char byte;
	ssize_t r = descriptor_receive_message(socket, &byte, 1, fds, &n, 0);

	for (size_t i = 1; i < n; i++)
		(void)close(fds[i]);
	if (r < 0)
		return (int)r;
	return n > 0 ? fds[0] : -EPIPE;
}
