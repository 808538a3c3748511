/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hooks: functions of libc that the preloaded core answers in libc's place, for the interpreter and everything that it loads.
 *
 * - sigaction, signal and their kin, sigprocmask, pthread_sigmask: the reserved interrupt signal cannot be replaced,
 *   ignored or masked, as glibc protects its own two (specs/link.md 5.1). SIGINT is looked at first (5.3).
 * - waitpid and its kin, system, pclose, write: a flag says that a pipe on fd 1 or 2 may hold text that is older than
 *   what is written next (4.5).
 *
 * Until hooks_enable() everything passes through. All state is async-signal-safe to touch.
 */
#ifndef HUSK_WORKER_HOOKS_H
#define HUSK_WORKER_HOOKS_H

#include <stdbool.h>

/* external_interrupt: called in signal context for a SIGINT that the process did not send itself. */
void hooks_enable(void (*external_interrupt)(void));

int hooks_reserved_signal(void);

/* While open, sigaction() on the reserved signal passes through: for the installation of the handler. */
void hooks_open_reserved(bool open);

/* True once after each event that may have put text into a pipe on fd 1 or 2. */
bool hooks_take_barrier(void);

/* True in a process that was forked from the worker. */
bool hooks_in_child(void);
/* The forked process is a worker of its own from now on. */
void hooks_adopt(void);

#endif
