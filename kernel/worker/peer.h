/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer: the worker's end of its links: whole frames in and out (specs/link.md 3), for Python. The GIL must be held; it
 * is released while a call waits.
 */
#ifndef HUSK_WORKER_PEER_H
#define HUSK_WORKER_PEER_H

#include "kernel/worker/pyapi.h"
#include "protocol/link/link.h"

#define PEER_MAX 64 /* links open at once: the front's, subshells, a debugger */

/* Makes the exception classes Closed and TooLarge. */
int peer_init(void) must_check;
PyObject *peer_closed_class(void);    /* borrowed */
PyObject *peer_too_large_class(void); /* borrowed; a ValueError */

/* The largest body of what is no output: frames other than DISPLAY and PUBLISH. Returns it; 0 leaves it as it is. */
size_t peer_limit(size_t bytes);

/* (type, fields, descriptors), or None when timeout_usec (USEC_NEVER: none) has passed or the descriptor "also" (-1:
 * none) is readable. NULL with Closed, ValueError (the other end broke the rules) or a handler's exception. */
PyObject *peer_recv(int fd, uint64_t timeout_usec, int also);

/* 1 when a frame or a part of one is here, 0 when not, -1 with an exception. */
int peer_pending(int fd);

/* Sends one frame of this type; fields is a tuple or list. TooLarge when it has more bytes than it may have. */
int peer_send(int fd, enum link_type type, PyObject *fields) must_check;

/* The same, but the frame may wait: it leaves with the next one that is sent here, before text is written to the ring, or
 * before peer_recv() waits. */
int peer_hold(int fd, enum link_type type, PyObject *fields) must_check;

/* Sends what is held on any link, so that text written next stands behind it. */
int peer_flush_held(void) must_check;

/* Forgets all read buffers and locks: for a forked process with links of its own. */
void peer_adopt(void);

#endif
