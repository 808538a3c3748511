/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-message: any message, as it is and with the right signature; what is accepted builds to the same signed bytes. */
#include "protocol/wire/message.h"
#include "tests/fuzz/fuzz.h"

static struct sign_key *key;
static struct slice parts[64];

static void check_accepted(const struct message *m)
{
	_cleanup_(buffer_deinitp) struct buffer scratch = BUFFER_INIT(0);
	struct slice built[MESSAGE_PARTS];

	CHECK(message_build(&scratch, key, m->frames.json[0], m->frames.json[1], m->frames.json[2], m->frames.json[3],
	    built) == 0);
	CHECK(slice_equal(built[1], m->frames.signature));
	for (size_t i = 0; i < FRAMES_JSON_COUNT; i++)
		CHECK(slice_equal(built[2 + i], m->frames.json[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n = fuzz_split(data, size, parts, ARRAY_SIZE(parts));
	char signature[SIGN_HEX_MAX];
	struct message m;
	struct frames f;

	if (!key)
		CHECK(sign_key_new(SLICE_NULL, SLICE_LIT("secret"), &key, NULL) == 0);
	if (message_parse(parts, n, key, NULL, &m, NULL) == 0)
		check_accepted(&m);
	if (frames_split(parts, n, &f))
		return 0;
	parts[f.n_identities + 1] = slice_from(signature, sign_make(key, f.json, FRAMES_JSON_COUNT, signature));
	if (message_parse(parts, n, key, NULL, &m, NULL) == 0)
		check_accepted(&m);
	return 0;
}
