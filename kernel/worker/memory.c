/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: the limit that a worker keeps by itself.
 *
 *   base                VmData before the first tenant byte, and what the shell has taken since
 *   floor               base + limit: where RLIMIT_DATA's soft limit stands while code of a turn runs
 *   floor + 1, 2 steps  after the first and second refusal: MemoryError comes at the next step of Python code
 *   floor + 3 steps     after the third, where the request itself fails: room to unwind
 *   ceiling             base + limit of the worker + 4 steps: for a later refusal, and for reports
 *   hard                ceiling + what a shell may take: RLIMIT_DATA's hard limit
 *
 * The functions that the allocator calls touch little of Python but the list of pending calls: they run in the middle of an
 * allocation. An arena that is refused does not fail the request, which goes to malloc then: so malloc is denied to it, once.
 */
#include "kernel/worker/memory.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "kernel/worker/interrupt.h"
#include "kernel/worker/loan.h"
#include "kernel/worker/output.h"
#include "protocol/link/ring.h"

#define MIB ((uint64_t)1 << 20)
#define STEP (12 * MIB)
#define N_STEPS 4
#define ARENA_LEAST (256 << 10) /* what is asked for in smaller pieces is the stack of Python's frames */
#define N_FAILED 1000         /* requests of malloc in one turn: code that catches all of them will not stop by itself */
#define FRAMES_PART 10        /* of the limit may be the stacks of Python's frames */
#define N_DIRECT 3            /* this refusal in a turn, and those after it, are the request's own failure */
#define BREATH (4 * MIB)      /* for a cell that begins above the limit */
#define KEPT (8 * MIB)        /* of the reserve, when such a cell has used its breath */

/* cpython/objimpl.h */
struct arena_allocator {
	void *ctx;
	void *(*alloc)(void *ctx, size_t size);
	void (*free)(void *ctx, void *address, size_t size);
};
typedef void (*arena_func)(struct arena_allocator *allocator);

/* cpython/pymem.h */
struct raw_allocator {
	void *ctx;
	void *(*malloc)(void *ctx, size_t size);
	void *(*calloc)(void *ctx, size_t n, size_t size);
	void *(*realloc)(void *ctx, void *address, size_t size);
	void (*free)(void *ctx, void *address);
};
typedef void (*raw_func)(int domain, struct raw_allocator *allocator);
#define DOMAIN_RAW 0
typedef const char *(*name_func)(void);

static struct {
	bool is_on;
	uint64_t base;
	uint64_t limit;
	uint64_t hard;
	uint64_t soft;
	uint64_t shell;         /* part of base */
	uint64_t before_shell;  /* VmData when counting was switched off; 0: it is on */
	uint32_t turn;          /* of memory_enter() */
	uint32_t lowered_turn;  /* has a limit of its own */
	uint64_t lowered_limit;
	uint64_t frames;        /* what the stacks of Python's frames take */
	unsigned n_refused;     /* arenas, in this turn and the main thread */
	unsigned n_elsewhere;   /* ... and in other threads */
	unsigned n_failed;      /* requests of malloc, in this turn */
	bool is_inside;         /* between memory_enter() and memory_leave() */
	bool is_pressed;        /* something was refused, and not yet seen to be free again */
	bool is_told;           /* the pending call is under way and still meant */
	bool is_direct;         /* ... only to look whether the memory has been freed */
	unsigned long denied;   /* the thread whose next request of malloc fails; 0: none */
	uint64_t after_denial;  /* what take_step() is given then */
} state;

static struct arena_allocator next;
static struct raw_allocator next_raw;

/* ---- numbers ---- */

/* VmData, as RLIMIT_DATA counts it. 0 when it cannot be read. Allocates nothing. */
static uint64_t data_size(void)
{
	_cleanup_(closep) int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	char text[4096];
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	const char *line;

	if (n <= 0)
		return 0;
	text[n] = '\0';
	line = strstr(text, "\nVmData:");
	return line != NULL ? strtoull(line + 8, NULL, 10) << 10 : 0;
}

static uint64_t turn_limit(void)
{
	return state.lowered_turn != 0 && state.lowered_turn == state.turn ? MIN(state.limit, state.lowered_limit) : state.limit;
}

