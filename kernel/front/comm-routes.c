/* SPDX-License-Identifier: Apache-2.0 */
/* comm-routes: a set-associative table; in each set the oldest makes room. */
#include "kernel/front/comm-routes.h"

#include <stdlib.h>

#include "protocol/base/buffer.h"
#include "protocol/wire/json.h"

#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u
#define MAX_ID 4096 /* bytes of a token; longer ones have no route */

static uint64_t hash(uint64_t h, struct slice bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		h = (h ^ (unsigned char)bytes.data[i]) * FNV_PRIME;
	return h;
}

/* Of the text of a string token; 0 when it is none. Both sides may escape the same text differently. */
static uint64_t hash_token(uint64_t basis, struct slice token)
{
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(MAX_ID);
	uint64_t h;

	if (json_type(token) != JSON_STRING || token.len > MAX_ID || json_decode_string(token, &text) < 0)
		return 0;
	h = hash(basis, buffer_slice(&text));
	return h ? h : 1;
}

static uint64_t comm_key(struct slice content)
{
	struct slice id;

	return json_member(content, "comm_id", &id) == JSON_STRING ? hash_token(FNV_BASIS, id) : 0;
}

/* A question of a custom widget message: content.data.content.id. */
static uint64_t question_key(struct slice content, uint64_t comm)
{
	struct slice data, inner, id;

	if (json_member(content, "data", &data) != JSON_OBJECT || json_member(data, "content", &inner) != JSON_OBJECT ||
	    json_member(inner, "id", &id) != JSON_STRING)
		return 0;
	return hash_token(comm * FNV_PRIME, id);
}

static struct comm_route *set_of(struct comm_routes *t, uint64_t key)
{
	return &t->slots[(key ^ key >> 32) & (COMM_ROUTES_MAX - 1) & ~(uint64_t)(COMM_ROUTES_WAYS - 1)];
}

static struct comm_route *find(struct comm_routes *t, uint64_t key)
{
	struct comm_route *set;

	if (!key || !t->slots)
		return NULL;
	set = set_of(t, key);
	for (size_t i = 0; i < COMM_ROUTES_WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

static struct comm_route *find_or_replace(struct comm_routes *t, uint64_t key)
{
	struct comm_route *set = set_of(t, key), *oldest = set, *found = find(t, key);

	for (size_t i = 0; !found && i < COMM_ROUTES_WAYS; i++) {
		if (!set[i].key)
			found = &set[i];
		else if (t->n_notes - set[i].noted > t->n_notes - oldest->noted)
			oldest = &set[i];
	}
	return found ? found : oldest;
}

static void put(struct comm_routes *t, uint64_t key, uint32_t shell)
{
	if (key)
		*find_or_replace(t, key) = (struct comm_route){ key, shell, ++t->n_notes };
}

void comm_routes_note(struct comm_routes *t, struct slice content, uint32_t shell)
{
	uint64_t comm = comm_key(content);

	if (!comm)
		return;
	if (!t->slots)
		t->slots = calloc(COMM_ROUTES_MAX, sizeof(*t->slots));
	if (!t->slots)
		return;
	put(t, comm, shell);
	put(t, question_key(content, comm), shell);
}

void comm_routes_forget(struct comm_routes *t, struct slice content)
{
	struct comm_route *route = find(t, comm_key(content));

	if (route)
		route->key = 0;
}

bool comm_routes_take(struct comm_routes *t, struct slice content, uint32_t *ret_shell)
{
	uint64_t comm = t->slots ? comm_key(content) : 0;
	struct comm_route *route = find(t, comm), *question;

	if (!route)
		return false; /* nobody has asked, or the comm is closed */
	question = find(t, question_key(content, comm));
	*ret_shell = question ? question->shell : route->shell;
	if (question)
		question->key = 0;
	return true;
}

void comm_routes_deinit(struct comm_routes *t)
{
	free(t->slots);
	*t = (struct comm_routes){ 0 };
}
