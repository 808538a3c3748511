/* SPDX-License-Identifier: Apache-2.0 */
/* proxy-resolver: questions in a table, each answered in its place, as long as the process lives. */
#include "kernel/sandbox/proxy-resolver.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#define STACK_BYTES ((size_t)512 << 10) /* name services are plug-ins, which like arrays on the stack */

enum state { FREE, ASKED, TAKEN, ANSWERED };

struct question {
	enum state state;
	char host[TARGET_MAX_HOST + 1];
	uint16_t port;
	struct proxy_answer answer;
};

struct proxy_resolver {
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t asked;
	int event_fd;
	unsigned n_threads, n_idle, n_waiting;
	struct question questions[PROXY_RESOLVER_MAX_QUESTIONS];
};

int proxy_resolver_new(struct proxy_resolver **ret)
{
	struct proxy_resolver *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->event_fd < 0) {
		int k = -errno;

		free(r);
		return k;
	}
	(void)pthread_mutex_init(&r->lock, NULL);
	(void)pthread_cond_init(&r->asked, NULL);
	*ret = r;
	return 0;
}

int proxy_resolver_fd(const struct proxy_resolver *r)
{
	return r->event_fd;
}

static struct question *find(struct proxy_resolver *r, enum state state)
{
	for (size_t i = 0; i < PROXY_RESOLVER_MAX_QUESTIONS; i++)
		if (r->questions[i].state == state)
			return &r->questions[i];
	return NULL;
}

/* Without the lock: the question is this thread's alone while it is TAKEN. */
static void resolve(struct question *q)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC,
					.ai_socktype = SOCK_STREAM,
					.ai_flags = AI_NUMERICSERV };
	struct proxy_answer *a = &q->answer;
	struct addrinfo *list = NULL;
	char port[8];

	(void)snprintf(port, sizeof(port), "%u", q->port);
	a->n_addresses = 0;
	a->error = getaddrinfo(q->host, port, &hints, &list);
	if (a->error != 0)
		return;
	for (const struct addrinfo *i = list; i && a->n_addresses < PROXY_RESOLVER_MAX_ADDRESSES; i = i->ai_next)
		if (i->ai_addrlen <= sizeof(a->address[0]))
			memcpy(&a->address[a->n_addresses++], i->ai_addr, i->ai_addrlen);
	freeaddrinfo(list);
}

static void *answer_questions(void *userdata)
{
	struct proxy_resolver *r = userdata;

	(void)pthread_mutex_lock(&r->lock);
	for (;;) {
		struct question *q = find(r, ASKED);

		if (!q) {
			r->n_idle++;
			(void)pthread_cond_wait(&r->asked, &r->lock);
			r->n_idle--;
			continue;
		}
		q->state = TAKEN;
		r->n_waiting--;
		(void)pthread_mutex_unlock(&r->lock);
		resolve(q);
		(void)pthread_mutex_lock(&r->lock);
		q->state = ANSWERED;
		(void)eventfd_write(r->event_fd, 1);
	}
	return NULL;
}

static int start_thread(struct proxy_resolver *r)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int k;

	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	k = pthread_create(&thread, &attributes, answer_questions, r);
	(void)pthread_attr_destroy(&attributes);
	if (k == 0)
		r->n_threads++;
	return -k;
}

int proxy_resolver_ask(struct proxy_resolver *r, uint64_t id, const struct target *target)
{
	struct question *q;
	int k = 0;

	(void)pthread_mutex_lock(&r->lock);
	if (r->n_waiting >= r->n_idle && r->n_threads < PROXY_RESOLVER_MAX_THREADS)
		k = start_thread(r);
	if (r->n_threads > 0)
		k = 0;
	q = find(r, FREE);
	if (k == 0 && q) {
		q->state = ASKED;
		q->port = target->port;
		q->answer.id = id;
		(void)snprintf(q->host, sizeof(q->host), "%s", target->host);
		r->n_waiting++;
		(void)pthread_cond_signal(&r->asked);
	}
	(void)pthread_mutex_unlock(&r->lock);
	return k < 0 ? k : q ? 0 : 1;
}

bool proxy_resolver_take(struct proxy_resolver *r, struct proxy_answer *ret)
{
	struct question *q;
	eventfd_t value;

	(void)eventfd_read(r->event_fd, &value);
	(void)pthread_mutex_lock(&r->lock);
	q = find(r, ANSWERED);
	if (q) {
		*ret = q->answer;
		q->state = FREE;
	}
	(void)pthread_mutex_unlock(&r->lock);
	return q != NULL;
}
