/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup-find: where groups may be made. Each of memory, pids, cpu and cpuacct is either a hierarchy of v1 (alone or
 * with others in one mount) or a controller of v2, and a machine may have both kinds. What v1 has is made below the
 * own group there; the rest below one group of v2: the own one or the nearest above that hands the controllers down
 * already, or one that was delegated to us and can be made to.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "kernel/sandbox/cgroup-impl.h"
#include "protocol/base/buffer.h"

#define MAX_PROC_TEXT ((size_t)4 << 20)
#define MAX_MOVES 4096 /* processes that are moved to the leaf */
#define MAX_ATTEMPTS 8
#define ADVICE "run it as root, or under systemd with Delegate=yes (systemd-run --user -p Delegate=yes)"

static const struct {
	const char *name;
	uint32_t bit;
} controller_names[] = {
	{ "memory", CGROUP_MEMORY },
	{ "pids", CGROUP_PIDS },
	{ "cpu", CGROUP_CPU },
	{ "cpuacct", CGROUP_CPUACCT },
};

bool cgroup_name_is_valid(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	size_t n = strspn(name, allowed);

	return n > 0 && n <= CGROUP_NAME_MAX && !name[n] && name[0] != '.';
}

/* Absolute, in normal form, without what would break a line of the log. */
bool cgroup_path_is_valid(const char *path)
{
	if (path[0] != '/' || strlen(path) >= CGROUP_PATH_MAX)
		return false;
	if (!path[1])
		return true;
	for (const char *p = path; *p;) {
		size_t n = strcspn(++p, "/");

		if (n == 0 || n > 255 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		for (size_t i = 0; i < n; i++)
			if ((unsigned char)p[i] < ' ' || p[i] == 127)
				return false;
		p += n;
	}
	return true;
}

/* -- which hierarchies there are ----------------------------------------------------------------------------------- */

/* Bits of a list like "cpu,cpuacct" or "cpu memory". */
static uint32_t controllers_in(struct slice list, const char *separators)
{
	uint32_t bits = 0;

	for (size_t at = 0; at < list.len;) {
		size_t n = 0;

		while (at + n < list.len && !strchr(separators, list.data[at + n]))
			n++;
		for (size_t i = 0; i < ARRAY_SIZE(controller_names); i++)
			if (slice_equal_str((struct slice){ list.data + at, n }, controller_names[i].name))
				bits |= controller_names[i].bit;
		at += n + 1;
	}
	return bits;
}

/* The next line of a text, or false. */
static bool next_line(const char **text, struct slice *ret)
{
	const char *end;

	if (!**text)
		return false;
	end = strchrnul(*text, '\n');
	*ret = (struct slice){ *text, (size_t)(end - *text) };
	*text = *end ? end + 1 : end;
	return true;
}

/* The nth field of a line, counted from 0; the last may be asked to reach to the end. */
static struct slice field(struct slice line, unsigned n, char separator, bool to_the_end)
{
	const char *at = line.data, *end = line.data + line.len, *stop;

	for (; n > 0; n--) {
		at = memchr(at, separator, (size_t)(end - at));
		if (!at++)
			return (struct slice){ end, 0 };
	}
	stop = to_the_end ? NULL : memchr(at, separator, (size_t)(end - at));
	return (struct slice){ at, (size_t)((stop ? stop : end) - at) };
}

/* mountinfo writes space, tab, newline and backslash as \ooo. */
static bool unescape(struct slice s, char *ret, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.data[i];

		if (n + 1 >= size)
			return false;
		if (c == '\\' && i + 3 < s.len) {
			c = (char)((s.data[i + 1] - '0') << 6 | (s.data[i + 2] - '0') << 3 | (s.data[i + 3] - '0'));
			i += 3;
		}
		ret[n++] = c;
	}
	ret[n] = '\0';
	return n > 0 && ret[0] == '/';
}

