// SPDX-License-Identifier: GPL-3.0-or-later
// The publishing server: connections, generations and their timing. What is said to a node is in
// subscriber.c.
#include "publish/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/snapshot_codec.h"
#include "io/sock.h"
#include "publish/control.h"
#include "publish/epoch.h"
#include "publish/rotation.h"
#include "publish/subscriber.h"

#define LISTEN_BACKLOG	 512
#define ACCEPTS_PER_TURN 64
#define NODE_ARENA_BYTES (1u << 20)

bool server_watch(struct server *s, struct server_source *source, uint32_t events, bool add)
{
	struct epoll_event e = {.events = events, .data.ptr = source};

	return epoll_ctl(s->epoll_fd, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, source->fd, &e) == 0;
}

// Every connection hears of something; it may close itself by that.
static void server_tell(struct server *s, void (*what)(struct subscriber *, uint64_t),
			uint64_t now_ns)
{
	struct subscriber *next;

	for (struct subscriber *i = s->subscribers; i; i = next) {
		next = i->next;
		what(i, now_ns);
	}
}

// A node needs milliseconds to say who it is; who keeps the door occupied for longer makes room first.
static void server_drop_stranger(struct server *s)
{
	struct subscriber *oldest = NULL;

	for (struct subscriber *i = s->subscribers; i; i = i->next) {
		if (subscriber_is_stranger(i) && (!oldest || i->id < oldest->id))
			oldest = i;
	}
	if (oldest)
		subscriber_close(oldest, "node_disconnected",
				 "too many that have not said who they are");
}

static void server_accept_one(struct server *s, int fd, const struct sockaddr_storage *from,
			      uint64_t now_ns)
{
	struct addr_port peer = {0};

	if (s->stranger_count >= SERVER_STRANGERS_MAX)
		server_drop_stranger(s);
	if (sock_address_from(from, &peer) != ERR_OK ||
	    s->subscriber_count >= SERVER_CONNECTIONS_MAX || !s->trust.server) {
		log_event(LOG_WARN, "node_connection_refused", LOG_S("reason", "too many"));
		close(fd);
		return;
	}
	if (!subscriber_new(s, fd, peer, now_ns))
		log_event(LOG_ERROR, "node_connection_refused", LOG_S("reason", "out of memory"));
}

static void server_on_accept(struct server_source *source, uint32_t events, uint64_t now_ns)
{
	struct server *s = (struct server *)((uint8_t *)source - offsetof(struct server, listener));

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage from = {0};
		socklen_t len = sizeof(from);
		int fd = accept4(source->fd, (struct sockaddr *)&from, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
			continue;
		if (fd < 0)
			return;
		server_accept_one(s, fd, &from, now_ns);
	}
}

static enum err must_check server_listen(struct server *s, struct reason *why)
{
	struct sock_listen_options options = {.backlog = LISTEN_BACKLOG};
	char text[ADDR_PORT_TEXT_MAX];

	s->listener.ready = server_on_accept;
	if (sock_listen(s->options.listen, &options, &s->listener.fd) != ERR_OK) {
		s->listener.fd = -1;
		return err_because(ERR_IO, why, "cannot listen on %s: %s",
				   addr_port_format(s->options.listen, text), strerror(errno));
	}
	if (!server_watch(s, &s->listener, EPOLLIN, true))
		return err_because(ERR_IO, why, "epoll: %s", strerror(errno));
	return ERR_OK;
}

static enum err must_check server_open_state(struct server *s, struct reason *why)
{
	char path[300];
	enum err e;

	snprintf(path, sizeof(path), "%s/epoch", s->options.state_directory);
	e = epoch_take(path, (int64_t)time(NULL), &s->generation.epoch, why);
	if (e)
		return e;
	snprintf(path, sizeof(path), "%s/pins", s->options.state_directory);
	e = pins_open(path, &s->pins, why);
	snprintf(path, sizeof(path), "%s/revoked-pins", s->options.state_directory);
	if (!e)
		e = pins_open(path, &s->revoked, why);
	if (e)
		return e;
	snprintf(path, sizeof(path), "%s/meshed", s->options.state_directory);
	e = meshed_open(path, &s->meshed, why);
	if (e)
		return e;
	e = rotation_new(s, &s->rotation);
	if (e)
		return err_because(e, why, "out of memory");
	snprintf(path, sizeof(path), "%s/control.sock", s->options.state_directory);
	return control_new(s, path, &s->control, why);
}

