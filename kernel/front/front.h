/* SPDX-License-Identifier: Apache-2.0 */
/* front: one kernel, from its start to its end. */
#ifndef HUSK_FRONT_FRONT_H
#define HUSK_FRONT_FRONT_H

struct options;
struct profile;

int front_run(const struct options *options, const struct profile *profile); /* profile: NULL or not; returns the exit code */

#endif
