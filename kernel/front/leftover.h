/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leftover: what is left out of a turn's output: its last part is kept for the client, all of it goes into a file of the workspace
 * (specs/limits.md 6). The workspace is the tenant's: nothing in it is followed or trusted.
 */
#ifndef HUSK_FRONT_LEFTOVER_H
#define HUSK_FRONT_LEFTOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/buffer.h"
#include "protocol/base/slice.h"

#define LEFTOVER_MAX_PIECES 32u
#define LEFTOVER_MAX_FILES 8u /* of one kernel; the oldest is removed first */

struct leftover;

/* Where the files of one kernel are. */
struct leftover_place {
	int workspace_fd;  /* borrowed; a directory in which this process may make ".husk"; -1: no files */
	const char *name;  /* of the workspace, as the tenant sees it */
	const int *files;  /* borrowed: files that are there already, ".husk/output-1.txt" and so on, used in turn; then none are made */
	size_t n_files;
	size_t n_used;
	uint32_t turns[LEFTOVER_MAX_FILES]; /* of those that were made */
	unsigned n;
};

/* tail_bytes, n_pieces: how much of the end is kept, in how many pieces (each of one stream). */
int leftover_new(struct leftover_place *place, uint32_t turn, size_t tail_bytes, unsigned n_pieces, struct leftover **ret) must_check;
struct leftover *leftover_free(struct leftover *l);

void leftover_text(struct leftover *l, uint32_t stream, struct slice text);
/* A message that is not published: counted, and a line of JSON in the file. */
void leftover_message(struct leftover *l, const char *msg_type, struct slice content);

/* One that was not even read. */
void leftover_unread(struct leftover *l);

/* Something is missing between what was published and the tail. */
bool leftover_has_gap(const struct leftover *l);
size_t leftover_tail_bytes(const struct leftover *l);
/* The tail, in order. False: there is no such piece. Valid until something is added. */
bool leftover_piece(const struct leftover *l, unsigned i, uint32_t *ret_stream, struct slice *ret_text);
/* One sentence, with a newline before and after it: how much is missing between what was published and the tail, and where it is. */
void leftover_describe(const struct leftover *l, struct buffer *out);

#endif