static enum err must_check server_write_trust(const struct server *s, struct reason *why)
{
	enum err e;

	if (!s->options.trust_file)
		return ERR_OK;
	e = file_write(s->options.trust_file, 0644, trust_bundle(&s->trust));
	return e ? err_because(e, why, "cannot write %s: %s", s->options.trust_file,
			       strerror(errno))
		 : ERR_OK;
}

enum err server_new(const struct server_options *options, struct server **out, struct reason *why)
{
	struct server *s = calloc(1, sizeof(*s));
	enum err e;

	if (!s)
		return err_because(ERR_NOMEM, why, "out of memory");
	s->options = *options;
	s->listener.fd = -1;
	s->next_id = 1;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0) {
		free(s);
		return err_because(ERR_IO, why, "epoll: %s", strerror(errno));
	}
	e = trust_init(&s->trust, options->ca_fd, options->certificate_lifetime_s,
		       options->trust_domain, why);
	if (!e)
		e = server_open_state(s, why);
	if (!e)
		e = server_write_trust(s, why);
	if (!e)
		e = trust_renew_server(&s->trust, false, (int64_t)time(NULL), why);
	if (!e)
		e = server_listen(s, why);
	if (e)
		server_free(s);
	else
		*out = s;
	return e;
}

static void server_reap(struct server *s)
{
	while (s->dead) {
		struct subscriber *dead = s->dead;

		s->dead = dead->next;
		subscriber_free(dead);
	}
}

static void server_free_inputs(struct server *s)
{
	for (uint32_t i = 0; i < s->input_count; i++)
		free((void *)s->inputs[i].bytes.ptr);
	free(s->inputs);
	free(s->nodes);
	s->inputs = NULL;
	s->nodes = NULL;
	s->input_count = s->node_count = 0;
}

void server_free(struct server *s)
{
	if (!s)
		return;
	while (s->subscribers)
		subscriber_close(s->subscribers, NULL, NULL);
	server_reap(s);
	for (uint32_t i = 0; i < s->set_count; i++)
		section_set_unref(s->sets[i]);
	server_free_inputs(s);
	control_free(s->control);
	rotation_free(s->rotation);
	pins_free(s->pins);
	pins_free(s->revoked);
	meshed_free(s->meshed);
	trust_deinit(&s->trust);
	if (s->listener.fd >= 0)
		close(s->listener.fd);
	close(s->epoll_fd);
	free(s);
}

int server_fd(const struct server *s)
{
	return s->epoll_fd;
}

uint16_t server_port(const struct server *s)
{
	struct sockaddr_storage at = {0};
	socklen_t len = sizeof(at);
	struct addr_port local = {0};

	if (getsockname(s->listener.fd, (struct sockaddr *)&at, &len) != 0 ||
	    sock_address_from(&at, &local) != ERR_OK)
		return 0;
	return local.port;
}

// ---- generations -------------------------------------------------------------------------------

void server_want_refresh(struct server *s, uint64_t now_ns)
{
	if (s->changed_first_ns == 0)
		s->changed_first_ns = now_ns;
	s->changed_last_ns = now_ns;
}

static uint64_t server_refresh_due_ns(const struct server *s)
{
	uint64_t quiet_ns = s->changed_last_ns + SERVER_COALESCE_MS * NS_PER_MS;
	uint64_t latest_ns = s->changed_first_ns + SERVER_COALESCE_MAX_MS * NS_PER_MS;

	if (s->changed_first_ns == 0 || !s->inputs)
		return UINT64_MAX;
	return quiet_ns < latest_ns ? quiet_ns : latest_ns;
}

