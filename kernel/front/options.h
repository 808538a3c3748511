/* SPDX-License-Identifier: Apache-2.0 */
/* options: the command line of husk-kernel, one table for parser and help. */
#ifndef HUSK_FRONT_OPTIONS_H
#define HUSK_FRONT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/base/error.h"

#define OPTIONS_MAX_PASSED 256
#define OPTIONS_START_TIMEOUT_SEC 60
#define OPTIONS_START_TIMEOUT_MAX_SEC 3600

enum on_crash { ON_CRASH_DEFAULT /* die, but in a sandbox */, ON_CRASH_DIE, ON_CRASH_RESPAWN };
enum command { COMMAND_RUN, COMMAND_INSTALL, COMMAND_PROFILE, COMMAND_DOCTOR, COMMAND_HELP, COMMAND_VERSION };

struct options {
	enum command command;
	const char *connection_file; /* "": choose one in Jupyter's runtime directory */
	const char *python;
	const char *ip;
	const char *transport;
	const char *hist_file;       /* "": IPython's own */
	bool history_enabled;
	bool verbose;
	enum on_crash on_crash;
	const char *sandbox_profile; /* name or file of a profile of husk's; NULL: none */
	const char *ipython_profile; /* name of a profile of IPython's; NULL: its default */
	unsigned start_timeout_sec; /* that a worker has to get ready in */
	/* install */
	bool user;
	bool sys_prefix;
	const char *prefix;
	const char *name;
	const char *display_name;
	const char *environment[OPTIONS_MAX_PASSED]; /* K=V */
	size_t n_environment;
	/* doctor */
	bool json;
	/* profile */
	bool profile_sample;
	const char *profile_check;
	/* --X.y=z, and --x followed by its value, as they came, for the shell's configuration */
	const char *ipython_args[OPTIONS_MAX_PASSED];
	size_t n_ipython_args;
};

/* Values point into argv. -EINVAL with a sentence naming argument and allowed values. */
int options_parse(int argc, char *argv[], struct options *ret, struct error *err) must_check;
void options_print_help(void);

#endif
