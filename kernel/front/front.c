/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front: the loop.
 *
 * Order of a start. The worker is started first, before the connection file is read: Python comes up while the sockets
 * are made, and no worker ever inherits the key. Then key, sockets, the file written back, and the loop.
 *
 * One round: serve the sockets (bounded), let lanes begin what can begin, then sleep until a descriptor or the nearest
 * deadline. What a round has sent leaves together, before the sleep.
 */
#include "kernel/front/front.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/front/dispatch.h"
#include "kernel/front/execute.h"
#include "kernel/front/intake.h"
#include "kernel/front/lanes.h"
#include "kernel/front/life.h"
#include "kernel/front/paths.h"
#include "kernel/front/state.h"
#include "kernel/front/uuid.h"
#include "kernel/front/watch.h"
#include "protocol/base/log.h"

#define MAX_EVENTS 32
#define END_LINGER_MSEC 1000

/*
 * The front runs for microseconds at a time, beside a worker that may compute for hours: on a shared processor it should
 * have its turn at once. A short slice asks for that without more of a share. This is the shortest that Linux grants.
 */
#define SLICE_NSEC 100000
#define END_HISTORY_USEC (500 * USEC_PER_MSEC)
#define MEMORY_LIMIT ((rlim_t)4 << 30) /* of the front itself: above the sum of all its bounds (specs/wire.md 10) */

static void on_channels(struct front *f, struct watch *w, uint32_t events)
{
	(void)w;
	(void)events;
	channels_look(f->channels); /* the next round reads */
}

static void on_history(struct front *f, struct watch *w, uint32_t events)
{
	(void)w;
	(void)events;
	answer_histories(f);
}

static void on_parent_gone(struct front *f, struct watch *w, uint32_t events)
{
	(void)events;
	log_warning("the process that started this kernel has ended");
	front_watch_set(f, w, 0);
	life_shutdown(f, 0, false);
}

static void on_signal(struct front *f, struct watch *w, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	while (read(w->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD) {
			f->child_died = true;
		} else if (info.ssi_signo == SIGINT) {
			if ((pid_t)info.ssi_pid != getpid())
				interrupt_all(f, false);
		} else {
			log_warning("ended by %s", strsignal((int)info.ssi_signo));
			life_shutdown(f, 0, false);
		}
	}
}

static int block_signals(struct front *f)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	f->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return f->signal_fd < 0 ? -errno : 0;
}

/* The client by its announced pid, when that process lives; else our parent. */
static void watch_parent(struct front *f)
{
	const char *text = getenv("JPY_PARENT_PID");
	pid_t pid = text ? (pid_t)atoi(text) : 0;
	int fd = -1;

	if (!text)
		return;
	if (pid > 1)
		fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0 && getppid() > 1)
		fd = (int)syscall(SYS_pidfd_open, getppid(), 0);
	if (fd < 0 || front_watch(f, &f->watch_parent, fd, EPOLLIN, on_parent_gone) < 0)
		log_warning("cannot watch the process that started this kernel: %s", strerror(errno));
}

static void fresh_connection(struct front *f)
{
	struct connection *c = &f->connection;

	*c = (struct connection){ .signature_scheme = "hmac-sha256", .kernel_name = "husk" };
	(void)snprintf(c->transport, sizeof(c->transport), "%s", f->options->transport);
	(void)snprintf(c->ip, sizeof(c->ip), "%s", f->options->ip);
	if (strcmp(c->transport, "ipc") == 0)
		(void)snprintf(c->ip, sizeof(c->ip), "%s", f->options->connection_file);
	uuid_new(c->key);
	c->key_len = strlen(c->key);
}

static int read_connection(struct front *f, struct buffer *text, struct error *err)
{
	int r = connection_file_read(f->options->connection_file, text, err);

	if (r == -ENOENT) {
		fresh_connection(f);
		f->made_connection_file = true;
		return 0;
	}
	if (r < 0)
		return r;
	r = connection_parse(buffer_slice(text), &f->connection, err);
	return r < 0 ? error_prefix(err, "connection file %s", f->options->connection_file) : 0;
}

