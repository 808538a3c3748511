/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front: what one kernel is, shared by the modules of kernel/front/ that act on it and by nobody else.
 *
 *   front.c     the loop: descriptors, deadlines, start and end
 *   intake.c    sockets to requests: judged, routed to a lane
 *   dispatch.c  lanes: one request at a time, terminal reply, idle; what the front answers alone
 *   execute.c   execute_request: to the worker, and its reply
 *   upward.c    frames from the worker
 *   interrupt.c the ladder from an exception to the end of the worker
 *   enforce.c   limits of what runs
 *   disk-watch.c a workspace that is a directory of the host
 *   outlet.c    limits of what it publishes
 *   life.c      the worker's start, death; the kernel's end
 */
#ifndef HUSK_FRONT_FRONT_H
#define HUSK_FRONT_FRONT_H

#include "kernel/front/comm-routes.h"
#include "kernel/front/enclosure.h"
#include "kernel/front/enforce.h"
#include "kernel/front/history.h"
#include "kernel/front/interrupt.h"
#include "kernel/front/options.h"
#include "kernel/front/outlet.h"
#include "kernel/front/output.h"
#include "kernel/front/peer.h"
#include "kernel/front/request.h"
#include "kernel/front/sweep.h"
#include "kernel/front/worker.h"
#include "kernel/sandbox/profile.h"
#include "protocol/base/clock.h"
#include "protocol/wire/json.h"

#define FRONT_MAX_SUBSHELLS 32
#define FRONT_INTERRUPT_POLITE_USEC (3 * USEC_PER_SEC)
#define FRONT_INTERRUPT_FIRST_USEC (60 * USEC_PER_MSEC)
#define FRONT_INTERRUPT_REPEAT_USEC (100 * USEC_PER_MSEC)
#define FRONT_INTERRUPT_STICKY_USEC (20 * USEC_PER_MSEC)
#define FRONT_SHUTDOWN_GRACE_USEC (1 * USEC_PER_SEC)
#define FRONT_ANNOUNCE_USEC 500 /* how long busy and execute_input wait to leave together with the cell's first output */
#define FRONT_EXIT_DELAY_USEC (100 * USEC_PER_MSEC) /* as ipykernel */
#define CONTROL_PARENT_BYTES ((size_t)64 << 10)
#define FRONT_MAX_EARLY_DEATHS 3 /* workers in a row that died before they served anything: then the kernel gives up */

struct front;

/* A descriptor in the loop. fn may be called with events 0 after a pause. */
struct watch {
	int fd;
	void (*fn)(struct front *f, struct watch *w, uint32_t events);
	uint32_t events; /* 0: paused */
	bool added;
};

enum lane_kind { LANE_MAIN, LANE_SUBSHELL, LANE_DEBUG };

/* One link and the requests that go through it, one at a time; while a cell awaits, comm messages beside it. */
struct lane {
	enum lane_kind kind;
	bool in_use;
	char id[40]; /* subshell id; "" otherwise */
	bool eager;  /* to be attached before somebody needs it: new, and no worker has died under it */
	struct peer peer;
	uint32_t link; /* serial of its link: what an earlier one asked is not answered on this one */
	struct watch watch;
	uint32_t shell; /* what comm routes call it: 0 the main shell, never the same for two subshells */
	struct request *current;
	bool awaits;           /* current is a cell, and its worker has said AWAIT */
	struct request *aside; /* the comm message that the worker has while it awaits; never without current */
	struct queue queue;
};

/* From HELLO: what kernel_info says. Texts are JSON string tokens without quotes where they go into JSON. */
struct interpreter {
	bool known;
	char executable[1024];
	char version[32];
	char version_text[256];
	char ipython[32]; /* "" when there is none */
	bool debugpy;
};

enum worker_state { WORKER_ABSENT, WORKER_STARTING, WORKER_READY, WORKER_LEAVING /* said EXIT, or is condemned */ };

struct front {
	const struct options *options;
	const struct profile *profile; /* NULL: no limits, no sandbox */
	struct worker_source source;
	struct connection connection;
	bool made_connection_file;
	char uuid[37];  /* session id and engine id */
	char ident[48]; /* "kernel.<uuid>" */

