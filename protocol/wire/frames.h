/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames: the multipart shape of a Jupyter message (specs/wire.md 2; messaging.rst "The wire protocol"):
 * identities..., "<IDS|MSG>", signature, header, parent_header, metadata, content, buffers...
 */
#ifndef HUSK_WIRE_FRAMES_H
#define HUSK_WIRE_FRAMES_H

#include <stddef.h>

#include "protocol/base/slice.h"
#include "protocol/base/util.h"

#define FRAMES_DELIMITER "<IDS|MSG>"
#define FRAMES_MAX 1024           /* frames of one message, identities and buffers included */
#define FRAMES_MAX_IDENTITIES 16
#define FRAMES_MAX_BYTES ((size_t)512 << 20) /* all frames of one message together */
#define FRAMES_MAX_JSON ((size_t)64 << 20)   /* one JSON frame */

enum frames_json { FRAMES_HEADER, FRAMES_PARENT, FRAMES_METADATA, FRAMES_CONTENT, FRAMES_JSON_COUNT };

/* Positive results of frames_split(): why a message is refused. */
enum {
	FRAMES_E_NO_DELIMITER = 1,
	FRAMES_E_TOO_FEW,
	FRAMES_E_TOO_MANY,
	FRAMES_E_TOO_LARGE,
};

/* All slices are borrowed from the input frames. */
struct frames {
	const struct slice *identities;
	size_t n_identities;
	struct slice signature;
	struct slice json[FRAMES_JSON_COUNT];
	const struct slice *buffers;
	size_t n_buffers;
};

/* Pure. 0 or a positive FRAMES_E_*. ret is written only on success. */
int frames_split(const struct slice *parts, size_t n_parts, struct frames *ret) must_check;

const char *frames_strerror(int reason);

#endif
