/* SPDX-License-Identifier: Apache-2.0 */
/* profile-settings: from the text of a profile to its values, along the table of profile.def; the sample of it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernel/sandbox/profile-reading.h"
#include "kernel/sandbox/profile-text.h"
#include "kernel/sandbox/target.h"

enum kind { CHOICE, BOOL, DEVICES, CGROUP_PARENT, WORKSPACE, ALLOW, MOUNTS };

enum section {
#define SECTION(name, help) SECTION_##name,
#define SETTING(...)
#include "kernel/sandbox/profile.def"
#undef SECTION
#undef SETTING
	SECTION_top,
	SECTION_COUNT
};

static const struct section_row {
	const char *name;
	const char *help;
} section_rows[] = {
#define SECTION(name, help) { #name, help },
#define SETTING(...)
#include "kernel/sandbox/profile.def"
#undef SECTION
#undef SETTING
};

static const char *const none[] = { "" };

static const struct setting_row {
	enum section section;
	const char *name;
	enum kind kind;
	const char *const *words;
	size_t n_words;
	size_t offset;
	const char *fallback;
	const char *range;
	const char *help;
} setting_rows[SETTING_COUNT] = {
#define SECTION(...)
#define SETTING(section, name, kind, words, field, fallback, range, help) \
	{ SECTION_##section, #name, kind, words, ARRAY_SIZE(words), offsetof(struct profile, field), \
	  fallback, range, help },
#include "kernel/sandbox/profile.def"
#undef SECTION
#undef SETTING
};

const char *const profile_network_names[PROFILE_NETWORK_COUNT] = { "none", "proxy", "host" };
const char *const profile_proc_names[PROFILE_PROC_COUNT] = { "pid", "masked" };
const char *const profile_on_crash_names[PROFILE_ON_CRASH_COUNT] = { "default", "die", "respawn" };
const char *const profile_on_output_names[PROFILE_ON_OUTPUT_COUNT] = { "truncate", "interrupt" };

/* What the sandbox gives its processes itself; besides, names with one of the prefixes. */
static const char *const own_variables[] = {
	"ALL_PROXY", "ARROW_DEFAULT_MEMORY_POOL", "HOME", "HOSTNAME", "HTTPS_PROXY", "HTTP_PROXY", "JPY_PARENT_PID", "LANG", "LC_ALL",
	"LOGNAME", "MALLOC_ARENA_MAX", "MKL_NUM_THREADS", "MPLBACKEND", "MPLCONFIGDIR", "NO_PROXY", "NUMEXPR_MAX_THREADS",
	"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PATH", "PWD", "SHELL", "TMPDIR", "USER", "VIRTUAL_ENV", "XDG_CACHE_HOME",
	"XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "all_proxy", "http_proxy", "https_proxy", "no_proxy",
};
static const char *const own_prefixes[] = { "GLIBC_", "HUSK_", "LD_", "PYTHON" };

bool profile_may_set(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(own_variables); i++)
		if (strcmp(name, own_variables[i]) == 0)
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(own_prefixes); i++)
		if (strncmp(name, own_prefixes[i], strlen(own_prefixes[i])) == 0)
			return false;
	return true;
}

/* "sandbox.level", "mounts" */
static const char *full_name(const struct setting_row *row, char ret[READING_MAX_SHOWN])
{
	bool is_top = row->section == SECTION_top;

	(void)snprintf(ret, READING_MAX_SHOWN, "%s%s%s", is_top ? "" : section_rows[row->section].name,
		       is_top ? "" : ".", row->name);
	return ret;
}

/* "none", "restricted" or "full" with quotes, as they are written. */
static void list_words(const struct setting_row *row, struct buffer *out)
{
	if (row->kind == BOOL)
		buffer_append_str(out, "true or false");
	for (size_t i = 0; row->kind == CHOICE && i < row->n_words; i++)
		buffer_printf(out, "%s\"%s\"", i == 0 ? "" : i + 1 < row->n_words ? ", " : " or ", row->words[i]);
	buffer_append_str(out, row->range);
}