// The nodes section as compiled, with what nodes have shown put in: their keys, that they capture.
static enum err must_check server_put_pins(const struct server *s, struct slice compiled,
					   struct buf *out)
{
	struct section_iterator it;
	struct slice key, value, record;
	struct arena arena;
	enum err e = ERR_OK;

	arena_init(&arena, NODE_ARENA_BYTES);
	section_iterate(&it, compiled);
	while (!e && section_next(&it, &key, &value, &record)) {
		uint8_t bytes[16384];
		struct ss_node node;
		struct buf b;

		arena_reset(&arena);
		e = snapshot_decode_node(value, &arena, &node);
		if (e)
			break;
		node.key_pins = pins_of(s->pins, key);
		node.meshed = node.meshed && meshed_has(s->meshed, key);
		buf_init_fixed(&b, bytes, sizeof(bytes));
		snapshot_encode_node(&b, &node);
		e = b.err;
		section_put(out, key, buf_slice(&b));
	}
	arena_deinit(&arena);
	return e ? e : it.err ? it.err : out->err;
}

static enum err must_check server_make_set(const struct server *s, struct generation g,
					   struct section_set **out)
{
	struct section_input *all = calloc(s->input_count + 1, sizeof(*all));
	struct buf nodes, trust;
	enum err e = ERR_OK;

	if (!all)
		return ERR_NOMEM;
	buf_init_growing(&nodes, SNAPSHOT_BYTES_MAX);
	buf_init_growing(&trust, SNAPSHOT_RECORD_BYTES_MAX);
	for (uint32_t i = 0; i < s->input_count && !e; i++) {
		all[i] = s->inputs[i];
		if (all[i].name.kind != SECTION_NODES)
			continue;
		e = server_put_pins(s, all[i].bytes, &nodes);
		all[i].bytes = buf_slice(&nodes);
	}
	if (!e)
		e = trust_put_section(&s->trust, &trust);
	all[s->input_count] =
		(struct section_input){.name = {.kind = SECTION_TRUST}, .bytes = buf_slice(&trust)};
	if (!e)
		e = section_set_new(g, all, s->input_count + 1, s->set_count ? s->sets[0] : NULL,
				    out);
	buf_deinit(&nodes);
	buf_deinit(&trust);
	free(all);
	return e;
}

// Older generations save bytes on the wire; one that is much larger than the new one whole saves nothing.
static void server_keep_set(struct server *s, struct section_set *set)
{
	size_t bytes = section_set_bytes(set);

	while (s->set_count > 0 && (s->set_count == SERVER_SETS_KEPT ||
				    section_set_bytes(s->sets[s->set_count - 1]) / 2 > bytes))
		section_set_unref(s->sets[--s->set_count]);
	memmove(s->sets + 1, s->sets, s->set_count * sizeof(s->sets[0]));
	s->sets[0] = set;
	s->set_count++;
	memory_settle(&s->memory, bytes);
}

static uint64_t server_count_changes(const struct section_set *from, const struct section_set *to)
{
	struct section_ref *lines = calloc(SNAPSHOT_SECTIONS_MAX, sizeof(*lines));
	uint32_t count = lines ? section_set_differences(from, to, lines) : 0;

	free(lines);
	return count;
}

static void server_refresh(struct server *s, uint64_t now_ns)
{
	struct generation g = {s->generation.epoch, s->generation.counter + 1};
	struct section_set *set = NULL;
	uint64_t waited_ns = now_ns - s->changed_first_ns;
	enum err e = server_make_set(s, g, &set);

	s->changed_first_ns = 0;
	if (e) {
		log_event(LOG_ERROR, "generation_not_made", LOG_S("error", err_name(e)));
		return;
	}
	if (s->set_count > 0 && section_set_same(s->sets[0], set)) {
		section_set_unref(set); // who waits for a pin has it already
		server_tell(s, subscriber_on_generation, now_ns);
		return;
	}
	log_event(LOG_INFO, "generation_published", LOG_N("epoch", g.epoch),
		  LOG_N("counter", g.counter), LOG_N("sections", set->count),
		  LOG_N("sections_changed",
			s->set_count ? server_count_changes(s->sets[0], set) : set->count),
		  LOG_N("waited_ms", waited_ns / NS_PER_MS), LOG_N("nodes", s->subscriber_count));
	s->generation = g;
	s->published_ns = now_ns;
	server_keep_set(s, set);
	server_tell(s, subscriber_on_generation, now_ns);
}