/* From here on the key is in struct sign_key alone, which wipes itself, and the CURVE key in the channels. */
static void forget_keys(struct connection *c)
{
	sodium_memzero(c->key, sizeof(c->key));
	sodium_memzero(c->curve_secretkey, sizeof(c->curve_secretkey));
}

static void wipe_text(struct buffer *b)
{
	if (b->data)
		sodium_memzero(b->data, b->size);
	buffer_deinit(b);
}

static int write_connection(struct front *f, const struct buffer *text, bool needed, struct error *err)
{
	_cleanup_(wipe_text) struct buffer merged = BUFFER_INIT(CONNECTION_FILE_MAX_BYTES * 2);
	int r;

	if (!needed)
		return 0;
	r = connection_merge(buffer_slice(text), &f->connection, &merged);
	if (r < 0)
		return error_set(err, r, "cannot make the connection file: %s", strerror(-r));
	return connection_file_write(f->options->connection_file, buffer_slice(&merged), err);
}

static int open_kernel(struct front *f, struct error *err)
{
	_cleanup_(wipe_text) struct buffer text = BUFFER_INIT(CONNECTION_FILE_MAX_BYTES + 1);
	struct connection *c = &f->connection;
	bool chosen = false;
	int r = read_connection(f, &text, err);

	if (r < 0)
		return r;
	r = sign_key_new(slice_str(c->signature_scheme), slice_from(c->key, c->key_len), &f->key, err);
	if (r < 0)
		return r;
	for (int i = 0; i < CONNECTION_PORT_COUNT; i++)
		chosen |= c->ports[i] == 0;
	r = channels_new(c, &f->channels, err);
	if (r == 0)
		r = write_connection(f, &text, chosen || f->made_connection_file, err);
	return r;
}

static int make_parts(struct front *f, struct error *err)
{
	struct header_origin origin = { .pid = (unsigned)getpid() };
	char path[PATH_MAX];
	int r;

	(void)snprintf(origin.session, sizeof(origin.session), "%s", f->uuid);
	(void)snprintf(origin.username, sizeof(origin.username), "%s", getenv("USER") ? getenv("USER") : "username");
	f->replay = sign_replay_new();
	r = f->replay ? sender_new(f->channels, f->key, &origin, f->ident, &f->sender) : -ENOMEM;
	paths_history(f->options, path, sizeof(path));
	if (r == 0)
		r = history_new(path, &f->history);
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}

static int watch_all(struct front *f)
{
	int r = front_watch(f, &f->watch_signals, f->signal_fd, EPOLLIN, on_signal);

	if (r == 0)
		r = front_watch(f, &f->watch_channels, channels_fd(f->channels), EPOLLIN, on_channels);
	if (r == 0)
		r = enclosure_watch(f);
	if (r == 0)
		r = front_watch(f, &f->watch_history, history_fd(f->history), EPOLLIN, on_history);
	return r;
}

/* While output waits for slow subscribers, or nobody wants it, nothing is read from the worker: its writes block, control goes on. */
static void pause_worker(struct front *f, bool blocked)
{
	uint32_t events = blocked ? 0 : EPOLLIN;

	if (f->blocked == blocked)
		return;
	f->blocked = blocked;
	front_watch_set(f, &f->main.watch, events);
	front_watch_set(f, &f->watch_doorbell, events);
	front_watch_set(f, &f->watch_pipes[0], events);
	front_watch_set(f, &f->watch_pipes[1], events);
	for (size_t i = 0; i < FRONT_MAX_SUBSHELLS; i++)
		if (f->subshells[i].in_use && f->subshells[i].peer.fd >= 0)
			front_watch_set(f, &f->subshells[i].watch, events);
	if (!blocked)
		f->again |= life_pull_output(f);
}

static void pause_lane(struct front *f, struct lane *lane)
{
	front_watch_set(f, &lane->watch, outlet_finishes(f, lane) ? EPOLLIN : 0);
}

