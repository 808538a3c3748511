/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup: the making of a kernel's groups. */
#include "kernel/sandbox/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/sandbox/cgroup-impl.h"

static struct cgroup *allocate(const char *name)
{
	struct cgroup *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	(void)snprintf(c->name, sizeof(c->name), CGROUP_PREFIX "%s", name);
	for (size_t i = 0; i < ARRAY_SIZE(c->file); i++)
		c->file[i] = -1;
	c->event_fd = -1;
	c->soft = c->hard = c->processes = LIMITS_NONE;
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return c->epoll_fd < 0 ? cgroup_free(c) : c;
}

struct cgroup *cgroup_free(struct cgroup *c)
{
	if (!c)
		return NULL;
	for (size_t i = 0; i < c->n_groups; i++) {
		closep(&c->group[i].attach_fd);
		closep(&c->group[i].fd);
		closep(&c->group[i].parent_fd);
	}
	for (size_t i = 0; i < ARRAY_SIZE(c->file); i++)
		closep(&c->file[i]);
	cgroup_end_event(c);
	closep(&c->epoll_fd);
	free(c);
	return NULL;
}

static int make_failed(const struct cgroup *c, const struct cgroup_place *place, int e, struct error *err)
{
	if (e == EEXIST)
		return error_set(err, -EEXIST, "the control group %s/%s is there already", place->path, c->name);
	if (e == EACCES || e == EPERM || e == EROFS)
		return error_set(err, -ENOTSUP,
		    "a control group %s cannot be made in %s: %s; run it as root, or under systemd with Delegate=yes, "
		    "or name a group of your own as the profile's cgroup_parent", c->name, place->path, strerror(e));
	return error_set(err, -e, "the control group %s cannot be made in %s: %s", c->name, place->path, strerror(e));
}

/* 1: left out, where it would only have made killing simpler. Takes place->fd. */
static int make_group(struct cgroup *c, struct cgroup_place *place, struct error *err)
{
	struct cgroup_group *g = &c->group[c->n_groups];

	if (mkdirat(place->fd, c->name, 0755) < 0) {
		int e = errno;

		return place->does == CGROUP_KILL && e != EEXIST ? 1 : make_failed(c, place, e, err);
	}
	*g = (struct cgroup_group){ .is_v2 = place->is_v2, .does = place->does, .fd = -1, .attach_fd = -1 };
	g->parent_fd = STEAL_FD(place->fd);
	c->n_groups++;
	g->fd = openat(g->parent_fd, c->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (g->fd >= 0)
		g->attach_fd = openat(g->fd, g->is_v2 ? "cgroup.procs" : "tasks", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (g->attach_fd < 0)
		return error_set(err, -errno,
		    "the control group %s cannot be opened in %s: %s", c->name, place->path, strerror(errno));
	c->memory_is_v2 |= g->is_v2 && (g->does & CGROUP_MEMORY);
	c->cpu_is_v2 |= g->is_v2 && (g->does & CGROUP_CPU);
	c->cpuacct_is_v2 |= g->is_v2 && (g->does & CGROUP_CPUACCT);
	return cgroup_open_files(c, g, err);
}

/* Says where memory is limited; the other hierarchies follow the same rule. */
static void describe(struct cgroup *c, const struct cgroup_place *place)
{
	if (place->does & CGROUP_MEMORY)
		(void)snprintf(c->description, sizeof(c->description), "%s %s/%s", place->is_v2 ? "v2" : "v1",
		    place->path[1] ? place->path : "", c->name);
}

static int make_groups(struct cgroup *c, struct cgroup_place *places, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		int r = make_group(c, &places[i], err);

		if (r < 0)
			return r;
		describe(c, &places[i]);
	}
	return 0;
}

int cgroup_new(const char *name, const char *parent, struct cgroup **ret, struct error *err)
{
	struct cgroup_place places[CGROUP_MAX_ATTACH];
	char own[CGROUP_NAME_MAX + 1];
	struct cgroup *c;
	size_t n = 0;
	int r;

	if (!name) {
		r = cgroup_own_name(own);
		if (r < 0)
			return error_set(err, r, "/proc/self cannot be read: %s", strerror(-r));
		name = own;
	}
	if (!cgroup_name_is_valid(name))
		return error_set(err, -EINVAL,
		    "the name of a control group is 1 to %d of a-z, A-Z, 0-9, \"-\", \"_\" and \".\", without \".\" "
		    "in front", CGROUP_NAME_MAX);
	if (parent && !cgroup_path_is_valid(parent))
		return error_set(err, -EINVAL,
		    "the parent of a control group is an absolute path in normal form of fewer than %d bytes",
		    CGROUP_PATH_MAX);
	r = cgroup_find_places(parent, places, &n, err);
	if (r < 0)
		return r;
	c = allocate(name);
	r = c ? make_groups(c, places, n, err) : error_set(err, -ENOMEM, "out of memory or descriptors");
	cgroup_places_close(places, n);
	if (r < 0) {
		if (c)
			(void)!cgroup_remove(c);
		(void)cgroup_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

size_t cgroup_attach_fds(const struct cgroup *c, int fds[CGROUP_MAX_ATTACH])
{
	for (size_t i = 0; i < c->n_groups; i++)
		fds[i] = c->group[i].attach_fd;
	return c->n_groups;
}

int cgroup_birth_fd(const struct cgroup *c)
{
	for (size_t i = 0; i < c->n_groups; i++)
		if (c->group[i].is_v2)
			return c->group[i].fd;
	return -1;
}

size_t cgroup_attach_v1_fds(const struct cgroup *c, int fds[CGROUP_MAX_ATTACH])
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_groups; i++)
		if (!c->group[i].is_v2)
			fds[n++] = c->group[i].attach_fd;
	return n;
}

const char *cgroup_describe(const struct cgroup *c)
{
	return c->description;
}
