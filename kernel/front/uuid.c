/* SPDX-License-Identifier: Apache-2.0 */
/* uuid: names that nobody else has. */
#include "kernel/front/uuid.h"

#include <sodium.h>
#include <stdio.h>

void uuid_new(char text[37])
{
	unsigned char b[16];

	randombytes_buf(b, sizeof(b));
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	for (size_t i = 0, at = 0; i < sizeof(b); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			text[at++] = '-';
		(void)snprintf(text + at, 3, "%02x", b[i]);
		at += 2;
	}
}
