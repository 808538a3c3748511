/* SPDX-License-Identifier: Apache-2.0 */
/* profile-reading: what the parts of the reader of profiles share; for them alone. */
#ifndef HUSK_SANDBOX_PROFILE_READING_H
#define HUSK_SANDBOX_PROFILE_READING_H

#include <libconfig.h>

#include "kernel/sandbox/profile.h"

#define READING_MAX_SHOWN 64 /* of a value in a sentence */

enum setting {
#define SECTION(...)
#define SETTING(section, name, ...) SETTING_##section##_##name,
#include "kernel/sandbox/profile.def"
#undef SECTION
#undef SETTING
	SETTING_COUNT
};

struct reading {
	const char *path;
	const struct profile_machine *machine;
	struct profile *p;
	struct profile_errors *errors;
	bool is_out_of_memory;
	unsigned line[SETTING_COUNT]; /* where the setting is; 0: nowhere */
	bool has_limits;
};

/* Adds "PATH:LINE: sentence", or "PATH: sentence" for line 0. */
void reading_complain(struct reading *r, unsigned line, const char *format, ...) printf_like(3, 4);

/* A value as it was written, in printable characters and not too long. */
void reading_show(const config_setting_t *value, char ret[READING_MAX_SHOWN]);

/* strdup() into *field; false, and remembered, when there is no memory. */
bool reading_keep(struct reading *r, char **field, const char *value);

static inline unsigned reading_line(const config_setting_t *s)
{
	return config_setting_source_line(s);
}

/* profile-places.c */
void reading_devices(struct reading *r, const config_setting_t *value);
void reading_cgroup_parent(struct reading *r, const config_setting_t *value);
void reading_workspace(struct reading *r, const config_setting_t *value);
void reading_mounts(struct reading *r, const config_setting_t *value);

#endif