static void complain_range(struct reading *r, const config_setting_t *value, const struct setting_row *row)
{
	_cleanup_(buffer_deinitp) struct buffer range = BUFFER_INIT(0);
	char name[READING_MAX_SHOWN], shown[READING_MAX_SHOWN];

	list_words(row, &range);
	reading_show(value, shown);
	reading_complain(r, reading_line(value), "%s is %s; it must be %.*s", full_name(row, name), shown,
			 (int)range.len, range.data);
}

static void read_choice(struct reading *r, const config_setting_t *value, const struct setting_row *row)
{
	const char *text = config_setting_get_string(value);

	for (size_t i = 0; text && i < row->n_words; i++)
		if (strcmp(text, row->words[i]) == 0) {
			*(unsigned *)(void *)((char *)r->p + row->offset) = (unsigned)i;
			return;
		}
	complain_range(r, value, row);
}

static void read_allow(struct reading *r, const config_setting_t *value)
{
	int n = config_setting_length(value);

	r->p->allow = calloc((size_t)n + 1, sizeof(*r->p->allow));
	if (!r->p->allow)
		r->is_out_of_memory = true;
	for (int i = 0; r->p->allow && i < n; i++) {
		const config_setting_t *element = config_setting_get_elem(value, (unsigned)i);
		const char *text = config_setting_get_string(element);
		struct profile_allow *allow = &r->p->allow[r->p->n_allow];
		char shown[READING_MAX_SHOWN];
		struct target target;

		reading_show(element, shown);
		if (!text || target_parse(slice_str(text), TARGET_RULE, 0, &target) < 0) {
			reading_complain(r, reading_line(element),
					 "network.allow: %s must be \"host:port\", \"*.example.org:port\", "
					 "\"10.0.0.5:port\" or \"[2001:db8::1]:port\", port 1 to 65535",
					 shown);
		} else if (reading_keep(r, &allow->host, target.host)) {
			allow->port = target.port;
			r->p->n_allow++;
		}
	}
}

static bool is_variable_name(const char *name)
{
	static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

	return name[0] && !(name[0] >= '0' && name[0] <= '9') && name[strspn(name, chars)] == '\0';
}

/* It is where the parser stopped, which is told. */
static bool is_unfinished(const config_setting_t *value)
{
	return config_setting_type(value) == CONFIG_TYPE_NONE;
}

static void read_variable(struct reading *r, const config_setting_t *value)
{
	const char *name = config_setting_name(value), *text = config_setting_get_string(value);
	char **place = &r->p->environment[r->p->n_environment], shown[READING_MAX_SHOWN];

	if (name[0] == PROFILE_TEXT_DUPLICATE || is_unfinished(value))
		return;
	reading_show(value, shown);
	if (!is_variable_name(name))
		reading_complain(r, reading_line(value),
				 "environment.%.*s is not the name of a variable: letters, digits and _",
				 READING_MAX_SHOWN, name);
	else if (!profile_may_set(name))
		reading_complain(
		    r, reading_line(value),
		    "environment.%.*s is not a profile's to set: husk sets it itself, or it changes what husk runs",
		    READING_MAX_SHOWN, name);
	else if (!text)
		reading_complain(r, reading_line(value), "environment.%.*s is %s; it must be a text in quotes",
				 READING_MAX_SHOWN, name, shown);
	else if (asprintf(place, "%s=%s", name, text) >= 0)
		r->p->n_environment++;
	else {
		*place = NULL;
		r->is_out_of_memory = true;
	}
}

static void read_environment(struct reading *r, const config_setting_t *group)
{
	int n = config_setting_length(group);

	if (n > PROFILE_MAX_ENVIRONMENT) {
		reading_complain(r, reading_line(group), "environment has %d variables; at most %d are allowed", n,
				 PROFILE_MAX_ENVIRONMENT);
		return;
	}
	for (int i = 0; i < n; i++)
		read_variable(r, config_setting_get_elem(group, (unsigned)i));
}

static void read_list(struct reading *r, const config_setting_t *value, const struct setting_row *row)
{
	static const int most[] = {
		[DEVICES] = PROFILE_MAX_DEVICES, [ALLOW] = PROFILE_MAX_ALLOW, [MOUNTS] = PROFILE_MAX_MOUNTS
	};
	char name[READING_MAX_SHOWN];

	if (config_setting_type(value) != CONFIG_TYPE_LIST && config_setting_type(value) != CONFIG_TYPE_ARRAY)
		complain_range(r, value, row);
	else if (config_setting_length(value) > most[row->kind])
		reading_complain(r, reading_line(value), "%s has %d entries; at most %d are allowed",
				 full_name(row, name), config_setting_length(value), most[row->kind]);
	else if (row->kind == DEVICES)
		reading_devices(r, value);
	else if (row->kind == ALLOW)
		read_allow(r, value);
	else
		reading_mounts(r, value);
}

