/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life: the worker's start, death; the kernel's end.
 *
 * The kernel ends in one way: life_shutdown() says so, the worker gets its grace, and life_reap() or the deadline in
 * life_ending_tick() finishes. A worker's death outside of that is a crash, handled by policy (--on-crash), and so is the
 * end of one that broke the link's rules; a worker that was killed because an interrupt did not come through is always
 * replaced.
 */
#include "kernel/front/life.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "kernel/front/dispatch.h"
#include "kernel/front/execute.h"
#include "kernel/front/intake.h"
#include "kernel/front/lanes.h"
#include "kernel/front/state.h"
#include "kernel/front/upward.h"
#include "kernel/front/watch.h"
#include "kernel/sandbox/sandbox.h"
#include "protocol/base/log.h"
#include "protocol/link/reason.h"

#define PIPE_READS 4 /* in a row: a child that only writes must not keep control and interrupts waiting */

static void on_link(struct front *f, struct watch *w, uint32_t events)
{
	struct lane *lane = CONTAINER_OF(w, struct lane, watch);

	if (events & EPOLLOUT && peer_flush(&lane->peer) == 0)
		front_watch_set(f, w, EPOLLIN);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		(void)upward_service(f, lane);
}

/* Handles what the links hold, so that the text that is pulled next overtakes no frame. */
static void prepare_pull(struct front *f)
{
	uint64_t head = output_head(f->output);

	if (f->main.peer.fd >= 0)
		(void)upward_service(f, &f->main);
	for (size_t i = 0; i < FRONT_MAX_SUBSHELLS; i++)
		if (f->subshells[i].in_use && f->subshells[i].peer.fd >= 0)
			(void)upward_service(f, &f->subshells[i]);
	output_limit_next_pull(f->output, head);
}

bool life_pull_output(struct front *f)
{
	prepare_pull(f);
	return output_pull(f->output, clock_monotonic_usec());
}

static bool pull_pipe(struct front *f, int which)
{
	prepare_pull(f);
	return output_pull_pipe(f->output, which, clock_monotonic_usec());
}

void life_pull_pipes(struct front *f)
{
	for (int which = 0; which < 2; which++)
		(void)pull_pipe(f, which);
}

static void on_doorbell(struct front *f, struct watch *w, uint32_t events)
{
	uint64_t count;
	struct iovec iov = { &count, sizeof(count) };

	(void)events;
	/* The worker has the same open file: it may have taken O_NONBLOCK from it, and have read it first. */
	if (preadv2(w->fd, &iov, 1, -1, RWF_NOWAIT) < 0 && errno == EOPNOTSUPP) /* before Linux 5.8 */
		(void)!read(w->fd, &count, sizeof(count));
	execute_announce(f);
	f->again |= life_pull_output(f);
}

static void on_pipe(struct front *f, struct watch *w, uint32_t events)
{
	int which = w == &f->watch_pipes[1];

	execute_announce(f);
	for (int i = 0; i < PIPE_READS && pull_pipe(f, which); i++)
		continue;
	/* All write ends are closed: nothing will ever come again. */
	if ((events & EPOLLHUP) && !(events & EPOLLIN))
		front_watch_set(f, w, 0);
}

int life_start_worker(struct front *f, struct error *err)
{
	int child_fds[WORKER_CHILD_FDS] = WORKER_NO_CHILD_FDS, ring_fd, r;

	r = worker_prepare(&f->worker, child_fds, err);
	if (r == 0) {
		r = output_attach(f->output, f->worker.pipes, &ring_fd);
		if (r < 0)
			(void)error_set(err, r, "cannot make the output ring: %s", strerror(-r));
	}
	if (r == 0)
		r = worker_start(&f->worker, &f->source, ring_fd, child_fds, err);
	for (size_t i = 0; i < ARRAY_SIZE(child_fds); i++)
		closep(&child_fds[i]);
	if (r < 0)
		return r;
	peer_init(&f->main.peer, STEAL_FD(f->worker.link_fd));
	f->main.link = ++f->n_links;
	f->worker_state = WORKER_STARTING;
	f->start_deadline = clock_monotonic_usec() + f->options->start_timeout_sec * USEC_PER_SEC;
	f->killed_worker = f->worker_was_oom = f->tenant_exit = f->condemned = f->served = false;
	f->violation.code = 0;
	enforce_worker_started(f);
	return 0;
}

