/* SPDX-License-Identifier: Apache-2.0 */
/* enclosure: the front's dealings with its sandbox. */
#include "kernel/front/enclosure.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "kernel/front/life.h"
#include "kernel/front/state.h"
#include "kernel/front/watch.h"
#include "kernel/sandbox/environment.h"
#include "kernel/sandbox/sandbox.h"
#include "protocol/base/log.h"
#include "protocol/link/link.h"

int enclosure_start(struct front *f, struct error *err)
{
	static struct environment environment; /* its descriptors go to each worker */
	const struct profile *p = f->profile;
	int r;

	if (p && p->level == SANDBOX_NONE)
		f->source.limits = &p->limits;
	if (!p || p->level == SANDBOX_NONE)
		return 0;
	r = environment_start(f->source.launcher, f->options->python, &environment, err);
	if (r == 0)
		r = sandbox_new(p, &environment, LINK_FD_END, LINK_FD_SOCKET, &f->source.sandbox, err);
	if (r == 0 && sandbox_why_not(f->source.sandbox)[0])
		log_warning("the sandbox has level %s, not %s: %s",
			    sandbox_level_names[sandbox_get_level(f->source.sandbox)], sandbox_level_names[p->level],
			    sandbox_why_not(f->source.sandbox));
	return r;
}

/* The holder says what was done; whether that is enough is not for it to say. */
static bool has_layers(const struct front *f)
{
	const struct profile *p = f->profile;
	uint32_t needed = layers_needed(sandbox_get_level(f->source.sandbox));

	if (p->network == PROFILE_NETWORK_HOST)
		needed &= ~LAYER_BIT(network);
	return (sandbox_get_layers(f->source.sandbox) & needed) == needed;
}

static void spawned(struct front *f, const struct holder_report *report, int pidfd)
{
	if (report->serial != f->worker.serial)
		return;
	if (has_layers(f) && worker_adopt(&f->worker, pidfd) == 0) {
		meter_attach(&f->enforce.meter, f->worker.pid);
		return;
	}
	log_error("the worker has not all layers of its sandbox (0x%x)", sandbox_get_layers(f->source.sandbox));
	worker_kill(&f->worker);
	life_shutdown(f, 1, false);
}

static void not_spawned(struct front *f, const struct holder_report *report)
{
	const char *advice = report->layer >= 0 && report->layer < LAYER_COUNT ? layer_rows[report->layer].advice : "";

	log_error("the worker cannot be confined: %s%s%s", report->error.text, advice[0] ? "; " : "", advice);
	life_worker_exited(f, 1 << 8, NULL);
	life_shutdown(f, 1, false);
}

/* pid 1 is gone, and with it everything that ran. */
static void lost(struct front *f)
{
	log_error("the sandbox has ended");
	front_unwatch(f, &f->watch_sandbox);
	sweep_emptied(&f->sweep);
	f->source.sandbox_lost = true;
	if (f->worker.pid)
		life_worker_exited(f, SIGKILL, NULL);
	life_shutdown(f, 1, false);
}

static void on_sandbox(struct front *f, struct watch *w, uint32_t events)
{
	struct holder_report report;
	int fd, r;

	(void)w;
	(void)events;
	while ((r = sandbox_receive(f->source.sandbox, &report, &fd)) > 0) {
		if (report.event == HOLDER_SPAWNED)
			spawned(f, &report, fd);
		else if (report.event == HOLDER_SPAWN_FAILED && report.serial == f->worker.serial)
			not_spawned(f, &report);
		else if (report.event == HOLDER_EXITED && report.serial == f->worker.serial && f->worker.pid)
			life_worker_exited(f, report.status, NULL);
		else if (report.event == HOLDER_EMPTY)
			sweep_emptied(&f->sweep);
		if (fd >= 0)
			(void)close(fd);
	}
	if (r < 0)
		lost(f);
}

int enclosure_watch(struct front *f)
{
	return f->source.sandbox ? front_watch(f, &f->watch_sandbox, sandbox_fd(f->source.sandbox), EPOLLIN, on_sandbox)
				 : 0;
}

/* Files that a front without its rights could not remove. */
static int name_files(struct front *f)
{
	const struct connection *c = &f->connection;
	char path[sizeof(c->ip) + 16];
	int r = 0;

	if (f->made_connection_file)
		r = sandbox_remove_at_end(f->source.sandbox, f->options->connection_file);
	for (int i = 0; r == 0 && strcmp(c->transport, "ipc") == 0 && i < CONNECTION_PORT_COUNT; i++) {
		(void)snprintf(path, sizeof(path), "%s-%d", c->ip, c->ports[i]);
		r = sandbox_remove_at_end(f->source.sandbox, path);
	}
	return r;
}

int enclosure_serve(struct front *f, struct error *err)
{
	int r;

	if (!f->source.sandbox)
		return 0;
	r = name_files(f);
	if (r == 0)
		r = sandbox_seal(f->source.sandbox);
	if (r < 0)
		return error_set(err, r, "the sandbox's keeper has ended: %s", strerror(-r));
	r = sandbox_leave_root(f->source.sandbox, err);
	return r < 0 ? r : sandbox_confine_front(f->source.sandbox, err);
}

void enclosure_end(struct front *f)
{
	f->source.sandbox = sandbox_free(f->source.sandbox);
}
