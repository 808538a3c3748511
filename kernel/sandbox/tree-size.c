/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree-size: what a directory holds that a tenant may change at the same time.
 *
 * Each directory on the way down stays open, so the way up is sure whatever is renamed meanwhile: a ".." could lead
 * elsewhere. Depth costs descriptors and no stack; where they end, the result says so.
 */
#include "kernel/sandbox/tree-size.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "protocol/base/util.h"

#define BUFFER_BYTES 4096u /* read again after each directory in it: small */
#define BLOCK_BYTES 512u   /* unit of st_blocks */
#define DIRECTORY_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define FIRST_LEVELS 16u
#define FIRST_SLOTS 64u

struct entry {
	uint64_t inode;
	int64_t next;
	uint16_t length;
	uint8_t type;
	char name[];
};

struct level {
	int fd;
	off_t next; /* where reading goes on */
};

/* Files of several names that were seen: a hash table, never more than half full. */
struct seen {
	struct slot {
		uint64_t device;
		uint64_t inode; /* 0: free */
	} *slots;
	size_t n_slots; /* a power of two */
	size_t n;
};

struct walk {
	struct tree_size *size;
	uint64_t max_files;
	dev_t device; /* of the directory itself */
	struct level *levels;
	size_t n_levels;
	size_t room;
	struct seen seen;
	ssize_t length; /* of what buffer holds of the deepest level, */
	ssize_t at;     /* and how much of it is done */
	_Alignas(struct entry) char buffer[BUFFER_BYTES];
};

/* ---- names of one file ---- */

static struct slot *find(const struct seen *s, uint64_t device, uint64_t inode)
{
	uint64_t hash = (inode ^ (device << 32)) * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(hash >> 32) & (s->n_slots - 1);

	while (s->slots[i].inode && (s->slots[i].inode != inode || s->slots[i].device != device))
		i = (i + 1) & (s->n_slots - 1);
	return &s->slots[i];
}

static int grow(struct seen *s)
{
	struct seen larger = {.n_slots = s->n_slots ? s->n_slots * 2 : FIRST_SLOTS, .n = s->n};

	if (s->n * 2 < s->n_slots)
		return 0;
	larger.slots = calloc(larger.n_slots, sizeof(*larger.slots));
	if (!larger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_slots; i++)
		if (s->slots[i].inode)
			*find(&larger, s->slots[i].device, s->slots[i].inode) = s->slots[i];
	free(s->slots);
	*s = larger;
	return 0;
}

/* 1: it was seen before. */
static int note(struct seen *s, const struct stat *st)
{
	int r = grow(s);
	struct slot *slot;

	if (r < 0)
		return r;
	slot = find(s, st->st_dev, st->st_ino);
	if (slot->inode)
		return 1;
	*slot = (struct slot){.device = st->st_dev, .inode = st->st_ino};
	s->n++;
	return 0;
}

/* ---- directories ---- */

/*
 * Never across a mount, be it one of the same file system; a subvolume is none, and counts. Where openat2(2) is not there
 * (gVisor) the file system's number has to do.
 */
static int open_directory(const struct walk *w, const char *name, const struct stat *st)
{
	int at = w->levels[w->n_levels - 1].fd, fd;
	struct open_how how = {.flags = DIRECTORY_FLAGS, .resolve = RESOLVE_NO_XDEV};

	fd = (int)syscall(SYS_openat2, at, name, &how, sizeof(how));
	if (fd < 0 && errno == ENOSYS && st->st_dev == w->device)
		fd = openat(at, name, DIRECTORY_FLAGS);
	return fd;
}

/* Takes the descriptor. */
static int push(struct walk *w, int fd)
{
	if (w->n_levels == w->room) {
		size_t room = w->room ? w->room * 2 : FIRST_LEVELS;
		struct level *levels = realloc(w->levels, room * sizeof(*levels));

		if (!levels) {
			(void)close(fd);
			return -ENOMEM;
		}
		w->levels = levels;
		w->room = room;
	}
	w->levels[w->n_levels++] = (struct level){.fd = fd};
	w->length = w->at = 0;
	return 0;
}

static void pop(struct walk *w)
{
	const struct level *above;

	(void)close(w->levels[--w->n_levels].fd);
	w->length = w->at = 0;
	if (!w->n_levels)
		return;
	above = &w->levels[w->n_levels - 1];
	if (lseek(above->fd, above->next, SEEK_SET) < 0)
		w->size->is_cut = true;
}

/*
 * What is shut by somebody else is not the tenant's to fill; what is shut by its owner may hide anything. Root has its
 * tenants' files under other ids, and is refused by file systems of other machines alone.
 */
static void not_entered(struct walk *w, const struct stat *st, int error)
{
	if (error == ENOENT || error == ENOTDIR || error == ELOOP || error == EXDEV ||
	    (error == ENOSYS && st->st_dev != w->device))
		return;
	if ((error == EACCES || error == EPERM) && geteuid() != 0 && st->st_uid != geteuid())
		return;
	w->size->is_cut = true;
}

static void enter(struct walk *w, const struct entry *entry, const struct stat *st)
{
	int fd = open_directory(w, entry->name, st);

	if (fd < 0)
		not_entered(w, st, errno);
	else if (push(w, fd) < 0)
		w->size->is_cut = true;
}

/* ---- entries ---- */

static void count(struct walk *w, const struct entry *entry)
{
	struct stat st;
	int r = 0;

	if (fstatat(w->levels[w->n_levels - 1].fd, entry->name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0) {
		w->size->is_cut |= errno != ENOENT; /* a directory that may be read, and not searched */
		return;
	}
	w->size->files++;
	if (!S_ISDIR(st.st_mode) && st.st_nlink > 1)
		r = note(&w->seen, &st);
	w->size->is_cut |= r < 0;
	if (r != 1)
		w->size->bytes += (uint64_t)st.st_blocks * BLOCK_BYTES;
	if (S_ISDIR(st.st_mode))
		enter(w, entry, &st);
}

/* The next entry of the deepest directory; NULL at its end. */
static const struct entry *next(struct walk *w)
{
	struct level *level = &w->levels[w->n_levels - 1];
	const struct entry *entry;

	if (w->at == w->length) {
		w->at = 0;
		w->length = syscall(SYS_getdents64, level->fd, w->buffer, sizeof(w->buffer));
		w->size->is_cut |= w->length < 0 && errno != ENOENT; /* it was removed */
	}
	if (w->length <= 0)
		return NULL;
	entry = (const struct entry *)(const void *)(w->buffer + w->at);
	w->at += entry->length;
	level->next = entry->next;
	return entry;
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static void walk(struct walk *w)
{
	while (w->n_levels) {
		const struct entry *entry = next(w);

		if (!entry) {
			pop(w);
		} else if (!is_dots(entry->name)) {
			if (w->size->files == w->max_files) {
				w->size->is_cut = true;
				return;
			}
			count(w, entry);
		}
	}
}

int tree_size_measure(int fd, uint64_t max_files, struct tree_size *ret)
{
	int top = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct walk w = {.size = ret, .max_files = max_files};
	struct stat st;
	int r;

	*ret = (struct tree_size){0};
	if (top < 0 || fstat(top, &st) < 0) {
		r = -errno;
		closep(&top);
		return r;
	}
	w.device = st.st_dev;
	r = push(&w, top);
	if (r == 0)
		walk(&w);
	while (w.n_levels)
		(void)close(w.levels[--w.n_levels].fd);
	free(w.levels);
	free(w.seen.slots);
	return r;
}