static void read_setting(struct reading *r, const config_setting_t *value, enum setting which)
{
	const struct setting_row *row = &setting_rows[which];

	r->line[which] = reading_line(value);
	switch (row->kind) {
	case CHOICE:
		read_choice(r, value, row);
		break;
	case BOOL:
		if (config_setting_type(value) == CONFIG_TYPE_BOOL)
			*(bool *)((char *)r->p + row->offset) = config_setting_get_bool(value);
		else
			complain_range(r, value, row);
		break;
	case CGROUP_PARENT:
		reading_cgroup_parent(r, value);
		break;
	case WORKSPACE:
		reading_workspace(r, value);
		break;
	case DEVICES:
	case ALLOW:
	case MOUNTS:
		read_list(r, value, row);
		break;
	}
}

/* A value for limit_parse(): numbers as they are written; of other kinds what is shown of them, which it refuses. */
static void read_limit(struct reading *r, const config_setting_t *value, enum limit which)
{
	const char *text = config_setting_get_string(value);
	uint64_t *limit = &r->p->limits.value[which], most = r->machine->most[which];
	_cleanup_(buffer_deinitp) struct buffer form = BUFFER_INIT(0);
	char shown[READING_MAX_SHOWN];
	struct error err;

	reading_show(value, shown);
	if (limit_parse(which, slice_str(text ? text : shown), limit, &err) < 0) {
		reading_complain(r, reading_line(value), "%s", err.text);
		return;
	}
	if (*limit == LIMITS_NONE || *limit <= most)
		return;
	limit_format(which, most, &form);
	reading_complain(r, reading_line(value), "limit %s is %s; it must be at most %.*s, %s, or \"none\"",
			 limit_rows[which].name, shown, (int)form.len, form.data, r->machine->why[which]);
}

/* Names of the settings of a section, for the sentence about one that is not there. */
static void list_settings(enum section section, struct buffer *out)
{
	const char *comma = "";

	for (size_t i = 0; section == SECTION_limits && i < LIMIT_COUNT; i++, comma = ", ")
		buffer_printf(out, "%s%s", comma, limit_rows[i].name);
	for (size_t i = 0; section == SECTION_top && i < ARRAY_SIZE(section_rows); i++, comma = ", ")
		buffer_printf(out, "%s%s", comma, section_rows[i].name);
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (setting_rows[i].section == section) {
			buffer_printf(out, "%s%s", comma, setting_rows[i].name);
			comma = ", ";
		}
}

static void complain_unknown(struct reading *r, const config_setting_t *value, enum section section)
{
	_cleanup_(buffer_deinitp) struct buffer known = BUFFER_INIT(0);

	list_settings(section, &known);
	reading_complain(r, reading_line(value), "%s%s%.*s is not a setting; there are %.*s",
			 section == SECTION_top ? "" : section_rows[section].name, section == SECTION_top ? "" : ".",
			 READING_MAX_SHOWN, config_setting_name(value), (int)known.len, known.data);
}

/* One member of a section, or of the whole. */
static void read_member(struct reading *r, const config_setting_t *value, enum section section)
{
	const char *name = config_setting_name(value);
	enum limit limit = limit_find(slice_str(name));

	if (name[0] == PROFILE_TEXT_DUPLICATE || is_unfinished(value))
		return;
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (setting_rows[i].section == section && strcmp(setting_rows[i].name, name) == 0) {
			read_setting(r, value, (enum setting)i);
			return;
		}
	if (section == SECTION_limits && limit != LIMIT_COUNT)
		read_limit(r, value, limit);
	else
		complain_unknown(r, value, section);
}