static uint64_t floor_now(void)
{
	return state.base + turn_limit();
}

static uint64_t ceiling(void)
{
	return state.base + state.limit + N_STEPS * STEP;
}

/* The tenant may have changed the limits of the process; who has lowered the hard one gets no more than that. */
static void set_soft(uint64_t bytes)
{
	struct rlimit now;
	struct rlimit limit = { .rlim_cur = bytes, .rlim_max = state.hard };

	state.soft = bytes;
	if (setrlimit(RLIMIT_DATA, &limit) == 0 || getrlimit(RLIMIT_DATA, &now) < 0)
		return;
	now.rlim_cur = MIN(now.rlim_max, (rlim_t)bytes);
	(void)setrlimit(RLIMIT_DATA, &now);
}

static void move_soft(uint64_t bytes)
{
	if (bytes != state.soft)
		set_soft(bytes);
}

/* The worker's own work, which must go on whatever the tenant has taken. */
static bool is_own_work(void)
{
	return !state.is_inside && PyThread_get_thread_ident() == interrupt_main_thread();
}

struct cause memory_cause(void)
{
	uint64_t now = data_size();

	return (struct cause){ RING_REASON_MEMORY, turn_limit(), now > state.base ? now - state.base : 0 };
}

/* ---- refusals ---- */

/* The code has had its MemoryError. When it has freed what it had, it may come so far again. */
static void look_again(void)
{
	if (data_size() > floor_now())
		return;
	state.n_refused = state.n_elsewhere = 0;
	move_soft(floor_now());
}

/* Runs in the main thread, between two steps of Python code. */
static int tell(void *unused)
{
	struct cause cause;

	(void)unused;
	if (!state.is_told)
		return 0;
	state.is_told = false;
	if (state.is_direct) {
		look_again();
		return 0;
	}
	cause = memory_cause();
	return interrupt_refused(&cause, state.n_refused > 1);
}

static void tell_later(bool is_direct)
{
	state.is_direct = is_direct;
	if (!state.is_told)
		state.is_told = Py_AddPendingCall(tell, NULL) == 0;
}

static bool take_step(uint64_t last)
{
	if (state.soft >= last)
		return false;
	set_soft(MIN(MAX(state.soft, data_size()) + STEP, last));
	return true;
}

/* The request for an arena fails, and when that is done there is room to unwind. */
static void deny(size_t size, unsigned n)
{
	if (size >= ARENA_LEAST)
		state.denied = PyThread_get_thread_ident();
	state.after_denial = n <= N_DIRECT ? floor_now() + N_DIRECT * STEP : ceiling();
	if (size < ARENA_LEAST)
		(void)take_step(state.after_denial);
}

/* An arena was refused. Whether it may be had now. The worker's own work has all of the reserve, and nobody is told. */
static bool give_more(size_t size)
{
	state.is_pressed = true;
	if (is_own_work())
		return take_step(ceiling());
	if (PyThread_get_thread_ident() != interrupt_main_thread()) {
		/* Nothing can be raised there later: it may have had its MemoryError from malloc meanwhile. */
		deny(size, ++state.n_elsewhere);
		if (!state.is_told)
			tell_later(true);
		return false;
	}
	state.n_refused++;
	tell_later(state.n_refused == N_DIRECT);
	if (state.n_refused < N_DIRECT)
		return take_step(floor_now() + N_DIRECT * STEP);
	deny(size, state.n_refused);
	return false;
}

/*
 * Each of Python's frames, a hundred bytes, takes four times as much again for its place in the traceback when an exception
 * unwinds it, and where that cannot be had each tries anew: code that recurses until all memory is gone would take minutes
 * to end. So frames may take this part of the limit alone.
 */
static bool is_too_deep(size_t size)
{
	return size < ARENA_LEAST && state.frames + size > state.limit / FRAMES_PART;
}

static void *alloc_arena(void *unused, size_t size)
{
	void *arena;

	(void)unused;
	if (is_too_deep(size)) {
		state.is_pressed = true;
		(void)PyErr_NoMemory(); /* 3.11 forgets to say so */
		return NULL;
	}
	arena = next.alloc(next.ctx, size);
	while (arena == NULL && give_more(size))
		arena = next.alloc(next.ctx, size);
	if (arena != NULL && size < ARENA_LEAST)
		state.frames += size;
	return arena;
}

