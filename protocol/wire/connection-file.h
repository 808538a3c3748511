/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection-file: the JSON file that names a kernel's sockets and key (specs/wire.md 8; kernels.rst "Connection
 * files").
 */
#ifndef HUSK_WIRE_CONNECTION_FILE_H
#define HUSK_WIRE_CONNECTION_FILE_H

#include <stdbool.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/wire/sign.h"

#define CONNECTION_FILE_MAX_BYTES 65536

/* In the order of connect_reply and of the port names below. */
enum connection_port {
	CONNECTION_SHELL,
	CONNECTION_IOPUB,
	CONNECTION_STDIN,
	CONNECTION_CONTROL,
	CONNECTION_HB,
	CONNECTION_PORT_COUNT
};
extern const char *const connection_port_names[CONNECTION_PORT_COUNT]; /* "shell_port" ... */

struct connection {
	char transport[32];                  /* "tcp" or "ipc" */
	char ip[256];                        /* tcp: address or "*"; ipc: path prefix */
	int ports[CONNECTION_PORT_COUNT];    /* 0: choose */
	char signature_scheme[32];
	char key[SIGN_KEY_MAX + 1];
	size_t key_len;
	char kernel_name[256];
	char curve_publickey[41]; /* Z85, "" when absent; both or none */
	char curve_secretkey[41];
	bool has_curve;
};

/* Pure. Unknown members are ignored; ports may be ints or decimal strings. err names member, value, allowed range; which
 * file it was the caller adds. */
int connection_parse(struct slice text, struct connection *ret, struct error *err) must_check;

/* Pure. Merges c's ports (and, where the text lacks them, its other members) into the original text (may be empty);
 * members that husk does not know are kept. */
int connection_merge(struct slice original, const struct connection *c, struct buffer *out) must_check;

/* Effects: read (regular file, size-limited, no wait on FIFOs) and atomic write (temporary in the same directory, 0600,
 * rename; makes missing directories with mode 0700). err names the file. */
int connection_file_read(const char *path, struct buffer *out, struct error *err) must_check;
int connection_file_write(const char *path, struct slice text, struct error *err) must_check;

/* "tcp://127.0.0.1:1234", "ipc:///path-1" for port p; *ret_text has size bytes. -ENAMETOOLONG if it does not fit. */
int connection_endpoint(const struct connection *c, enum connection_port p, char *ret_text, size_t size) must_check;

#endif
