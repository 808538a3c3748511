/* SPDX-License-Identifier: Apache-2.0 */
/* frames: the multipart shape of a Jupyter message (specs/wire.md 2). */
#include "protocol/wire/frames.h"

/* All frames together; SIZE_MAX when the sum does not fit. */
static size_t total_bytes(const struct slice *parts, size_t n_parts)
{
	size_t total = 0;

	for (size_t i = 0; i < n_parts; i++)
		if (__builtin_add_overflow(total, parts[i].len, &total))
			return SIZE_MAX;
	return total;
}

static size_t find_delimiter(const struct slice *parts, size_t n_parts)
{
	size_t i = 0;

	while (i < n_parts && !slice_equal(parts[i], SLICE_LIT(FRAMES_DELIMITER)))
		i++;
	return i;
}

int frames_split(const struct slice *parts, size_t n_parts, struct frames *ret)
{
	const struct slice *json;
	size_t delimiter;

	if (n_parts > FRAMES_MAX)
		return FRAMES_E_TOO_MANY;
	if (total_bytes(parts, n_parts) > FRAMES_MAX_BYTES)
		return FRAMES_E_TOO_LARGE;
	delimiter = find_delimiter(parts, n_parts);
	if (delimiter == n_parts)
		return FRAMES_E_NO_DELIMITER;
	if (delimiter > FRAMES_MAX_IDENTITIES)
		return FRAMES_E_TOO_MANY;
	if (n_parts - delimiter < 2 + FRAMES_JSON_COUNT)
		return FRAMES_E_TOO_FEW;
	json = parts + delimiter + 2;
	for (size_t i = 0; i < FRAMES_JSON_COUNT; i++)
		if (json[i].len > FRAMES_MAX_JSON)
			return FRAMES_E_TOO_LARGE;
	*ret = (struct frames){
		.identities = parts,
		.n_identities = delimiter,
		.signature = parts[delimiter + 1],
		.json = { json[0], json[1], json[2], json[3] },
		.buffers = json + FRAMES_JSON_COUNT,
		.n_buffers = n_parts - delimiter - 2 - FRAMES_JSON_COUNT,
	};
	return 0;
}

const char *frames_strerror(int reason)
{
	switch (reason) {
	case FRAMES_E_NO_DELIMITER:
		return "no frame is the delimiter " FRAMES_DELIMITER;
	case FRAMES_E_TOO_FEW:
		return "fewer than five frames follow the delimiter";
	case FRAMES_E_TOO_MANY:
		return "more frames or identities than a message may have";
	case FRAMES_E_TOO_LARGE:
		return "larger than a message or one of its JSON frames may be";
	default:
		return "unknown reason";
	}
}
