/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk: when to have a workspace measured, and what the answer says.
 *
 * A look costs as much as the workspace has files, so the time to the next one grows with it; it is shorter when the
 * limit could be reached by then at the rate that was seen.
 */
#include "kernel/front/disk.h"

#include "protocol/base/util.h"

void disk_init(struct disk *d, const struct limits *limits, bool is_watched)
{
	*d = (struct disk){.is_watched = is_watched,
			   .limit_bytes = limits->value[LIMIT_disk],
			   .limit_files = limits->value[LIMIT_disk_files],
			   .look_at = is_watched ? 0 : USEC_NEVER,
			   .begins = true,
			   .idle_pause = DISK_LOOK_IDLE_USEC};
	d->most_bytes = d->limit_bytes;
	d->most_files = d->limit_files;
}

static bool is_beyond(const struct tree_size *size, uint64_t bytes, uint64_t files)
{
	return size->bytes > bytes || size->files > files;
}

/* From now on a little more than there is where that is above the limit: so that it can be tidied up. */
static void set_most(struct disk *d)
{
	bool many = d->size.files > d->limit_files || d->size.is_cut, much = d->size.bytes > d->limit_bytes;

	d->most_bytes = much ? d->size.bytes + DISK_SLACK_BYTES : d->limit_bytes;
	d->most_files = many ? d->size.files + DISK_SLACK_FILES : d->limit_files;
	d->was_cut = d->size.is_cut;
}

static bool is_above(const struct disk *d)
{
	return d->is_known && (d->size.is_cut || is_beyond(&d->size, d->limit_bytes, d->limit_files));
}

/* Turns may be many and short. */
static uint64_t soonest(const struct disk *d, uint64_t now)
{
	return MAX(now, d->asked_at + MAX(DISK_LOOK_NEAR_USEC, d->cost * DISK_SHARE_NEAR));
}

void disk_turn_begins(struct disk *d, uint64_t now)
{
	if (!d->is_watched || d->is_running)
		return;
	d->is_running = true;
	d->began_at = now;
	d->begins = d->is_asked || !d->is_known;
	if (!d->begins)
		set_most(d);
	if (!d->is_asked)
		d->look_at = is_above(d) ? soonest(d, now) : now + MAX(DISK_LOOK_USEC, d->cost * DISK_SHARE);
}

void disk_turn_ends(struct disk *d, uint64_t now)
{
	if (!d->is_watched || !d->is_running)
		return;
	d->is_running = false;
	d->begins = true;
	d->idle_pause = DISK_LOOK_IDLE_USEC;
	if (!d->is_asked)
		d->look_at = soonest(d, now);
}

void disk_asked(struct disk *d, uint64_t now)
{
	d->is_asked = true;
	d->asked_at = now;
	d->look_at = USEC_NEVER;
}

/* As much as has been added since the last look, four times over, would be too much. */
static bool is_near(const struct disk *d, const struct tree_size *before)
{
	uint64_t bytes = d->size.bytes > before->bytes ? d->size.bytes - before->bytes : 0;
	uint64_t files = d->size.files > before->files ? d->size.files - before->files : 0;
	struct tree_size then = {.bytes = d->size.bytes + 4 * bytes, .files = d->size.files + 4 * files};

	return is_above(d) || is_beyond(&then, d->limit_bytes, d->limit_files);
}

static void plan(struct disk *d, const struct tree_size *before, uint64_t now)
{
	bool grows = d->size.bytes > before->bytes || d->size.files > before->files;

	if (!d->is_running) {
		d->idle_pause = grows ? DISK_LOOK_IDLE_USEC : MIN(d->idle_pause * 2, DISK_LOOK_IDLE_MOST_USEC);
		d->look_at = now + MAX(d->idle_pause, d->cost * DISK_SHARE_IDLE);
	} else if (is_near(d, before)) {
		d->look_at = now + MAX(DISK_LOOK_NEAR_USEC, d->cost * DISK_SHARE_NEAR);
	} else {
		d->look_at = now + MAX(DISK_LOOK_USEC, d->cost * DISK_SHARE);
	}
}

/* What could not be counted is as good as too many files. */
static struct cause why(const struct disk *d)
{
	bool files = d->size.files > d->most_files || d->limit_bytes == LIMITS_NONE ||
		     (d->size.bytes <= d->most_bytes && d->limit_files != LIMITS_NONE);

	return (struct cause){.is_set = true,
			      .reason = files ? RING_REASON_DISK_FILES : RING_REASON_DISK,
			      .limit = files ? d->limit_files : d->limit_bytes,
			      .used = files ? d->size.files : d->size.bytes};
}

static bool is_too_much(const struct disk *d, uint64_t now)
{
	if (d->size.is_cut && (!d->was_cut || (d->is_running && now >= d->began_at + DISK_HIDDEN_USEC)))
		return true;
	return is_beyond(&d->size, d->most_bytes, d->most_files);
}

static enum disk_answer judge(struct disk *d, uint64_t now, struct cause *ret)
{
	if (!is_above(d))
		d->is_warned = false;
	if (d->begins) {
		set_most(d);
		d->begins = false;
		return DISK_FINE;
	}
	if (!is_too_much(d, now))
		return DISK_FINE;
	*ret = why(d);
	if (d->is_running)
		return DISK_TURNS_END;
	d->is_warned = !d->is_warned;
	d->begins = !d->is_warned; /* what is added until they have ended is not held against the next ones */
	set_most(d);
	return d->is_warned ? DISK_FINE : DISK_ALL_ENDS;
}

enum disk_answer disk_answered(struct disk *d, const struct tree_size *size, uint64_t now, struct cause *ret)
{
	struct tree_size before = d->size;
	enum disk_answer answer = DISK_FINE;

	d->is_asked = false;
	d->cost = now > d->asked_at ? now - d->asked_at : 0;
	if (size) {
		if (!d->is_known)
			before = *size;
		d->size = *size;
		d->is_known = true;
		answer = judge(d, now, ret);
	}
	plan(d, &before, now);
	return answer;
}
