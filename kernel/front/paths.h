/* SPDX-License-Identifier: Apache-2.0 */
/* paths: where things lie: the launcher beside this program, Jupyter's and IPython's directories (XDG, jupyter_core). */
#ifndef HUSK_FRONT_PATHS_H
#define HUSK_FRONT_PATHS_H

#include "kernel/front/options.h"

/* Each writes a path of at most size - 1 bytes. */
void paths_self(char *ret, size_t size);       /* this program */
void paths_launcher(char *ret, size_t size);   /* husk-worker: installed, else in the build tree */
void paths_share(char *ret, size_t size);      /* share/husk: installed, else in the source tree */
void paths_history(const struct options *o, char *ret, size_t size); /* a file, or ":memory:" */
void paths_runtime_connection_file(char *ret, size_t size); /* kernel-<pid>.json in Jupyter's runtime directory */
void paths_user_data(char *ret, size_t size);  /* Jupyter's data directory of this user */

#endif
