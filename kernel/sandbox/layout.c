/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout: what of the host a sandbox shows.
 *
 * Programs and libraries, the environment of the interpreter, a few files of /etc that programs need and that hold no
 * secret, and what the
 * profile names. Everything else of the host is not there.
 */
#include "kernel/sandbox/layout.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/sandbox/proxy.h"

#define MAX_ENV (PROFILE_MAX_ENVIRONMENT + 32)
#define ENV_BYTES (64 << 10)
#define ZONE_FILE "/etc/localtime"
#define LAUNCHER_INSIDE "/run/husk/husk-worker"
#define CORE_INSIDE "/run/husk/husk-core.so"

enum { TREE_WRITABLE = 1, TREE_OPTIONAL = 2, TREE_OWN = 4, TREE_DEVICE = 8 };

static const char *const system_trees[] = {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};

static const char *const etc_files[] = {
    "/etc/ld.so.cache", "/etc/ld.so.conf",      "/etc/ld.so.conf.d",    "/etc/alternatives", "/etc/fonts",
    "/etc/ssl/certs",   "/etc/ssl/openssl.cnf", "/etc/ca-certificates", "/etc/pki/tls",      "/etc/mime.types",
    "/etc/magic",       "/etc/terminfo",        "/etc/inputrc",         "/etc/services",     "/etc/protocols",
    "/etc/timezone",    "/etc/os-release",      "/etc/debian_version",  "/etc/matplotlibrc", "/etc/locale.alias",
    "/etc/lsb-release", "/etc/manpath.config",  "/etc/groff",           "/etc/texmf",        "/etc/R",
    "/etc/OpenCL",
};

/* Their names have a release at the end. */
static const char *const etc_prefixes[] = {"python3", "java-", "ImageMagick-"};

static const char *const device_files[] = {"/dev/null",   "/dev/zero",    "/dev/full",
					   "/dev/random", "/dev/urandom", "/dev/tty"};

static int add(struct sandbox_plan *plan, const char *source, const char *target, int source_fd, unsigned flags,
	       struct error *err)
{
	struct plan_tree *tree = &plan->trees[plan->n_trees];

	if (plan->n_trees == PLAN_MAX_TREES || strlen(source) >= sizeof(tree->source) ||
	    strlen(target) >= sizeof(tree->target))
		return error_set(err, -E2BIG, "%s cannot be added: a sandbox shows at most %d places", source,
				 PLAN_MAX_TREES);
	(void)strcpy(tree->source, source);
	(void)strcpy(tree->target, target);
	tree->source_fd = source_fd;
	tree->mount_fd = -1;
	tree->writable = flags & TREE_WRITABLE;
	tree->optional = flags & TREE_OPTIONAL;
	tree->is_own = flags & TREE_OWN;
	tree->is_device = flags & TREE_DEVICE;
	plan->n_trees++;
	return 0;
}

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool is_shown(const struct sandbox_plan *plan, const char *path)
{
	for (size_t i = 0; i < plan->n_trees; i++)
		if (is_below(path, plan->trees[i].source))
			return true;
	return false;
}

/* On a merged system /bin and the like are links, which the root makes anew. */
static int add_system(struct sandbox_plan *plan, struct error *err)
{
	struct stat st;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(system_trees); i++)
		if (lstat(system_trees[i], &st) == 0 && (S_ISDIR(st.st_mode) || plan->level < SANDBOX_FULL_NOCG))
			r = add(plan, system_trees[i], system_trees[i], -1, 0, err);
	return r;
}

static bool is_wanted(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(etc_prefixes); i++)
		if (strncmp(name, etc_prefixes[i], strlen(etc_prefixes[i])) == 0)
			return true;
	return false;
}

/* Mostly a link to a file of /usr, which the root makes anew; a file of its own on machines that were set up by copying. */
static int add_zone(struct sandbox_plan *plan, struct error *err)
{
	struct stat st;

	return lstat(ZONE_FILE, &st) == 0 && S_ISREG(st.st_mode) ? add(plan, ZONE_FILE, ZONE_FILE, -1, TREE_OPTIONAL, err) : 0;
}

