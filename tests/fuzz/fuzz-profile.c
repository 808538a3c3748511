/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-profile: any text as a profile; it is taken whole, or refused with a reason; limits are in range. */
#include "kernel/sandbox/profile.h"
#include "tests/fuzz/fuzz.h"

/* The parser library keeps a text that it was reading when it met an error of syntax. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct profile_machine machine = { .most = { 0 } };
	struct profile p = { .workspace_fd = -1 };
	struct profile_errors errors = { .n = 0 };
	int r;

	for (int i = 0; i < LIMIT_COUNT; i++) {
		machine.most[i] = i % 2 ? LIMITS_NONE : limit_rows[i].most / 2;
		machine.why[i] = "the machine";
	}
	r = profile_parse(slice_from(data, size), "/fuzz.conf", &machine, &p, &errors);
	CHECK(r == 0 ? errors.n + errors.n_more == 0 : errors.n > 0);
	for (int i = 0; r == 0 && i < LIMIT_COUNT; i++)
		CHECK(p.limits.value[i] == LIMITS_NONE ||
		      (p.limits.value[i] >= limit_rows[i].least && p.limits.value[i] <= limit_rows[i].most));
	for (size_t i = 0; i < errors.n; i++)
		CHECK(strncmp(errors.text[i], "/fuzz.conf:", 11) == 0 && !strchr(errors.text[i], '\n'));
	CHECK(r < 0 || (p.minimum <= p.level && p.level < SANDBOX_LEVEL_COUNT && p.n_mounts <= PROFILE_MAX_MOUNTS));
	profile_deinit(&p);
	profile_errors_deinit(&errors);
	return 0;
}
