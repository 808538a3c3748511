/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile-places: the settings that name places: mounts, workspace, devices, control group. Sources are opened here,
 * once, without following a symbolic link anywhere on the way; whoever mounts them uses the descriptor and never the
 * path.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include "kernel/sandbox/profile-reading.h"

#define MAX_SHOWN_PATH 256 /* of a path in a sentence */

/* What husk makes in a sandbox, or what must not be hidden from what it makes. */
static const char *const made_places[] = {
	"/bin", "/dev", "/etc", "/home/user", "/lib", "/lib32", "/lib64", "/libx32", "/mnt/data", "/proc", "/run/husk", "/sbin", "/sys", "/tmp",
	"/usr", "/workspace",
};

static const char *const made_devices[] = {
	"core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero",
};

/* File systems that show or steer the machine. */
static const long machine_filesystems[] = {
	PROC_SUPER_MAGIC, SYSFS_MAGIC,      CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC,
	TRACEFS_MAGIC,    SECURITYFS_MAGIC, BPF_FS_MAGIC,       DEVPTS_SUPER_MAGIC,  NSFS_MAGIC,
};

static int open_place(const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* Absolute, no empty, "." or ".." component, no slash at the end, nothing that would break a line of a log. */
static bool is_normal(const char *path)
{
	size_t len = strlen(path);

	if (path[0] != '/' || len >= PATH_MAX || (len > 1 && path[len - 1] == '/'))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)path[i] < ' ' || path[i] == 0x7f)
			return false;
	for (const char *part = path + 1; len > 1 && part; part = strchr(part, '/')) {
		size_t n;

		part += part > path + 1;
		n = strcspn(part, "/");
		if (n == 0 || n > NAME_MAX || (n == 1 && part[0] == '.') ||
		    (n == 2 && part[0] == '.' && part[1] == '.'))
			return false;
	}
	return true;
}

/* b is a, or lies below it. */
static bool is_within(const char *a, const char *b)
{
	size_t len = strlen(a);

	if (len == 1)
		return true;
	return strncmp(a, b, len) == 0 && (b[len] == '\0' || b[len] == '/');
}

bool profile_may_mount_at(const char *target, const char **ret_place)
{
	for (size_t i = 0; i < ARRAY_SIZE(made_places); i++)
		if (is_within(made_places[i], target) || is_within(target, made_places[i])) {
			if (ret_place)
				*ret_place = made_places[i];
			return false;
		}
	return true;
}

static const char *reason(int r)
{
	switch (-r) {
	case ELOOP:
		return "it is a symbolic link or goes through one";
	case ENOSYS:
		return "this kernel lacks openat2(2), which Linux has since 5.6";
	default:
		return strerror(-r);
	}
}

/* The descriptor, or -1 when the place cannot be opened; that is told then. */
static int open_told(struct reading *r, unsigned line, const char *what, const char *path)
{
	int fd = open_place(path);

	if (fd >= 0)
		return fd;
	reading_complain(r, line, "%s %.*s cannot be used: %s", what, MAX_SHOWN_PATH, path, reason(fd));
	return -1;
}

static bool is_machine_filesystem(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(machine_filesystems); i++)
		if ((long)fs.f_type == machine_filesystems[i])
			return true;
	return false;
}

/* "source:target:ro" in three, in place. */
static bool split_mount(char *text, char **ret_target, bool *ret_writable)
{
	char *target = strchr(text, ':'), *mode = target ? strchr(target + 1, ':') : NULL;

	if (!mode || strchr(mode + 1, ':') || (strcmp(mode, ":ro") != 0 && strcmp(mode, ":rw") != 0))
		return false;
	*target++ = *mode = '\0';
	*ret_target = target;
	*ret_writable = mode[2] == 'w';
	return true;
}

/* Of a mount of which only the source is missing. False when something was told. */
static bool open_source(struct reading *r, unsigned line, struct profile_mount *m)
{
	struct stat st;

	if (strcmp(m->source, "/") == 0 || is_within("/dev", m->source)) {
		reading_complain(r, line, "mounts: the source %s is not allowed: it would show the machine", m->source);
		return false;
	}
	m->source_fd = open_told(r, line, "mounts: the source", m->source);
	if (m->source_fd < 0)
		return false;
	if (fstat(m->source_fd, &st) < 0 || (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))) {
		reading_complain(r, line, "mounts: the source %.*s must be a directory or an ordinary file",
				 MAX_SHOWN_PATH, m->source);
		return false;
	}
	if (is_machine_filesystem(m->source_fd)) {
		reading_complain(
		    r, line,
		    "mounts: the source %.*s is not allowed: it lies in a file system that shows or steers the machine",
		    MAX_SHOWN_PATH, m->source);
		return false;
	}
	m->is_directory = S_ISDIR(st.st_mode);
	return true;
}

static bool judge_target(struct reading *r, unsigned line, const char *target)
{
	const char *place;

	if (!is_normal(target)) {
		reading_complain(
		    r, line,
		    "mounts: the target \"%.*s\" must be an absolute path without empty parts, \".\" and \"..\"",
		    MAX_SHOWN_PATH, target);
		return false;
	}
	if (!profile_may_mount_at(target, &place)) {
		reading_complain(r, line, "mounts: the target %.*s is not allowed: husk makes %s", MAX_SHOWN_PATH,
				 target, place);
		return false;
	}
	for (size_t i = 0; i < r->p->n_mounts; i++) {
		const char *other = r->p->mounts[i].target;

		if (is_within(other, target) || is_within(target, other)) {
			reading_complain(r, line,
					 "mounts: the target %.*s and the target %.*s of another mount overlap",
					 MAX_SHOWN_PATH, target, MAX_SHOWN_PATH, other);
			return false;
		}
	}
	return true;
}

