/* SPDX-License-Identifier: Apache-2.0 */
/* remove-tree: deletes a directory that a tenant has filled: any depth, any names, nothing outside of it. */
#ifndef HUSK_SANDBOX_REMOVE_TREE_H
#define HUSK_SANDBOX_REMOVE_TREE_H

/* Follows no symbolic link; a directory that cannot be read is made readable first. 0 or -errno of the last failure. */
int remove_tree(const char *path);

#endif