static void free_arena(void *unused, void *address, size_t size)
{
	(void)unused;
	if (size < ARENA_LEAST)
		state.frames -= MIN(state.frames, size); /* some are older than the limit */
	next.free(next.ctx, address, size);
}

/* The GIL may not be held here: but for its own main thread a worker only compares. */
static bool is_denied(void)
{
	if (state.denied == 0 || state.denied != PyThread_get_thread_ident())
		return false;
	state.denied = 0;
	(void)take_step(state.after_denial);
	return true;
}

/* malloc has refused something. True: it is to be asked again. */
static bool judge(void)
{
	if (PyThread_get_thread_ident() != interrupt_main_thread())
		return false;
	state.is_pressed = true;
	if (!state.is_inside)
		return take_step(ceiling());
	state.is_direct = true; /* one that is told of an arena meanwhile would hear of both */
	if (++state.n_failed >= N_FAILED) {
		state.n_refused = MAX(state.n_refused, N_DIRECT + 1);
		tell_later(false);
	}
	return false;
}

static void *raw_malloc(void *unused, size_t size)
{
	void *address = is_denied() ? NULL : next_raw.malloc(next_raw.ctx, size);

	(void)unused;
	while (address == NULL && judge())
		address = next_raw.malloc(next_raw.ctx, size);
	return address;
}

static void *raw_calloc(void *unused, size_t n, size_t size)
{
	void *address = is_denied() ? NULL : next_raw.calloc(next_raw.ctx, n, size);

	(void)unused;
	while (address == NULL && judge())
		address = next_raw.calloc(next_raw.ctx, n, size);
	return address;
}

static void *raw_realloc(void *unused, void *old, size_t size)
{
	void *address = is_denied() ? NULL : next_raw.realloc(next_raw.ctx, old, size);

	(void)unused;
	while (address == NULL && judge())
		address = next_raw.realloc(next_raw.ctx, old, size);
	return address;
}

static void raw_free(void *unused, void *address)
{
	(void)unused;
	next_raw.free(next_raw.ctx, address);
}

/* ---- turns ---- */

void memory_limit_turn(uint32_t turn, uint64_t limit)
{
	state.lowered_turn = turn;
	state.lowered_limit = limit;
}

static void open_for_turn(void)
{
	uint64_t soft = floor_now();

	if (state.is_pressed || turn_limit() < state.limit) {
		uint64_t now = data_size();

		state.is_pressed = now + BREATH > soft;
		if (state.is_pressed)
			soft = MAX(soft, MIN(now + BREATH, ceiling() - KEPT));
	}
	move_soft(soft);
}

/* As long as nothing was refused this is no system call, and neither is the next turn's beginning. */
static void open_for_worker(void)
{
	move_soft(state.is_pressed ? ceiling() : state.base + state.limit);
}

void memory_enter(uint32_t turn)
{
	if (!state.is_on)
		return;
	if (state.turn != turn)
		state.n_refused = state.n_elsewhere = state.n_failed = 0;
	state.turn = turn;
	state.is_inside = true;
	if (state.before_shell == 0)
		open_for_turn();
}

void memory_leave(void)
{
	if (!state.is_on)
		return;
	state.is_inside = false;
	state.is_told = false;
	if (state.before_shell == 0)
		open_for_worker();
}

void memory_make_room(void)
{
	if (!state.is_on || state.before_shell != 0)
		return;
	state.is_pressed = true;
	set_soft(ceiling());
}

bool memory_try_again(void)
{
	if (!state.is_on || (state.is_inside && PyThread_get_thread_ident() == interrupt_main_thread()))
		return false;
	if (!PyErr_ExceptionMatches(PyExc_MemoryError))
		return false;
	PyErr_Clear();
	memory_make_room();
	return true;
}

