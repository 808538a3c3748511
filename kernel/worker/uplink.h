/* SPDX-License-Identifier: Apache-2.0 */
/* uplink: frames to the front without Python, for the launcher and for the core before and beside the interpreter. */
#ifndef HUSK_WORKER_UPLINK_H
#define HUSK_WORKER_UPLINK_H

#include "protocol/base/slice.h"
#include "protocol/base/util.h"

/* Why a worker cannot serve (FATAL, specs/link.md 3). */
#define UPLINK_PYTHON_MISSING "python-missing"
#define UPLINK_PYTHON_UNSUPPORTED "python-unsupported"
#define UPLINK_INTERNAL "internal"

/* Sends what fits without waiting and takes it off *bytes. 0 when nothing is left, -EAGAIN, or -errno. */
int uplink_send_now(int fd, struct slice *bytes) must_check;

/* Sends all bytes. Signals do not end it: half a frame would put the link out of step. 0 or -errno. */
int uplink_send(int fd, struct slice bytes) must_check;

/* FATAL on LINK_FD_SOCKET and the sentence on stderr. Returns the exit code, 1. */
int uplink_fatal(const char *code, const char *format, ...) printf_like(2, 3);

#endif
