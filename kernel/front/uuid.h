/* SPDX-License-Identifier: Apache-2.0 */
/* uuid: names that nobody else has. */
#ifndef HUSK_FRONT_UUID_H
#define HUSK_FRONT_UUID_H

void uuid_new(char text[37]); /* random, RFC 4122 version 4 */

#endif
