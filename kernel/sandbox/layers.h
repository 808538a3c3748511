/* SPDX-License-Identifier: Apache-2.0 */
/* layers: the levels of a sandbox and the layers that each must have (layers.def). Pure. */
#ifndef HUSK_SANDBOX_LAYERS_H
#define HUSK_SANDBOX_LAYERS_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/slice.h"

/* From the weakest to the strongest. */
enum sandbox_level { SANDBOX_NONE, SANDBOX_RESTRICTED, SANDBOX_FULL_NOCG, SANDBOX_FULL, SANDBOX_LEVEL_COUNT };

extern const char *const sandbox_level_names[SANDBOX_LEVEL_COUNT]; /* "none", "restricted", "full-nocg", "full" */

enum layer {
#define LAYER(name, ...) LAYER_##name,
#include "kernel/sandbox/layers.def"
#undef LAYER
	LAYER_COUNT
};

struct layer_row {
	const char *name;
	uint32_t levels;    /* a bit for each level in which it must not be missing */
	const char *what;
	const char *advice; /* "" when there is none */
};

extern const struct layer_row layer_rows[LAYER_COUNT];

#define LAYER_BIT(name) (1u << LAYER_##name)

uint32_t layers_needed(enum sandbox_level level);

/*
 * Fault injection: HUSK_FAULT_LAYER=<name> makes that step fail with EPERM, in builds for tests and in all others,
 * because what it can do
 * is to refuse a start. Read once, by the process that starts the sandbox; the kernel that is being refused says so.
 */
int layers_fault(void); /* an enum layer, or -1 */

#endif
