/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk-watch: has the workspace measured when disk.c says so, and ends what has made it too large.
 *
 * The front may not read the workspace; the sandbox's keeper may, and answers when it is done.
 */
#include "kernel/front/disk-watch.h"

#include <string.h>
#include <sys/epoll.h>

#include "kernel/front/life.h"
#include "kernel/front/state.h"
#include "kernel/front/watch.h"
#include "kernel/sandbox/sandbox.h"
#include "protocol/base/log.h"

static void lost(struct front *f)
{
	log_error("the sandbox's keeper has ended");
	front_unwatch(f, &f->watch_disk);
	f->enforce.disk = (struct disk){.look_at = USEC_NEVER};
	life_shutdown(f, 1, false);
}

static void on_answer(struct front *f, struct watch *w, uint32_t events)
{
	struct disk *d = &f->enforce.disk;
	struct measure_answer answer;
	struct cause cause;
	int r = sandbox_measure_take(f->source.sandbox, &answer);

	(void)w;
	(void)events;
	if (r < 0)
		lost(f);
	if (r <= 0)
		return;
	if (answer.error && answer.error != d->error)
		log_warning("the workspace cannot be measured: %s", strerror(-answer.error));
	d->error = answer.error;
	switch (disk_answered(d, answer.error ? NULL : &answer.size, clock_monotonic_usec(), &cause)) {
	case DISK_FINE:
		if (!answer.error)
			enforce_disk_fine(f);
		break;
	case DISK_TURNS_END:
		enforce_disk_full(f, &cause);
		break;
	case DISK_ALL_ENDS:
		enforce_end_background(f, "the kernel's workspace is above its limit and its processes go on to fill it between turns");
		break;
	}
	enforce_plan(f);
}

int disk_watch_start(struct front *f)
{
	struct sandbox *s = f->source.sandbox;
	bool is_watched = s && sandbox_can_measure(s);

	disk_init(&f->enforce.disk, &f->enforce.quota.limits, is_watched);
	return is_watched ? front_watch(f, &f->watch_disk, sandbox_measure_fd(s), EPOLLIN, on_answer) : 0;
}

void disk_watch_tick(struct front *f, uint64_t now)
{
	struct disk *d = &f->enforce.disk;

	if (now < d->look_at)
		return;
	disk_asked(d, now);
	if (f->ending)
		return;
	if (sandbox_measure(f->source.sandbox) < 0)
		lost(f);
}
