/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure: a process that measures the workspace where it is a directory of the host.
 *
 * A file system that does not answer stops this process alone. An ordinary user's tenant has the same user id, and could
 * shut a directory to this one too: in a user namespace of its own it reads whatever belongs to that id.
 */
#include "kernel/sandbox/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/sandbox/idmap.h"
#include "protocol/base/util.h"

#define MORE_FILES ((uint64_t)1 << 20) /* beyond the limit that are still counted, to see whether they become fewer */

bool measure_is_needed(const struct sandbox_plan *plan)
{
	const struct limits *limits = &plan->profile->limits;

	return (plan->own_workspace[0] || plan->profile->workspace) &&
	       (limits->value[LIMIT_disk] != LIMITS_NONE || limits->value[LIMIT_disk_files] != LIMITS_NONE);
}

/* Without it a directory that its owner has shut counts as one that hides something. */
static void read_all_of_own_user(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWUSER) == 0)
		(void)!idmap_write_own(uid, uid, gid, gid);
}

static uint64_t most_files(const struct sandbox_plan *plan)
{
	uint64_t limit = plan->profile->limits.value[LIMIT_disk_files];

	return limit == LIMITS_NONE ? 16 * MORE_FILES : limit + MORE_FILES;
}

static _Noreturn void measure(const struct sandbox_plan *plan, int control)
{
	const char *own = plan->own_workspace;
	struct measure_answer answer = {0};
	struct rlimit files;
	int fd;

	(void)prctl(PR_SET_NAME, "husk-measure");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max; /* one for each level of depth */
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	fd = own[0] ? open(own, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : plan->profile->workspace_fd;
	if (!plan->as_root)
		read_all_of_own_user();
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	answer.error = fd < 0 ? -errno : tree_size_measure(fd, most_files(plan), &answer.size);
	_exit(send(control, &answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(answer));
}

static void refuse(int control, int error)
{
	struct measure_answer answer = {.error = error};

	(void)send(control, &answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void measure_start(const struct sandbox_plan *plan, int control, struct measure *m)
{
	if (!measure_is_needed(plan))
		return;
	m->again = m->pid != 0;
	if (m->again)
		return;
	m->pid = fork();
	if (m->pid == 0)
		measure(plan, control);
	if (m->pid < 0) {
		m->pid = 0;
		refuse(control, -errno);
		return;
	}
	m->pidfd = (int)syscall(SYS_pidfd_open, m->pid, 0);
	if (m->pidfd < 0)
		measure_reap(plan, control, m);
}

void measure_reap(const struct sandbox_plan *plan, int control, struct measure *m)
{
	bool again = m->again;
	int status = 0;

	(void)waitpid(m->pid, &status, 0);
	closep(&m->pidfd);
	*m = (struct measure){.pidfd = -1};
	if (status != 0)
		refuse(control, -EIO);
	if (again)
		measure_start(plan, control, m);
}

/* It is not waited for: it may be in a file system that does not answer. */
void measure_end(struct measure *m)
{
	if (m->pid)
		(void)kill(m->pid, SIGKILL);
}