/* Of a worker that is paused for what it has said. */
static void finish_frames(struct front *f)
{
	pause_lane(f, &f->main);
	for (size_t i = 0; i < FRONT_MAX_SUBSHELLS; i++)
		if (f->subshells[i].in_use && f->subshells[i].peer.fd >= 0)
			pause_lane(f, &f->subshells[i]);
}

static void want_writes(struct front *f)
{
	if (f->main.peer.fd >= 0 && f->main.peer.out.len && f->main.watch.events)
		front_watch_set(f, &f->main.watch, EPOLLIN | EPOLLOUT);
	for (size_t i = 0; i < FRONT_MAX_SUBSHELLS; i++)
		if (f->subshells[i].in_use && f->subshells[i].peer.out.len && f->subshells[i].watch.events)
			front_watch_set(f, &f->subshells[i].watch, EPOLLIN | EPOLLOUT);
}

static uint64_t nearest_deadline(const struct front *f)
{
	uint64_t at = MIN(f->blocked ? USEC_NEVER : output_deadline(f->output), sender_deadline(f->sender));

	at = MIN(at, channels_deadline(f->channels));
	if (f->unannounced)
		at = MIN(at, f->announce_at);
	at = MIN(at, MIN(interrupt_deadline(f), MIN(f->enforce.at, f->outlet.drain_at)));
	if (f->ending)
		at = MIN(at, f->worker.pid ? f->ending_deadline : f->sweep.running ? f->sweep.next : f->ending_not_before);
	else if (f->sweep.running)
		at = MIN(at, f->sweep.next);
	if (f->worker_state == WORKER_STARTING)
		at = MIN(at, f->start_deadline);
	if (f->worker_state == WORKER_LEAVING)
		at = MIN(at, f->exit_deadline);
	return at;
}

static void sleep_and_dispatch(struct front *f)
{
	struct epoll_event events[MAX_EVENTS];
	uint64_t at = nearest_deadline(f), now = clock_monotonic_usec();
	struct timespec wait = { 0, 0 };
	int n;

	if (!f->again && at != USEC_NEVER && at > now) {
		wait.tv_sec = (time_t)((at - now) / USEC_PER_SEC);
		wait.tv_nsec = (long)((at - now) % USEC_PER_SEC) * 1000;
	}
	n = epoll_pwait2(f->epoll_fd, events, MAX_EVENTS, !f->again && at == USEC_NEVER ? NULL : &wait, NULL);
	f->again = false;
	for (int i = 0; i < n; i++) {
		struct watch *w = events[i].data.ptr;

		if (w->added && w->fn)
			w->fn(f, w, events[i].events);
	}
}

static void run_deadlines(struct front *f)
{
	uint64_t now = clock_monotonic_usec();
	struct error broken;
	bool is_slow;

	if (f->unannounced && now >= f->announce_at)
		execute_announce(f);
	/* Not at once in the signal's handler: this round's other events still belong to the dead worker's descriptors. */
	if (f->child_died)
		life_reap(f);
	if (output_is_broken(f->output)) {
		(void)error_set(&broken, -EBADMSG, "the output ring has impossible indices or marks");
		life_violation(f, &broken);
	}
	life_start_tick(f, now);
	enforce_tick(f, now);
	interrupt_tick(f, now);
	life_replace_tick(f, now);
	life_ending_tick(f, now);
	outlet_tick(f, now);
	is_slow = sender_is_blocked(f->sender, now);
	pause_worker(f, is_slow || outlet_is_shut(f));
	if (f->blocked && !is_slow)
		finish_frames(f);
	if (!f->blocked && (now >= output_deadline(f->output) || output_is_held(f->output)))
		f->again |= life_pull_output(f);
	sender_report_dropped(f->sender);
	channels_tick(f->channels, now);
}

static void loop(struct front *f)
{
	while (!f->finished) {
		intake_service(f);
		front_advance(f);
		want_writes(f);
		channels_flush(f->channels);
		f->again |= intake_is_pending(f);
		sleep_and_dispatch(f);
		run_deadlines(f);
	}
}

