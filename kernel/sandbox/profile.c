/* SPDX-License-Identifier: Apache-2.0 */
/* profile: finding and reading the file of a profile, what this machine allows, and what was wrong. */
#include "kernel/sandbox/profile.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "kernel/sandbox/profile-reading.h"

#define MAX_PLACES 4
#define MAX_SENTENCE 1024

struct places {
	char *directory[MAX_PLACES];
	size_t n;
};

/* ---- what was wrong ---- */

void reading_complain(struct reading *r, unsigned line, const char *format, ...)
{
	struct profile_errors *e = r->errors;
	char sentence[MAX_SENTENCE], where[16] = "", *text;
	size_t i = e->n;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	if (line > 0)
		(void)snprintf(where, sizeof(where), ":%u", line);
	if (e->n == PROFILE_MAX_ERRORS || asprintf(&text, "%s%s: %s", r->path, where, sentence) < 0) {
		e->n_more++;
		return;
	}
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	for (; i > 0 && e->line[i - 1] > line; i--) {
		e->text[i] = e->text[i - 1];
		e->line[i] = e->line[i - 1];
	}
	e->text[i] = text;
	e->line[i] = line;
	e->n++;
}

void reading_show(const config_setting_t *value, char ret[READING_MAX_SHOWN])
{
	const char *text = config_setting_get_string(value);

	switch (config_setting_type(value)) {
	case CONFIG_TYPE_STRING:
		(void)snprintf(ret, READING_MAX_SHOWN, "\"%.*s%s\"", READING_MAX_SHOWN - 8, text,
			       strlen(text) > READING_MAX_SHOWN - 8 ? "..." : "");
		break;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		(void)snprintf(ret, READING_MAX_SHOWN, "%lld", config_setting_get_int64(value));
		break;
	case CONFIG_TYPE_FLOAT:
		(void)snprintf(ret, READING_MAX_SHOWN, "%g", config_setting_get_float(value));
		break;
	case CONFIG_TYPE_BOOL:
		(void)snprintf(ret, READING_MAX_SHOWN, "%s", config_setting_get_bool(value) ? "true" : "false");
		break;
	case CONFIG_TYPE_GROUP:
		(void)snprintf(ret, READING_MAX_SHOWN, "a section");
		break;
	default:
		(void)snprintf(ret, READING_MAX_SHOWN, "a list");
		break;
	}
}

bool reading_keep(struct reading *r, char **field, const char *value)
{
	*field = strdup(value);
	r->is_out_of_memory |= !*field;
	return *field != NULL;
}

void profile_errors_deinit(struct profile_errors *errors)
{
	for (size_t i = 0; i < errors->n; i++)
		free(errors->text[i]);
	*errors = (struct profile_errors){ .n = 0 };
}

void profile_deinit(struct profile *p)
{
	for (size_t i = 0; i < p->n_mounts; i++) {
		closep(&p->mounts[i].source_fd);
		free(p->mounts[i].source);
		free(p->mounts[i].target);
	}
	for (size_t i = 0; i < p->n_allow; i++)
		free(p->allow[i].host);
	for (size_t i = 0; i < p->n_environment; i++)
		free(p->environment[i]);
	for (size_t i = 0; i < p->n_devices; i++)
		free(p->devices[i]);
	if (p->workspace)
		closep(&p->workspace_fd);
	free(p->mounts);
	free(p->allow);
	free(p->environment);
	free(p->devices);
	free(p->name);
	free(p->path);
	free(p->workspace);
	free(p->cgroup_parent);
	*p = (struct profile){ .workspace_fd = -1 };
}

/* ---- the machine ---- */

static uint64_t read_number(const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return LIMITS_NONE;
	text[n] = '\0';
	return strtoull(text, NULL, 10);
}

static void lower(struct profile_machine *m, enum limit which, uint64_t most, const char *why)
{
	if (most >= m->most[which])
		return;
	m->most[which] = most;
	m->why[which] = why;
}

/* What a process without privileges cannot raise again. */
static void lower_to_rlimit(struct profile_machine *m, enum limit which, int resource, const char *why)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) == 0 && limit.rlim_max != RLIM_INFINITY)
		lower(m, which, limit.rlim_max, why);
}

void profile_machine_probe(struct profile_machine *ret)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE), cpus = sysconf(_SC_NPROCESSORS_ONLN);
	static const enum limit in_memory[] = { LIMIT_memory, LIMIT_scratch };

	for (int i = 0; i < LIMIT_COUNT; i++) {
		ret->most[i] = LIMITS_NONE;
		ret->why[i] = "";
	}
	for (size_t i = 0; pages > 0 && page > 0 && i < ARRAY_SIZE(in_memory); i++)
		lower(ret, in_memory[i], (uint64_t)pages * (uint64_t)page, "the memory of this machine");
	if (cpus > 0)
		lower(ret, LIMIT_cpu_share, 100 * (uint64_t)cpus, "the processors of this machine");
	lower(ret, LIMIT_processes, read_number("/proc/sys/kernel/pid_max"), "kernel.pid_max of this machine");
	lower(ret, LIMIT_processes, read_number("/proc/sys/kernel/threads-max"), "kernel.threads-max of this machine");
	lower_to_rlimit(ret, LIMIT_processes, RLIMIT_NPROC, "the hard limit of processes (ulimit -H -u)");
	lower_to_rlimit(ret, LIMIT_descriptors, RLIMIT_NOFILE, "the hard limit of open files (ulimit -H -n)");
	lower_to_rlimit(ret, LIMIT_file_size, RLIMIT_FSIZE, "the hard limit of a file's size (ulimit -H -f)");
}

