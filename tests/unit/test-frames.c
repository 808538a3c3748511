/* SPDX-License-Identifier: Apache-2.0 */
/* test-frames: the multipart shape (specs/wire.md 2). */
#include "tests/unit/test.h"

#include "protocol/wire/frames.h"

/* Letters stand for frames: D delimiter, J "{}", e empty, any other letter itself. */
static size_t conversation(const char *letters, struct slice *parts)
{
	size_t n = 0;

	for (; letters[n]; n++) {
		if (letters[n] == 'D')
			parts[n] = SLICE_LIT(FRAMES_DELIMITER);
		else if (letters[n] == 'J')
			parts[n] = SLICE_LIT("{}");
		else if (letters[n] == 'e')
			parts[n] = SLICE_NULL;
		else
			parts[n] = slice_from(&letters[n], 1);
	}
	return n;
}

static void test_shapes(void **state)
{
	static const struct {
		const char *letters;
		int result;
		size_t n_identities;
		size_t n_buffers;
	} rows[] = {
		{ "DsJJJJ", 0, 0, 0 },
		{ "iDsJJJJ", 0, 1, 0 },
		{ "eDeJJJJ", 0, 1, 0 },
		{ "abcDsJJJJxyz", 0, 3, 3 },
		{ "iDDDDDDD", 0, 1, 1 }, /* only the first delimiter delimits */
		{ "aaaaaaaaaaaaaaaaDsJJJJ", 0, 16, 0 },
		{ "aaaaaaaaaaaaaaaaaDsJJJJ", FRAMES_E_TOO_MANY, 0, 0 },
		{ "", FRAMES_E_NO_DELIMITER, 0, 0 },
		{ "e", FRAMES_E_NO_DELIMITER, 0, 0 },
		{ "isJJJJ", FRAMES_E_NO_DELIMITER, 0, 0 },
		{ "D", FRAMES_E_TOO_FEW, 0, 0 },
		{ "iDsJJJ", FRAMES_E_TOO_FEW, 0, 0 },
		{ "JJJJDs", FRAMES_E_TOO_FEW, 0, 0 },
	};
	struct slice parts[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t n = conversation(rows[i].letters, parts);
		struct frames f;
		int r = frames_split(parts, n, &f);

		assert_row(i, r == rows[i].result);
		if (r)
			continue;
		assert_row(i, f.n_identities == rows[i].n_identities && f.identities == parts);
		assert_row(i, f.n_buffers == rows[i].n_buffers && f.buffers == parts + n - f.n_buffers);
		assert_row(i, f.signature.data == parts[f.n_identities + 1].data);
		for (size_t k = 0; k < FRAMES_JSON_COUNT; k++)
			assert_row(i, f.json[k].data == parts[f.n_identities + 2 + k].data);
	}
}

static void test_a_delimiter_must_be_the_whole_frame(void **state)
{
	struct slice parts[] = { SLICE_LIT("<IDS|MSG>x"), SLICE_LIT("<IDS|MSG"), SLICE_LIT("<ids|msg>"), SLICE_LIT("s"),
		SLICE_LIT("{}"), SLICE_LIT("{}"), SLICE_LIT("{}"), SLICE_LIT("{}") };
	struct frames f;

	(void)state;
	assert_int_equal(frames_split(parts, ARRAY_SIZE(parts), &f), FRAMES_E_NO_DELIMITER);
}

/* No byte of these frames is looked at, so they need not exist. */
static struct slice huge(size_t len)
{
	return slice_from("", len);
}

static void test_sizes_are_limited_before_anything_is_looked_at(void **state)
{
	struct slice parts[9];
	struct frames f;
	size_t n = conversation("DsJJJJbb", parts);

	(void)state;
	parts[5] = huge(FRAMES_MAX_JSON);
	assert_int_equal(frames_split(parts, n, &f), 0);
	parts[5] = huge(FRAMES_MAX_JSON + 1);
	assert_int_equal(frames_split(parts, n, &f), FRAMES_E_TOO_LARGE);
	parts[5] = SLICE_LIT("{}");
	parts[6] = huge(FRAMES_MAX_BYTES - 19);
	assert_int_equal(frames_split(parts, n, &f), 0);
	parts[6] = huge(FRAMES_MAX_BYTES - 18);
	assert_int_equal(frames_split(parts, n, &f), FRAMES_E_TOO_LARGE);
	parts[6] = huge(SIZE_MAX - 10);
	parts[7] = huge(SIZE_MAX - 10);
	assert_int_equal(frames_split(parts, n, &f), FRAMES_E_TOO_LARGE);
}

static void test_frames_are_counted_before_anything_is_looked_at(void **state)
{
	static struct slice parts[FRAMES_MAX + 1];
	struct frames f;

	(void)state;
	(void)conversation("DsJJJJ", parts);
	for (size_t i = 6; i < ARRAY_SIZE(parts); i++)
		parts[i] = SLICE_LIT("b");
	assert_int_equal(frames_split(parts, FRAMES_MAX, &f), 0);
	assert_int_equal(f.n_buffers, FRAMES_MAX - 6);
	assert_int_equal(frames_split(parts, FRAMES_MAX + 1, &f), FRAMES_E_TOO_MANY);
}

static void test_every_reason_has_words(void **state)
{
	(void)state;
	for (int r = FRAMES_E_NO_DELIMITER; r <= FRAMES_E_TOO_LARGE; r++)
		assert_string_not_equal(frames_strerror(r), frames_strerror(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_a_delimiter_must_be_the_whole_frame),
		cmocka_unit_test(test_sizes_are_limited_before_anything_is_looked_at),
		cmocka_unit_test(test_frames_are_counted_before_anything_is_looked_at),
		cmocka_unit_test(test_every_reason_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
