/* SPDX-License-Identifier: Apache-2.0 */
/* leftover: the end of a long output, and its file. */
#include "kernel/front/leftover.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DIRECTORY ".husk"
#define NAME_SIZE 32

struct piece {
	uint32_t stream;
	size_t len;
};

struct leftover {
	struct leftover_place *place;
	uint32_t number;   /* of the file */
	int fd;            /* -1: no file, and why_not says why, if it was wanted */
	int why_not;       /* errno */
	uint64_t bytes;    /* of text, all of it */
	uint64_t messages;
	uint64_t unread;   /* of these, not in the file */
	size_t size;       /* of tail */
	size_t n;
	unsigned max_pieces;
	unsigned n_pieces;
	struct piece pieces[LEFTOVER_MAX_PIECES];
	char tail[];
};

static void name_file(uint32_t number, char name[NAME_SIZE])
{
	(void)snprintf(name, NAME_SIZE, "output-%u.txt", number);
}

/* The tenant may have put anything there, a link to another place too. */
static int open_directory(const struct leftover_place *place)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	bool is_new = mkdirat(place->workspace_fd, DIRECTORY, 0777) == 0;
	int r = is_new ? 0 : -errno;
	int fd = (int)syscall(SYS_openat2, place->workspace_fd, DIRECTORY, &how, sizeof(how));

	if (fd < 0)
		return errno == ENOENT && !is_new ? r : -errno; /* why it could not be made says more */
	if (is_new)
		(void)fchmod(fd, 0777); /* what is in it is the tenant's to remove */
	return fd;
}

static void forget_oldest(struct leftover_place *place, int dir_fd)
{
	char name[NAME_SIZE];

	if (place->n < LEFTOVER_MAX_FILES)
		return;
	name_file(place->turns[0], name);
	(void)unlinkat(dir_fd, name, 0);
	memmove(place->turns, place->turns + 1, (LEFTOVER_MAX_FILES - 1) * sizeof(place->turns[0]));
	place->n--;
}

static int open_file(struct leftover_place *place, uint32_t turn)
{
	_cleanup_(closep) int dir_fd = -1;
	char name[NAME_SIZE];
	int fd;

	if (place->workspace_fd < 0)
		return -ENOTSUP;
	dir_fd = open_directory(place);
	if (dir_fd < 0)
		return dir_fd;
	forget_oldest(place, dir_fd);
	name_file(turn, name);
	(void)unlinkat(dir_fd, name, 0); /* of an earlier kernel in the same directory */
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	place->turns[place->n++] = turn;
	return fd;
}

/* What an earlier turn has left there goes. */
static int take_file(struct leftover_place *place, uint32_t *ret_number)
{
	size_t i = place->n_used++ % place->n_files;
	struct stat st;
	int fd;

	if (fstat(place->files[i], &st) == 0 && st.st_nlink == 0)
		return -ENOENT; /* the tenant has removed it */
	fd = fcntl(place->files[i], F_DUPFD_CLOEXEC, 0);
	if (fd < 0 || ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0) {
		int r = -errno;

		closep(&fd);
		return r;
	}
	*ret_number = (uint32_t)i + 1;
	return fd;
}

int leftover_new(struct leftover_place *place, uint32_t turn, size_t tail_bytes, unsigned n_pieces, struct leftover **ret)
{
	struct leftover *l = calloc(1, sizeof(*l) + tail_bytes);

	if (!l)
		return -ENOMEM;
	l->place = place;
	l->number = turn;
	l->size = tail_bytes;
	l->max_pieces = MIN(n_pieces, LEFTOVER_MAX_PIECES);
	l->fd = place->n_files ? take_file(place, &l->number) : open_file(place, turn);
	if (l->fd < 0) {
		l->why_not = l->fd == -ENOTSUP ? 0 : -l->fd;
		l->fd = -1;
	}
	*ret = l;
	return 0;
}

struct leftover *leftover_free(struct leftover *l)
{
	if (!l)
		return NULL;
	closep(&l->fd);
	free(l);
	return NULL;
}

/* A full disk ends the file, not the turn. */
static void write_file(struct leftover *l, struct slice bytes)
{
	while (l->fd >= 0 && bytes.len) {
		ssize_t n = write(l->fd, bytes.data, bytes.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			l->why_not = n < 0 ? errno : ENOSPC;
			(void)close(l->fd);
			l->fd = -1;
			return;
		}
		bytes = slice_from(bytes.data + n, bytes.len - (size_t)n);
	}
}