static void read_mount(struct reading *r, const config_setting_t *element)
{
	struct profile_mount m = { .source_fd = -1 };
	_cleanup_(freep) char *text = NULL;
	unsigned line = reading_line(element);
	char *target, shown[READING_MAX_SHOWN];
	bool is_good;

	reading_show(element, shown);
	if (!config_setting_get_string(element) || !reading_keep(r, &text, config_setting_get_string(element)) ||
	    !split_mount(text, &target, &m.writable)) {
		reading_complain(
		    r, line, "mounts: %s must be \"source:target:ro\" or \"source:target:rw\", paths without colons",
		    shown);
		return;
	}
	is_good = judge_target(r, line, target);
	if (!is_normal(text)) {
		reading_complain(
		    r, line,
		    "mounts: the source \"%.*s\" must be an absolute path without empty parts, \".\" and \"..\"",
		    MAX_SHOWN_PATH, text);
		return;
	}
	if (reading_keep(r, &m.source, text) && reading_keep(r, &m.target, target) && open_source(r, line, &m) &&
	    is_good) {
		r->p->mounts[r->p->n_mounts++] = m;
		return;
	}
	closep(&m.source_fd);
	free(m.source);
	free(m.target);
}

void reading_mounts(struct reading *r, const config_setting_t *value)
{
	int n = config_setting_length(value);

	r->p->mounts = calloc((size_t)n + 1, sizeof(*r->p->mounts));
	if (!r->p->mounts) {
		r->is_out_of_memory = true;
		return;
	}
	for (int i = 0; i < n; i++)
		read_mount(r, config_setting_get_elem(value, (unsigned)i));
}

/* A character device below /dev that husk does not make itself. */
static bool judge_device(struct reading *r, unsigned line, const char *path)
{
	_cleanup_(closep) int fd = -1;
	struct stat st;

	if (!is_normal(path) || !is_within("/dev", path) || strlen(path) <= strlen("/dev/")) {
		reading_complain(r, line, "sandbox.devices: \"%.*s\" must be a path below /dev", MAX_SHOWN_PATH, path);
		return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(made_devices); i++)
		if (is_within(made_devices[i], path + strlen("/dev/"))) {
			reading_complain(r, line, "sandbox.devices: %.*s is not allowed: husk makes /dev/%s",
					 MAX_SHOWN_PATH, path, made_devices[i]);
			return false;
		}
	for (size_t i = 0; i < r->p->n_devices; i++)
		if (strcmp(path, r->p->devices[i]) == 0) {
			reading_complain(r, line, "sandbox.devices: %.*s is there twice", MAX_SHOWN_PATH, path);
			return false;
		}
	fd = open_told(r, line, "sandbox.devices:", path);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode)) {
		reading_complain(r, line, "sandbox.devices: %.*s must be a character device", MAX_SHOWN_PATH, path);
		return false;
	}
	return true;
}

void reading_devices(struct reading *r, const config_setting_t *value)
{
	int n = config_setting_length(value);

	r->p->devices = calloc((size_t)n + 1, sizeof(*r->p->devices));
	if (!r->p->devices) {
		r->is_out_of_memory = true;
		return;
	}
	for (int i = 0; i < n; i++) {
		const config_setting_t *element = config_setting_get_elem(value, (unsigned)i);
		const char *path = config_setting_get_string(element);
		char shown[READING_MAX_SHOWN];

		reading_show(element, shown);
		if (!path)
			reading_complain(r, reading_line(element), "sandbox.devices: %s must be a path below /dev",
					 shown);
		else if (judge_device(r, reading_line(element), path) &&
			 reading_keep(r, &r->p->devices[r->p->n_devices], path))
			r->p->n_devices++;
	}
}

/* A text that is "", or an absolute path in normal form; NULL when it is neither, which is told. */
static const char *read_path(struct reading *r, const config_setting_t *value, const char *what)
{
	const char *path = config_setting_get_string(value);
	char shown[READING_MAX_SHOWN];

	if (path && (!path[0] || is_normal(path)))
		return path;
	reading_show(value, shown);
	reading_complain(r, reading_line(value),
			 "%s is %s; it must be an absolute path without empty parts, \".\" and \"..\", or \"\"", what,
			 shown);
	return NULL;
}

void reading_cgroup_parent(struct reading *r, const config_setting_t *value)
{
	const char *path = read_path(r, value, "sandbox.cgroup_parent");

	if (path && path[0])
		(void)reading_keep(r, &r->p->cgroup_parent, path);
}

void reading_workspace(struct reading *r, const config_setting_t *value)
{
	const char *path = read_path(r, value, "workspace.directory");
	struct stat st;

	if (!path || !path[0])
		return;
	r->p->workspace_fd = open_told(r, reading_line(value), "workspace.directory", path);
	if (r->p->workspace_fd < 0 || !reading_keep(r, &r->p->workspace, path))
		return;
	if (fstat(r->p->workspace_fd, &st) < 0 || !S_ISDIR(st.st_mode) || is_machine_filesystem(r->p->workspace_fd) ||
	    strcmp(path, "/") == 0)
		reading_complain(r, reading_line(value),
				 "workspace.directory is \"%.*s\"; it must be a directory for files of a kernel",
				 MAX_SHOWN_PATH, path);
}
