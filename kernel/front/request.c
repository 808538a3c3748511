/* SPDX-License-Identifier: Apache-2.0 */
/* request: a client's message and the queue it waits in. */
#include "kernel/front/request.h"

struct request *request_new(struct parcel *parcel, const struct message *m, enum connection_port port)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->parcel = *parcel;
	*parcel = (struct parcel){ 0 };
	r->message = *m;
	r->port = port;
	return r;
}

struct request *request_free(struct request *r)
{
	if (r) {
		parcel_deinit(&r->parcel);
		(void)leftover_free(r->leftover);
		free(r);
	}
	return NULL;
}

bool request_is_comm(const struct request *r)
{
	enum msgtype type = r->message.header.type;

	return type == MSGTYPE_comm_open || type == MSGTYPE_comm_msg || type == MSGTYPE_comm_close;
}

bool request_is_turn(const struct request *r)
{
	return r->message.header.type == MSGTYPE_execute_request || request_is_comm(r);
}

void queue_init(struct queue *q)
{
	*q = (struct queue){ .tail = &q->head };
}

void queue_push(struct queue *q, struct request *r)
{
	r->next = NULL;
	*q->tail = r;
	q->tail = &r->next;
	q->n++;
	q->n_bytes += r->parcel.n_bytes;
}

struct request *queue_pop(struct queue *q)
{
	struct request *r = q->head;

	if (!r)
		return NULL;
	q->head = r->next;
	if (!q->head)
		q->tail = &q->head;
	q->n--;
	q->n_bytes -= r->parcel.n_bytes;
	return r;
}

struct request *queue_take(struct queue *q, bool (*is_wanted)(const struct request *r))
{
	for (struct request **at = &q->head; *at; at = &(*at)->next) {
		struct request *r = *at;

		if (!is_wanted(r))
			continue;
		*at = r->next;
		if (!r->next)
			q->tail = at;
		q->n--;
		q->n_bytes -= r->parcel.n_bytes;
		return r;
	}
	return NULL;
}

bool queue_is_full(const struct queue *q)
{
	return q->n >= QUEUE_MAX || (q->n && q->n_bytes >= QUEUE_MAX_BYTES);
}
