/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options: one table. Launchers pass ipykernel's options to every Python kernel, so what looks like configuration
 * (--Class.trait=value, --flag) is accepted; configuration goes on to the shell, flags that husk does not have are ignored.
 */
#include "kernel/front/options.h"

#include <stdio.h>
#include <string.h>

enum kind { TEXT, FLAG, TEXT_LIST, SECONDS };

static const struct option_row {
	const char *name;  /* without dashes */
	const char *alias; /* another spelling, or NULL */
	enum kind kind;
	size_t offset;
	const char *value_name;
	const char *help;
	enum { RUN = 1, INSTALL = 2, PROFILE = 4, DOCTOR = 8 } commands; /* that have it; a kernel passes others on to the shell */
} rows[] = {
#define AT(field) offsetof(struct options, field)
	{ "f", "IPKernelApp.connection_file", TEXT, AT(connection_file), "FILE", "Connection file; ports that are 0 are chosen and written back.", RUN | INSTALL },
	{ "python", NULL, TEXT, AT(python), "PATH", "Interpreter or venv's python to serve (default: the active venv, else python3).", RUN | INSTALL | DOCTOR },
	{ "ip", "IPKernelApp.ip", TEXT, AT(ip), "ADDRESS", "Address to listen on when there is no connection file (default 127.0.0.1).", RUN | INSTALL },
	{ "transport", "IPKernelApp.transport", TEXT, AT(transport), "tcp|ipc", "Transport when there is no connection file (default tcp).", RUN | INSTALL },
	{ "history-file", "HistoryManager.hist_file", TEXT, AT(hist_file), "FILE", "SQLite file of the input history, or :memory:.", RUN | INSTALL },
	{ "start-timeout", NULL, SECONDS, AT(start_timeout_sec), "SECONDS", "Time that Python has to come up (default 60).", RUN | INSTALL },
	{ "profile", NULL, TEXT, AT(sandbox_profile), "PROFILE", "What the kernel may do and use, husk-profile(5): a name, or a file.", RUN | INSTALL | DOCTOR },
	{ "ipython-profile", NULL, TEXT, AT(ipython_profile), "NAME", "IPython profile that the kernel loads.", RUN | INSTALL },
	{ "verbose", "debug", FLAG, AT(verbose), NULL, "Say more on stderr.", RUN | INSTALL },
	{ "user", NULL, FLAG, AT(user), NULL, "Install for this user (default).", INSTALL },
	{ "sys-prefix", NULL, FLAG, AT(sys_prefix), NULL, "Install into the prefix of the interpreter (its venv).", INSTALL },
	{ "prefix", NULL, TEXT, AT(prefix), "DIR", "Install below DIR/share/jupyter/kernels.", INSTALL },
	{ "name", NULL, TEXT, AT(name), "NAME", "Name of the kernelspec (default husk).", INSTALL },
	{ "display-name", NULL, TEXT, AT(display_name), "TEXT", "Name that people see.", INSTALL },
	{ "sample", NULL, FLAG, AT(profile_sample), NULL, "Write a profile with every setting and its default.", PROFILE },
	{ "check", NULL, TEXT, AT(profile_check), "PROFILE", "Say all that is wrong with a profile, a name or a file, on this machine.", PROFILE },
	{ "json", NULL, FLAG, AT(json), NULL, "Write JSON.", DOCTOR },
	{ "env", NULL, TEXT_LIST, AT(environment), "KEY=VALUE", "Environment of the kernel; may be repeated.", INSTALL },
#undef AT
};

/* The first argument may be one of these. */
static const struct {
	const char *name;
	enum command command;
	int rows;
} commands[] = {
	{ "install", COMMAND_INSTALL, INSTALL },
	{ "profile", COMMAND_PROFILE, PROFILE },
	{ "doctor", COMMAND_DOCTOR, DOCTOR },
};

static const char *name_of(enum command command)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].command == command)
			return commands[i].name;
	return "";
}

static int rows_of(enum command command)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].command == command)
			return commands[i].rows;
	return RUN;
}

static bool is_spelled(const char *spelling, const char *name, size_t len)
{
	return spelling && strlen(spelling) == len && memcmp(spelling, name, len) == 0;
}

