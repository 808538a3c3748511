/* SPDX-License-Identifier: Apache-2.0 */
/* test-disk: when a workspace is measured, and what the answer says (specs/limits.md 9). */
#include "tests/unit/test.h"

#include "kernel/front/disk.h"

#define SEC USEC_PER_SEC
#define MSEC USEC_PER_MSEC
#define START (1000 * SEC)
#define MIB ((uint64_t)1 << 20)

static struct disk disk_with(uint64_t bytes, uint64_t files)
{
	struct limits limits = LIMITS_UNLIMITED;
	struct disk d;

	limits.value[LIMIT_disk] = bytes;
	limits.value[LIMIT_disk_files] = files;
	disk_init(&d, &limits, true);
	return d;
}

static struct cause cause;

/* Asks, and has the answer after that time. */
static enum disk_answer look(struct disk *d, uint64_t bytes, uint64_t files, uint64_t *now, uint64_t cost)
{
	struct tree_size size = {.bytes = bytes, .files = files};

	disk_asked(d, *now);
	assert_int_equal(d->look_at, USEC_NEVER);
	*now += cost;
	cause = (struct cause){0};
	return disk_answered(d, &size, *now, &cause);
}

static void test_what_is_not_watched_is_never_due(void **state)
{
	struct limits limits = limits_default();
	struct disk d;

	(void)state;
	disk_init(&d, &limits, false);
	disk_turn_begins(&d, START);
	assert_int_equal(d.look_at, USEC_NEVER);
	disk_turn_ends(&d, START + SEC);
	assert_int_equal(d.look_at, USEC_NEVER);
}

static void test_looks_cost_a_share_of_the_time(void **state)
{
	struct disk d = disk_with(1024 * MIB, LIMITS_NONE);
	uint64_t now = START;

	(void)state;
	assert_int_equal(d.look_at, 0);
	(void)look(&d, MIB, 10, &now, MSEC);
	disk_turn_begins(&d, now);
	assert_int_equal(d.look_at, now + DISK_LOOK_USEC);
	now = d.look_at;
	(void)look(&d, MIB, 10, &now, MSEC);
	assert_int_equal(d.look_at, now + DISK_LOOK_USEC);
	now = d.look_at;
	(void)look(&d, MIB, 10, &now, 100 * MSEC);
	assert_int_equal(d.look_at, now + 2 * SEC);
	now = d.look_at;
	(void)look(&d, 500 * MIB, 10, &now, 100 * MSEC); /* at this rate the limit is near */
	assert_int_equal(d.look_at, now + 400 * MSEC);
	now = d.look_at;
	(void)look(&d, 501 * MIB, 10, &now, MSEC);
	assert_int_equal(d.look_at, now + DISK_LOOK_USEC);
	disk_turn_ends(&d, now);
	assert_int_equal(d.look_at, now - MSEC + DISK_LOOK_NEAR_USEC);
}

static void test_between_turns_looks_become_rare(void **state)
{
	struct disk d = disk_with(1024 * MIB, LIMITS_NONE);
	uint64_t now = START;

	(void)state;
	(void)look(&d, MIB, 10, &now, 0);
	disk_turn_begins(&d, now);
	disk_turn_ends(&d, now + SEC);
	now = d.look_at;
	for (uint64_t pause = 2; pause <= 64; pause *= 2) {
		(void)look(&d, MIB, 10, &now, 0);
		assert_int_equal(d.look_at, now + MIN(pause, 32) * SEC);
		now = d.look_at;
	}
	(void)look(&d, 2 * MIB, 10, &now, 0);
	assert_int_equal(d.look_at, now + SEC);
	now = d.look_at;
	(void)look(&d, 2 * MIB, 10, &now, SEC);
	assert_int_equal(d.look_at, now + 100 * SEC);
}

static void test_a_turn_ends_beyond_the_limit(void **state)
{
	struct disk d = disk_with(100 * MIB, 1000);
	uint64_t now = START;

	(void)state;
	(void)look(&d, MIB, 10, &now, 0);
	disk_turn_begins(&d, now);
	assert_int_equal(look(&d, 100 * MIB, 1000, &now, 0), DISK_FINE);
	assert_int_equal(look(&d, 100 * MIB + 1, 1000, &now, 0), DISK_TURNS_END);
	assert_int_equal(cause.reason, RING_REASON_DISK);
	assert_int_equal(cause.limit, 100 * MIB);
	assert_int_equal(cause.used, 100 * MIB + 1);
	assert_int_equal(look(&d, MIB, 1001, &now, 0), DISK_TURNS_END);
	assert_int_equal(cause.reason, RING_REASON_DISK_FILES);
	assert_int_equal(cause.limit, 1000);
	assert_int_equal(cause.used, 1001);
}

