/* SPDX-License-Identifier: Apache-2.0 */
/* interrupt: how a turn is interrupted, without a thread. */
#include "kernel/worker/interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "kernel/worker/embedded.h"
#include "kernel/worker/exceptions.h"
#include "kernel/worker/hooks.h"
#include "kernel/worker/memory.h"
#include "kernel/worker/output.h"
#include "protocol/base/clock.h"
#include "protocol/link/ring.h"

/* A terminal or a client's signal to the process group comes beside the front's own: two within this time are one. */
#define SAME_INTERRUPT_USEC (40 * USEC_PER_MSEC)

#define STAGE_STICKY 2

/* What earlier cells have left in the event loop runs, and no turn does. */
#define TURN_BETWEEN UINT32_MAX

static struct {
	_Atomic uint32_t armed;    /* depth of guard() and arm() */
	_Atomic bool external;     /* a SIGINT from outside came while armed */
	uint32_t turn;             /* the turn that runs; of the innermost guard */
	uint32_t raised_turn;      /* the last turn that an exception was raised in */
	uint64_t raised_usec;      /* when */
	struct cause cause;        /* why, for the trace function */
	bool sticky;               /* the trace function is set */
	bool attending;            /* the attention function runs: it may build the shell, so nothing is raised in it */
	bool attend_again;         /* a signal came meanwhile, or before there was a function */
} state;

static unsigned long main_thread;
static PyObject *attention; /* called for a signal that asks for no interrupt; NULL: nobody */

static bool is_between(void)
{
	return state.turn == TURN_BETWEEN;
}

/* An exception may be raised in what runs. */
static bool is_open(void)
{
	return atomic_load(&state.armed) != 0 || is_between();
}

/* ---- whose frame is it ---- */

enum owner {
	OWNER_OTHER, /* a library */
	OWNER_HUSK,
	OWNER_SHELL,  /* IPython */
	OWNER_LOOP,   /* asyncio and what it waits with */
	OWNER_TENANT, /* code of the user's module */
};

static bool is_own_file(PyFrameObject *frame)
{
	_py_ref_ PyObject *code = (PyObject *)PyFrame_GetCode(frame);
	_py_ref_ PyObject *file = PyObject_GetAttrString(code, "co_filename");
	const char *name = file != NULL && PyUnicode_Check(file) ? PyUnicode_AsUTF8AndSize(file, NULL) : NULL;

	PyErr_Clear();
	return name != NULL && strncmp(name, EMBEDDED_PREFIX, sizeof(EMBEDDED_PREFIX) - 1) == 0;
}

static enum owner owner_of(PyFrameObject *frame)
{
	_py_ref_ PyObject *globals = NULL;
	PyObject *borrowed_name;
	const char *name;

	if (is_own_file(frame))
		return OWNER_HUSK;
	globals = PyFrame_GetGlobals(frame);
	borrowed_name = globals != NULL ? PyDict_GetItemString(globals, "__name__") : NULL;
	name = borrowed_name != NULL && PyUnicode_Check(borrowed_name) ? PyUnicode_AsUTF8AndSize(borrowed_name, NULL) : NULL;
	PyErr_Clear();
	if (name == NULL)
		return OWNER_OTHER;
	if (strcmp(name, "__main__") == 0)
		return OWNER_TENANT;
	if (strncmp(name, "IPython.", 8) == 0)
		return OWNER_SHELL;
	return strncmp(name, "asyncio.", 8) == 0 || strcmp(name, "selectors") == 0 ? OWNER_LOOP : OWNER_OTHER;
}

/*
 * Whether code of the user's module is among the frames that run, or an event loop that works for it. A loop that waits
 * always counts; one that is in a callback counts with strict false alone, and not when the callback is IPython's report.
 */
static bool tenant_runs(PyFrameObject *frame, bool strict)
{
	PyFrameObject *back;
	bool found = false;
	bool in_callback = false;
	bool in_shell = false;

	Py_XINCREF((PyObject *)frame);
	for (; frame != NULL && !found; frame = back) {
		enum owner owner = owner_of(frame);

		found = owner == OWNER_TENANT || (owner == OWNER_LOOP && !in_shell && !(strict && in_callback));
		in_shell = in_shell || owner == OWNER_SHELL;
		in_callback = in_callback || owner == OWNER_OTHER || owner == OWNER_HUSK;
		back = PyFrame_GetBack(frame);
		Py_DECREF((PyObject *)frame);
	}
	Py_XDECREF((PyObject *)frame);
	return found;
}

/* ---- the trace of stage 2 ---- */

static void clear_sticky(void);

/* It spares husk's own modules and asyncio, whose clean-up must not be broken, and what runs when the cell's own code has been
 * left: the formatting of its traceback. */