static void read_section(struct reading *r, const config_setting_t *group, enum section section)
{
	char shown[READING_MAX_SHOWN];

	if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
		reading_show(group, shown);
		reading_complain(r, reading_line(group), "%s is %s; it must be a section: { ... }",
				 section_rows[section].name, shown);
		return;
	}
	r->has_limits |= section == SECTION_limits;
	if (section == SECTION_environment) {
		read_environment(r, group);
		return;
	}
	for (int i = 0; i < config_setting_length(group); i++)
		read_member(r, config_setting_get_elem(group, (unsigned)i), section);
}

static void read_all(struct reading *r, const config_setting_t *root)
{
	for (int i = 0; root && i < config_setting_length(root); i++) {
		const config_setting_t *value = config_setting_get_elem(root, (unsigned)i);
		size_t section = 0;

		if (is_unfinished(value))
			continue;
		while (section < ARRAY_SIZE(section_rows) &&
		       strcmp(section_rows[section].name, config_setting_name(value)) != 0)
			section++;
		if (section < ARRAY_SIZE(section_rows))
			read_section(r, value, (enum section)section);
		else
			read_member(r, value, SECTION_top);
	}
}

/* What is wrong with settings only together. A weaker level than the wanted one counts: the kernel may get it. */
static void judge_together(struct reading *r)
{
	const struct profile *p = r->p;
	const char *minimum = sandbox_level_names[p->minimum];

	if (p->minimum > p->level)
		reading_complain(r, r->line[SETTING_sandbox_minimum],
				 "sandbox.minimum is \"%s\"; it must not be above sandbox.level, \"%s\"", minimum,
				 sandbox_level_names[p->level]);
	if (p->minimum == SANDBOX_NONE && p->network != PROFILE_NETWORK_HOST)
		reading_complain(r, r->line[SETTING_network_policy],
				 "network.policy is \"%s\", which level none cannot keep; it must be \"host\", "
				 "or sandbox.minimum \"restricted\" or more",
				 profile_network_names[p->network]);
	else if (p->minimum < SANDBOX_FULL_NOCG && p->network == PROFILE_NETWORK_PROXY)
		reading_complain(r, r->line[SETTING_network_policy],
				 "network.policy is \"proxy\", which needs a sandbox.minimum of \"full-nocg\" or "
				 "\"full\"; it is \"%s\"",
				 minimum);
	if (p->network != PROFILE_NETWORK_PROXY && p->n_allow > 0)
		reading_complain(r, r->line[SETTING_network_allow],
				 "network.allow is for network.policy \"proxy\"; it is \"%s\"",
				 profile_network_names[p->network]);
	if (p->network == PROFILE_NETWORK_PROXY && !r->line[SETTING_network_allow])
		reading_complain(r, r->line[SETTING_network_policy],
				 "network.policy is \"proxy\", but network.allow does not say what it lets through");
	if (p->minimum < SANDBOX_FULL_NOCG && p->n_mounts > 0)
		reading_complain(r, r->line[SETTING_top_mounts],
				 "mounts need a sandbox.minimum of \"full-nocg\" or \"full\"; it is \"%s\"", minimum);
}

/* A kernel without a sandbox and without a section limits has none; what is not written is within the machine. */
static void set_default_limits(struct reading *r, const struct limits *unset)
{
	struct limits fallback = r->has_limits || r->p->level != SANDBOX_NONE ? limits_default() : limits_unlimited();

	for (int i = 0; i < LIMIT_COUNT; i++) {
		if (r->p->limits.value[i] != unset->value[i])
			continue;
		r->p->limits.value[i] = fallback.value[i];
		if (fallback.value[i] != LIMITS_NONE && fallback.value[i] > r->machine->most[i])
			r->p->limits.value[i] = MAX(r->machine->most[i], limit_rows[i].least);
	}
}

static void report_text(void *userdata, unsigned line, const char *sentence)
{
	reading_complain(userdata, line, "%s", sentence);
}

static bool parse_text(struct reading *r, struct slice text, config_t *config)
{
	_cleanup_(buffer_deinitp) struct buffer prepared = BUFFER_INIT(4 * PROFILE_MAX_BYTES);
	int k = profile_text_prepare(text, &prepared, report_text, r);

	buffer_append_char(&prepared, '\0');
	if (k == -ENOMEM || prepared.failed)
		r->is_out_of_memory = true;
	if (k < 0 || prepared.failed)
		return false;
	if (config_read_string(config, prepared.data) == CONFIG_TRUE)
		return true;
	reading_complain(r, (unsigned)config_error_line(config), "%s", config_error_text(config));
	return false;
}