static void write_option(struct buffer *out, const char *name, const char *value)
{
	msgpack_write_str(out, slice_str(name));
	msgpack_write_str(out, slice_str(value));
}

/* What %connect_info shows: everything but the keys. */
static void write_connection(struct buffer *out, const struct connection *c)
{
	msgpack_write_str(out, SLICE_LIT("connection"));
	msgpack_write_map(out, CONNECTION_PORT_COUNT + 4);
	for (int i = 0; i < CONNECTION_PORT_COUNT; i++) {
		msgpack_write_str(out, slice_str(connection_port_names[i]));
		msgpack_write_u64(out, (uint64_t)c->ports[i]);
	}
	write_option(out, "transport", c->transport);
	write_option(out, "ip", c->ip);
	write_option(out, "signature_scheme", c->signature_scheme);
	write_option(out, "kernel_name", c->kernel_name);
}

static void send_start(struct front *f)
{
	struct buffer *out = &f->main.peer.out;
	const struct options *o = f->options;
	uint64_t memory = f->enforce.quota.limits.value[LIMIT_memory];
	size_t frames = outlet_frame_limit(f);
	size_t begin = peer_begin(&f->main.peer);

	msgpack_write_array(out, 1);
	msgpack_write_map(out, 7 + (memory != LIMITS_NONE) + (frames < LINK_MAX_BODY) + (f->source.sandbox ? 2 : 0));
	write_option(out, "session", f->uuid);
	write_option(out, "ident", f->ident);
	write_option(out, "connection_file", o->connection_file);
	write_connection(out, &f->connection);
	msgpack_write_str(out, SLICE_LIT("execution_count"));
	msgpack_write_u64(out, f->next_count);
	if (memory != LIMITS_NONE) {
		msgpack_write_str(out, SLICE_LIT("memory_limit"));
		msgpack_write_u64(out, memory);
	}
	if (frames < LINK_MAX_BODY) {
		msgpack_write_str(out, SLICE_LIT("frame_limit"));
		msgpack_write_u64(out, frames);
	}
	if (f->source.sandbox) {
		write_option(out, "package_prefix", sandbox_package_prefix(f->source.sandbox));
		msgpack_write_str(out, SLICE_LIT("is_replacement"));
		msgpack_write_bool(out, f->is_replacement);
	}
	msgpack_write_str(out, SLICE_LIT("history_session"));
	msgpack_write_nil(out);
	msgpack_write_str(out, SLICE_LIT("ipython_args"));
	msgpack_write_array(out, (uint32_t)o->n_ipython_args);
	for (size_t i = 0; i < o->n_ipython_args; i++)
		msgpack_write_str(out, slice_str(o->ipython_args[i]));
	if (peer_end(&f->main.peer, begin, LINK_START) < 0)
		log_debug("START did not reach the worker"); /* its death says why */
}

void life_confirm_start(struct front *f)
{
	bool ok = front_watch(f, &f->main.watch, f->main.peer.fd, EPOLLIN, on_link) == 0 &&
	    front_watch(f, &f->watch_doorbell, f->worker.doorbell, EPOLLIN, on_doorbell) == 0 &&
	    front_watch(f, &f->watch_pipes[0], f->worker.pipes[0], EPOLLIN, on_pipe) == 0 &&
	    front_watch(f, &f->watch_pipes[1], f->worker.pipes[1], EPOLLIN, on_pipe) == 0;

	if (!ok) {
		log_error("cannot watch the worker: %s", strerror(errno));
		life_shutdown(f, 1, false);
		return;
	}
	send_start(f);
}

/* A thread of the worker gets a link of its own; its end travels over the main link. */
int life_attach(struct front *f, struct lane *lane, const char *kind)
{
	struct buffer *out = &f->main.peer.out;
	int pair[2], r;
	size_t begin;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	/* A descriptor that has not left yet would be overtaken. */
	if (f->main.peer.out_fd >= 0 || peer_flush(&f->main.peer) != 0) {
		(void)close(pair[0]);
		(void)close(pair[1]);
		return -EAGAIN;
	}
	lane->peer.fd = pair[0];
	lane->link = ++f->n_links;
	f->main.peer.out_fd = pair[1];
	begin = peer_begin(&f->main.peer);
	msgpack_write_array(out, 3);
	msgpack_write_u64(out, lane->kind == LANE_DEBUG ? 1 : (uint64_t)(lane - f->subshells) + 2);
	msgpack_write_str(out, slice_str(kind));
	msgpack_write_str(out, slice_str(lane->id));
	r = peer_end(&f->main.peer, begin, LINK_ATTACH);
	if (r == 0)
		r = front_watch(f, &lane->watch, lane->peer.fd, EPOLLIN, on_link);
	if (r == 0 && f->main.current && peer_flush(&f->main.peer) >= 0)
		worker_signal(&f->worker); /* the thread shall begin while the main shell is busy (specs/link.md 5.4) */
	if (r < 0) {
		closep(&f->main.peer.out_fd); /* it must not ride with another frame */
		f->main.peer.out_fd = -1;
		life_detach(f, lane);
	}
	return r;
}

