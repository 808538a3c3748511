/* SPDX-License-Identifier: Apache-2.0 */
/* paths: where things lie. An installed husk finds its parts relative to itself, so a moved prefix still works. */
#include "kernel/front/paths.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void paths_self(char *ret, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", ret, size - 1);

	ret[n > 0 ? n : 0] = '\0';
}

/* The first of "<directory of this program>/<suffix>" that exists; else the fallback. */
static void beside_self(const char *const suffixes[], const char *fallback, char *ret, size_t size)
{
	char self[PATH_MAX], *slash;

	paths_self(self, sizeof(self));
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; suffixes[i]; i++) {
		if (snprintf(ret, size, "%s/%s", self, suffixes[i]) < (int)size && access(ret, F_OK) == 0)
			return;
	}
	(void)snprintf(ret, size, "%s", fallback);
}

void paths_launcher(char *ret, size_t size)
{
	static const char *const suffixes[] = { "../libexec/husk/husk-worker", "../worker/husk-worker", NULL };

	beside_self(suffixes, HUSK_LIBEXEC_DIR "/husk-worker", ret, size);
}

void paths_share(char *ret, size_t size)
{
	static const char *const suffixes[] = { "../share/husk", "../../specs", NULL };

	beside_self(suffixes, HUSK_DATA_DIR, ret, size);
}

static const char *home(void)
{
	const char *h = getenv("HOME");

	return h && h[0] == '/' ? h : "/tmp";
}

void paths_history(const struct options *o, char *ret, size_t size)
{
	const char *ipython = getenv("IPYTHONDIR");

	if (!o->history_enabled)
		(void)snprintf(ret, size, ":memory:");
	else if (o->hist_file[0])
		(void)snprintf(ret, size, "%s", o->hist_file);
	else if (ipython && ipython[0])
		(void)snprintf(ret, size, "%s/profile_default/history.sqlite", ipython);
	else
		(void)snprintf(ret, size, "%s/.ipython/profile_default/history.sqlite", home());
}

void paths_user_data(char *ret, size_t size)
{
	const char *jupyter = getenv("JUPYTER_DATA_DIR"), *xdg = getenv("XDG_DATA_HOME");

	if (jupyter && jupyter[0])
		(void)snprintf(ret, size, "%s", jupyter);
	else if (xdg && xdg[0])
		(void)snprintf(ret, size, "%s/jupyter", xdg);
	else
		(void)snprintf(ret, size, "%s/.local/share/jupyter", home());
}

void paths_runtime_connection_file(char *ret, size_t size)
{
	const char *runtime = getenv("JUPYTER_RUNTIME_DIR");
	char data[PATH_MAX];

	paths_user_data(data, sizeof(data));
	if (runtime && runtime[0])
		(void)snprintf(ret, size, "%s/kernel-%d.json", runtime, (int)getpid());
	else
		(void)snprintf(ret, size, "%s/runtime/kernel-%d.json", data, (int)getpid());
}
