/* SPDX-License-Identifier: Apache-2.0 */
/* pyconfig-layout: the table of pyconfig.def; without Python, for the launcher too. */
#include "kernel/worker/pyconfig.h"

#define PYCONFIG_ROW(minor, ...) { minor, __VA_ARGS__ },
#define PYCONFIG_TEXT(minor, ...) ", 3." #minor

static const struct pyconfig_layout layouts[] = {
#define PYCONFIG PYCONFIG_ROW
#include "kernel/worker/pyconfig.def"
#undef PYCONFIG
};

const struct pyconfig_layout *pyconfig_layout(int minor)
{
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		if (layouts[i].minor == minor)
			return &layouts[i];
	}
	return NULL;
}

const char *pyconfig_known(void)
{
	static const char text[] =
#define PYCONFIG PYCONFIG_TEXT
#include "kernel/worker/pyconfig.def"
#undef PYCONFIG
	    ;

	return text + 2;
}
