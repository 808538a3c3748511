/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootfs: the file system of a sandbox.
 *
 * The current directory is the new root while it is built; paths in it are relative, and so are links to directories: an
 * absolute one would lead into the host's root. A tree of the host arrives as a detached mount that has its flags
 * already: there is no moment at which it is writable, or seen with more than it should have.
 */
#include "kernel/sandbox/rootfs.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "kernel/sandbox/cpus.h"
#include "kernel/sandbox/idmap.h"
#include "kernel/sandbox/masks.h"

#define STAGING "/tmp"
#define RESERVED_OLD_ROOT ".old"
#define TMPFS_ROOT_OPTIONS "size=4m,nr_inodes=2048,mode=755"
#define MAX_PTYS 16

static int fail(struct error *err, const char *what, const char *which)
{
	int saved = errno;

	return error_set(err, -saved, "%s %s: %s", what, which, strerror(saved));
}

/* ---- trees of the host ---- */

/*
 * Before Linux 6.15 only what lies in one's own mount namespace can be taken: the place that was opened for the profile is found again there
 * by its path, and must be the same.
 */
static int find_again(const struct plan_tree *tree)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
	_cleanup_(closep) int fd = (int)syscall(SYS_openat2, AT_FDCWD, tree->source, &how, sizeof(how));
	struct stat was, is;

	if (fd < 0 || fstat(fd, &is) < 0 || fstat(tree->source_fd, &was) < 0)
		return -1;
	if (was.st_dev != is.st_dev || was.st_ino != is.st_ino) {
		errno = ESTALE;
		return -1;
	}
	return STEAL_FD(fd);
}

static int open_source(const struct plan_tree *tree)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
	_cleanup_(closep) int again = -1;
	int fd;

	if (tree->source_fd < 0)
		return open_tree(AT_FDCWD, tree->source, flags);
	fd = open_tree(tree->source_fd, "", flags | AT_EMPTY_PATH);
	if (fd >= 0 || errno != EINVAL)
		return fd;
	again = find_again(tree);
	return again < 0 ? -1 : open_tree(again, "", flags | AT_EMPTY_PATH);
}

