/* SPDX-License-Identifier: Apache-2.0 */
/* test-sign: HMAC and the replay guard (specs/wire.md 3). */
#include "tests/unit/test.h"

#include "protocol/wire/sign.h"

static struct sign_key *new_key(const char *scheme, struct slice key)
{
	struct sign_key *k = NULL;
	struct error err;

	assert_int_equal(sign_key_new(slice_str(scheme), key, &k, &err), 0);
	return k;
}

/* RFC 4231 case 2, RFC 2202 case 2 for md5. */
static void test_published_vectors(void **state)
{
	static const struct {
		const char *scheme;
		const char *digest;
	} rows[] = {
		{ "hmac-sha256", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
		{ "", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
		{ "hmac-sha384", "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649" },
		{ "hmac-sha512", "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd"
		    "caeab1a34d4a6b4b636e070a38bce737" },
		{ "hmac-md5", "750c783e6ab0b503eaa86e310a5db738" },
	};
	static const struct slice parts[] = { SLICE_LIT("what do ya want "), SLICE_NULL, SLICE_LIT("for "),
		SLICE_LIT("nothing?") };
	char hex[SIGN_HEX_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(sign_key_freep) struct sign_key *k = new_key(rows[i].scheme, SLICE_LIT("Jefe"));

		/* Twice: a signature must not change the key's state. */
		for (int twice = 0; twice < 2; twice++) {
			size_t n = sign_make(k, parts, ARRAY_SIZE(parts), hex);

			assert_true(sign_is_enabled(k));
			assert_slice_is(slice_from(hex, n), rows[i].digest);
			assert_true(sign_verify(k, slice_from(hex, n), parts, ARRAY_SIZE(parts)));
		}
	}
}

static void test_keys_longer_than_a_block_are_hashed(void **state)
{
	char key[131], hex[SIGN_HEX_MAX];
	struct slice text = SLICE_LIT("Test Using Larger Than Block-Size Key - Hash Key First"); /* RFC 4231 case 6 */
	_cleanup_(sign_key_freep) struct sign_key *k = NULL;

	(void)state;
	memset(key, 0xaa, sizeof(key));
	k = new_key("hmac-sha256", slice_from(key, sizeof(key)));
	assert_slice_is(slice_from(hex, sign_make(k, &text, 1, hex)),
	    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void test_any_changed_or_missing_digit_is_wrong(void **state)
{
	_cleanup_(sign_key_freep) struct sign_key *k = new_key("", SLICE_LIT("key"));
	struct slice parts[] = { SLICE_LIT("{\"a\":1}"), SLICE_LIT("{}"), SLICE_LIT("{}"), SLICE_LIT("{}") };
	char hex[SIGN_HEX_MAX], upper[SIGN_HEX_MAX];
	size_t n = sign_make(k, parts, 4, hex);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		char right = hex[i];

		hex[i] = right == '0' ? '1' : '0';
		assert_row(i, !sign_verify(k, slice_from(hex, n), parts, 4));
		hex[i] = right;
		assert_row(i, !sign_verify(k, slice_from(hex, i), parts, 4));
		upper[i] = (char)(right >= 'a' ? right - 32 : right);
	}
	assert_true(sign_verify(k, slice_from(hex, n), parts, 4));
	assert_false(sign_verify(k, slice_from(upper, n), parts, 4));
	assert_false(sign_verify(k, SLICE_NULL, parts, 4));
	assert_false(sign_verify(k, slice_from(hex, SIGN_HEX_MAX), parts, 4));
	parts[0] = SLICE_LIT("{\"a\":2}");
	assert_false(sign_verify(k, slice_from(hex, n), parts, 4));
}

static void test_the_empty_key_signs_nothing_and_accepts_everything(void **state)
{
	_cleanup_(sign_key_freep) struct sign_key *k = new_key("hmac-sha512", SLICE_NULL);
	struct slice part = SLICE_LIT("x");
	char hex[SIGN_HEX_MAX];

	(void)state;
	assert_false(sign_is_enabled(k));
	assert_int_equal(sign_make(k, &part, 1, hex), 0);
	assert_true(sign_verify(k, SLICE_NULL, &part, 1));
	assert_true(sign_verify(k, SLICE_LIT("anything"), &part, 1));
}

static void test_bad_keys_are_refused_by_name(void **state)
{
	static const char *const schemes[] = { "hmac-sha1", "sha256", "HMAC-SHA256", "hmac-", "hmac-sha2567" };
	static const char long_key[SIGN_KEY_MAX + 1];
	struct sign_key *k = NULL;
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		assert_row(i, sign_key_new(slice_str(schemes[i]), SLICE_LIT("k"), &k, &err) == -EINVAL);
		assert_contains(err.text, schemes[i]);
		assert_contains(err.text, "hmac-sha384");
	}
	assert_int_equal(sign_key_new(SLICE_NULL, slice_from(long_key, sizeof(long_key)), &k, &err), -EINVAL);
	assert_contains(err.text, "1025");
	assert_null(k);
	assert_null(sign_key_free(NULL));
}

static struct slice numbered_signature(uint64_t n, char hex[65])
{
	uint64_t seed = n + 1, a = test_random(&seed), b = test_random(&seed);

	(void)snprintf(hex, 65, "%016llx%016llx%016llx%016llx", (unsigned long long)a, (unsigned long long)b,
	    (unsigned long long)n, (unsigned long long)(a ^ b));
	return slice_from(hex, 64);
}

static void test_what_was_seen_stays_seen_until_that_many_came(void **state)
{
	struct sign_replay *r = sign_replay_new();
	char hex[65];

	(void)state;
	assert_non_null(r);
	for (uint64_t i = 0; i < SIGN_REPLAY_MAX; i++)
		assert_row(i, !sign_replay_seen(r, numbered_signature(i, hex)));
	for (uint64_t i = 0; i < SIGN_REPLAY_MAX; i++)
		assert_row(i, sign_replay_seen(r, numbered_signature(i, hex)));
	/* Each new one pushes the oldest out. */
	for (uint64_t i = 0; i < 3 * SIGN_REPLAY_MAX; i++) {
		assert_row(i, !sign_replay_seen(r, numbered_signature(SIGN_REPLAY_MAX + i, hex)));
		assert_row(i, sign_replay_seen(r, numbered_signature(i + 1, hex)));
		assert_row(i, sign_replay_seen(r, numbered_signature(SIGN_REPLAY_MAX + i, hex)));
	}
	assert_false(sign_replay_seen(r, numbered_signature(5, hex)));
	assert_null(sign_replay_free(r));
}

/* Every hundredth has the same home slot, at the end of the table so that the run wraps and swallows others' homes. */
static struct slice colliding_signature(unsigned i, char hex[65])
{
	(void)snprintf(hex, 65, "%016llx%016x%032x", i % 100 == 0 ? 0x1fffeULL : (unsigned long long)i, i, 0);
	return slice_from(hex, 64);
}

static void test_removal_does_not_hide_colliding_signatures(void **state)
{
	struct sign_replay *r = sign_replay_new();
	char hex[65];

	(void)state;
	for (unsigned i = 0; i < 3 * SIGN_REPLAY_MAX; i++) {
		assert_row(i, !sign_replay_seen(r, colliding_signature(i, hex)));
		if (i >= SIGN_REPLAY_MAX)
			assert_row(i, sign_replay_seen(r, colliding_signature(i - SIGN_REPLAY_MAX + 1, hex)));
	}
	for (unsigned i = 2 * SIGN_REPLAY_MAX; i < 3 * SIGN_REPLAY_MAX; i++)
		assert_row(i, sign_replay_seen(r, colliding_signature(i, hex)));
	sign_replay_free(r);
}

static void test_the_guard_looks_at_content_not_at_form(void **state)
{
	static const struct slice odd[] = { SLICE_LIT("a"), SLICE_LIT("zz"), SLICE_LIT("\xff\xfe") };
	struct sign_replay *r = sign_replay_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		assert_row(i, !sign_replay_seen(r, odd[i]));
		assert_row(i, sign_replay_seen(r, odd[i]));
	}
	sign_replay_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published_vectors),
		cmocka_unit_test(test_keys_longer_than_a_block_are_hashed),
		cmocka_unit_test(test_any_changed_or_missing_digit_is_wrong),
		cmocka_unit_test(test_the_empty_key_signs_nothing_and_accepts_everything),
		cmocka_unit_test(test_bad_keys_are_refused_by_name),
		cmocka_unit_test(test_what_was_seen_stays_seen_until_that_many_came),
		cmocka_unit_test(test_removal_does_not_hide_colliding_signatures),
		cmocka_unit_test(test_the_guard_looks_at_content_not_at_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