static void test_a_turn_that_began_above_may_add_a_little(void **state)
{
	struct disk d = disk_with(100 * MIB, 1000);
	uint64_t now = START;

	(void)state;
	(void)look(&d, 200 * MIB, 2000, &now, 0);
	disk_turn_begins(&d, now + SEC);
	assert_int_equal(d.look_at, now + SEC);
	assert_int_equal(look(&d, 200 * MIB + DISK_SLACK_BYTES, 2000 + DISK_SLACK_FILES, &now, 0), DISK_FINE);
	assert_int_equal(d.look_at, now + DISK_LOOK_NEAR_USEC);
	assert_int_equal(look(&d, 200 * MIB + DISK_SLACK_BYTES + 1, 2000, &now, 0), DISK_TURNS_END);
	assert_int_equal(look(&d, 200 * MIB, 2000 + DISK_SLACK_FILES + 1, &now, 0), DISK_TURNS_END);
	assert_int_equal(look(&d, 50 * MIB, 2000, &now, 0), DISK_FINE);
}

/* The answer that was asked for before the turn began says what there was. */
static void test_a_look_that_is_under_way_at_the_beginning(void **state)
{
	struct tree_size size = {.bytes = 200 * MIB};
	struct disk d = disk_with(100 * MIB, LIMITS_NONE);
	uint64_t now = START;

	(void)state;
	disk_asked(&d, now);
	disk_turn_begins(&d, now);
	assert_int_equal(d.look_at, USEC_NEVER);
	assert_int_equal(disk_answered(&d, &size, now, &cause), DISK_FINE);
	assert_int_equal(look(&d, 202 * MIB, 0, &now, 0), DISK_TURNS_END);
}

static void test_between_turns_it_is_warned_once(void **state)
{
	struct disk d = disk_with(100 * MIB, LIMITS_NONE);
	uint64_t now = START;

	(void)state;
	(void)look(&d, MIB, 0, &now, 0);
	disk_turn_begins(&d, now);
	disk_turn_ends(&d, now);
	assert_int_equal(look(&d, 90 * MIB, 0, &now, 0), DISK_FINE);
	assert_int_equal(look(&d, 110 * MIB, 0, &now, 0), DISK_FINE);
	assert_int_equal(look(&d, 111 * MIB, 0, &now, 0), DISK_FINE);
	assert_int_equal(look(&d, 112 * MIB, 0, &now, 0), DISK_ALL_ENDS);
	assert_int_equal(look(&d, 150 * MIB, 0, &now, 0), DISK_FINE);
	assert_int_equal(look(&d, 150 * MIB, 0, &now, 0), DISK_FINE);
}

static void test_what_is_hidden_is_too_much(void **state)
{
	struct tree_size size = {.bytes = MIB, .files = 10, .is_cut = true};
	struct disk d = disk_with(100 * MIB, 1000);
	uint64_t now = START;

	(void)state;
	(void)look(&d, MIB, 10, &now, 0);
	disk_turn_begins(&d, now);
	disk_asked(&d, now);
	assert_int_equal(disk_answered(&d, &size, now, &cause), DISK_TURNS_END);
	assert_int_equal(cause.reason, RING_REASON_DISK_FILES);
	d = disk_with(100 * MIB, LIMITS_NONE);
	(void)look(&d, MIB, 10, &now, 0);
	disk_turn_begins(&d, now);
	disk_asked(&d, now);
	assert_int_equal(disk_answered(&d, &size, now, &cause), DISK_TURNS_END);
	assert_int_equal(cause.reason, RING_REASON_DISK);
	disk_turn_ends(&d, now);
	disk_turn_begins(&d, now); /* it was hidden before: it may go on, and add a little */
	disk_asked(&d, now);
	assert_int_equal(disk_answered(&d, &size, now, &cause), DISK_FINE);
	disk_asked(&d, now);
	assert_int_equal(disk_answered(&d, &size, now + DISK_HIDDEN_USEC, &cause), DISK_TURNS_END);
	disk_turn_ends(&d, now); /* between turns it does no more harm */
	disk_asked(&d, now);
	assert_int_equal(disk_answered(&d, &size, now, &cause), DISK_FINE);
	disk_asked(&d, now);
	assert_int_equal(disk_answered(&d, &size, now, &cause), DISK_FINE);
}

static void test_what_cannot_be_measured_is_asked_again(void **state)
{
	struct disk d = disk_with(100 * MIB, 1000);

	(void)state;
	disk_turn_begins(&d, START);
	disk_asked(&d, START);
	assert_int_equal(disk_answered(&d, NULL, START + MSEC, &cause), DISK_FINE);
	assert_false(d.is_known);
	assert_int_equal(d.look_at, START + MSEC + DISK_LOOK_USEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_not_watched_is_never_due),
	    cmocka_unit_test(test_looks_cost_a_share_of_the_time),
	    cmocka_unit_test(test_between_turns_looks_become_rare),
	    cmocka_unit_test(test_a_turn_ends_beyond_the_limit),
	    cmocka_unit_test(test_a_turn_that_began_above_may_add_a_little),
	    cmocka_unit_test(test_a_look_that_is_under_way_at_the_beginning),
	    cmocka_unit_test(test_between_turns_it_is_warned_once),
	    cmocka_unit_test(test_what_is_hidden_is_too_much),
	    cmocka_unit_test(test_what_cannot_be_measured_is_asked_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
