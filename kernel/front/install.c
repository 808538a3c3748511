/* SPDX-License-Identifier: Apache-2.0 */
/* install: kernel.json and logos into a kernels directory. Written beside and renamed, so a reader never sees half. */
#include "kernel/front/install.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/front/paths.h"
#include "protocol/base/buffer.h"
#include "protocol/wire/connection-file.h"
#include "protocol/wire/json.h"

static bool is_good_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return n > 0 && n <= 100 && !name[n] && name[0] != '.';
}

/* The interpreter to serve: as named, else the active venv's. "" means: whatever is active when the kernel starts. */
static int choose_python(const struct options *o, char *ret, size_t size, struct error *err)
{
	const char *venv = getenv("VIRTUAL_ENV");
	struct stat st;

	ret[0] = '\0';
	if (o->python)
		(void)snprintf(ret, size, "%s", o->python);
	else if (venv && venv[0])
		(void)snprintf(ret, size, "%s/bin/python", venv);
	if (ret[0] && access(ret, X_OK) < 0)
		return error_set(err, -errno, "--python %s: %s", ret, strerror(errno));
	if (ret[0] && stat(ret, &st) == 0 && !S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "--python %s: not a file; name the interpreter, such as %s/bin/python", ret, ret);
	if (ret[0] && ret[0] != '/') {
		char cwd[PATH_MAX];

		if (!getcwd(cwd, sizeof(cwd)) || snprintf(ret, size, "%s/%s", cwd, o->python) >= (int)size)
			return error_set(err, -ENAMETOOLONG, "--python %s: the path is too long", o->python);
	}
	return 0;
}

static int choose_directory(const struct options *o, const char *python, char *ret, size_t size, struct error *err)
{
	char base[PATH_MAX], copy[PATH_MAX], *slash;

	if (o->prefix) {
		(void)snprintf(base, sizeof(base), "%s/share/jupyter", o->prefix);
	} else if (o->sys_prefix) {
		if (!python[0])
			return error_set(err, -EINVAL, "--sys-prefix: name the interpreter with --python, or activate its venv");
		(void)snprintf(copy, sizeof(copy), "%s", python);
		for (int i = 0; i < 2 && (slash = strrchr(copy, '/')); i++)
			*slash = '\0';
		if (snprintf(base, sizeof(base), "%s/share/jupyter", copy) >= (int)sizeof(base))
			return error_set(err, -ENAMETOOLONG, "--sys-prefix: the path is too long");
	} else {
		paths_user_data(base, sizeof(base));
	}
	if (snprintf(ret, size, "%s/kernels/%s", base, o->name) >= (int)size)
		return error_set(err, -ENAMETOOLONG, "the kernels directory's path is too long");
	return 0;
}

static int make_directories(const char *path, struct error *err)
{
	char copy[PATH_MAX];

	(void)snprintf(copy, sizeof(copy), "%s", path);
	for (char *p = strchr(copy + 1, '/'); ; p = strchr(p + 1, '/')) {
		if (p)
			*p = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return error_set(err, -errno, "cannot make %s: %s", copy, strerror(errno));
		if (!p)
			return 0;
		*p = '/';
	}
}

static void append_option(struct buffer *out, const char *name, const char *value)
{
	if (!value || !value[0])
		return;
	buffer_append_str(out, ", ");
	json_encode_string(out, slice_str(name));
	buffer_append_str(out, ", ");
	json_encode_string(out, slice_str(value));
}

static void append_argv(struct buffer *out, const char *self, const char *python, const struct options *o)
{
	buffer_append_str(out, "  \"argv\": [");
	json_encode_string(out, slice_str(self));
	buffer_append_str(out, ", \"-f\", \"{connection_file}\"");
	append_option(out, "--python", python);
	append_option(out, "--profile", o->sandbox_profile);
	append_option(out, "--ipython-profile", o->ipython_profile);
	buffer_append_str(out, "],\n");
}

static void append_environment(struct buffer *out, const struct options *o)
{
	buffer_append_str(out, "  \"env\": {");
	for (size_t i = 0; i < o->n_environment; i++) {
		const char *equals = strchr(o->environment[i], '=');

		buffer_append_str(out, i ? ", " : "");
		json_encode_string(out, slice_from(o->environment[i], (size_t)(equals - o->environment[i])));
		buffer_append_str(out, ": ");
		json_encode_string(out, slice_str(equals + 1));
	}
	buffer_append_str(out, "},\n");
}

static void make_spec(struct buffer *out, const char *self, const char *python, const struct options *o)
{
	char name[256];

	(void)snprintf(name, sizeof(name), "Python 3 (%s)", o->name);
	buffer_append_str(out, "{\n");
	append_argv(out, self, python, o);
	buffer_append_str(out, "  \"display_name\": ");
	json_encode_string(out, slice_str(o->display_name ? o->display_name : name));
	buffer_append_str(out, ",\n  \"language\": \"python\",\n  \"interrupt_mode\": \"message\",\n");
	append_environment(out, o);
	buffer_append_str(out, "  \"kernel_protocol_version\": \"5.5\",\n"
			       "  \"metadata\": {\"debugger\": true, \"supported_encryption\": [\"curve\"]}\n}\n");
}

static int write_file(const char *dir, const char *name, struct slice text, struct error *err)
{
	char path[PATH_MAX], temporary[PATH_MAX];
	_cleanup_(closep) int fd = -1;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path) ||
	    snprintf(temporary, sizeof(temporary), "%s/.%s.%d", dir, name, (int)getpid()) >= (int)sizeof(temporary))
		return error_set(err, -ENAMETOOLONG, "%s: the path is too long", dir);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_set(err, -errno, "cannot write %s: %s", temporary, strerror(errno));
	if (write(fd, text.data, text.len) != (ssize_t)text.len || rename(temporary, path) < 0) {
		int r = error_set(err, -errno, "cannot write %s: %s", path, strerror(errno));

		(void)unlink(temporary);
		return r;
	}
	return 0;
}

/* Logos are decoration: a missing one is no error. */
static void copy_logos(const char *dir)
{
	static const char *const names[] = { "logo-32x32.png", "logo-64x64.png", "logo-svg.svg" };
	char share[PATH_MAX], from[PATH_MAX];

	paths_share(share, sizeof(share));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char bytes[65536];
		struct error ignored;
		_cleanup_(closep) int fd = -1;
		ssize_t n;

		if (snprintf(from, sizeof(from), "%s/kernelspecs/%s", share, names[i]) >= (int)sizeof(from))
			continue;
		fd = open(from, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
		if (n > 0)
			(void)!write_file(dir, names[i], slice_from(bytes, (size_t)n), &ignored);
	}
}

int install_run(const struct options *o, struct error *err)
{
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(1 << 20);
	char self[PATH_MAX], python[PATH_MAX], dir[PATH_MAX];
	int r;

	if (!is_good_name(o->name))
		return error_set(err, -EINVAL, "--name %s: 1 to 100 letters, digits, dots, dashes or underscores are allowed",
		    o->name);
	paths_self(self, sizeof(self));
	r = choose_python(o, python, sizeof(python), err);
	if (r == 0)
		r = choose_directory(o, python, dir, sizeof(dir), err);
	if (r == 0)
		r = make_directories(dir, err);
	if (r < 0)
		return r;
	make_spec(&text, self, python, o);
	r = write_file(dir, "kernel.json", buffer_slice(&text), err);
	if (r < 0)
		return r;
	copy_logos(dir);
	(void)printf("Installed kernelspec %s in %s\n", o->name, dir);
	return 0;
}
