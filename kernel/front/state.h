/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: what one kernel is, shared by the modules of kernel/front/ that act on it and by nobody else. All of them but the first
 * two may cause one another: a reply begins the next request, a limit ends a worker, whose end fails what it ran.
 *
 *   front.c      the loop: deadlines, start and end
 *   watch.c      descriptors in it; lanes.c: which lanes there are
 *   intake.c     sockets to requests: judged, routed to a lane
 *   dispatch.c   lanes: one request at a time, terminal reply, idle; what the front answers alone
 *   execute.c    execute_request: to the worker, and its reply
 *   upward.c     frames from the worker
 *   interrupt.c  the ladder from an exception to the end of the worker
 *   enforce.c    limits of what runs
 *   disk-watch.c a workspace that is a directory of the host
 *   outlet.c     limits of what it publishes
 *   life.c       the worker's start, death; the kernel's end
 */
#ifndef HUSK_FRONT_STATE_H
#define HUSK_FRONT_STATE_H

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
#include "kernel/front/watch.h"

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
	bool is_replacement;      /* the worker is not the first one */
	bool served;              /* this worker has begun a request */
	uint32_t n_links;
	bool killed_worker;       /* by us, at the end of an interrupt's grace, or for a limit */
	bool worker_was_oom;      /* it died for the kernel's memory */
	bool condemned;           /* killed by us, for whatever reason; what it still says was said before */
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

#endif