/* The own group in the hierarchy of these controllers (0: v2), as /proc/self/cgroup has it. */
static struct slice own_path(const char *self, uint32_t controllers)
{
	struct slice line;

	while (next_line(&self, &line)) {
		struct slice names = field(line, 1, ':', false);

		if (controllers ? (controllers_in(names, ",") & controllers) != 0 :
				  names.len == 0 && line.len > 1 && line.data[0] == '0' && line.data[1] == ':')
			return field(line, 2, ':', true);
	}
	return (struct slice){ NULL, 0 };
}

/* A mount may show a part of the hierarchy alone: root. What lies outside of it cannot be reached. */
static void set_own(struct cgroup_mount *m, struct slice own, const char *root)
{
	size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

	m->own[0] = '\0';
	if (own.len == 0 || own.len >= sizeof(m->own) || own.len < n || memcmp(own.data, root, n) != 0 ||
	    (own.len > n && own.data[n] != '/'))
		return;
	if (own.len == n)
		(void)snprintf(m->own, sizeof(m->own), "/");
	else
		(void)snprintf(m->own, sizeof(m->own), "%.*s", (int)(own.len - n), own.data + n);
	if (!cgroup_path_is_valid(m->own))
		m->own[0] = '\0';
}

/* "36 31 0:33 /root /point options optional... - cgroup source super,options" */
static bool parse_mount(struct slice line, const char *self, struct cgroup_mount *ret)
{
	const char *dash = memmem(line.data, line.len, " - ", 3);
	struct slice rest, type;
	char root[CGROUP_PATH_MAX];

	if (!dash)
		return false;
	rest = (struct slice){ dash + 3, line.len - (size_t)(dash + 3 - line.data) };
	type = field(rest, 0, ' ', false);
	ret->is_v2 = slice_equal_str(type, "cgroup2");
	if (!ret->is_v2 && !slice_equal_str(type, "cgroup"))
		return false;
	ret->controllers = ret->is_v2 ? 0 : controllers_in(field(rest, 2, ' ', false), ",");
	if (!ret->is_v2 && !ret->controllers)
		return false;
	if (!unescape(field(line, 3, ' ', false), root, sizeof(root)) ||
	    !unescape(field(line, 4, ' ', false), ret->point, sizeof(ret->point)))
		return false;
	set_own(ret, own_path(self, ret->controllers), root);
	return true;
}

void cgroup_parse_mounts(const char *mountinfo, const char *self, struct cgroup_mounts *ret)
{
	struct slice line;

	ret->n = 0;
	while (ret->n < CGROUP_MAX_MOUNTS && next_line(&mountinfo, &line))
		if (parse_mount(line, self, &ret->mount[ret->n]))
			ret->n++;
}

static int read_text(const char *path, struct buffer *ret)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n;
		int r = buffer_reserve(ret, 16384);

		if (r < 0)
			return r;
		n = read(fd, ret->data + ret->len, 16383);
		if (n < 0)
			return -errno;
		ret->len += (size_t)n;
		ret->data[ret->len] = '\0';
		if (n == 0)
			return memchr(ret->data, '\0', ret->len) ? -EBADMSG : 0;
	}
}

static int read_mounts(struct cgroup_mounts *ret, struct error *err)
{
	_cleanup_(buffer_deinitp) struct buffer mountinfo = BUFFER_INIT(MAX_PROC_TEXT), self = BUFFER_INIT(MAX_PROC_TEXT);
	int r = read_text("/proc/self/mountinfo", &mountinfo);

	if (r < 0)
		return error_set(err, r, "/proc/self/mountinfo cannot be read: %s", strerror(-r));
	r = read_text("/proc/self/cgroup", &self);
	if (r < 0)
		return error_set(err, r, "/proc/self/cgroup cannot be read: %s", strerror(-r));
	cgroup_parse_mounts(mountinfo.data, self.data, ret);
	return 0;
}

