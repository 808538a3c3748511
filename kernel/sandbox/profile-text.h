/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile-text: what the parser library does not judge, or not as husk wants it. It stops at the first setting that is
 * there twice, takes @include, cuts numbers and ends texts at a zero byte. This looks at the text before it. Pure.
 */
#ifndef HUSK_SANDBOX_PROFILE_TEXT_H
#define HUSK_SANDBOX_PROFILE_TEXT_H

#include "protocol/base/buffer.h"
#include "protocol/base/slice.h"

#define PROFILE_TEXT_MAX_DEPTH 8
#define PROFILE_TEXT_MAX_NAMES 1024
#define PROFILE_TEXT_DUPLICATE '*' /* before the name of a setting that was there before */

/* Called for each thing that is wrong, in order. */
typedef void (*profile_text_report_fn)(void *userdata, unsigned line, const char *sentence);

/*
 * Appends to out the same text with the same lines, in which the parser finds nothing that surprises: settings that are
 * there twice are renamed, long numbers are marked as long, and the common mistakes of form (quotes, brackets or "="
 * that are missing) are mended, all but the marks being reported, so that what is wrong after them is told as well. 0;
 * -EINVAL when something was reported because of which parsing makes no sense; -ENOMEM.
 */
int profile_text_prepare(struct slice text, struct buffer *out, profile_text_report_fn report,
			 void *userdata) must_check;

#endif