static int server_order_names(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

bool server_knows_node(const struct server *s, struct slice node)
{
	return s->node_count > 0 &&
	       bsearch(&node, s->nodes, s->node_count, sizeof(node), server_order_names);
}

static enum err must_check server_list_nodes(struct server *s, struct slice section)
{
	struct section_iterator it;
	struct slice key, value, record;
	uint32_t room = 0;

	section_iterate(&it, section);
	while (section_next(&it, &key, &value, &record))
		room++;
	if (it.err)
		return it.err;
	s->nodes = calloc(room ? room : 1, sizeof(*s->nodes));
	if (!s->nodes)
		return ERR_NOMEM;
	section_iterate(&it, section);
	while (s->node_count < room && section_next(&it, &key, &value, &record))
		s->nodes[s->node_count++] = key; // in order already: sections are
	return ERR_OK;
}

static enum err must_check server_copy_inputs(struct server *s, const struct section_input *inputs,
					      uint32_t count)
{
	server_free_inputs(s);
	s->inputs = calloc(count ? count : 1, sizeof(*s->inputs));
	if (!s->inputs)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *bytes = malloc(inputs[i].bytes.len ? inputs[i].bytes.len : 1);
		enum err e;

		if (!bytes)
			return ERR_NOMEM;
		if (inputs[i].bytes.len > 0)
			memcpy(bytes, inputs[i].bytes.ptr, inputs[i].bytes.len);
		s->inputs[i].name = inputs[i].name;
		s->inputs[i].bytes = slice_make(bytes, inputs[i].bytes.len);
		s->input_count++;
		if (inputs[i].name.kind != SECTION_NODES)
			continue;
		e = server_list_nodes(s, s->inputs[i].bytes);
		if (e)
			return e;
	}
	return ERR_OK;
}

static bool server_keep_pin(void *context, struct slice node)
{
	return server_knows_node(context, node);
}

// Nodes that are gone lose their keys and their connection.
static void server_drop_nodes(struct server *s)
{
	struct subscriber *next;

	pins_filter(s->pins, server_keep_pin, s);
	meshed_filter(s->meshed, server_keep_pin, s);
	for (struct subscriber *i = s->subscribers; i; i = next) {
		next = i->next;
		if (i->state == SUBSCRIBER_LIVE && !server_knows_node(s, slice_str(i->node)))
			subscriber_close(i, "node_removed",
					 "the node is not in the cluster any more");
	}
}

enum err server_publish(struct server *s, const struct section_input *inputs, uint32_t count,
			struct slice trust_domain, uint64_t now_ns)
{
	struct reason why = {0};
	enum err e = server_copy_inputs(s, inputs, count);

	if (e)
		return e;
	if (!slice_eq_str(trust_domain, s->trust.domain)) {
		e = trust_set_domain(&s->trust, trust_domain);
		if (!e)
			e = trust_renew_server(&s->trust, true, (int64_t)time(NULL), &why);
		if (e)
			log_event(LOG_ERROR, "trust_domain_refused",
				  LOG_B("trust_domain", trust_domain), LOG_S("reason", why.text));
		server_tell(s, subscriber_want_certificate, now_ns);
	}
	server_drop_nodes(s);
	e = server_save_pins(s);
	if (e)
		log_event(LOG_ERROR, "pins_not_saved", LOG_S("error", err_name(e)));
	server_want_refresh(s, now_ns);
	return ERR_OK;
}

enum err server_save_pins(struct server *s)
{
	// What is taken away first: a process that dies in between must not pin it again.
	enum err e = pins_save(s->revoked), meshed = meshed_save(s->meshed);

	if (!e)
		e = pins_save(s->pins);
	return e ? e : meshed;
}