/* -- directories --------------------------------------------------------------------------------------------------- */

static int open_below(int dir_fd, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, dir_fd, path[1] ? path + 1 : ".", &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* The mount point, if it is still what mountinfo says and nothing lies over it. */
static int open_mount(const struct cgroup_mount *m)
{
	_cleanup_(closep) int fd = open(m->point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type != (m->is_v2 ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC))
		return -ENODEV;
	return STEAL_FD(fd);
}

static int open_group(const struct cgroup_mount *m, const char *path)
{
	_cleanup_(closep) int mount_fd = open_mount(m);

	return mount_fd < 0 ? mount_fd : open_below(mount_fd, path);
}

static int set_place(struct cgroup_place *place, const struct cgroup_mount *m, const char *path, uint32_t does, int fd)
{
	*place = (struct cgroup_place){ .is_v2 = m->is_v2, .does = does, .fd = fd };
	(void)snprintf(place->path, sizeof(place->path), "%s", path);
	return 0;
}

/* -- v2 ------------------------------------------------------------------------------------------------------------ */

static uint32_t controllers_of(int fd, const char *file)
{
	char text[512];
	ssize_t n = cgroup_read_at(fd, file, text, sizeof(text));

	return n < 0 ? 0 : controllers_in((struct slice){ text, (size_t)n }, " \n");
}

static bool may_write(int fd)
{
	return faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) == 0 && faccessat(fd, "cgroup.procs", W_OK, AT_EACCESS) == 0 &&
	       faccessat(fd, "cgroup.subtree_control", W_OK, AT_EACCESS) == 0;
}

/*
 * Whether we are the one who decides about the inside of a group that we may write to. To an ordinary user that right
 * was given. Root has it everywhere, so root goes by systemd's mark, and by the mount's root: of a container, or of a
 * machine that has no manager of groups.
 */
static bool is_delegated(int fd, const char *path)
{
	char mark[8];

	if (geteuid() != 0 || strcmp(path, "/") == 0)
		return true;
	return (fgetxattr(fd, "trusted.delegate", mark, sizeof(mark)) == 1 && mark[0] == '1') ||
	       (fgetxattr(fd, "user.delegate", mark, sizeof(mark)) == 1 && mark[0] == '1');
}

/* Moves each process that is listed; how many there were. */
static int move_listed(int fd, int leaf_fd)
{
	_cleanup_(closep) int procs = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char text[32768];
	ssize_t length = cgroup_pread(procs, text, sizeof(text));
	int n = 0;

	if (length < 0)
		return (int)length;
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, n++) {
		int r;

		*end = '\0';
		r = cgroup_write_at(leaf_fd, "cgroup.procs", line);
		if (r < 0 && r != -ESRCH)
			return r;
	}
	return n;
}

/* A group that hands controllers down may have no processes, but for the very root of all. */
static int empty_into_leaf(int fd)
{
	_cleanup_(closep) int leaf_fd = -1;
	int moved = 0;

	if (faccessat(fd, "cgroup.type", F_OK, 0) < 0)
		return 0;
	if (mkdirat(fd, CGROUP_LEAF, 0755) < 0 && errno != EEXIST)
		return -errno;
	leaf_fd = open_below(fd, "/" CGROUP_LEAF);
	if (leaf_fd < 0)
		return leaf_fd;
	while (moved < MAX_MOVES) {
		int n = move_listed(fd, leaf_fd);

		if (n <= 0)
			return n;
		moved += n;
	}
	return -EBUSY;
}

/* All of needed, and those of wanted that can be had. */
static int write_controllers(int fd, uint32_t needed, uint32_t wanted)
{
	for (size_t i = 0; i < ARRAY_SIZE(controller_names); i++) {
		char text[16];
		int r;

		if (!((needed | wanted) & controller_names[i].bit))
			continue;
		(void)snprintf(text, sizeof(text), "+%s", controller_names[i].name);
		r = cgroup_write_at(fd, "cgroup.subtree_control", text);
		if (r < 0 && (needed & controller_names[i].bit))
			return r;
	}
	return 0;
}

