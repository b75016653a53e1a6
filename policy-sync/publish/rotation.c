// SPDX-License-Identifier: GPL-3.0-or-later
// The conditions of root rotation. The stage itself lives in the CA's files: after a restart the
// conditions are simply looked at again.
#include "publish/rotation.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/log.h"
#include "publish/subscriber.h"

struct rotation {
	struct server *server;
	bool finishing;
};

enum err rotation_new(struct server *server, struct rotation **out)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return ERR_NOMEM;
	(*out)->server = server;
	return ERR_OK;
}

void rotation_free(struct rotation *r)
{
	free(r);
}

// Has this connection all that the CA's present stage asks of it: a certificate of this stage in
// use, which came with the stage's bundle?
static bool rotation_is_served(const struct rotation *r, const struct subscriber *i)
{
	return i->certificate == CERTIFICATE_INSTALLED &&
	       i->certificate_stage == r->server->trust.stage;
}

static void rotation_name(struct reason *out, struct slice node)
{
	size_t at = strlen(out->text);

	snprintf(out->text + at, sizeof(out->text) - at, "%s%.*s", at ? ", " : "", SLICE_ARG(node));
}

struct rotation_search {
	const struct rotation *rotation;
	struct reason *out;
};

// A node that holds a certificate and is not connected.
static bool rotation_look_at_pinned(void *context, struct slice node)
{
	struct rotation_search *search = context;

	for (struct subscriber *i = search->rotation->server->subscribers; i; i = i->next) {
		if (i->state == SUBSCRIBER_LIVE && slice_eq_str(node, i->node))
			return true;
	}
	rotation_name(search->out, node);
	return true;
}

void rotation_waits_for(const struct rotation *r, struct reason *out)
{
	struct rotation_search search = {.rotation = r, .out = out};

	out->text[0] = 0;
	for (struct subscriber *i = r->server->subscribers; i; i = i->next) {
		if (i->state == SUBSCRIBER_LIVE && !rotation_is_served(r, i))
			rotation_name(out, slice_str(i->node));
	}
	pins_filter(r->server->pins, rotation_look_at_pinned, &search);
}

static void rotation_switch(struct rotation *r, uint64_t now_ns)
{
	struct reason why = {0};

	if (trust_rotate(&r->server->trust, CA_ROTATE_SWITCH, &why) != ERR_OK) {
		log_event(LOG_ERROR, "ca_rotation_failed", LOG_S("step", "switch"),
			  LOG_S("reason", why.text));
		return;
	}
	log_event(LOG_INFO, "ca_rotation", LOG_S("step", "switched"), LOG_N("roots", CA_ROOTS_MAX));
	server_bundle_changed(r->server, now_ns);
}

static void rotation_drop(struct rotation *r, uint64_t now_ns)
{
	struct reason why = {0};

	if (trust_rotate(&r->server->trust, CA_ROTATE_FINISH, &why) != ERR_OK) {
		log_event(LOG_ERROR, "ca_rotation_failed", LOG_S("step", "finish"),
			  LOG_S("reason", why.text));
		return;
	}
	r->finishing = false;
	log_event(LOG_INFO, "ca_rotation", LOG_S("step", "finished"), LOG_N("roots", 1));
	if (trust_renew_server(&r->server->trust, true, (int64_t)time(NULL), &why) != ERR_OK)
		log_event(LOG_ERROR, "server_certificate_failed", LOG_S("reason", why.text));
	server_bundle_changed(r->server, now_ns);
}

void rotation_advance(struct rotation *r, uint64_t now_ns)
{
	enum ca_stage stage = r->server->trust.stage;
	struct reason missing;

	if (stage != CA_STAGE_BEGUN && !(stage == CA_STAGE_SWITCHED && r->finishing))
		return;
	rotation_waits_for(r, &missing);
	if (missing.text[0] != 0)
		return;
	if (stage == CA_STAGE_BEGUN)
		rotation_switch(r, now_ns);
	else
		rotation_drop(r, now_ns);
}

enum err rotation_begin(struct rotation *r, uint64_t now_ns, struct reason *why)
{
	enum err e = trust_rotate(&r->server->trust, CA_ROTATE_BEGIN, why);

	if (e)
		return e;
	log_event(LOG_INFO, "ca_rotation", LOG_S("step", "begun"), LOG_N("roots", CA_ROOTS_MAX));
	server_bundle_changed(r->server, now_ns);
	rotation_advance(r, now_ns);
	return ERR_OK;
}

enum err rotation_finish(struct rotation *r, uint64_t now_ns, struct reason *why)
{
	if (r->server->trust.stage == CA_STAGE_STABLE)
		return err_because(ERR_NOT_FOUND, why, "no rotation has begun");
	r->finishing = true;
	rotation_advance(r, now_ns);
	return ERR_OK;
}