void memory_count(bool on)
{
	uint64_t now;
	uint64_t more;

	if (!state.is_on || on == (state.before_shell == 0))
		return;
	now = data_size();
	if (!on) {
		state.before_shell = MAX(now, 1);
		set_soft(state.hard);
		return;
	}
	more = now > state.before_shell ? now - state.before_shell : 0;
	more = MIN(more, RING_SHELL_MOST - state.shell);
	state.shell += more;
	state.base += more;
	state.before_shell = 0;
	if (output_shared() != NULL)
		atomic_store(&output_shared()->shell_bytes, state.shell);
	if (state.is_inside)
		open_for_turn();
	else
		open_for_worker();
}

/* ---- the beginning ---- */

/* Small objects must come from arenas: PYTHONMALLOC can say otherwise, and an interpreter can be built without them. */
static int check_allocator(struct error *err)
{
	name_func find_name = (name_func)dlsym(RTLD_DEFAULT, "_PyMem_GetCurrentAllocatorName");
	const char *name = find_name != NULL ? find_name() : getenv("PYTHONMALLOC");

	if (name == NULL || name[0] == '\0' || strcmp(name, "default") == 0 || strncmp(name, "pymalloc", 8) == 0)
		return 0;
	return error_set(err, -ENOTSUP, "limits.memory needs Python's own allocator, pymalloc; here it is \"%s\" (PYTHONMALLOC)",
	    name);
}

static int watch_allocators(struct error *err)
{
	arena_func get = (arena_func)dlsym(RTLD_DEFAULT, "PyObject_GetArenaAllocator");
	arena_func set = (arena_func)dlsym(RTLD_DEFAULT, "PyObject_SetArenaAllocator");
	raw_func get_raw = (raw_func)dlsym(RTLD_DEFAULT, "PyMem_GetAllocator");
	raw_func set_raw = (raw_func)dlsym(RTLD_DEFAULT, "PyMem_SetAllocator");
	struct arena_allocator ours = { NULL, alloc_arena, free_arena };
	struct raw_allocator ours_raw = { NULL, raw_malloc, raw_calloc, raw_realloc, raw_free };

	if (get == NULL || set == NULL || get_raw == NULL || set_raw == NULL)
		return error_set(err, -ENOTSUP,
		    "limits.memory needs PyObject_SetArenaAllocator() and PyMem_SetAllocator(), which this Python does not have");
	get(&next);
	if (next.alloc == NULL || next.free == NULL)
		return error_set(err, -ENOTSUP, "limits.memory needs Python's arenas, which this Python does not have");
	get_raw(DOMAIN_RAW, &next_raw);
	set(&ours);
	set_raw(DOMAIN_RAW, &ours_raw);
	return 0;
}

/* What the process is limited to now must leave room for what is wanted. */
static int limit_process(struct error *err)
{
	struct rlimit now;
	struct rlimit limit = { .rlim_cur = floor_now(), .rlim_max = state.hard };

	if (getrlimit(RLIMIT_DATA, &now) < 0)
		return error_set(err, -errno, "RLIMIT_DATA cannot be read");
	if (setrlimit(RLIMIT_DATA, &limit) == 0)
		return 0;
	return error_set(err, -errno, "RLIMIT_DATA cannot be set to %" PRIu64 " bytes; its hard limit is %" PRIu64, state.hard,
	    (uint64_t)now.rlim_max);
}

int memory_limit(uint64_t limit, struct error *err)
{
	int r;

	if (state.is_on)
		return error_set(err, -EBUSY, "the memory is limited already");
	if (limit < MEMORY_LEAST || limit > MEMORY_MOST)
		return error_set(err, -ERANGE, "limits.memory: %" PRIu64 " is not in %" PRIu64 "..%" PRIu64, limit, MEMORY_LEAST,
		    MEMORY_MOST);
	r = check_allocator(err);
	if (r < 0)
		return r;
	state.base = data_size();
	if (state.base == 0)
		return error_set(err, -EIO, "/proc/self/status does not say VmData, which limits.memory is measured from");
	state.limit = limit;
	state.hard = ceiling() + RING_SHELL_MOST;
	state.soft = floor_now();
	r = limit_process(err);
	if (r == 0)
		r = watch_allocators(err);
	state.is_on = r == 0;
	if (state.is_on)
		loan_open();
	return r;
}

bool memory_is_limited(void)
{
	return state.is_on;
}
