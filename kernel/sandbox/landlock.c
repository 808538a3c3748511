/* SPDX-License-Identifier: Apache-2.0 */
/*
 * landlock: rules for paths, and the scopes of signals and abstract sockets. Each kernel knows a prefix of the ruleset's structure and of the
 * access rights, and refuses more of the one (E2BIG) and of the other (EINVAL): both follow the ABI that it reports.
 * There are no rules for TCP beyond refusing it: by port alone they would forbid to bind to the loopback, and a sandbox with namespaces has
 * a network of its own.
 */
#include "kernel/sandbox/confinement.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "protocol/base/util.h"

/* The kernel's interface as of ABI 7; the headers of older systems have less of it. */
struct ruleset {
	uint64_t handled_fs;
	uint64_t handled_net;
	uint64_t scoped;
};

struct path_rule {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

#define CREATE_VERSION 1u
#define RULE_PATH_BENEATH 1

#define FS_EXECUTE (1u << 0)
#define FS_WRITE_FILE (1u << 1)
#define FS_READ_FILE (1u << 2)
#define FS_READ_DIR (1u << 3)
#define FS_REMOVE_DIR (1u << 4)
#define FS_REMOVE_FILE (1u << 5)
#define FS_MAKE_DIR (1u << 7)
#define FS_MAKE_REG (1u << 8)
#define FS_MAKE_SOCK (1u << 9)
#define FS_MAKE_FIFO (1u << 10)
#define FS_MAKE_SYM (1u << 12)
#define FS_REFER (1u << 13)     /* ABI 2 */
#define FS_TRUNCATE (1u << 14)  /* ABI 3 */
#define FS_IOCTL_DEV (1u << 15) /* ABI 5 */

#define FS_ABI_1 (FS_REFER - 1)
#define FS_READ (FS_EXECUTE | FS_READ_FILE | FS_READ_DIR)
/* But for devices, bits 6 and 11, which nobody makes. */
#define FS_WRITE \
	(FS_READ | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SOCK | FS_MAKE_FIFO | FS_MAKE_SYM | \
	 FS_REFER | FS_TRUNCATE | FS_IOCTL_DEV)
/* What a rule for anything but a directory may have. */
#define FS_FILE (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

#define NET_BIND_TCP (1u << 0)
#define NET_CONNECT_TCP (1u << 1)

#define SCOPE_ABSTRACT_SOCKETS (1u << 0)
#define SCOPE_SIGNALS (1u << 1)

enum { ABI_REFER = 2, ABI_TRUNCATE = 3, ABI_NET = 4, ABI_IOCTL_DEV = 5, ABI_SCOPES = 6 };

int confinement_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, CREATE_VERSION);

	return abi > 0 ? (int)abi : 0;
}

static uint32_t handled_fs(int abi)
{
	uint32_t handled = FS_ABI_1;

	if (abi >= ABI_REFER)
		handled |= FS_REFER;
	if (abi >= ABI_TRUNCATE)
		handled |= FS_TRUNCATE;
	if (abi >= ABI_IOCTL_DEV)
		handled |= FS_IOCTL_DEV;
	return handled;
}

static size_t ruleset_size(int abi)
{
	if (abi >= ABI_SCOPES)
		return sizeof(struct ruleset);
	return abi >= ABI_NET ? offsetof(struct ruleset, scoped) : offsetof(struct ruleset, handled_net);
}

static int add_path(int ruleset_fd, uint32_t handled, const struct confinement_path *path)
{
	struct path_rule rule = { .allowed = (path->writable ? FS_WRITE : FS_READ) & handled };
	struct stat st;
	int r = 0;

	rule.parent_fd = open(path->path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0) {
		bool is_away = errno == ENOENT || errno == ENOTDIR || errno == EACCES;

		return path->optional && is_away ? 0 : -errno;
	}
	if (fstat(rule.parent_fd, &st) < 0)
		r = -errno;
	else if (!S_ISDIR(st.st_mode))
		rule.allowed &= FS_FILE;
	if (r == 0 && syscall(SYS_landlock_add_rule, ruleset_fd, RULE_PATH_BENEATH, &rule, 0u) < 0)
		r = -errno;
	(void)close(rule.parent_fd);
	return r;
}

const char *confinement_missing_path(const struct confinement *c)
{
	for (size_t i = 0; i < c->n_paths && i < CONFINEMENT_MAX_PATHS; i++) {
		int fd = c->paths[i].optional ? -1 : open(c->paths[i].path, O_PATH | O_CLOEXEC);

		if (!c->paths[i].optional && fd < 0)
			return c->paths[i].path;
		if (fd >= 0)
			(void)close(fd);
	}
	return NULL;
}

static int fill_and_restrict(int ruleset_fd, uint32_t handled, const struct confinement *c)
{
	for (size_t i = 0; i < c->n_paths; i++) {
		int r = add_path(ruleset_fd, handled, &c->paths[i]);

		if (r < 0)
			return r;
	}
	return syscall(SYS_landlock_restrict_self, ruleset_fd, 0u) < 0 ? -errno : 0;
}

int confinement_landlock_as(const struct confinement *c, int abi)
{
	struct ruleset ruleset = { .handled_fs = handled_fs(abi) };
	int ruleset_fd, r;

	if (c->n_paths > CONFINEMENT_MAX_PATHS)
		return -E2BIG;
	if (c->level <= SANDBOX_RESTRICTED && abi < CONFINEMENT_RESTRICTED_ABI)
		return -EOPNOTSUPP;
	if (abi < ABI_REFER)
		return 1;
	if (abi >= ABI_NET && c->level <= SANDBOX_RESTRICTED && !c->host_network)
		ruleset.handled_net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (abi >= ABI_SCOPES)
		ruleset.scoped = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS;
	ruleset_fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, ruleset_size(abi), 0u);
	if (ruleset_fd < 0)
		return -errno;
	r = fill_and_restrict(ruleset_fd, handled_fs(abi), c);
	(void)close(ruleset_fd);
	return r;
}

int confinement_landlock(const struct confinement *c)
{
	return confinement_landlock_as(c, confinement_landlock_abi());
}
