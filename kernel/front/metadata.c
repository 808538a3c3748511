/* SPDX-License-Identifier: Apache-2.0 */
/* metadata: that of execute_reply (wire.md 7.9, limits.md 3). */
#include "kernel/front/metadata.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include "kernel/front/state.h"
#include "kernel/front/turn-limits.h"
#include "kernel/sandbox/sandbox.h"

static void append_number(struct buffer *out, const char *name, uint64_t value)
{
	buffer_append_str(out, name);
	buffer_append_u64(out, value);
}

/* Of a workspace in memory; of a directory of the host as of the last look at it. */
static void append_disk(const struct front *f, struct buffer *out)
{
	const struct disk *d = &f->enforce.disk;
	struct statfs st;

	if (d->is_watched && d->is_known)
		append_number(out, ",\"disk_bytes\":", d->size.bytes);
	if (!f->source.sandbox || sandbox_is_on_disk(f->source.sandbox) ||
	    fstatfs(f->outlet.place.workspace_fd, &st) < 0 || st.f_type != TMPFS_MAGIC)
		return;
	append_number(out, ",\"disk_bytes\":", (uint64_t)(st.f_blocks - st.f_bfree) * (uint64_t)st.f_bsize);
}

static void append_usage(const struct front *f, const struct request *r, struct buffer *out)
{
	/* Of what never was in a worker: the kernel's, without time of its own. */
	const struct usage *now = &f->enforce.meter.total;
	const struct usage none = { .memory_bytes = now->memory_bytes, .memory_peak_bytes = now->memory_peak_bytes, .processes = now->processes };
	const struct usage *u = r->turn ? &r->used : &none;

	append_number(out, "{\"wall_usec\":", r->wall_usec);
	append_number(out, ",\"cpu_user_usec\":", u->cpu_user_usec);
	append_number(out, ",\"cpu_system_usec\":", u->cpu_system_usec);
	append_number(out, ",\"memory_bytes\":", u->memory_bytes);
	append_number(out, ",\"memory_peak_bytes\":", u->memory_peak_bytes);
	append_number(out, ",\"processes\":", u->processes);
	append_number(out, ",\"output_bytes\":", r->flow.bytes);
	append_number(out, ",\"output_messages\":", r->flow.messages);
	append_disk(f, out);
	buffer_append_char(out, '}');
}

void metadata_write(const struct front *f, const struct request *r, const struct outcome *how, struct buffer *out)
{
	buffer_append_str(out, "{\"started\":\"");
	buffer_append_str(out, r->started_iso);
	buffer_append_str(out, "\",\"dependencies_met\":true,\"engine\":\"");
	buffer_append_str(out, f->uuid);
	buffer_append_str(out, "\",\"status\":\"");
	buffer_append_str(out, how->status);
	buffer_append_str(out, "\",\"husk\":{\"verdict\":\"");
	buffer_append_str(out, verdict_names[how->verdict]);
	buffer_append_str(out, "\",\"state\":\"");
	buffer_append_str(out, verdict_state_names[how->state]);
	buffer_append_str(out, "\",\"usage\":");
	append_usage(f, r, out);
	buffer_append_str(out, ",\"limits\":");
	turn_limits_write(r->turn ? &r->quota.limits : &f->enforce.quota.limits, out);
	buffer_append_str(out, r->flow.is_cut ? ",\"truncated\":true}}" : ",\"truncated\":false}}");
}