static const struct option_row *find(enum command command, const char *name, size_t len)
{
	int bit = rows_of(command);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if ((is_spelled(rows[i].name, name, len) || is_spelled(rows[i].alias, name, len)) &&
		    (rows[i].commands & bit))
			return &rows[i];
	return NULL;
}

static int read_seconds(const struct option_row *row, const char *value, unsigned *ret, struct error *err)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (value[0] < '0' || value[0] > '9' || *end || n < 1 || n > OPTIONS_START_TIMEOUT_MAX_SEC)
		return error_set(err, -EINVAL, "--%s %s: it must be a whole number of seconds, 1 to %d", row->name, value,
		    OPTIONS_START_TIMEOUT_MAX_SEC);
	*ret = (unsigned)n;
	return 0;
}

static int apply(const struct option_row *row, struct options *o, const char *value, struct error *err)
{
	void *field = (char *)o + row->offset;

	if (row->kind == FLAG) {
		*(bool *)field = true;
		return 0;
	}
	if (!value)
		return error_set(err, -EINVAL, "%s%s needs a value (%s)", row->name[1] ? "--" : "-", row->name,
		    row->value_name);
	if (row->kind == SECONDS)
		return read_seconds(row, value, field, err);
	if (row->kind == TEXT) {
		if (!value[0])
			return error_set(err, -EINVAL, "%s%s: the value is empty (%s)", row->name[1] ? "--" : "-", row->name,
			    row->value_name);
		*(const char **)field = value;
		return 0;
	}
	if (!strchr(value, '=') || value[0] == '=')
		return error_set(err, -EINVAL, "--%s %s: it must have the form %s", row->name, value, row->value_name);
	if (o->n_environment == OPTIONS_MAX_PASSED)
		return error_set(err, -EINVAL, "--%s: at most %d are allowed", row->name, OPTIONS_MAX_PASSED);
	o->environment[o->n_environment++] = value;
	return 0;
}

static int on_crash(struct options *o, const char *value, struct error *err)
{
	if (value && strcmp(value, "die") == 0)
		o->on_crash = ON_CRASH_DIE;
	else if (value && strcmp(value, "respawn") == 0)
		o->on_crash = ON_CRASH_RESPAWN;
	else
		return error_set(err, -EINVAL, "--on-crash %s: it must be die or respawn", value ? value : "without a value");
	return 0;
}

/* Configuration of the shell. value: an argument of its own, or NULL. */
static int pass_on(struct options *o, const char *arg, const char *value, struct error *err)
{
	static const char enabled[] = "--HistoryManager.enabled";
	const char *rest = strncmp(arg, enabled, sizeof(enabled) - 1) == 0 ? arg + sizeof(enabled) - 1 : NULL;

	if (rest && (*rest == '=' || (!*rest && value))) {
		rest = value ? value : rest + 1;
		o->history_enabled = strcasecmp(rest, "false") != 0 && strcmp(rest, "0") != 0;
	}
	if (!value && !strchr(arg, '='))
		return 0;
	if (o->n_ipython_args + (value ? 2 : 1) > OPTIONS_MAX_PASSED)
		return error_set(err, -EINVAL, "%s: at most %d configuration arguments are allowed", arg,
		    OPTIONS_MAX_PASSED);
	o->ipython_args[o->n_ipython_args++] = arg;
	if (value)
		o->ipython_args[o->n_ipython_args++] = value;
	return 0;
}