static int set_attributes(const struct plan_tree *tree, struct error *err)
{
	struct mount_attr attr = {
	    .attr_set = MOUNT_ATTR_NOSUID | (tree->writable ? 0 : MOUNT_ATTR_RDONLY) |
			(tree->is_device ? MOUNT_ATTR_NOEXEC : MOUNT_ATTR_NODEV),
	    .propagation = MS_PRIVATE,
	};

	if (mount_setattr(tree->mount_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return fail(err, "cannot set the mount attributes of", tree->source);
	return 0;
}

/* Without a change of a single owner in the file system. */
static int map_owner(const struct sandbox_plan *plan, const struct plan_tree *tree, struct error *err)
{
	_cleanup_(closep) int user_ns = -1;
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP};
	struct stat st;

	if (fstat(tree->mount_fd, &st) < 0)
		return fail(err, "cannot look at", tree->source);
	user_ns = idmap_open(st.st_uid, st.st_gid, plan->tenant_uid, err);
	if (user_ns < 0)
		return user_ns;
	attr.userns_fd = (uint64_t)user_ns;
	if (mount_setattr(tree->mount_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return fail(
		    err, "the file system has no id-mapped mounts, which a writable place of a kernel of root needs:",
		    tree->source);
	return 0;
}

static int open_one(const struct sandbox_plan *plan, struct plan_tree *tree, struct error *err)
{
	int r;

	tree->mount_fd = open_source(tree);
	if (tree->mount_fd < 0 && tree->optional && (errno == ENOENT || errno == EACCES))
		return 0;
	if (tree->mount_fd < 0)
		return fail(err, "cannot take", tree->source);
	r = set_attributes(tree, err);
	return r == 0 && tree->is_own && plan->as_root ? map_owner(plan, tree, err) : r;
}

int rootfs_open_trees(struct sandbox_plan *plan, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < plan->n_trees; i++)
		if (plan->trees[i].mount_fd < 0)
			r = open_one(plan, &plan->trees[i], err);
	return r;
}

/* ---- places ---- */

static int make_last(const char *path, bool directory)
{
	int r = directory ? mkdir(path, 0755) : mknod(path, S_IFREG | 0644, 0);

	return r < 0 && errno != EEXIST ? -errno : 0;
}

/* A directory, or an empty file, in the new root; what is above it too, which is mostly there. */
static int make_place(const char *target, bool directory)
{
	char path[PATH_MAX];
	size_t len = strlen(target);
	int r = make_last(target, directory);

	if (r != -ENOENT)
		return r;
	if (len >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, target, len + 1);
	for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return make_last(path, directory);
}

static bool is_directory(int fd)
{
	struct stat st;

	return fstatat(fd, "", &st, AT_EMPTY_PATH) == 0 && S_ISDIR(st.st_mode);
}

static int attach(struct plan_tree *tree, struct error *err)
{
	const char *target = tree->target + 1;
	int r;

	if (tree->mount_fd < 0)
		return 0;
	r = make_place(target, is_directory(tree->mount_fd));
	if (r < 0)
		return error_set(err, r, "cannot make %s in the sandbox: %s", tree->target, strerror(-r));
	if (move_mount(tree->mount_fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return fail(err, "cannot mount", tree->target);
	(void)close(tree->mount_fd);
	tree->mount_fd = -1;
	return 0;
}

/* How a tmpfs says it. */
static unsigned long long tmpfs_bound(uint64_t limit)
{
	return limit == LIMITS_NONE ? 0 : limit;
}

static int mount_tmpfs(const char *target, unsigned long flags, uint64_t bytes, uint64_t files, const char *more,
		       struct error *err)
{
	char options[256];

	(void)snprintf(options, sizeof(options), "size=%llu,nr_inodes=%llu,%s", tmpfs_bound(bytes), tmpfs_bound(files),
		       more);
	if (make_place(target, true) < 0 || mount("tmpfs", target, "tmpfs", flags | MS_NOSUID | MS_NODEV, options) < 0)
		return fail(err, "cannot mount a tmpfs at", target);
	return 0;
}

/* ---- /bin and the like, which are links into /usr on a merged system and directories on others ---- */

static int make_system_links(struct error *err)
{
	static const char *const names[] = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char host[16], to[64];
		ssize_t n;

		(void)snprintf(host, sizeof(host), "/%s", names[i]);
		n = readlink(host, to, sizeof(to) - 1);
		if (n <= 0)
			continue; /* absent, or a tree of the plan */
		to[n] = '\0';
		if (symlink(to + strspn(to, "/"), names[i]) < 0)
			return fail(err, "cannot make the link", host);
	}
	return 0;
}

/* ---- /etc ---- */

static int write_file(const char *path, const char *text, struct error *err)
{
	_cleanup_(closep) int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	size_t len = strlen(text);

	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		return fail(err, "cannot write", path);
	return 0;
}

static int make_etc(struct error *err)
{
	static const struct {
		const char *path, *text;
	} files[] = {
	    {"etc/passwd", "root:x:0:0:root:/:/usr/sbin/nologin\n"
			   "user:x:1000:1000:user:/home/user:/bin/bash\n"
			   "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"},
	    {"etc/group", "root:x:0:\ntty:x:5:\nuser:x:1000:\nnogroup:x:65534:\n"},
	    {"etc/hosts", "127.0.0.1 localhost husk\n::1 localhost husk\n"},
	    {"etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"},
	    {"etc/hostname", "husk\n"},
	    {"etc/host.conf", "multi on\n"},
	};
	char zone[128];
	ssize_t n;
	int r = 0;

	if (mkdir("etc", 0755) < 0)
		return fail(err, "cannot make", "/etc");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(files); i++)
		r = write_file(files[i].path, files[i].text, err);
	n = readlink("/etc/localtime", zone, sizeof(zone) - 1);
	if (r == 0 && n > 0) {
		zone[n] = '\0';
		(void)!symlink(zone, "etc/localtime");
	}
	return r;
}

/* ---- /sys ---- */

static int make_sys(struct error *err)
{
	cpu_set_t set;

	/* A machine with more processors than the set has room for goes without. */
	return sched_getaffinity(0, sizeof(set), &set) < 0 ? 0 : cpus_write(&set, err);
}

/* ---- /dev ---- */

static int make_dev(const struct sandbox_plan *plan, struct error *err)
{
	static const struct {
		const char *to, *name;
	} links[] = {
	    {"/proc/self/fd", "dev/fd"},       {"/proc/self/fd/0", "dev/stdin"}, {"/proc/self/fd/1", "dev/stdout"},
	    {"/proc/self/fd/2", "dev/stderr"}, {"pts/ptmx", "dev/ptmx"},
	};
	char options[64];
	int r = mount_tmpfs("dev", MS_NOEXEC, 1 << 20, 256, "mode=755", err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(links); i++)
		if (symlink(links[i].to, links[i].name) < 0)
			r = fail(err, "cannot make", links[i].name);
	(void)snprintf(options, sizeof(options), "newinstance,ptmxmode=0666,mode=0620,max=%d", MAX_PTYS);
	if (r == 0 &&
	    (mkdir("dev/pts", 0755) < 0 || mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, options) < 0))
		r = fail(err, "cannot mount", "/dev/pts");
	if (r == 0)
		r = mount_tmpfs("dev/shm", MS_NOEXEC, plan->profile->limits.value[LIMIT_scratch], 65536, "mode=1777",
				err);
	return r;
}

/* ---- what the tenant may write ---- */

static int make_scratch(const struct sandbox_plan *plan, struct error *err)
{
	uint64_t bytes = plan->profile->limits.value[LIMIT_scratch],
		 files = plan->profile->limits.value[LIMIT_disk_files];
	char own[64];
	int r;

	(void)snprintf(own, sizeof(own), "mode=755,uid=%d,gid=%d", PLAN_TENANT_UID, PLAN_TENANT_UID);
	r = mount_tmpfs("tmp", 0, bytes, files, "mode=1777", err);
	if (r == 0)
		r = mount_tmpfs("home/user", 0, bytes, files, own, err);
	if (r == 0 && (mkdir("run", 0755) < 0 || mkdir("var", 0755) < 0 || mkdir("mnt", 0755) < 0 ||
		       symlink("../tmp", "var/tmp") < 0 || symlink("../workspace", "mnt/data") < 0))
		r = fail(err, "cannot make", "/run, /var and /mnt");
	return r;
}

static bool is_workspace(const struct plan_tree *tree)
{
	return strcmp(tree->target, "/workspace") == 0;
}

int rootfs_mount_workspace(const struct sandbox_plan *plan, struct error *err)
{
	const struct limits *limits = &plan->profile->limits;
	char own[64];

	for (size_t i = 0; i < plan->n_trees; i++)
		if (is_workspace(&plan->trees[i]))
			return attach(&plan->trees[i], err);
	(void)snprintf(own, sizeof(own), "mode=755,uid=%d,gid=%d", PLAN_TENANT_UID, PLAN_TENANT_UID);
	return mount_tmpfs("workspace", 0, limits->value[LIMIT_disk], limits->value[LIMIT_disk_files], own, err);
}

/* ---- proc ---- */

int rootfs_mount_proc(const struct sandbox_plan *plan, struct error *err)
{
	bool all = plan->profile->proc == PROFILE_PROC_MASKED;
	const char *options = all ? "hidepid=invisible" : "hidepid=invisible,subset=pid";

	if (mkdir("proc", 0555) < 0 || mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		return fail(err, "cannot mount", "/proc");
	return all ? masks_apply(&plan->profile->limits, err) : 0;
}

/* ---- all of it ---- */

static int make_root(struct error *err)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return fail(err, "cannot detach from the host's mounts", "/");
	if (mount("tmpfs", STAGING, "tmpfs", MS_NOSUID | MS_NODEV, TMPFS_ROOT_OPTIONS) < 0 || chdir(STAGING) < 0)
		return fail(err, "cannot mount a tmpfs at", STAGING);
	return 0;
}

/* Shallow places first: a tree below another one is put into it. */
static int compare_targets(const void *a, const void *b)
{
	return strcmp(((const struct plan_tree *)a)->target, ((const struct plan_tree *)b)->target);
}

static int attach_trees(struct sandbox_plan *plan, struct error *err)
{
	int r = 0;

	qsort(plan->trees, plan->n_trees, sizeof(plan->trees[0]), compare_targets);
	for (size_t i = 0; r == 0 && i < plan->n_trees; i++)
		if (!is_workspace(&plan->trees[i]))
			r = attach(&plan->trees[i], err);
	return r;
}

int rootfs_build(struct sandbox_plan *plan, struct error *err)
{
	int r = make_root(err);

	if (r == 0)
		r = make_system_links(err);
	if (r == 0)
		r = make_etc(err);
	if (r == 0)
		r = make_sys(err);
	if (r == 0)
		r = make_dev(plan, err);
	if (r == 0)
		r = make_scratch(plan, err);
	return r < 0 ? r : attach_trees(plan, err);
}

static int make_readonly(const char *path, struct error *err)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

	if (mount_setattr(AT_FDCWD, path, 0, &attr, sizeof(attr)) < 0)
		return fail(err, "cannot make read-only", path);
	return 0;
}

int rootfs_enter(const struct sandbox_plan *plan, struct error *err)
{
	int r;

	(void)plan;
	if (mkdir(RESERVED_OLD_ROOT, 0700) < 0 || syscall(SYS_pivot_root, ".", RESERVED_OLD_ROOT) < 0)
		return fail(err, "cannot change the root to", STAGING);
	if (chdir("/") < 0 || umount2(RESERVED_OLD_ROOT, MNT_DETACH) < 0 || rmdir(RESERVED_OLD_ROOT) < 0)
		return fail(err, "cannot leave", "the host's root");
	r = make_readonly("/dev", err);
	return r < 0 ? r : make_readonly("/", err);
}