/* Whoever starts processes in the group at the same time may be in the way, but not for ever. */
static int hand_down(int fd, uint32_t needed, uint32_t wanted)
{
	int r = -EBUSY;

	for (unsigned i = 0; r == -EBUSY && i < MAX_ATTEMPTS; i++) {
		r = 0;
		if ((controllers_of(fd, "cgroup.subtree_control") & needed) != needed)
			r = empty_into_leaf(fd);
		if (r == 0)
			r = write_controllers(fd, needed, wanted);
	}
	return r;
}

/* Whether a group can be the parent: 1, and what its children will have; 0: no; -errno: it could not be made so. */
static int judge(int fd, const char *path, uint32_t needed, uint32_t wanted, uint32_t *ret_has)
{
	uint32_t below = controllers_of(fd, "cgroup.subtree_control"), here = controllers_of(fd, "cgroup.controllers");
	int r;

	if (!may_write(fd) || (here & needed) != needed)
		return 0;
	if ((below & needed) != needed || ((here & ~below) & wanted)) {
		if (is_delegated(fd, path)) {
			r = hand_down(fd, needed, here & wanted);
			if (r < 0)
				return r;
		}
		below = controllers_of(fd, "cgroup.subtree_control");
	}
	*ret_has = below & (needed | wanted);
	return (below & needed) == needed;
}

/* Only who may write to the nearest group above both moves a process from one to the other. */
static bool may_enter(int mount_fd, const char *own, const char *path)
{
	char common[CGROUP_PATH_MAX] = "/";
	_cleanup_(closep) int fd = -1;

	for (size_t i = 0;; i++) {
		bool own_ends = !own[i] || own[i] == '/', path_ends = !path[i] || path[i] == '/';

		if (i > 0 && own_ends && path_ends) {
			memcpy(common, path, i);
			common[i] = '\0';
		}
		if (own[i] != path[i] || !own[i])
			break;
	}
	fd = open_below(mount_fd, common);
	return fd >= 0 && faccessat(fd, "cgroup.procs", W_OK, AT_EACCESS) == 0;
}

/* Whoever was moved to a leaf looks from where it was. */
static void leave_leaf(char *path)
{
	size_t n = strlen(path), tail = strlen("/" CGROUP_LEAF);

	if (n > tail && strcmp(path + n - tail, "/" CGROUP_LEAF) == 0)
		path[n - tail] = '\0';
	else if (strcmp(path, "/" CGROUP_LEAF) == 0)
		path[1] = '\0';
}

static int find_v2(const struct cgroup_mount *m, const char *parent, uint32_t needed, uint32_t wanted,
    struct cgroup_place *ret, struct error *err)
{
	_cleanup_(closep) int mount_fd = open_mount(m);
	char path[CGROUP_PATH_MAX];

	if (mount_fd < 0)
		return error_set(err, mount_fd, "%s cannot be used: %s", m->point, strerror(-mount_fd));
	if (parent && !may_enter(mount_fd, m->own, parent))
		return error_set(err, -ENOTSUP,
		    "processes cannot be moved from the control group %s to %s; start this one in a group beside or "
		    "below the latter, or " ADVICE, m->own, parent);
	(void)snprintf(path, sizeof(path), "%s", parent ? parent : m->own);
	if (!parent)
		leave_leaf(path);
	for (;;) {
		_cleanup_(closep) int fd = open_below(mount_fd, path);
		uint32_t has = 0;
		int r = fd < 0 ? fd : judge(fd, path, needed, wanted, &has);

		if (r < 0)
			return error_set(err, r,
			    "the control group %s of %s cannot be used: %s", path, m->point, strerror(-r));
		if (r > 0)
			return set_place(ret, m, path, has, STEAL_FD(fd));
		if (parent || !path[1])
			break;
		*strrchr(path, '/') = '\0';
		if (!path[0])
			(void)snprintf(path, sizeof(path), "/");
	}
	return error_set(err, -ENOTSUP, "no control group of %s may be used, neither %s nor one above it; %s", m->point,
	    parent ? parent : m->own, ADVICE);
}

