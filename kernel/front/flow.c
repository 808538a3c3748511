/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow: the limit has two parts. The head is published as it comes; the rest is room for the end of the output and for what says that there is
 * a gap between them.
 */
#include "kernel/front/flow.h"

#include "protocol/base/util.h"

void flow_init(struct flow *w, const struct limits *limits)
{
	*w = (struct flow){
		.limit_bytes = limits->value[LIMIT_output],
		.limit_messages = limits->value[LIMIT_output_messages],
	};
}

uint64_t flow_tail_bytes(const struct flow *w)
{
	return MIN(w->limit_bytes / 4, FLOW_TAIL_BYTES);
}

uint64_t flow_end_bytes(const struct flow *w)
{
	return flow_tail_bytes(w) - w->end_bytes;
}

unsigned flow_tail_messages(const struct flow *w)
{
	return (unsigned)MIN(w->limit_messages / 4, (uint64_t)FLOW_TAIL_MESSAGES);
}

static uint64_t head_bytes(const struct flow *w)
{
	return w->limit_bytes - flow_tail_bytes(w);
}

/* One more message of text may be on its way. */
static bool has_messages(const struct flow *w)
{
	return w->shown_messages + 1 < w->limit_messages - flow_tail_messages(w);
}

size_t flow_text(struct flow *w, size_t len)
{
	uint64_t left = head_bytes(w) > w->shown_bytes ? head_bytes(w) - w->shown_bytes : 0;
	size_t n = (size_t)MIN(left, (uint64_t)len);

	w->bytes += len;
	if (w->is_over || !has_messages(w))
		n = 0;
	w->is_over |= n < len;
	w->shown_bytes += n;
	return n;
}

void flow_text_shown(struct flow *w)
{
	w->messages++;
	w->shown_messages++;
}

static bool show(struct flow *w, size_t bytes)
{
	w->shown_bytes += bytes;
	w->shown_messages++;
	return true;
}

static bool fits_head(const struct flow *w, size_t bytes)
{
	return has_messages(w) && w->shown_bytes <= head_bytes(w) && bytes <= head_bytes(w) - w->shown_bytes;
}

static bool fits_end(const struct flow *w, size_t bytes)
{
	return w->last_messages < flow_tail_messages(w) && bytes <= flow_tail_bytes(w) - w->last_bytes;
}

static void made(struct flow *w, size_t bytes)
{
	w->bytes += bytes;
	w->messages++;
}

static bool leave_out(struct flow *w)
{
	w->is_over = w->is_cut = true;
	return false;
}

bool flow_message(struct flow *w, size_t bytes)
{
	made(w, bytes);
	return !w->is_over && fits_head(w, bytes) ? show(w, bytes) : leave_out(w);
}

bool flow_last_message(struct flow *w, size_t bytes)
{
	made(w, bytes);
	if (fits_head(w, bytes))
		return show(w, bytes);
	if (!fits_end(w, bytes))
		return leave_out(w);
	w->last_bytes += bytes;
	w->last_messages++;
	return show(w, bytes);
}

bool flow_part(struct flow *w, size_t bytes)
{
	bool shown = flow_last_message(w, bytes);

	w->messages--;
	w->shown_messages -= shown;
	return shown;
}

bool flow_question(struct flow *w, size_t bytes, bool alone)
{
	made(w, bytes);
	if (fits_head(w, bytes) || (alone && bytes <= flow_tail_bytes(w)))
		return show(w, bytes);
	return leave_out(w);
}

static bool is_beyond(uint64_t made, uint64_t limit, bool strict)
{
	if (limit == LIMITS_NONE)
		return false;
	return strict ? made > limit : made / FLOW_HARD >= limit;
}

bool flow_is_beyond(const struct flow *w, size_t bytes, bool strict)
{
	return bytes > w->limit_bytes || is_beyond(w->bytes + bytes, w->limit_bytes, strict);
}

void flow_left_out(struct flow *w, size_t bytes, unsigned messages)
{
	w->bytes += bytes;
	w->messages += messages;
	w->is_over = w->is_cut = true;
}

bool flow_is_spent(const struct flow *w, bool strict, struct cause *ret)
{
	if (is_beyond(w->bytes, w->limit_bytes, strict)) {
		*ret = (struct cause){ true, RING_REASON_OUTPUT, w->limit_bytes, w->bytes };
		return true;
	}
	if (is_beyond(w->messages, w->limit_messages, strict)) {
		*ret = (struct cause){ true, RING_REASON_OUTPUT_MESSAGES, w->limit_messages, w->messages };
		return true;
	}
	return false;
}
