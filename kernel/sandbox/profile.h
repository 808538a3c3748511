/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile: what a kernel may do and use, from a file (husk-profile(5)). One table of settings (profile.def) makes
 * parser, help, man page and sample. Reading has no effects but to open the sources of mounts, which are kept as
 * descriptors from then on.
 */
#ifndef HUSK_SANDBOX_PROFILE_H
#define HUSK_SANDBOX_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/sandbox/layers.h"
#include "kernel/sandbox/limits.h"
#include "protocol/base/buffer.h"
#include "protocol/base/slice.h"

#define PROFILE_MAX_BYTES ((size_t)256 << 10)
#define PROFILE_MAX_MOUNTS 64
#define PROFILE_MAX_ALLOW 256
#define PROFILE_MAX_ENVIRONMENT 128
#define PROFILE_MAX_DEVICES 32
#define PROFILE_MAX_ERRORS 64

enum profile_network { PROFILE_NETWORK_NONE, PROFILE_NETWORK_PROXY, PROFILE_NETWORK_HOST, PROFILE_NETWORK_COUNT };
enum profile_proc { PROFILE_PROC_PID, PROFILE_PROC_MASKED, PROFILE_PROC_COUNT }; /* processes alone; or all but what tells of the machine */
enum profile_on_crash {
	PROFILE_ON_CRASH_DEFAULT,
	PROFILE_ON_CRASH_DIE,
	PROFILE_ON_CRASH_RESPAWN,
	PROFILE_ON_CRASH_COUNT
};
enum profile_on_output { PROFILE_ON_OUTPUT_TRUNCATE, PROFILE_ON_OUTPUT_INTERRUPT, PROFILE_ON_OUTPUT_COUNT };

extern const char *const profile_network_names[PROFILE_NETWORK_COUNT];
extern const char *const profile_proc_names[PROFILE_PROC_COUNT];
extern const char *const profile_on_crash_names[PROFILE_ON_CRASH_COUNT];
extern const char *const profile_on_output_names[PROFILE_ON_OUTPUT_COUNT];

struct profile_mount {
	int source_fd;  /* O_PATH, opened without following symbolic links in any component */
	char *source;   /* as written, absolute */
	char *target;   /* absolute, normal form, not below a place that husk makes itself */
	bool writable;
	bool is_directory;
};

struct profile_allow {
	char *host;     /* lower case name or address in canonical form; "*.example.org" allows names below */
	uint16_t port;
};

struct profile {
	char *name;     /* "default", or the file's name without directory and .conf */
	char *path;     /* absolute */
	enum sandbox_level level;
	enum sandbox_level minimum;
	enum profile_network network;
	struct profile_allow *allow;
	size_t n_allow;
	enum profile_proc proc;
	enum profile_on_crash on_crash;
	enum profile_on_output on_output;
	bool subshells;
	char *workspace;     /* host directory, absolute; NULL: one that lives as long as the kernel, in memory */
	int workspace_fd;    /* of it, -1: none */
	char *cgroup_parent; /* NULL: found */
	struct profile_mount *mounts;
	size_t n_mounts;
	char **environment;  /* NAME=VALUE, allowed names only; NULL-terminated */
	size_t n_environment;
	char **devices;      /* paths below /dev, each once */
	size_t n_devices;
	struct limits limits;
};

/* What no limit of a profile may exceed, in the limits' units. */
struct profile_machine {
	uint64_t most[LIMIT_COUNT]; /* LIMITS_NONE: as much as limits.def allows */
	const char *why[LIMIT_COUNT]; /* "the machine's memory" */
};

/*
 * All that is wrong with a profile, in the order of the file: "FILE:LINE: sentence" each ("FILE: sentence" for the file
 * as a whole).
 */
struct profile_errors {
	char *text[PROFILE_MAX_ERRORS];
	unsigned line[PROFILE_MAX_ERRORS];
	size_t n;       /* further ones are counted, */
	size_t n_more;  /* here */
};

/*
 * named: a path (has a slash), or the name of a profile: NAME.conf in $XDG_CONFIG_HOME/husk/profiles,
 * /etc/husk/profiles, and the profiles that are installed with husk (or lie in the source tree when run from the build
 * tree), the first that is there. 0; -EINVAL or -errno with at least one line in errors.
 */
int profile_load(const char *named, struct profile *ret, struct profile_errors *errors) must_check;

/*
 * The same from a text; path stands in errors and gives the name. Limits that are written are refused beyond the
 * machine's, defaults are lowered to them.
 */
int profile_parse(struct slice text, const char *path, const struct profile_machine *machine, struct profile *ret,
    struct profile_errors *errors) must_check;
void profile_machine_probe(struct profile_machine *ret);

void profile_deinit(struct profile *p); /* accepts a zeroed one */
void profile_errors_deinit(struct profile_errors *errors);

/* Whether profiles may set the variable: no name that husk sets itself or that changes what husk runs. */
bool profile_may_set(const char *name);

/*
 * Whether a mount may have the target, an absolute path in normal form: neither above nor below a place that husk
 * makes; *ret_place (may be NULL) is that place otherwise.
 */
bool profile_may_mount_at(const char *target, const char **ret_place);

/*
 * For "husk-kernel --help", husk-profile(5) and "husk-kernel profile --sample": every setting with default and range.
 */
void profile_write_sample(struct buffer *out);

#endif