static int add_etc(struct sandbox_plan *plan, struct error *err)
{
	DIR *dir = opendir("/etc");
	const struct dirent *entry;
	char path[300];
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(etc_files); i++)
		r = add(plan, etc_files[i], etc_files[i], -1, TREE_OPTIONAL, err);
	while (dir && r == 0 && (entry = readdir(dir)) != NULL) {
		if (!is_wanted(entry->d_name))
			continue;
		(void)snprintf(path, sizeof(path), "/etc/%s", entry->d_name);
		r = add(plan, path, path, -1, TREE_OPTIONAL, err);
	}
	if (dir)
		(void)closedir(dir);
	if (r == 0)
		r = add_zone(plan, err);
	if (r == 0 && plan->profile->network == PROFILE_NETWORK_HOST)
		r = add(plan, "/etc/resolv.conf", "/etc/resolv.conf", -1, TREE_OPTIONAL, err);
	return r;
}

static int add_devices(struct sandbox_plan *plan, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(device_files); i++)
		r = add(plan, device_files[i], device_files[i], -1, TREE_DEVICE | TREE_OPTIONAL | TREE_WRITABLE, err);
	for (size_t i = 0; r == 0 && i < plan->profile->n_devices; i++)
		r = add(plan, plan->profile->devices[i], plan->profile->devices[i], -1, TREE_DEVICE | TREE_WRITABLE,
			err);
	return r;
}

/* A prefix that holds the user's own files would show them all. */
static int check_prefix(const char *prefix, struct error *err)
{
	const char *home = getenv("HOME");

	if (prefix[0] != '/' || strcmp(prefix, "/") == 0 || (home && is_below(home, prefix)))
		return error_set(
		    err, -EINVAL,
		    "the interpreter's prefix is %s: a sandbox that shows it would show more than an environment",
		    prefix);
	return 0;
}

static int add_environment(struct sandbox_plan *plan, const struct environment *e, struct error *err)
{
	const char *const prefixes[] = {e->base_prefix, e->exec_prefix, e->prefix};
	bool inside = plan->level >= SANDBOX_FULL_NOCG;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(prefixes); i++) {
		if (is_shown(plan, prefixes[i]))
			continue;
		r = check_prefix(prefixes[i], err);
		if (r == 0)
			r = add(plan, prefixes[i], prefixes[i], -1, 0, err);
	}
	if (r == 0 && !is_shown(plan, e->binary))
		r = add(plan, e->binary, e->binary, -1, 0, err);
	if (r == 0)
		r = add(plan, e->launcher, inside ? LAUNCHER_INSIDE : e->launcher, -1, 0, err);
	if (r == 0)
		r = add(plan, e->core, inside ? CORE_INSIDE : e->core, -1, 0, err);
	return r;
}

static int add_profile(struct sandbox_plan *plan, struct error *err)
{
	const struct profile *p = plan->profile;
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->n_mounts; i++)
		r = add(plan, p->mounts[i].source, p->mounts[i].target, p->mounts[i].source_fd,
			p->mounts[i].writable ? TREE_WRITABLE | TREE_OWN : 0, err);
	if (r == 0 && p->workspace && plan->level >= SANDBOX_FULL_NOCG)
		r = add(plan, p->workspace, "/workspace", p->workspace_fd, TREE_WRITABLE | TREE_OWN, err);
	return r;
}

/* ---- the worker's environment: nothing of the front's, but its locale's absence too ---- */

static struct {
	char text[ENV_BYTES];
	size_t len;
	const char *list[MAX_ENV + 1];
	size_t n;
} env;

static int set(struct error *err, const char *format, ...) printf_like(2, 3);

static int set(struct error *err, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(env.text + env.len, sizeof(env.text) - env.len, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(env.text) - env.len || env.n == MAX_ENV)
		return error_set(err, -E2BIG, "the environment of the worker is longer than %d bytes or %d variables",
				 ENV_BYTES, MAX_ENV);
	env.list[env.n++] = env.text + env.len;
	env.len += (size_t)n + 1;
	return 0;
}

/* pip installs there, and says why it cannot load anything where there is no network. */
static int set_pip(const struct sandbox_plan *plan, struct error *err)
{
	int r = set(err, "PIP_PREFIX=%s", plan->package_prefix);

	if (r == 0)
		r = set(err, "PIP_DISABLE_PIP_VERSION_CHECK=1");
	if (r == 0 && plan->profile->network == PROFILE_NETWORK_NONE)
		r = set(err, "PIP_RETRIES=0");
	if (r == 0 && plan->profile->network == PROFILE_NETWORK_NONE)
		r = set(err, "PIP_INDEX_URL=https://the-profile-of-this-kernel-allows-no-network.invalid/simple");
	return r;
}