void life_detach(struct front *f, struct lane *lane)
{
	front_unwatch(f, &lane->watch);
	peer_deinit(&lane->peer);
	peer_init(&lane->peer, -1);
}

void life_condemn(struct front *f)
{
	if (f->worker_state == WORKER_READY) {
		f->worker_state = WORKER_LEAVING;
		f->exit_deadline = USEC_NEVER;
	}
	/* A REPLY may still be on its way. */
	if (!f->condemned)
		f->lost_unsaid = f->served;
	f->condemned = true;
	worker_kill(&f->worker);
}

void life_violation(struct front *f, const struct error *why)
{
	if (f->violation.code)
		return;
	log_warning("the worker broke the link's rules and is ended: %s", why->text);
	f->violation = *why;
	life_condemn(f);
}

/* A worker may hang before it speaks: in a sitecustomize, on a file system that does not answer. */
void life_start_tick(struct front *f, uint64_t now)
{
	if (f->worker_state != WORKER_STARTING || now < f->start_deadline)
		return;
	f->start_deadline = USEC_NEVER;
	worker_kill(&f->worker);
}

/* Death. */

static void describe_death(const struct front *f, char *text, size_t size)
{
	char status[64];

	worker_describe_status(f->worker.exit_status, status, sizeof(status));
	if (f->violation.code)
		(void)snprintf(text, size, "the worker was ended, it broke the rules of its link: %s", f->violation.text);
	else if (f->worker_was_oom)
		(void)snprintf(text, size, "the worker was killed because the kernel's memory limit was reached");
	else if (f->start_deadline == USEC_NEVER)
		(void)snprintf(text, size, "the worker had not started after %u s (--start-timeout) and was killed",
		    f->options->start_timeout_sec);
	else if (WIFSIGNALED(f->worker.exit_status))
		(void)snprintf(text, size, "the worker was killed by %s", status);
	else
		(void)snprintf(text, size, "the worker ended with %s", status);
}

/* text: room for the sentence. Whoever ended the worker in the end, the limit was the first reason to end the turn. */
static struct failure ended_by_limit(const struct front *f, const struct request *r, const char *sentence, struct buffer *text)
{
	char reason[REASON_MESSAGE_MAX];

	reason_message(r->cause.reason, r->cause.limit, r->cause.used, reason);
	buffer_printf(text, "%s; %s and the variables are lost", reason, f->killed_worker ? "the worker was killed" : sentence);
	buffer_append_char(text, '\0');
	return (struct failure){ cause_ename(&r->cause, true), text->data ? text->data : "a limit was reached",
		f->killed_worker ? SLICE_NULL : output_stderr_tail(f->output), cause_verdict(&r->cause), VERDICT_LOST };
}

/* Code may handle the error of a full disk as any other: what it dies of later is something else. */
static bool was_ending_for_limit(const struct front *f, const struct request *r)
{
	return cause_is_limit(&r->cause) && (f->killed_worker || (!f->worker_was_oom && !cause_is_disk(&r->cause)));
}

static struct failure why_it_died(struct front *f, const struct request *r, const char *sentence, struct buffer *text)
{
	if (f->ending)
		return (struct failure){ "KernelShutdown", "the kernel was shut down", SLICE_NULL, VERDICT_shutdown, VERDICT_LOST };
	if (was_ending_for_limit(f, r))
		return ended_by_limit(f, r, sentence, text);
	if (f->killed_worker && r->cause.is_set)
		return (struct failure){ "KeyboardInterrupt",
			"the cell did not react to the interrupt; its worker was killed and the variables are lost", SLICE_NULL,
			VERDICT_interrupted, VERDICT_LOST };
	if (f->killed_worker)
		return (struct failure){ "WorkerCrashed",
			"another cell did not react to its interrupt; the worker was killed and the variables are lost", SLICE_NULL,
			VERDICT_killed, VERDICT_LOST };
	if (f->worker_was_oom)
		return (struct failure){ "MemoryLimitExceeded", sentence, SLICE_NULL, VERDICT_memory_limit, VERDICT_LOST };
	return (struct failure){ "WorkerCrashed", sentence, output_stderr_tail(f->output), VERDICT_crashed, VERDICT_LOST };
}