static int raise_everywhere(PyObject *object, PyFrameObject *frame, int what, PyObject *arg)
{
	enum owner owner;

	(void)object;
	(void)arg;
	if ((what != PY_TRACE_CALL && what != PY_TRACE_LINE) || !is_open())
		return 0;
	owner = owner_of(frame);
	if (owner == OWNER_HUSK || owner == OWNER_LOOP)
		return 0;
	if (!tenant_runs(frame, false)) {
		if (!tenant_runs(frame, true))
			clear_sticky();
		return 0;
	}
	exceptions_raise(&state.cause);
	return -1;
}

/* Set again at each signal: the tenant may have cleared it (sys.settrace). */
static void set_sticky(void)
{
	state.sticky = true;
	PyEval_SetTrace(raise_everywhere, NULL);
}

static void clear_sticky(void)
{
	if (!state.sticky)
		return;
	state.sticky = false;
	PyEval_SetTrace(NULL, NULL);
}

/* ---- the handler ---- */

static bool is_wanted(struct ring_shared *shared)
{
	uint32_t turn = shared != NULL ? atomic_load(&shared->interrupt_turn) : 0;

	return turn != 0 && (turn == state.turn || is_between());
}

/* The stage that the front asks for in this turn; each shared word is read once. 0: none. */
static uint32_t wanted_stage(void)
{
	struct ring_shared *shared = output_shared();

	return is_wanted(shared) ? atomic_load(&shared->interrupt_stage) : 0;
}

/* Why. A SIGINT from outside has no reason. */
static struct cause wanted_cause(void)
{
	struct ring_shared *shared = output_shared();

	if (!is_wanted(shared) || atomic_load(&shared->interrupt_stage) == 0)
		return (struct cause){ .reason = RING_REASON_INTERRUPT };
	return (struct cause){
		.reason = atomic_load(&shared->interrupt_reason),
		.limit = atomic_load(&shared->interrupt_limit),
		.used = atomic_load(&shared->interrupt_used),
	};
}

/* Tells the front that an interrupt has had its effect, be it that it is one with another. */
static void acknowledge(void)
{
	struct ring_shared *shared = output_shared();

	if (shared != NULL)
		atomic_fetch_add(&shared->interrupt_seen, 1);
}

/* -1 with the exception of the cause. */
static int raise_interrupt(uint64_t now)
{
	state.raised_turn = state.turn;
	state.raised_usec = now;
	acknowledge();
	exceptions_raise(&state.cause);
	return -1;
}

/* Whether the exception is to be raised here. The first of a turn always is; a later one is not when it would only break the
 * report of the first. */
static bool is_due(uint32_t stage, PyFrameObject *frame, uint64_t now)
{
	enum owner owner = is_between() && frame != NULL ? owner_of(frame) : OWNER_OTHER;

	/* Only what holds the loop up, which would otherwise lose what is ready. */
	if (owner == OWNER_LOOP || owner == OWNER_HUSK)
		return false;
	if (state.raised_turn != state.turn)
		return true;
	if (stage < STAGE_STICKY && now - state.raised_usec < SAME_INTERRUPT_USEC)
		return false;
	return tenant_runs(frame, stage < STAGE_STICKY);
}

/* The front has sent something that does not wait for the cell's end. What the call raises must not reach the cell. */
static void attend(void)
{
	state.attend_again = true;
	state.attending = true;
	while (state.attend_again && attention != NULL) {
		_py_ref_ PyObject *result = NULL;

		state.attend_again = false;
		result = PyObject_CallObject(attention, NULL);
		if (result == NULL)
			PyErr_WriteUnraisable(attention);
	}
	state.attending = false;
}

static PyObject *handle_signal(PyObject *module, PyObject *args)
{
	PyObject *borrowed_frame = PyTuple_Size(args) == 2 ? PyTuple_GetItem(args, 1) : NULL;
	bool external;
	uint32_t stage;
	uint64_t now;

	(void)module;
	if (state.attending) {
		state.attend_again = true;
		Py_RETURN_NONE;
	}
	if (wanted_stage() == 0 && !atomic_load(&state.external))
		attend();
	/* An interrupt that came meanwhile has waited. */
	external = atomic_exchange(&state.external, false);
	stage = wanted_stage();
	if ((stage == 0 && !external) || !is_open())
		Py_RETURN_NONE;
	if (borrowed_frame == Py_None)
		borrowed_frame = NULL;
	state.cause = wanted_cause();
	/* A trace that outlives the cell's own code would only slow the report of its exception down. */
	if (stage >= STAGE_STICKY && tenant_runs((PyFrameObject *)borrowed_frame, true))
		set_sticky();
	else
		clear_sticky();
	now = clock_monotonic_usec();
	if (!is_due(stage, (PyFrameObject *)borrowed_frame, now)) {
		acknowledge();
		Py_RETURN_NONE;
	}
	(void)raise_interrupt(now);
	return NULL;
}