/* One argument at argv[*i]; a value in the next one moves *i on. */
static int parse_one(int argc, char *argv[], int *i, struct options *o, struct error *err)
{
	const char *arg = argv[*i], *name = arg + strspn(arg, "-"), *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct option_row *row = find(o->command, name, len);
	bool is_on_crash = len == 8 && memcmp(name, "on-crash", 8) == 0, has_next = !equals && *i + 1 < argc;
	const char *value = equals ? equals + 1 : NULL;

	/* jupyter run gives the kernel its own arguments, the files to run. */
	if (arg[0] != '-' && o->command == COMMAND_RUN && o->connection_file[0])
		return 0;
	if (arg[0] != '-')
		return error_set(err, -EINVAL, "%s: not an option; see husk-kernel --help", arg);
	if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)
		o->command = COMMAND_HELP;
	else if (strcmp(arg, "--version") == 0)
		o->command = COMMAND_VERSION;
	else if (!row && o->command != COMMAND_RUN && (o->command != COMMAND_INSTALL || !is_on_crash))
		return error_set(err, -EINVAL, "%s: %s has no such option; see husk-kernel --help", arg, name_of(o->command));
	else if (!row && !is_on_crash)
		return pass_on(o, arg, has_next && argv[*i + 1][0] != '-' ? argv[++*i] : NULL, err);
	else if (has_next && (is_on_crash || row->kind != FLAG))
		value = argv[++*i];
	if (is_on_crash)
		return on_crash(o, value, err);
	return row ? apply(row, o, value, err) : 0;
}

int options_parse(int argc, char *argv[], struct options *ret, struct error *err)
{
	struct options o = {
		.command = COMMAND_RUN,
		.connection_file = "",
		.ip = "127.0.0.1",
		.transport = "tcp",
		.hist_file = "",
		.history_enabled = true,
		.name = "husk",
		.start_timeout_sec = OPTIONS_START_TIMEOUT_SEC,
	};
	int first = 1, r = 0;

	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		o.command = commands[i].command;
		first = 2;
	}
	for (int i = first; r == 0 && i < argc; i++)
		r = parse_one(argc, argv, &i, &o, err);
	if (r == 0 && strcmp(o.transport, "tcp") != 0 && strcmp(o.transport, "ipc") != 0)
		r = error_set(err, -EINVAL, "--transport %s: it must be tcp or ipc", o.transport);
	if (r == 0 && o.command == COMMAND_RUN && o.ipython_profile)
		r = pass_on(&o, "--profile", o.ipython_profile, err);
	if (r == 0 && o.command == COMMAND_PROFILE && o.profile_sample == (o.profile_check != NULL))
		r = error_set(err, -EINVAL, "profile: say either --sample or --check PROFILE");
	if (r == 0)
		*ret = o;
	return r;
}

/* The rows of one command that it does not share with the first. */
static void print_rows(int command)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char left[64];

		if (!(rows[i].commands & command) || (command != RUN && (rows[i].commands & RUN)))
			continue;
		(void)snprintf(left, sizeof(left), "%s%s%s%s", strlen(rows[i].name) == 1 ? "-" : "--", rows[i].name,
		    rows[i].value_name ? " " : "", rows[i].value_name ? rows[i].value_name : "");
		(void)printf("  %-26s %s\n", left, rows[i].help);
	}
}

void options_print_help(void)
{
	(void)printf("Usage: husk-kernel -f FILE [OPTION]...\n"
		     "       husk-kernel install [OPTION]...\n"
		     "       husk-kernel profile --sample | --check PROFILE\n"
		     "       husk-kernel doctor [--profile PROFILE] [--python PATH] [--json]\n\n"
		     "A Jupyter kernel for Python. The first form runs a kernel (Jupyter clients do this by themselves);\n"
		     "the second writes the kernelspec that tells them how; the third is about profiles; the fourth tries\n"
		     "which sandbox this machine allows.\n\n"
		     "Running a kernel:\n");
	print_rows(RUN);
	(void)printf("  %-26s %s\n", "--on-crash die|respawn",
	    "When Python dies: end as a kernel does (default), or go on with a fresh one.");
	(void)printf("\nInstalling (--python says for which interpreter):\n");
	print_rows(INSTALL);
	(void)printf("\nProfiles:\n");
	print_rows(PROFILE);
	(void)printf("\nThe doctor (exit status 0 when the profile, else the default one, can be had):\n");
	print_rows(DOCTOR);
	(void)printf("\nOther --Class.trait=value and --name value go to the shell's configuration; unknown flags are ignored.\n"
		     "Exit status: 0 after a shutdown, 1 when the kernel cannot start or a profile is wrong,\n"
		     "2 for a bad command line, 128 plus the signal or Python's own code when Python died.\n");
}
