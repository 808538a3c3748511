/* SPDX-License-Identifier: Apache-2.0 */
/* layers: the tables of levels and layers. */
#include "kernel/sandbox/layers.h"

#include <stdlib.h>
#include <string.h>

#define F (1u << SANDBOX_FULL)
#define N (1u << SANDBOX_FULL_NOCG)
#define R (1u << SANDBOX_RESTRICTED)
#define L (1u << SANDBOX_NONE)

const char *const sandbox_level_names[SANDBOX_LEVEL_COUNT] = { "none", "restricted", "full-nocg", "full" };

const struct layer_row layer_rows[LAYER_COUNT] = {
#define LAYER(name, levels, what, advice) { #name, levels, what, advice },
#include "kernel/sandbox/layers.def"
#undef LAYER
};

uint32_t layers_needed(enum sandbox_level level)
{
	uint32_t needed = 0;

	for (int i = 0; i < LAYER_COUNT; i++)
		if (layer_rows[i].levels & (1u << level))
			needed |= 1u << i;
	return needed;
}

int layers_fault(void)
{
	const char *name = getenv("HUSK_FAULT_LAYER");

	for (int i = 0; name && i < LAYER_COUNT; i++)
		if (strcmp(name, layer_rows[i].name) == 0)
			return i;
	return -1;
}