/* A SIGINT from outside, in signal context, in any thread. */
static void external_interrupt(void)
{
	pid_t pid = getpid();

	if (atomic_load(&state.armed) == 0)
		return;
	atomic_store(&state.external, true);
	(void)syscall(SYS_tgkill, pid, pid, hooks_reserved_signal());
}

/* ---- armed code ---- */

static int check_main_thread(void)
{
	if (PyThread_get_thread_ident() == main_thread)
		return 0;
	PyErr_SetString(PyExc_RuntimeError, "interrupts can be armed in the main thread only");
	return -1;
}

int interrupt_arm(uint32_t turn)
{
	uint32_t stage;

	if (check_main_thread() < 0)
		return -1;
	state.turn = turn;
	if (atomic_fetch_add(&state.armed, 1) == 0) {
		atomic_store(&state.external, false);
		memory_enter(turn);
	}
	stage = wanted_stage();
	/* The front's first signal may have come before we were armed; one that was raised already is not repeated. The trace
	 * goes on where a cell that awaits is run in steps. */
	if (stage >= STAGE_STICKY && state.raised_turn == turn)
		set_sticky();
	if (stage == 0 || state.raised_turn == turn)
		return 0;
	state.cause = wanted_cause();
	(void)raise_interrupt(clock_monotonic_usec());
	interrupt_disarm();
	return -1;
}

void interrupt_disarm(void)
{
	if (atomic_load(&state.armed) == 0)
		return;
	if (atomic_fetch_sub(&state.armed, 1) == 1) {
		clear_sticky();
		memory_leave();
	}
}

PyObject *interrupt_guard(uint32_t turn, PyObject *func, PyObject *args)
{
	uint32_t outer = state.turn;
	PyObject *result;

	result = NULL;
	if (interrupt_arm(turn) == 0) {
		result = PyObject_CallObject(func, args);
		interrupt_disarm();
	}
	state.turn = outer;
	return result;
}

PyObject *interrupt_between(PyObject *func)
{
	uint32_t outer = state.turn;
	PyObject *result;

	if (check_main_thread() < 0)
		return NULL;
	state.turn = TURN_BETWEEN;
	if (state.raised_turn == TURN_BETWEEN)
		state.raised_turn = 0;
	result = PyObject_CallNoArgs(func);
	clear_sticky();
	state.turn = outer;
	return result;
}

void interrupt_adopt(void)
{
	atomic_store(&state.armed, 0);
	atomic_store(&state.external, false);
	state.attending = false;
	clear_sticky();
	state.turn = 0;
	state.raised_turn = 0;
	memory_leave();
}

int interrupt_refused(const struct cause *cause, bool again)
{
	PyFrameObject *borrowed_frame = PyEval_GetFrame();

	if (atomic_load(&state.armed) == 0 || state.attending)
		return 0;
	if (state.raised_turn == state.turn && !tenant_runs(borrowed_frame, true))
		return 0;
	state.cause = *cause;
	state.raised_turn = state.turn;
	state.raised_usec = clock_monotonic_usec();
	if (again && tenant_runs(borrowed_frame, true))
		set_sticky();
	exceptions_raise(cause);
	return -1;
}

unsigned long interrupt_main_thread(void)
{
	return main_thread;
}

int interrupt_thread(unsigned long thread, const struct cause *cause)
{
	_py_ref_ PyObject *exception = NULL;
	_py_ref_ PyObject *class = NULL;

	if (cause->reason == RING_REASON_INTERRUPT)
		return PyThreadState_SetAsyncExc(thread, PyExc_KeyboardInterrupt);
	exception = exceptions_new(cause);
	class = exception != NULL ? exceptions_class_of(exception) : NULL;
	return class != NULL ? PyThreadState_SetAsyncExc(thread, class) : -1;
}

void interrupt_set_attention(PyObject *callback)
{
	PyObject *old = attention;

	Py_INCREF(callback);
	attention = callback;
	Py_XDECREF(old);
	if (state.attend_again)
		attend();
}

/* ---- installation ---- */

static PyMethodDef handler_def = {
	"interrupt",
	handle_signal,
	METH_VARARGS,
	"Handler of the reserved signal: raises in the turn that the front has named.",
};

int interrupt_init(void)
{
	_py_ref_ PyObject *handler = PyCFunction_NewEx(&handler_def, NULL, NULL);
	_py_ref_ PyObject *signal_module = PyImport_ImportModule("_signal");
	_py_ref_ PyObject *old = NULL;

	if (handler == NULL || signal_module == NULL)
		return -1;
	main_thread = PyThread_get_thread_ident();
	hooks_enable(external_interrupt);
	hooks_open_reserved(true);
	old = PyObject_CallMethod(signal_module, "signal", "iO", hooks_reserved_signal(), handler);
	hooks_open_reserved(false);
	return old != NULL ? 0 : -1;
}
