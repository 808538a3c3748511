/* SPDX-License-Identifier: Apache-2.0 */
/* tree-size: what a directory holds that a tenant may change at the same time. */
#ifndef HUSK_SANDBOX_TREE_SIZE_H
#define HUSK_SANDBOX_TREE_SIZE_H

#include <stdbool.h>
#include <stdint.h>

struct tree_size {
	uint64_t bytes; /* that its files and directories occupy; one of several names counts once */
	uint64_t files; /* names in it, directories too; the directory itself is none */
	bool is_cut;    /* there is more that could not be counted: too many files, too deep, or shut by their owner */
};

/*
 * Neither follows a symbolic link nor enters what is mounted in it. fd: of the directory, also one of O_PATH. What
 * vanishes or comes meanwhile counts or does not. -errno when the directory itself cannot be read.
 */
int tree_size_measure(int fd, uint64_t max_files, struct tree_size *ret);

#endif