static void fail_request(struct front *f, struct request *r, const char *sentence)
{
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(4096);
	struct failure why = why_it_died(f, r, sentence, &text);

	if (r->message.header.type == MSGTYPE_execute_request) {
		execute_failed(f, r, &why);
		return;
	}
	reply_failure(f, r, &why);
	request_finish(f, r);
}

/* Without a request that is fine, the next one gets a new thread. With one, either the worker is dying and its death, which
 * says more, follows; or it will never answer. */
void life_lane_closed(struct front *f, struct lane *lane)
{
	life_detach(f, lane);
	if (lane->current && !f->ending && !f->tenant_exit)
		life_condemn(f);
}

static void fail_lane(struct front *f, struct lane *lane, const char *sentence)
{
	struct request *r;

	while ((r = lane_end_current(f, lane))) {
		/* Before the reply: what a client sends after it has seen the error runs (wire.md 7.8). */
		if (f->ending || r->stop_on_error)
			lane_abort_queue(f, lane);
		fail_request(f, r, sentence);
	}
	lane->eager = false;
	if (lane->kind != LANE_MAIN && lane->peer.fd >= 0)
		life_detach(f, lane);
}

/* What the link still holds was said by a living worker: a REPLY that came before the death counts. */
static void drain_link(struct front *f)
{
	for (int i = 0; i < 4096 && f->main.peer.fd >= 0 && !f->violation.code; i++)
		if (upward_service(f, &f->main) <= 0)
			return;
}

static void bury(struct front *f)
{
	front_unwatch(f, &f->main.watch);
	front_unwatch(f, &f->watch_doorbell);
	front_unwatch(f, &f->watch_pipes[0]);
	front_unwatch(f, &f->watch_pipes[1]);
	output_detach(f->output);
	peer_deinit(&f->main.peer);
	peer_init(&f->main.peer, -1);
	worker_close(&f->worker);
	f->worker_state = WORKER_ABSENT;
	interrupt_forget(f);
	f->blocked = false; /* the next worker's descriptors begin unpaused */
	sender_hurry(f->sender, f->ending);
}

static int death_exit_code(const struct front *f)
{
	int status = f->worker.exit_status;

	if (f->start_deadline == USEC_NEVER)
		return 1;
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	return WEXITSTATUS(status) ? WEXITSTATUS(status) : 1;
}

static void say_why_it_never_started(struct front *f, const char *sentence)
{
	struct slice tail = output_stderr_tail(f->output);

	log_error("%s before Python was up", sentence);
	if (tail.len)
		(void)!write(STDERR_FILENO, tail.data, tail.len);
}

static void replace(struct front *f)
{
	struct error err = { 0 };

	f->is_replacement = true;
	if (life_start_worker(f, &err) < 0) {
		log_error("%s", err.text);
		life_shutdown(f, 1, false);
		return;
	}
	life_confirm_start(f);
}

/* What the worker before has left running is ended before the next one starts. */
void life_replace_tick(struct front *f, uint64_t now)
{
	if (!f->ending && sweep_tick(&f->sweep, now))
		replace(f);
}

/* There will be no worker. */
static void refuse_waiting(struct front *f, const char *sentence)
{
	const struct failure why = { "WorkerCrashed", sentence, SLICE_NULL, VERDICT_crashed, VERDICT_LOST };

	intake_drain_shell(f);
	for (size_t i = 0; i < f->n_lanes; i++)
		if (front_lane(f, i))
			lane_refuse_queue(f, front_lane(f, i), &why);
}

/* Of our own signal, when code has taken away what catches it: a kill like any other of ours. */
static bool died_of_interrupt(const struct front *f, int status)
{
	const struct request *r = f->main.current;

	return r && r->cause.is_set && WIFSIGNALED(status) && WTERMSIG(status) == WORKER_INTERRUPT_SIGNAL;
}