	struct sign_key *key;
	struct sign_replay *replay;
	struct channels *channels;
	struct sender *sender;
	struct turns turns;
	struct output *output;
	struct history *history;
	struct request *asking;   /* history requests waiting for their answer */
	uint64_t history_serial;

	struct worker worker;
	enum worker_state worker_state;
	struct interpreter interpreter;
	unsigned n_early_deaths;
	bool served;              /* this worker has begun a request */
	uint32_t n_links;
	bool killed_worker;       /* by us, at the end of an interrupt's grace, or for a limit */
	bool worker_was_oom;      /* it died for the kernel's memory */
	bool lost_unsaid;         /* the variables went with a worker, and no reply has said so yet */
	bool tenant_exit;         /* EXIT was seen */
	uint64_t exit_deadline;   /* when a worker that said EXIT is killed */
	uint64_t start_deadline;  /* when a worker that is still starting is killed; USEC_NEVER: it was */
	struct error violation;   /* why the worker is being ended; code 0: none */

	struct lane main;
	struct lane debug;
	struct lane subshells[FRONT_MAX_SUBSHELLS];
	uint32_t n_subshells_made;
	size_t n_lanes;           /* that front_lane() knows: as many as were ever in use at once, the first two always */
	struct comm_routes comm_routes;
	struct buffer control_parent; /* JSON of the last request on control, for code that asks (link.md 3.2 ASK) */
	uint32_t next_count;      /* execution count of the next cell */
	struct request *unannounced; /* its busy and execute_input have not been published yet */
	uint64_t announce_at;

	uint32_t interrupt_turn;  /* what the ring's words name; 0: none */
	uint64_t interrupt_at;    /* when the next step of an interrupt is due */
	struct enforce enforce;
	struct outlet outlet;

	bool ending;              /* no new requests begin */
	uint64_t ending_deadline;
	uint64_t ending_not_before; /* after exit(): clients that watch the process still want the reply */
	int exit_code;
	struct sweep sweep;       /* between a worker and the next one, and at the end */
	bool swept;               /* at the end: it is over */
	bool finished;            /* leave the loop */

	int epoll_fd;
	int signal_fd;
	struct watch watch_signals, watch_parent, watch_channels, watch_history, watch_doorbell, watch_sandbox, watch_memory, watch_disk;
	struct watch watch_pipes[2];
	bool blocked;             /* output waits for slow subscribers */
	bool again;               /* there is more to do without waiting */
	bool child_died;          /* SIGCHLD was seen in this round */
};

/* Why a request failed, other than by its own code. */
struct failure {
	const char *ename;
	const char *evalue;
	struct slice detail;  /* more lines for the traceback */
	enum verdict verdict;
	enum verdict_state state;
};

/* What execute_reply's metadata says of a turn. */
struct outcome {
	const char *status;
	enum verdict verdict;
	enum verdict_state state;
};

/* front.c */
int front_run(const struct options *options, const struct profile *profile); /* profile: NULL or not; returns the exit code */
int front_watch(struct front *f, struct watch *w, int fd, uint32_t events,
    void (*fn)(struct front *f, struct watch *w, uint32_t events)) must_check;
void front_watch_set(struct front *f, struct watch *w, uint32_t events);
void front_unwatch(struct front *f, struct watch *w);

void front_new_uuid(char text[37]); /* random, RFC 4122 version 4 */

/* intake.c */
void intake_service(struct front *f); /* bounded work on all sockets; sets f->again when there is more */
void intake_drain_shell(struct front *f); /* everything that has arrived on shell goes into the queues now */
void intake_drain_stdin(struct front *f); /* answers to questions that were asked; the others are dropped */
bool intake_is_pending(struct front *f);  /* something has arrived that the next round will take */

