/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile: what a kernel may do and use, from a file (husk-profile(5)). One table of settings (profile.def) makes parser, help, man page
 * and sample. Reading has no effects but to open the sources of mounts, which are kept as descriptors from then on.
 */
#ifndef HUSK_SANDBOX_PROFILE_H
#define HUSK_SANDBOX_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/sandbox/layers.h"
#include "kernel/sandbox/limits.h"
#include "protocol/base/buffer.h"

#define PROFILE_MAX_BYTES ((size_t)256 << 10)
#define PROFILE_MAX_MOUNTS 64
#define PROFILE_MAX_ALLOW 256
#define PROFILE_MAX_ENVIRONMENT 128
#define PROFILE_MAX_DEVICES 32
#define PROFILE_MAX_ERRORS 64

enum profile_network { PROFILE_NETWORK_NONE, PROFILE_NETWORK_PROXY, PROFILE_NETWORK_HOST };
enum profile_proc { PROFILE_PROC_PID, PROFILE_PROC_MASKED };       /* processes alone; or all but what tells of the machine */
enum profile_on_crash { PROFILE_ON_CRASH_DEFAULT, PROFILE_ON_CRASH_DIE, PROFILE_ON_CRASH_RESPAWN };
enum profile_on_output { PROFILE_ON_OUTPUT_TRUNCATE, PROFILE_ON_OUTPUT_INTERRUPT };

struct profile_mount {
	int source_fd;  /* O_PATH, opened without following symbolic links in any component */
	char *source;   /* as written, absolute */
	char *target;   /* absolute, normal form, not below a place that husk makes itself */
	bool writable;
	bool is_directory;
};

struct profile_allow {
	char *host;     /* lower case name or address; "*.example.org" allows names below */
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
	char **devices;      /* paths below /dev */
	size_t n_devices;
	struct limits limits;
};

/* All that is wrong with a profile, in the order of the file: "FILE:LINE: sentence" each. */
struct profile_errors {
	char *text[PROFILE_MAX_ERRORS];
	size_t n;       /* further ones are counted, */
	size_t n_more;  /* here */
};

/*
 * named: a path (has a slash), or the name of a profile: NAME.conf in $XDG_CONFIG_HOME/husk/profiles, /etc/husk/profiles, and the
 * profiles that are installed with husk (or lie in the source tree when run from the build tree), the first that is there.
 * 0; -EINVAL or -errno with at least one line in errors.
 */
int profile_load(const char *named, struct profile *ret, struct profile_errors *errors) must_check;
void profile_deinit(struct profile *p);
void profile_errors_deinit(struct profile_errors *errors);

/* For "husk-kernel --help", husk-profile(5) and "husk-kernel profile --sample": every setting with default and range. */
void profile_write_sample(struct buffer *out);

#endif
