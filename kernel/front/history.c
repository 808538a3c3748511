/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history: jobs in, answers out, one thread between them that owns the database.
 *
 * What the running session printed as results is kept in a temporary table: IPython writes outputs to the file only on
 * request, but answers them for the running session.
 */
#include "kernel/front/history.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "kernel/front/history-db.h"
#include "protocol/base/clock.h"
#include "protocol/base/log.h"

#define BATCH_NSEC (200L * 1000 * 1000) /* how long an entry waits for others, to share their transaction */

struct job {
	struct job *next;
	bool is_question;
	uint64_t id;
	uint32_t line;
	struct buffer text[3]; /* question; or source, source_raw, output */
	bool has_output;
	size_t n_bytes;
};

struct job_list {
	struct job *head;
	struct job **tail;
	size_t n;
	size_t n_bytes;
};

struct history {
	char *path;
	int event_fd;
	bool running;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake;
	pthread_cond_t done;
	struct job_list jobs;
	struct job_list answers;
	unsigned n_questions;
	bool stop;
	bool stopped;
	bool abandoned; /* the owner has gone; the thread frees */
};

static void list_push(struct job_list *l, struct job *j)
{
	if (!l->head)
		l->tail = &l->head;
	j->next = NULL;
	*l->tail = j;
	l->tail = &j->next;
	l->n++;
	l->n_bytes += j->n_bytes;
}

static struct job *list_pop(struct job_list *l)
{
	struct job *j = l->head;

	if (j) {
		l->head = j->next;
		l->n--;
		l->n_bytes -= j->n_bytes;
	}
	return j;
}

static void job_free(struct job *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(j->text); i++)
		buffer_deinit(&j->text[i]);
	free(j);
}

static void history_release(struct history *h)
{
	struct job *j;

	while ((j = list_pop(&h->jobs)) || (j = list_pop(&h->answers)))
		job_free(j);
	if (h->event_fd >= 0)
		(void)close(h->event_fd);
	free(h->path);
	free(h);
}

int history_new(const char *path, struct history **ret)
{
	struct history *h = calloc(1, sizeof(*h));
	pthread_condattr_t attr;

	if (!h)
		return -ENOMEM;
	h->path = strdup(path);
	h->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!h->path || h->event_fd < 0) {
		history_release(h);
		return -ENOMEM;
	}
	(void)pthread_mutex_init(&h->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&h->wake, &attr);
	(void)pthread_cond_init(&h->done, &attr);
	*ret = h;
	return 0;
}

static void handle(struct history_db *db, struct job *j)
{
	struct slice output = j->has_output ? buffer_slice(&j->text[2]) : SLICE_NULL;
	struct buffer answer = BUFFER_INIT(HISTORY_MAX_REPLY);

	if (!j->is_question) {
		history_db_store(db, j->line, buffer_slice(&j->text[0]), buffer_slice(&j->text[1]), output);
		return;
	}
	history_db_query(db, buffer_slice(&j->text[0]), &answer);
	buffer_deinit(&j->text[0]);
	j->text[0] = answer;
}

static void finish(struct history *h, struct job *j)
{
	uint64_t one = 1;
	ssize_t n;

	if (!j->is_question) {
		job_free(j);
		return;
	}
	h->n_questions--;
	list_push(&h->answers, j);
	n = write(h->event_fd, &one, sizeof(one));
	(void)n;
}

/* Called and left with the lock held. Entries wait a little for more of them, questions do not wait. */
static void wait_for_jobs(struct history *h)
{
	struct timespec until;

	while (!h->jobs.head && !h->stop)
		(void)pthread_cond_wait(&h->wake, &h->lock);
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += BATCH_NSEC;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (!h->stop && !h->n_questions && h->jobs.n < HISTORY_MAX_JOBS / 2)
		if (pthread_cond_timedwait(&h->wake, &h->lock, &until) != 0)
			return;
}

static void *history_thread(void *arg)
{
	struct history *h = arg;
	struct history_db *db = history_db_open(h->path);
	struct job *j;
	bool last = false;

	(void)pthread_mutex_lock(&h->lock);
	while (!last) {
		wait_for_jobs(h);
		last = h->stop;
		(void)pthread_mutex_unlock(&h->lock);
		history_db_begin(db);
		(void)pthread_mutex_lock(&h->lock);
		while ((j = list_pop(&h->jobs))) {
			(void)pthread_mutex_unlock(&h->lock);
			handle(db, j);
			(void)pthread_mutex_lock(&h->lock);
			finish(h, j);
		}
		(void)pthread_mutex_unlock(&h->lock);
		history_db_commit(db);
		(void)pthread_mutex_lock(&h->lock);
	}
	(void)pthread_mutex_unlock(&h->lock);
	history_db_close(db);
	(void)pthread_mutex_lock(&h->lock);
	h->stopped = true;
	(void)pthread_cond_signal(&h->done);
	(void)pthread_mutex_unlock(&h->lock);
	if (h->abandoned)
		history_release(h);
	return NULL;
}