static char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	size_t len = strlen(base);

	if (len > 5 && strcmp(base + len - 5, ".conf") == 0)
		len -= 5;
	return strndup(base, len);
}

int profile_parse(struct slice text, const char *path, const struct profile_machine *machine, struct profile *ret,
		  struct profile_errors *errors)
{
	struct limits unset;
	struct profile p = {
		.name = name_of(path),
		.path = strdup(path),
		.level = SANDBOX_FULL,
		.minimum = SANDBOX_LEVEL_COUNT,
		.proc = PROFILE_PROC_MASKED,
		.workspace_fd = -1,
		.environment = calloc(PROFILE_MAX_ENVIRONMENT + 1, sizeof(char *)),
	};
	struct reading r = { .path = path, .machine = machine, .p = &p, .errors = errors };
	bool is_whole;
	config_t config;

	r.is_out_of_memory = !p.name || !p.path || !p.environment;
	for (int i = 0; i < LIMIT_COUNT; i++)
		unset.value[i] = LIMITS_NONE - 1;
	p.limits = unset;
	config_init(&config);
	is_whole = !r.is_out_of_memory && parse_text(&r, text, &config);
	if (!r.is_out_of_memory)
		read_all(&r, config_root_setting(&config));
	config_destroy(&config);
	if (p.minimum == SANDBOX_LEVEL_COUNT)
		p.minimum = p.level;
	if (is_whole)
		judge_together(&r);
	set_default_limits(&r, &unset);
	if (r.is_out_of_memory)
		reading_complain(&r, 0, "not enough memory");
	if (errors->n + errors->n_more > 0) {
		profile_deinit(&p);
		return r.is_out_of_memory ? -ENOMEM : -EINVAL;
	}
	*ret = p;
	return 0;
}

static void write_sample_line(struct buffer *out, const char *indent, const char *name, const char *value,
			      const char *range, const char *help)
{
	buffer_printf(out, "%s# %s%s%s%s\n%s%s = %s;\n", indent, help, range[0] ? " (" : "", range, range[0] ? ")" : "",
		      indent, name, value);
}

static void write_sample_setting(struct buffer *out, const struct setting_row *row, const char *indent)
{
	_cleanup_(buffer_deinitp) struct buffer range = BUFFER_INIT(0);

	list_words(row, &range);
	buffer_append_char(&range, '\0');
	write_sample_line(out, indent, row->name, row->fallback, range.failed ? "" : range.data, row->help);
}

static void write_sample_limit(struct buffer *out, enum limit which)
{
	const struct limit_row *row = &limit_rows[which];
	_cleanup_(buffer_deinitp) struct buffer range = BUFFER_INIT(0), value = BUFFER_INIT(0);

	limit_format(which, row->least, &range);
	buffer_append_str(&range, " to ");
	limit_format(which, row->most, &range);
	buffer_append_str(&range, row->lowerable ? "; a turn may ask for less" : "");
	buffer_append_char(&range, '\0');
	buffer_append_char(&value, '"');
	limit_format(which, row->fallback, &value);
	buffer_append(&value, "\"", 2);
	if (!range.failed && !value.failed)
		write_sample_line(out, "\t", row->name, value.data, range.data, row->help);
}

void profile_write_sample(struct buffer *out)
{
	buffer_append_str(out, "# Every setting of a profile, with its default; see husk-profile(5).\n");
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (setting_rows[i].section == SECTION_top) {
			buffer_append_char(out, '\n');
			write_sample_setting(out, &setting_rows[i], "");
		}
	for (size_t section = 0; section < ARRAY_SIZE(section_rows); section++) {
		buffer_printf(out, "\n# %s\n%s = {\n", section_rows[section].help, section_rows[section].name);
		for (size_t i = 0; i < SETTING_COUNT; i++)
			if (setting_rows[i].section == section)
				write_sample_setting(out, &setting_rows[i], "\t");
		for (int i = 0; section == SECTION_limits && i < LIMIT_COUNT; i++)
			write_sample_limit(out, i);
		buffer_append_str(out, "};\n");
	}
}