/* ---- the file ---- */

/* Who may write the file may choose what the kernel can do. The owner of this program chooses that anyway. */
static bool is_trusted_owner(uid_t owner)
{
	struct stat self;

	return owner == 0 || owner == geteuid() || (stat("/proc/self/exe", &self) == 0 && owner == self.st_uid);
}

static int read_file(struct reading *r, struct buffer *out)
{
	_cleanup_(closep) int fd = open(r->path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0) {
		int k = -errno;

		reading_complain(r, 0, "the profile cannot be read: %s", strerror(-k));
		return k;
	}
	if (!S_ISREG(st.st_mode))
		reading_complain(r, 0, "a profile must be an ordinary file");
	else if (!is_trusted_owner(st.st_uid))
		reading_complain(r, 0,
				 "the file belongs to user %u; a profile must belong to root or to who runs the kernel",
				 st.st_uid);
	else if (st.st_mode & (S_IWGRP | S_IWOTH))
		reading_complain(r, 0, "others than its owner may write the file; say: chmod go-w %s", r->path);
	if (r->errors->n > 0)
		return -EPERM;
	do {
		if (buffer_reserve(out, 4096) < 0) {
			reading_complain(r, 0, "a profile may have at most %zu bytes", PROFILE_MAX_BYTES);
			return -EFBIG;
		}
		n = read(fd, out->data + out->len, 4096);
		if (n > 0)
			out->len += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0) {
		int k = -errno;

		reading_complain(r, 0, "the profile cannot be read: %s", strerror(-k));
		return k;
	}
	return 0;
}

static void add_place(struct places *p, const char *format, ...) printf_like(2, 3);

static void add_place(struct places *p, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (p->n < MAX_PLACES && vasprintf(&p->directory[p->n], format, args) >= 0)
		p->n++;
	va_end(args);
}

static void places_deinit(struct places *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->directory[i]);
}

/* The profiles of husk itself: beside the program that was installed, else in the tree that it was built in. */
static void add_own_place(struct places *p)
{
	static const char *const suffixes[] = { "../share/husk/profiles", "../../specs/profiles" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; slash && i < ARRAY_SIZE(suffixes); i++) {
		char directory[2 * PATH_MAX], real[PATH_MAX];

		(void)snprintf(directory, sizeof(directory), "%s/%s", self, suffixes[i]);
		if (realpath(directory, real)) {
			add_place(p, "%s", real);
			return;
		}
	}
	add_place(p, "%s/profiles", HUSK_DATA_DIR);
}

static void find_places(struct places *p)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (config && config[0] == '/')
		add_place(p, "%s/husk/profiles", config);
	else if (home && home[0] == '/')
		add_place(p, "%s/.config/husk/profiles", home);
	add_place(p, "/etc/husk/profiles");
	add_own_place(p);
}

static bool is_profile_name(const char *name)
{
	static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

	return name[0] && name[0] != '.' && strlen(name) < NAME_MAX - 5 && name[strspn(name, chars)] == '\0';
}

/* The file of the profile of that name, or NULL. The first that is there is taken, also when it cannot be read. */
static char *find_named(struct reading *r, const char *name)
{
	_cleanup_(places_deinit) struct places p = { .n = 0 };
	_cleanup_(buffer_deinitp) struct buffer where = BUFFER_INIT(0);
	char *path;

	if (!is_profile_name(name)) {
		reading_complain(
		    r, 0,
		    "the name of a profile has letters, digits, \".\", \"_\" and \"-\"; a file is named with a slash, such as ./%.*s",
		    READING_MAX_SHOWN, name);
		return NULL;
	}
	find_places(&p);
	for (size_t i = 0; i < p.n; i++) {
		if (asprintf(&path, "%s/%s.conf", p.directory[i], name) < 0)
			return NULL;
		if (faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) == 0 || (errno != ENOENT && errno != ENOTDIR))
			return path;
		free(path);
		buffer_printf(&where, "%s%s", i == 0 ? "" : i + 1 < p.n ? ", " : " or ", p.directory[i]);
	}
	reading_complain(r, 0, "there is no such profile: %s.conf is not in %.*s", name, (int)where.len, where.data);
	return NULL;
}

static char *absolute(const char *path)
{
	_cleanup_(freep) char *cwd = NULL;
	char *whole;

	if (path[0] == '/')
		return strdup(path);
	cwd = getcwd(NULL, 0);
	return cwd && asprintf(&whole, "%s/%s", cwd, path) >= 0 ? whole : NULL;
}

int profile_load(const char *named, struct profile *ret, struct profile_errors *errors)
{
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(PROFILE_MAX_BYTES + 4096);
	_cleanup_(freep) char *path = NULL;
	struct reading r = { .path = named, .errors = errors };
	struct profile_machine machine;
	int k;

	*errors = (struct profile_errors){ .n = 0 };
	path = strchr(named, '/') ? absolute(named) : find_named(&r, named);
	if (!path) {
		if (errors->n == 0)
			reading_complain(&r, 0, "not enough memory");
		return -ENOENT;
	}
	r.path = path;
	k = read_file(&r, &text);
	if (k < 0)
		return k;
	profile_machine_probe(&machine);
	return profile_parse(buffer_slice(&text), path, &machine, ret, errors);
}
