/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interrupt: how a turn is interrupted (specs/link.md 5), without a thread.
 *
 * The handler of the reserved signal is a C builtin. It raises the exception of the reason when the turn that runs is the one
 * that the front has named in shared memory, or KeyboardInterrupt when a SIGINT came from outside. At stage 2 it also sets a trace function that
 * raises at every call and line, so code that swallows the exception is unwound too.
 *
 * The user's code is known by its module, __main__. When it is no longer among the frames, a turn that was interrupted is
 * being reported, and repeated signals raise no more. Whoever renames __main__ gets the kill instead of the trace.
 */
#ifndef HUSK_WORKER_INTERRUPT_H
#define HUSK_WORKER_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/worker/exceptions.h"
#include "kernel/worker/pyapi.h"

/* Installs the handlers; main thread, after output_attach(). -1 with an exception. */
int interrupt_init(void) must_check;

/* func(*args) with interrupts armed. A new reference, or NULL with an exception. */
PyObject *interrupt_guard(uint32_t turn, PyObject *func, PyObject *args);

/*
 * func() between two turns, main thread: it runs what earlier cells have left in the event loop. An interrupt of a turn that cannot begin
 * because of that is raised there, and in the turn itself when it begins.
 */
PyObject *interrupt_between(PyObject *func);

/* 0, or -1 with an exception: not the main thread, or the turn's interrupt came before. */
int interrupt_arm(uint32_t turn) must_check;
void interrupt_disarm(void);

/* Memory was refused to the code that runs: raises in it unless that would only break a report, with the trace when it is
 * not the first time. -1 with the exception. */
int interrupt_refused(const struct cause *cause, bool again) must_check;

/* The thread that interrupts are raised in. */
unsigned long interrupt_main_thread(void);

/* After a fork: nothing is armed. */
void interrupt_adopt(void);
/* The function that a signal calls that asks for no interrupt (specs/link.md 5.4), in the main thread between two steps of
 * whatever runs there. */
void interrupt_set_attention(PyObject *callback);
/* Raises in another thread of that identifier, at its next step of Python code. 0: there is no such thread; -1 with an
 * exception. */
int interrupt_thread(unsigned long thread, const struct cause *cause) must_check;

#endif
