/* SPDX-License-Identifier: Apache-2.0 */
/* husk-kernel: a stand-alone Jupyter kernel for Python: the front of one worker. */
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "kernel/front/doctor.h"
#include "kernel/front/front.h"
#include "kernel/front/install.h"
#include "kernel/front/paths.h"
#include "kernel/sandbox/profile.h"
#include "protocol/base/log.h"

/* All that is wrong with it goes to the log. */
static int load_profile(const char *named, struct profile *ret)
{
	struct profile_errors errors;
	int r = profile_load(named, ret, &errors);

	for (size_t i = 0; i < errors.n; i++)
		log_error("%s", errors.text[i]);
	if (errors.n_more > 0)
		log_error("and %zu more", errors.n_more);
	profile_errors_deinit(&errors);
	return r;
}

/* What was not asked for follows the profile. */
static void apply_profile(struct options *o, const struct profile *p)
{
	bool shut_in = p->level != SANDBOX_NONE;

	if (o->on_crash == ON_CRASH_DEFAULT && p->on_crash != PROFILE_ON_CRASH_DEFAULT)
		o->on_crash = p->on_crash == PROFILE_ON_CRASH_RESPAWN ? ON_CRASH_RESPAWN : ON_CRASH_DIE;
	else if (o->on_crash == ON_CRASH_DEFAULT && shut_in)
		o->on_crash = ON_CRASH_RESPAWN;
	if (shut_in && !o->hist_file[0])
		o->hist_file = ":memory:"; /* the user's own inputs are not for a tenant */
}

static int run(struct options *o)
{
	static char path[PATH_MAX];
	static struct profile profile;

	if (o->sandbox_profile) {
		if (load_profile(o->sandbox_profile, &profile) < 0)
			return 2;
		apply_profile(o, &profile);
	}

	if (!o->connection_file[0]) {
		paths_runtime_connection_file(path, sizeof(path));
		o->connection_file = path;
		(void)fprintf(stderr, "To connect a client to this kernel:\n    jupyter console --existing %s\n", path);
	}
	return front_run(o, o->sandbox_profile ? &profile : NULL);
}

static int doctor(const struct options *o)
{
	struct profile profile;
	int code;

	if (load_profile(o->sandbox_profile ? o->sandbox_profile : "default", &profile) < 0)
		return 2;
	code = doctor_run(o, &profile);
	profile_deinit(&profile);
	return code;
}

static int print_sample(void)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);

	profile_write_sample(&out);
	return !out.failed && fwrite(out.data, 1, out.len, stdout) == out.len && fflush(stdout) == 0 ? 0 : 1;
}

static int check_profile(const char *named)
{
	struct profile profile;

	if (load_profile(named, &profile) < 0)
		return 1;
	(void)printf("%s: good on this machine (level %s, minimum %s)\n", profile.path, sandbox_level_names[profile.level],
	    sandbox_level_names[profile.minimum]);
	profile_deinit(&profile);
	return 0;
}

/* A kernelspec that cannot start is refused here; it names a file whole, for its kernels start in any directory. */
static int install(struct options *o)
{
	struct error err = { 0 };
	struct profile profile = { .workspace_fd = -1 };
	int r;

	if (o->sandbox_profile && load_profile(o->sandbox_profile, &profile) < 0)
		return 1;
	if (o->sandbox_profile && strchr(o->sandbox_profile, '/'))
		o->sandbox_profile = profile.path;
	r = install_run(o, &err);
	if (r < 0)
		log_error("%s", err.text);
	profile_deinit(&profile);
	return r < 0 ? 1 : 0;
}

int main(int argc, char *argv[])
{
	struct options o = { 0 };
	struct error err = { 0 };

	/* Messages of output go back to the system when they have been sent; glibc would learn to keep their memory. */
	(void)mallopt(M_MMAP_THRESHOLD, 128 << 10);
	(void)mallopt(M_TRIM_THRESHOLD, 256 << 10);
	log_init("husk-kernel", LOG_LEVEL_WARNING);
	if (options_parse(argc, argv, &o, &err) < 0) {
		log_error("%s", err.text);
		return 2;
	}
	if (o.verbose)
		log_init("husk-kernel", LOG_LEVEL_DEBUG);
	switch (o.command) {
	case COMMAND_HELP:
		options_print_help();
		return 0;
	case COMMAND_VERSION:
		(void)printf("husk-kernel %s\n", PACKAGE_VERSION);
		return 0;
	case COMMAND_INSTALL:
		return install(&o);
	case COMMAND_PROFILE:
		return o.profile_check ? check_profile(o.profile_check) : print_sample();
	case COMMAND_DOCTOR:
		return doctor(&o);
	case COMMAND_RUN:
		break;
	}
	return run(&o);
}