static int set_paths(struct sandbox_plan *plan, const struct environment *e, struct error *err)
{
	bool inside = plan->level >= SANDBOX_FULL_NOCG;
	const char *slash = strrchr(e->executable, '/');
	const char *home = inside ? "/home/user" : plan->cwd, *tmp = inside ? "/tmp" : plan->cwd;
	int r;

	(void)snprintf(plan->package_prefix, sizeof(plan->package_prefix), "%.512s/.local", home);
	r = set(err, "PATH=%.*s:%s/bin:%s/local/bin:/usr/local/bin:/usr/bin:/bin", (int)(slash - e->executable),
		e->executable, plan->package_prefix, plan->package_prefix);
	if (r == 0)
		r = set(err, "HOME=%s", home);
	if (r == 0)
		r = set(err, "TMPDIR=%s", tmp);
	if (r == 0)
		r = set(err, "MPLCONFIGDIR=%s/.config/matplotlib", home);
	if (r == 0 && strcmp(e->prefix, e->base_prefix) != 0)
		r = set(err, "VIRTUAL_ENV=%s", e->prefix);
	return r < 0 ? r : set_pip(plan, err);
}

static int set_all(struct sandbox_plan *plan, const struct environment *e, struct error *err)
{
	static const char *const fixed[] = {
	    "USER=user",          "LOGNAME=user",
	    "LANG=C.UTF-8",       "SHELL=/bin/sh",
	    "MALLOC_ARENA_MAX=4", "PYTHONDONTWRITEBYTECODE=1",
	    "PYTHONNOUSERSITE=1", "ARROW_DEFAULT_MEMORY_POOL=system",
	};
	static const char *const threads[] = {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
					      "NUMEXPR_MAX_THREADS"};
	uint64_t share = plan->profile->limits.value[LIMIT_cpu_share];
	unsigned long n = share == LIMITS_NONE ? 0 : (unsigned long)((share + 99) / 100);
	int r = set_paths(plan, e, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(fixed); i++)
		r = set(err, "%s", fixed[i]);
	for (size_t i = 0; r == 0 && n > 0 && i < ARRAY_SIZE(threads); i++)
		r = set(err, "%s=%lu", threads[i], n);
	for (size_t i = 0; r == 0 && plan->profile->network == PROFILE_NETWORK_PROXY && proxy_environment[i]; i++)
		r = set(err, "%s", proxy_environment[i]);
	for (size_t i = 0; r == 0 && i < plan->profile->n_environment; i++)
		r = set(err, "%s", plan->profile->environment[i]);
	return r;
}

/* ---- argv ---- */

static void fill_argv(struct sandbox_plan *plan, const struct environment *e)
{
	static const char *argv[8];
	static char launcher[PATH_MAX], core[PATH_MAX], record[16], code[16];
	bool inside = plan->level >= SANDBOX_FULL_NOCG;
	size_t n = 0;

	(void)snprintf(launcher, sizeof(launcher), "%s", inside ? LAUNCHER_INSIDE : e->launcher);
	(void)snprintf(core, sizeof(core), "%s", inside ? CORE_INSIDE : e->core);
	(void)snprintf(record, sizeof(record), "%d", plan->n_worker_fds);
	(void)snprintf(code, sizeof(code), "%d", plan->n_worker_fds + 1);
	argv[n++] = launcher;
	argv[n++] = "--core";
	argv[n++] = core;
	argv[n++] = "--record-fd";
	argv[n++] = record;
	if (e->code_fd >= 0) {
		argv[n++] = "--code-fd";
		argv[n++] = code;
	}
	argv[n] = NULL;
	plan->argv = argv;
	plan->passed[0] = e->record_fd;
	plan->passed[1] = e->code_fd;
	plan->n_passed = e->code_fd >= 0 ? 2 : 1;
}

int layout_fill(struct sandbox_plan *plan, const struct environment *environment, struct error *err)
{
	int r = add_system(plan, err);

	if (plan->level >= SANDBOX_FULL_NOCG)
		plan->cwd = "/workspace";
	if (r == 0)
		r = add_etc(plan, err);
	if (r == 0)
		r = add_devices(plan, err);
	if (r == 0)
		r = add_environment(plan, environment, err);
	if (r == 0)
		r = add_profile(plan, err);
	if (r == 0)
		r = set_all(plan, environment, err);
	fill_argv(plan, environment);
	plan->env = env.list;
	return r;
}
