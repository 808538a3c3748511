/* SPDX-License-Identifier: Apache-2.0 */
/* pack: Python objects to msgpack and back, with bounded depth. */
#ifndef HUSK_WORKER_PACK_H
#define HUSK_WORKER_PACK_H

#include "kernel/worker/pyapi.h"
#include "protocol/base/buffer.h"
#include "protocol/base/msgpack.h"

/* Appends value. -1 with TypeError, ValueError (nested deeper than MSGPACK_MAX_DEPTH) or OverflowError set. */
int pack_encode(struct buffer *out, PyObject *value) must_check;

/* The next value as a new reference; str is decoded with replacement. NULL with ValueError set when it is not msgpack. */
PyObject *pack_decode(struct msgpack_reader *r) must_check;

/* UTF-8 of a str in *ret_text; lone surrogates become U+FFFD. The bytes live in text itself or in *ret_owner, a new
 * reference or NULL. -1 with an exception set. */
int pack_utf8(PyObject *text, struct slice *ret_text, PyObject **ret_owner) must_check;

#endif