enum err server_revoke_node(struct server *s, struct slice node, uint64_t now_ns,
			    struct reason *why)
{
	struct subscriber *next;
	enum err e = pins_move(s->pins, s->revoked, node);

	if (e == ERR_NOT_FOUND)
		return err_because(e, why, "no key of a node %.*s is known", SLICE_ARG(node));
	if (!e)
		e = server_save_pins(s);
	if (e)
		return err_because(e, why, "the keys cannot be saved: %s", err_name(e));
	log_event(LOG_WARN, "node_revoked", LOG_B("node", node));
	for (struct subscriber *i = s->subscribers; i; i = next) {
		next = i->next;
		if (i->state == SUBSCRIBER_LIVE && slice_eq_str(node, i->node))
			subscriber_close(i, "node_revoked", "its key has been taken away");
	}
	server_want_refresh(s, now_ns);
	return ERR_OK;
}

void server_note_capture(struct server *s, const char *node, uint32_t capture, uint64_t now_ns)
{
	bool stands = capture == SYNC_CAPTURE_STANDS, changed = false;
	enum err e = ERR_OK;

	if (!stands && capture != SYNC_CAPTURE_REMOVED)
		return;
	e = meshed_set(s->meshed, slice_str(node), stands, &changed);
	if (!e)
		e = meshed_save(s->meshed);
	if (e)
		log_event(LOG_ERROR, "capture_not_noted", LOG_S("node", node),
			  LOG_S("error", err_name(e)));
	if (!changed)
		return;
	log_event(LOG_INFO, stands ? "node_captures" : "node_captures_no_more",
		  LOG_S("node", node));
	server_want_refresh(s, now_ns);
}

void server_bundle_changed(struct server *s, uint64_t now_ns)
{
	struct reason why = {0};

	if (server_write_trust(s, &why) != ERR_OK)
		log_event(LOG_ERROR, "trust_file_not_written", LOG_S("reason", why.text));
	server_tell(s, subscriber_want_certificate, now_ns);
	server_want_refresh(s, now_ns);
}

// ---- the turn ----------------------------------------------------------------------------------

static void server_tick(struct server *s, uint64_t now_ns)
{
	struct reason why = {0};

	s->tick_ns = now_ns + SERVER_TICK_MS * NS_PER_MS;
	pins_expire(s->revoked, (int64_t)time(NULL)); // saved with the others
	server_tell(s, subscriber_tick, now_ns);
	if (pins_expire(s->pins, (int64_t)time(NULL))) {
		server_want_refresh(s, now_ns);
		if (server_save_pins(s) != ERR_OK)
			log_event(LOG_ERROR, "pins_not_saved", LOG_S("reason", strerror(errno)));
	}
	if (trust_renew_server(&s->trust, false, (int64_t)time(NULL), &why) != ERR_OK)
		log_event(LOG_ERROR, "server_certificate_failed", LOG_S("reason", why.text));
	rotation_advance(s->rotation, now_ns);
	control_tick(s->control, now_ns);
}

enum err server_turn(struct server *s, uint64_t now_ns)
{
	struct epoll_event events[SERVER_EVENTS_MAX];
	int count = epoll_wait(s->epoll_fd, events, SERVER_EVENTS_MAX, 0);

	for (int i = 0; i < count; i++) {
		struct server_source *source = events[i].data.ptr;

		source->ready(source, events[i].events, now_ns);
	}
	if (now_ns >= server_refresh_due_ns(s))
		server_refresh(s, now_ns);
	if (s->answered) {
		s->answered = false;
		server_tell(s, subscriber_on_answers, now_ns);
		rotation_advance(s->rotation, now_ns);
	}
	if (now_ns >= s->tick_ns)
		server_tick(s, now_ns);
	server_reap(s);
	return s->trust.lost ? ERR_CLOSED : ERR_OK;
}

uint64_t server_due_ns(const struct server *s)
{
	uint64_t refresh_ns = server_refresh_due_ns(s);

	return refresh_ns < s->tick_ns ? refresh_ns : s->tick_ns;
}
