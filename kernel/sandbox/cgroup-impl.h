/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup-impl: what the files of cgroup share, and nobody else includes but its tests. */
#ifndef HUSK_SANDBOX_CGROUP_IMPL_H
#define HUSK_SANDBOX_CGROUP_IMPL_H

#include <pthread.h>

#include "kernel/sandbox/cgroup.h"

/* What a group is for. */
#define CGROUP_MEMORY 1u
#define CGROUP_PIDS 2u
#define CGROUP_CPU 4u
#define CGROUP_CPUACCT 8u
#define CGROUP_KILL 16u /* a group of v2, whatever its controllers */

#define CGROUP_MAX_MOUNTS 16
#define CGROUP_PATH_MAX 1024
#define CGROUP_PREFIX "husk-"
#define CGROUP_LEAF CGROUP_PREFIX "leaf"

/* A hierarchy that is mounted. */
struct cgroup_mount {
	bool is_v2;
	uint32_t controllers; /* v1: those of the mount; v2: what v1 does not have is found later */
	char point[CGROUP_PATH_MAX];
	char own[CGROUP_PATH_MAX]; /* this process' group, from the mount point: "/", "/a/b"; "": not to be seen there */
};

struct cgroup_mounts {
	struct cgroup_mount mount[CGROUP_MAX_MOUNTS];
	size_t n;
};

/* One directory that was made. */
struct cgroup_group {
	bool is_v2;
	uint32_t does;
	int parent_fd;
	int fd;
	int attach_fd;
};

enum cgroup_file {
#define CGROUP_FILE(name, ...) CGROUP_FILE_##name,
#include "kernel/sandbox/cgroup-files.def"
#undef CGROUP_FILE
	CGROUP_FILE_COUNT
};

struct cgroup {
	char name[sizeof(CGROUP_PREFIX) + CGROUP_NAME_MAX];
	char description[CGROUP_PATH_MAX + 128];
	struct cgroup_group group[CGROUP_MAX_ATTACH];
	size_t n_groups;
	bool memory_is_v2;
	bool cpu_is_v2;
	bool cpuacct_is_v2;
	int file[CGROUP_FILE_COUNT];
	int epoll_fd; /* what the front waits for: the event of v1, which is another after each change, or memory.events */
	int event_fd;
	pthread_t watcher; /* registers event_fd, */
	bool has_watcher;
	_Atomic int watch_error; /* and leaves this */
	uint64_t soft;
	uint64_t hard;
	bool is_eased; /* v2: the kernel's threshold is above soft */
	uint64_t processes;
	uint64_t peak; /* the highest seen, where the kernel keeps none */
	struct {
		struct usage usage;
		uint64_t current; /* of memory, with */
		uint64_t cache;
	} seen; /* when all was read last */
};

/* cgroup-usage.c */
int cgroup_read_memory(const struct cgroup *c, uint64_t *ret) must_check; /* without the cache of files */

/* cgroup-limits.c */
void cgroup_end_event(struct cgroup *c);

/* cgroup-find.c */
/* Pure: from the texts of /proc/self/mountinfo and /proc/self/cgroup. Hierarchies without use for husk are left out. */
void cgroup_parse_mounts(const char *mountinfo, const char *self, struct cgroup_mounts *ret);
bool cgroup_path_is_valid(const char *path);
bool cgroup_name_is_valid(const char *name);

/* A directory in which a group may be made. */
struct cgroup_place {
	bool is_v2;
	uint32_t does;
	int fd;
	char path[CGROUP_PATH_MAX]; /* below the mount */
};

/* Places for all that is needed, at most one for each hierarchy. */
int cgroup_find_places(const char *parent, struct cgroup_place places[CGROUP_MAX_ATTACH], size_t *ret_n,
    struct error *err) must_check;
void cgroup_places_close(struct cgroup_place *places, size_t n);

/* cgroup-files.c */
/* Reads a short file at an opened directory, NUL-terminated; its length or -errno. */
ssize_t cgroup_read_at(int dir_fd, const char *name, char *text, size_t size) must_check;
int cgroup_write_at(int dir_fd, const char *name, const char *text) must_check;
ssize_t cgroup_pread(int fd, char *text, size_t size) must_check;
/* The number after "key" and a space at the start of a line; 0 when it is not there. */
uint64_t cgroup_field(const char *text, const char *key);
int cgroup_open_files(struct cgroup *c, const struct cgroup_group *g, struct error *err) must_check;
const char *cgroup_file_name(enum cgroup_file file, bool is_v2);

/* cgroup-end.c */
/* SIGKILL to each process that is listed in a directory's cgroup.procs; how many there were, or -errno. */
int cgroup_kill_listed(int dir_fd) must_check;
/* The name of cgroup_new(NULL): process, its start, its pid namespace. */
int cgroup_own_name(char ret[CGROUP_NAME_MAX + 1]) must_check;
/* Whether a directory's name (with prefix) is of that form and its process is gone. */
bool cgroup_name_is_stale(const char *directory);

#endif