static void drop_first(struct leftover *l, size_t len)
{
	memmove(l->tail, l->tail + len, l->n - len);
	l->n -= len;
	while (len) {
		size_t part = MIN(len, l->pieces[0].len);

		l->pieces[0].len -= part;
		len -= part;
		if (l->pieces[0].len)
			break;
		memmove(l->pieces, l->pieces + 1, --l->n_pieces * sizeof(l->pieces[0]));
	}
}

/* Room for len bytes of that stream, at the cost of the oldest. A quarter goes at once, so that this is not done for each line. */
static void make_room(struct leftover *l, uint32_t stream, size_t len)
{
	bool is_new = !l->n_pieces || l->pieces[l->n_pieces - 1].stream != stream;

	if (l->n + len > l->size)
		drop_first(l, MIN(l->n, MAX(l->n + len - l->size, l->size / 4)));
	is_new |= !l->n_pieces;
	if (is_new && l->n_pieces == l->max_pieces)
		drop_first(l, l->pieces[0].len);
	if (is_new)
		l->pieces[l->n_pieces++] = (struct piece){ .stream = stream };
}

void leftover_text(struct leftover *l, uint32_t stream, struct slice text)
{
	l->bytes += text.len;
	write_file(l, text);
	if (text.len > l->size)
		text = slice_from(text.data + text.len - l->size, l->size);
	if (!text.len)
		return;
	make_room(l, stream, text.len);
	memcpy(l->tail + l->n, text.data, text.len);
	l->n += text.len;
	l->pieces[l->n_pieces - 1].len += text.len;
}

void leftover_message(struct leftover *l, const char *msg_type, struct slice content)
{
	char head[128];
	int n = snprintf(head, sizeof(head), "\n{\"msg_type\":\"%s\",\"content\":", msg_type);

	l->messages++;
	if (l->fd < 0)
		return;
	write_file(l, slice_from(head, (size_t)MIN(n, (int)sizeof(head) - 1)));
	write_file(l, content);
	write_file(l, SLICE_LIT("}\n"));
}

void leftover_unread(struct leftover *l)
{
	l->messages++;
	l->unread++;
}

/* Where the first character of the tail begins: what was cut off may have taken a part of one with it. */
static size_t tail_start(const struct leftover *l)
{
	size_t i = 0;

	while (l->bytes > l->n && i < l->n && i < 3 && ((unsigned char)l->tail[i] & 0xc0) == 0x80)
		i++;
	return i;
}

bool leftover_piece(const struct leftover *l, unsigned i, uint32_t *ret_stream, struct slice *ret_text)
{
	size_t at = 0, skip = i == 0 ? tail_start(l) : 0;

	if (i >= l->n_pieces)
		return false;
	for (unsigned k = 0; k < i; k++)
		at += l->pieces[k].len;
	skip = MIN(skip, l->pieces[i].len);
	*ret_stream = l->pieces[i].stream;
	*ret_text = slice_from(l->tail + at + skip, l->pieces[i].len - skip);
	return true;
}

bool leftover_has_gap(const struct leftover *l)
{
	return l->bytes > l->n || l->messages;
}

size_t leftover_tail_bytes(const struct leftover *l)
{
	return l->n;
}

static void describe_amounts(const struct leftover *l, struct buffer *out)
{
	unsigned long long missing = l->bytes - l->n;

	if (missing)
		buffer_printf(out, "%llu bytes of text", missing);
	if (missing && l->messages)
		buffer_append_str(out, " and ");
	if (l->messages)
		buffer_printf(out, "%llu message%s", (unsigned long long)l->messages, l->messages == 1 ? "" : "s");
}

void leftover_describe(const struct leftover *l, struct buffer *out)
{
	char name[NAME_SIZE];

	buffer_append_str(out, "\n[husk: the limit of output was reached; ");
	describe_amounts(l, out);
	buffer_append_str(out, " left out here");
	name_file(l->number, name);
	if (l->fd >= 0)
		buffer_printf(out, ", all from here on is in %s/" DIRECTORY "/%s", l->place->name, name);
	else if (l->why_not)
		buffer_printf(out, ", and %s could not be written: %s", DIRECTORY, strerror(l->why_not));
	if (l->fd >= 0 && l->unread)
		buffer_printf(out, " but for %llu too large to be read", (unsigned long long)l->unread);
	buffer_append_str(out, "]\n");
}