/* dispatch.c */
void lane_init(struct lane *lane, enum lane_kind kind);
void lane_advance(struct front *f, struct lane *lane);
void lane_abort_queue(struct front *f, struct lane *lane);
void lane_refuse_queue(struct front *f, struct lane *lane, const struct failure *why);
/* Gives the worker the next comm message of a lane whose cell awaits. */
void lane_advance_aside(struct front *f, struct lane *lane);
struct lane *front_lane(struct front *f, size_t i); /* below n_lanes: main, debugger, subshells; NULL when it is not in use */
struct request *lane_end_current(struct front *f, struct lane *lane); /* what the worker has besides becomes the current one */
void front_advance(struct front *f);
void dispatch_route(struct front *f, struct request *r); /* takes the request */
void request_start(struct front *f, struct request *r);  /* its time begins; busy is still to be published */
void request_begin(struct front *f, struct request *r);  /* the same, and busy */
/* The array of n_fields and its first four, which EXECUTE and REQUEST share: turn, header, identities, metadata. */
void request_write_head(struct buffer *out, uint32_t n_fields, const struct request *r);
void request_finish(struct front *f, struct request *r); /* idle; frees */
void reply_content(struct front *f, struct request *r, struct buffer *content, struct slice metadata,
    const struct slice *buffers, size_t n_buffers);
void reply_error(struct front *f, struct request *r, const char *ename, const char *evalue); /* verdict error, kept */
void reply_failure(struct front *f, struct request *r, const struct failure *why);
void answer_histories(struct front *f);
void refuse_at_end(struct front *f, struct request *r); /* aborted, or an error; takes the request */
void refuse_asking(struct front *f); /* at the end too: what waits for the history */
void lane_tell(struct lane *lane, uint32_t id, struct slice rows); /* TOLD */
/* The worker has published a message for the request of that header: notes who asks what over a comm (wire.md 7.15). */
void dispatch_published(struct front *f, enum msgtype type, struct slice content, struct slice header);

/* execute.c */
void execute_begin(struct front *f, struct lane *lane, struct request *r);
void execute_announce(struct front *f); /* before anything else is published */
void execute_aborted(struct front *f, struct request *r);
void execute_refused(struct front *f, struct request *r, const struct failure *why); /* never begun; error, reply, idle; frees */
/* Members of an error of which only the beginning is told; bytes: of all. */
void execute_append_short_error(struct buffer *out, struct slice ename, struct slice evalue, size_t bytes);
int execute_replied(struct front *f, struct lane *lane, struct peer_frame *frame, struct error *err) must_check;
void execute_failed(struct front *f, struct request *r, const struct failure *why); /* error, reply, idle; frees */

/* upward.c */
/* A json field (specs/link.md 3.1) of that type; SLICE_NULL when it is nil. */
int upward_read_json(struct msgpack_reader *m, enum json_type type, struct slice *ret) must_check;
/* Reads once and handles what is whole; ends the worker at a violation. Bytes read, 0: none there, or negative. */
int upward_service(struct front *f, struct lane *lane);

/* life.c */
int life_start_worker(struct front *f, struct error *err) must_check;
void life_confirm_start(struct front *f);    /* sends START: sockets and history are known now */
void life_reap(struct front *f);             /* SIGCHLD */
/* used: by all that it has waited for; NULL from the sandbox, which measures by itself */
void life_worker_exited(struct front *f, int status, const struct rusage *used);
bool life_pull_output(struct front *f); /* ring text, in order with the frames; true when there may be more */
void life_pull_pipes(struct front *f);
void life_start_tick(struct front *f, uint64_t now);
void life_condemn(struct front *f);          /* kills the worker; what has not begun waits for the next one */
void life_violation(struct front *f, const struct error *why);
void life_lane_closed(struct front *f, struct lane *lane); /* a thread of the worker closed its link */
void life_shutdown(struct front *f, int exit_code, bool restart);
void life_ending_tick(struct front *f, uint64_t now);
void life_replace_tick(struct front *f, uint64_t now); /* a new worker, once what the last one left has ended */
int life_attach(struct front *f, struct lane *lane, const char *kind) must_check;
void life_detach(struct front *f, struct lane *lane);

/* info.c, metadata.c, usage.c */
void info_content(const struct front *f, struct buffer *out);
void metadata_write(const struct front *f, const struct request *r, const struct outcome *how, struct buffer *out);
void usage_content(const struct front *f, struct buffer *out);

#endif
