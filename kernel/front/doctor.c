/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor: what sandbox this machine and user can have.
 *
 * Each level is made and taken away again; what is printed is what was done, not what versions promise. What is known of
 * distributions is read only to name the reason where something was refused.
 */
#include "kernel/front/doctor.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "kernel/front/paths.h"
#include "kernel/sandbox/sandbox.h"
#include "protocol/base/log.h"
#include "protocol/link/link.h"
#include "protocol/wire/json.h"

static const enum sandbox_level levels[] = {SANDBOX_FULL, SANDBOX_FULL_NOCG, SANDBOX_RESTRICTED};

/* Settings that forbid user namespaces, with the value that does. */
static const struct gate {
	const char *path;
	const char *forbids;
	const char *what;
} gates[] = {
	{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
	 "AppArmor lets ordinary users have no user namespaces (Ubuntu 23.10 and later): install a profile for husk-kernel "
	 "with 'userns,', or sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
	{"/proc/sys/kernel/unprivileged_userns_clone", "0",
	 "ordinary users may have no user namespaces (Debian's switch): sysctl kernel.unprivileged_userns_clone=1"},
	{"/proc/sys/user/max_user_namespaces", "0", "there may be no user namespaces: sysctl user.max_user_namespaces=15000"},
	{"/proc/sys/user/max_net_namespaces", "0", "there may be no network namespaces: sysctl user.max_net_namespaces=15000"},
	{"/proc/sys/user/max_mnt_namespaces", "0", "there may be no mount namespaces: sysctl user.max_mnt_namespaces=15000"},
};

static bool is_closed(const struct gate *g)
{
	_cleanup_(closep) int fd = open(g->path, O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return strcmp(text, g->forbids) == 0;
}

static const char *outcome(const struct sandbox_trial *t, enum sandbox_level level, int layer)
{
	if (t->layers & 1u << layer)
		return "done";
	if (t->failed == layer)
		return "FAILED";
	if (t->result < 0)
		return "not tried";
	return layers_needed(level) & 1u << layer ? "MISSING" : "-";
}

static void print_table(const struct sandbox_trial trials[])
{
	(void)printf("%-15s %-10s %-10s %-10s\n", "step", "full", "full-nocg", "restricted");
	for (int layer = 0; layer < LAYER_COUNT; layer++) {
		(void)printf("%-15s", layer_rows[layer].name);
		for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
			(void)printf(" %-10s", outcome(&trials[i], levels[i], layer));
		(void)printf(" %s\n", layer_rows[layer].what);
	}
	(void)printf("\n");
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (trials[i].result < 0)
			(void)printf("%s: no. %s\n", sandbox_level_names[levels[i]], trials[i].error.text);
		else
			(void)printf("%s: yes\n", sandbox_level_names[levels[i]]);
	for (size_t i = 0; i < ARRAY_SIZE(gates); i++)
		if (is_closed(&gates[i]))
			(void)printf("%s: %s\n", gates[i].path, gates[i].what);
}

static void append_trial(struct buffer *out, const struct sandbox_trial *t, enum sandbox_level level)
{
	buffer_printf(out, "\"%s\":{\"possible\":%s,\"steps\":{", sandbox_level_names[level], t->result < 0 ? "false" : "true");
	for (int layer = 0; layer < LAYER_COUNT; layer++)
		buffer_printf(out, "%s\"%s\":\"%s\"", layer ? "," : "", layer_rows[layer].name, outcome(t, level, layer));
	buffer_append_str(out, "},\"reason\":");
	json_encode_string(out, slice_str(t->result < 0 ? t->error.text : ""));
	buffer_append_str(out, "}");
}

static void print_json(const struct sandbox_trial trials[], enum sandbox_level best, const struct profile *p)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
	bool first = true;

	buffer_append_str(&out, "{\"levels\":{");
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		buffer_append_str(&out, i ? "," : "");
		append_trial(&out, &trials[i], levels[i]);
	}
	buffer_append_str(&out, "},\"closed\":[");
	for (size_t i = 0; i < ARRAY_SIZE(gates); i++) {
		if (!is_closed(&gates[i]))
			continue;
		buffer_append_str(&out, first ? "" : ",");
		json_encode_string(&out, slice_str(gates[i].path));
		first = false;
	}
	buffer_printf(&out, "],\"best\":\"%s\",\"profile\":", sandbox_level_names[best]);
	json_encode_string(&out, slice_str(p->name));
	buffer_printf(&out, ",\"usable\":%s}\n", best >= p->minimum ? "true" : "false");
	(void)fwrite(out.data, 1, out.len, stdout);
}

static void print_conclusion(enum sandbox_level best, const struct profile *p)
{
	enum sandbox_level got = MIN(best, p->level);

	if (got >= p->minimum)
		(void)printf("\nA kernel of profile %s gets level %s here%s.\n", p->name, sandbox_level_names[got],
			     got < p->level ? ", less than it asks for" : "");
	else
		(void)printf("\nA kernel of profile %s is refused here: its minimum is %s, and %s is what can be had.\n", p->name,
			     sandbox_level_names[p->minimum], sandbox_level_names[got]);
}

int doctor_run(const struct options *o, const struct profile *profile)
{
	struct sandbox_trial trials[ARRAY_SIZE(levels)];
	enum sandbox_level best = SANDBOX_NONE;
	struct environment environment;
	char launcher[PATH_MAX];
	struct utsname machine;
	struct error err;

	paths_launcher(launcher, sizeof(launcher));
	if (environment_start(launcher, o->python, &environment, &err) < 0 || environment_wait(&environment, &err) < 0) {
		log_error("%s", err.text);
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		sandbox_try(profile, &environment, levels[i], LINK_FD_END, LINK_FD_SOCKET, &trials[i]);
		if (trials[i].result == 0)
			best = MAX(best, levels[i]);
	}
	if (o->json) {
		print_json(trials, best, profile);
	} else {
		(void)uname(&machine);
		(void)printf("Linux %s, %s, Python %s\n\n", machine.release, geteuid() == 0 ? "root" : "ordinary user",
			     environment.executable);
		print_table(trials);
		print_conclusion(best, profile);
	}
	environment_deinit(&environment);
	return MIN(best, profile->level) >= profile->minimum ? 0 : 1;
}