void life_worker_exited(struct front *f, int status, const struct rusage *used)
{
	char sentence[700];
	bool was_ready, served, by_us, planned;
	uint64_t now;
	int code;

	f->worker.pid = 0; /* reaped: the number may belong to another process by now */
	served = f->served;
	if (!f->condemned)
		f->lost_unsaid = served;
	f->killed_worker |= died_of_interrupt(f, status);
	f->worker_was_oom = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !f->killed_worker && enforce_was_oom(f);
	enforce_worker_ended(f, used);
	execute_announce(f);
	drain_link(f);
	output_drain_all(f->output);
	f->worker.exit_status = status;
	describe_death(f, sentence, sizeof(sentence));
	planned = f->tenant_exit;
	was_ready = f->worker_state != WORKER_STARTING;
	by_us = f->killed_worker || f->worker_was_oom;
	code = death_exit_code(f);
	if (!f->ending && !was_ready)
		say_why_it_never_started(f, sentence);
	else if (!f->ending && !planned)
		log_warning("%s", sentence);
	fail_lane(f, &f->main, sentence);
	fail_lane(f, &f->debug, sentence);
	for (size_t i = 0; i < FRONT_MAX_SUBSHELLS; i++)
		if (f->subshells[i].in_use)
			fail_lane(f, &f->subshells[i], sentence);
	bury(f);
	if (f->ending)
		return;
	f->n_early_deaths = served || planned ? 0 : f->n_early_deaths + 1;
	if (by_us || (f->options->on_crash == ON_CRASH_RESPAWN && f->n_early_deaths < FRONT_MAX_EARLY_DEATHS)) {
		now = clock_monotonic_usec();
		sweep_start(&f->sweep, f->source.sandbox, now);
		life_replace_tick(f, now);
	} else {
		if (!was_ready)
			refuse_waiting(f, sentence);
		life_shutdown(f, planned ? 0 : code, false);
	}
}

void life_reap(struct front *f)
{
	struct rusage used;
	int status;
	pid_t pid;

	f->child_died = false;
	if (f->source.sandbox)
		return; /* the only child is its keeper, who is waited for at the end */
	while ((pid = wait4(-1, &status, WNOHANG, &used)) > 0)
		if (pid == f->worker.pid)
			life_worker_exited(f, status, &used);
}

/* The end. */

static void send_shutdown(struct front *f, bool restart)
{
	size_t begin = peer_begin(&f->main.peer);

	msgpack_write_array(&f->main.peer.out, 1);
	msgpack_write_bool(&f->main.peer.out, restart);
	if (peer_end(&f->main.peer, begin, LINK_SHUTDOWN) < 0)
		worker_kill(&f->worker);
}

void life_shutdown(struct front *f, int exit_code, bool restart)
{
	if (f->ending)
		return;
	execute_announce(f);
	if (f->main.current)
		interrupt_all(f, false);
	f->ending = true;
	sender_hurry(f->sender, true);
	f->exit_code = exit_code;
	f->ending_deadline = clock_monotonic_usec() + FRONT_SHUTDOWN_GRACE_USEC;
	if (f->worker.pid && f->worker_state == WORKER_READY)
		send_shutdown(f, restart);
	else if (f->worker.pid && !f->tenant_exit)
		worker_kill(&f->worker);
}

static void refuse_queue(struct front *f, struct lane *lane)
{
	struct request *r;

	while ((r = queue_pop(&lane->queue)))
		refuse_at_end(f, r);
}

/* Whether nothing that the tenant has left is running any more; begins to see to it. */
static bool is_swept(struct front *f, uint64_t now)
{
	f->swept |= f->source.sandbox_lost;
	if (!f->swept && !f->sweep.running)
		sweep_start(&f->sweep, f->source.sandbox, now);
	f->swept |= sweep_tick(&f->sweep, now);
	return f->swept;
}

void life_ending_tick(struct front *f, uint64_t now)
{
	if (f->worker_state == WORKER_LEAVING && now >= f->exit_deadline) {
		f->exit_deadline = USEC_NEVER;
		worker_kill(&f->worker);
	}
	if (!f->ending || f->finished)
		return;
	if (f->worker.pid && now >= f->ending_deadline) {
		worker_kill(&f->worker);
		f->ending_deadline = USEC_NEVER;
	}
	if (f->worker.pid || now < f->ending_not_before)
		return;
	intake_service(f);
	refuse_queue(f, &f->main);
	refuse_queue(f, &f->debug);
	for (size_t i = 0; i < FRONT_MAX_SUBSHELLS; i++)
		if (f->subshells[i].in_use)
			refuse_queue(f, &f->subshells[i]);
	refuse_asking(f);
	f->finished = is_swept(f, now);
}