static void close_kernel(struct front *f)
{
	enclosure_end(f);
	f->history = history_free(f->history, END_HISTORY_USEC);
	f->channels = channels_free(f->channels, END_LINGER_MSEC);
	if (f->made_connection_file && f->options->connection_file[0])
		(void)unlink(f->options->connection_file);
	f->output = output_free(f->output);
	f->sender = sender_free(f->sender);
	f->replay = sign_replay_free(f->replay);
	f->key = sign_key_free(f->key);
	turns_deinit(&f->turns);
	comm_routes_deinit(&f->comm_routes);
	buffer_deinit(&f->control_parent);
	peer_deinit(&f->main.peer);
	worker_close(&f->worker);
	enforce_deinit(f);
	if (f->signal_fd >= 0)
		(void)close(f->signal_fd);
	if (f->watch_parent.fd >= 0)
		(void)close(f->watch_parent.fd);
	(void)close(f->epoll_fd);
}

/* A kernel that cannot start leaves nothing behind. */
static int give_up(struct front *f, const struct error *err)
{
	log_error("%s", err->text);
	worker_kill(&f->worker);
	if (f->source.sandbox)
		enclosure_end(f);
	else
		sweep_wait();
	return 1;
}

/* Only the soft limit: workers that are started later get the old one back. */
static void limit_memory(const struct rlimit *before)
{
	struct rlimit limit = { MIN(before->rlim_cur, MEMORY_LIMIT), before->rlim_max };

	if (!HUSK_SANITIZED && setrlimit(RLIMIT_DATA, &limit) < 0)
		log_warning("cannot limit the memory of this process: %s", strerror(errno));
}

static int start(struct front *f, struct error *err)
{
	int r = output_new(&f->turns, &f->output);

	if (r < 0)
		return error_set(err, r, "out of memory");
	worker_set_slice(SLICE_NSEC);
	watch_parent(f); /* before anybody can know that this kernel exists, and end */
	r = enclosure_start(f, err);
	if (r == 0 && enforce_start(f) < 0)
		r = error_set(err, -errno, "cannot watch the kernel's memory: %s", strerror(errno));
	if (r == 0)
		r = life_start_worker(f, err);
	if (r < 0)
		return r;
	limit_memory(&f->source.data);
	r = open_kernel(f, err);
	forget_keys(&f->connection);
	if (r == 0)
		r = enclosure_serve(f, err); /* before there is a second thread, which would keep what this one gives up */
	if (r == 0)
		r = make_parts(f, err);
	if (r < 0)
		return r;
	output_set_sender(f->output, f->sender);
	outlet_init(f);
	r = watch_all(f);
	if (r < 0)
		return error_set(err, r, "cannot watch the sockets: %s", strerror(-r));
	life_confirm_start(f);
	sender_status(f->sender, SLICE_NULL, "starting");
	return 0;
}

int front_run(const struct options *options, const struct profile *profile)
{
	static struct front front;
	struct front *f = &front;
	struct limits unlimited = LIMITS_UNLIMITED;
	struct error err = { 0 };
	char launcher[PATH_MAX];
	int code;

	*f = (struct front){ .options = options, .profile = profile, .next_count = 1, .n_lanes = 2, .signal_fd = -1, .worker = WORKER_NONE,
		.interrupt_at = USEC_NEVER };
	f->watch_parent.fd = f->watch_sandbox.fd = -1;
	enforce_init(f, profile ? &profile->limits : &unlimited);
	lane_init(&f->main, LANE_MAIN);
	lane_init(&f->debug, LANE_DEBUG);
	uuid_new(f->uuid);
	(void)snprintf(f->ident, sizeof(f->ident), "kernel.%.36s", f->uuid);
	paths_launcher(launcher, sizeof(launcher));
	f->source = (struct worker_source){ .launcher = launcher, .python = options->python };
	(void)getrlimit(RLIMIT_DATA, &f->source.data);
	f->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)prctl(PR_SET_DUMPABLE, 0);
	if (f->epoll_fd < 0 || block_signals(f) < 0) {
		log_error("cannot start: %s", strerror(errno));
		return 1;
	}
	if (start(f, &err) < 0) {
		code = give_up(f, &err);
	} else {
		loop(f);
		code = f->exit_code;
	}
	close_kernel(f);
	return code;
}