/* Signals belong to the loop's signalfd, so the thread blocks all of them. */
static bool ensure_thread(struct history *h)
{
	sigset_t all, old;

	if (h->running)
		return true;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	h->running = pthread_create(&h->thread, NULL, history_thread, h) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return h->running;
}

static bool submit(struct history *h, struct job *j)
{
	static struct log_ratelimit limit = { .interval_usec = 10 * USEC_PER_SEC };
	bool fits, failed = false;

	for (size_t i = 0; i < ARRAY_SIZE(j->text); i++) {
		failed |= j->text[i].failed != 0;
		j->n_bytes += j->text[i].len;
	}
	(void)pthread_mutex_lock(&h->lock);
	fits = !failed && h->jobs.n < HISTORY_MAX_JOBS && h->jobs.n_bytes + j->n_bytes <= HISTORY_MAX_BYTES &&
	    ensure_thread(h);
	if (fits) {
		h->n_questions += j->is_question;
		list_push(&h->jobs, j);
		if (j->is_question || h->jobs.n == 1 || h->jobs.n == HISTORY_MAX_JOBS / 2)
			(void)pthread_cond_signal(&h->wake);
	}
	(void)pthread_mutex_unlock(&h->lock);
	if (!fits) {
		log_limited(&limit, LOG_LEVEL_WARNING, "the history file is too slow, an entry was not stored");
		job_free(j);
	}
	return fits;
}

static struct job *job_new(void)
{
	struct job *j = calloc(1, sizeof(*j));

	for (size_t i = 0; j && i < ARRAY_SIZE(j->text); i++)
		j->text[i] = BUFFER_INIT(HISTORY_MAX_BYTES);
	return j;
}

void history_store(struct history *h, uint32_t line, struct slice source, struct slice source_raw, struct slice output)
{
	struct job *j = job_new();

	if (!j)
		return;
	j->line = line;
	buffer_append_slice(&j->text[0], source);
	buffer_append_slice(&j->text[1], source_raw);
	buffer_append_slice(&j->text[2], output);
	j->has_output = output.data != NULL;
	(void)submit(h, j);
}

bool history_ask(struct history *h, uint64_t id, struct slice request)
{
	struct job *j = job_new();

	if (!j)
		return false;
	j->is_question = true;
	j->id = id;
	buffer_append_slice(&j->text[0], request);
	return submit(h, j);
}

int history_take(struct history *h, uint64_t *ret_id, struct buffer *ret)
{
	struct job *j;
	uint64_t count;

	(void)pthread_mutex_lock(&h->lock);
	j = list_pop(&h->answers);
	if (!h->answers.head)
		(void)!read(h->event_fd, &count, sizeof(count));
	(void)pthread_mutex_unlock(&h->lock);
	if (!j)
		return 0;
	*ret_id = j->id;
	buffer_deinit(ret);
	*ret = j->text[0];
	j->text[0] = (struct buffer){ 0 };
	job_free(j);
	return 1;
}

int history_fd(const struct history *h)
{
	return h->event_fd;
}

struct history *history_free(struct history *h, uint64_t wait_usec)
{
	uint64_t until = clock_monotonic_usec() + wait_usec;
	struct timespec deadline = { (time_t)(until / USEC_PER_SEC), (long)(until % USEC_PER_SEC) * 1000 };
	bool stopped;

	if (!h)
		return NULL;
	if (!h->running) {
		history_release(h);
		return NULL;
	}
	(void)pthread_mutex_lock(&h->lock);
	h->stop = true;
	(void)pthread_cond_signal(&h->wake);
	while (!h->stopped && pthread_cond_timedwait(&h->done, &h->lock, &deadline) == 0)
		continue;
	stopped = h->stopped;
	h->abandoned = !stopped;
	(void)pthread_mutex_unlock(&h->lock);
	if (stopped) {
		(void)pthread_join(h->thread, NULL);
		history_release(h);
	} else {
		log_warning("the history file did not take its last entries in time");
		(void)pthread_detach(h->thread);
	}
	return NULL;
}