/* -- all of it ----------------------------------------------------------------------------------------------------- */

void cgroup_places_close(struct cgroup_place *places, size_t n)
{
	for (size_t i = 0; i < n; i++)
		closep(&places[i].fd);
}

static int find_v1_places(const struct cgroup_mounts *mounts, const char *parent, uint32_t *need,
    struct cgroup_place *places, size_t *n, struct error *err)
{
	for (size_t i = 0; i < mounts->n && *n < CGROUP_MAX_ATTACH - 1; i++) {
		const struct cgroup_mount *m = &mounts->mount[i];
		uint32_t does = m->controllers & *need;
		const char *path = parent ? parent : m->own;
		int fd;

		if (m->is_v2 || !does || !*path)
			continue;
		fd = open_group(m, path);
		if (fd < 0)
			return error_set(err, fd,
			    "the control group %s of %s cannot be opened: %s", path, m->point, strerror(-fd));
		(void)set_place(&places[(*n)++], m, path, does, fd);
		*need &= ~does;
	}
	return 0;
}

static int find_v2_place(const struct cgroup_mounts *mounts, const char *parent, uint32_t *need, struct cgroup_place *ret,
    struct error *err)
{
	const struct cgroup_mount *m = NULL;
	int r;

	for (size_t i = 0; i < mounts->n && !m; i++)
		if (mounts->mount[i].is_v2 && mounts->mount[i].own[0])
			m = &mounts->mount[i];
	if (!m)
		return 0;
	if (*need & (CGROUP_MEMORY | CGROUP_PIDS)) {
		r = find_v2(m, parent, *need & (CGROUP_MEMORY | CGROUP_PIDS), *need & CGROUP_CPU, ret, err);
		if (r < 0)
			return r;
	} else {
		/* A group without controllers, for its kill and its clock. Without it one does as v1 did. */
		const char *path = parent ? parent : m->own;
		_cleanup_(closep) int mount_fd = open_mount(m);
		int fd = mount_fd >= 0 && may_enter(mount_fd, m->own, path) ? open_below(mount_fd, path) : -1;

		if (fd < 0)
			return 0;
		(void)set_place(ret, m, path, 0, fd);
	}
	ret->does |= CGROUP_KILL | (*need & CGROUP_CPUACCT);
	*need &= ~ret->does;
	return 1;
}

int cgroup_find_places(const char *parent, struct cgroup_place places[CGROUP_MAX_ATTACH], size_t *ret_n,
    struct error *err)
{
	_cleanup_(freep) struct cgroup_mounts *mounts = calloc(1, sizeof(*mounts));
	uint32_t need = CGROUP_MEMORY | CGROUP_PIDS | CGROUP_CPU | CGROUP_CPUACCT;
	size_t n = 0;
	int r;

	if (!mounts)
		return error_set(err, -ENOMEM, "out of memory");
	r = read_mounts(mounts, err);
	if (r == 0)
		r = find_v1_places(mounts, parent, &need, places, &n, err);
	if (r == 0)
		r = find_v2_place(mounts, parent, &need, &places[n], err);
	if (r > 0)
		n++;
	if (r >= 0 && need & ~CGROUP_CPU)
		r = error_set(err, -ENOTSUP,
		    "this process sees no control groups with memory, pids and the use of CPU; see that cgroup2 is "
		    "mounted at /sys/fs/cgroup, and " ADVICE);
	if (r < 0) {
		cgroup_places_close(places, n);
		return r;
	}
	*ret_n = n;
	return 0;
}
