// SPDX-License-Identifier: GPL-3.0-or-later
// Pieces of the rule set: checked, put in, taken away; see rules.h.
//
// The order of putting in: routing first (TPROXY's mark needs it), accepts and nat exemptions, then
// mangle, raw last. Between mangle and raw a new connection may be captured *and* tracked for some
// milliseconds, which works; the other way round it would be neither captured nor translated, and a
// SYN to a ClusterIP would leave the node. Taking away goes the other way.
#include "iptables/rules.h"

#include <stdio.h>
#include <errno.h>
#include <linux/netlink.h>
#include <unistd.h>
#include "common/hash.h"
#include "iptables/conntrack.h"
#include "iptables/host.h"
#include "iptables/netlink.h"
#include "iptables/routes.h"
#include "iptables/saved.h"

#define RESTORE_TRIES_MAX 4 // somebody else edited between our look and our transaction

enum err rules_open(const struct rules_config *c, struct rules *out, struct reason *why)
{
	enum err err;

	*out = (struct rules){.config = c, .route_fd = -1, .nft_fd = -1};
	err = netlink_open(NETLINK_ROUTE, NULL, &out->route_fd);
	if (err != ERR_OK)
		return err_because(err, why, "rtnetlink: %s", strerror(errno));
	err = nft_open(&out->nft_fd);
	if (err != ERR_OK && err != ERR_UNSUPPORTED)
		return err_because(err, why, "nfnetlink: %s (this program needs CAP_NET_ADMIN)",
				   strerror(errno));
	err = state_load(c->run_dir, &out->state);
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		return err_because(err, why,
				   "%s/rules.state is unreadable (%s): remove the file "
				   "if these rules are to be applied afresh",
				   c->run_dir, err_name(err));
	return host_choose_backend(c, out->state.backend, &out->backend, why);
}

void rules_close(struct rules *r)
{
	if (r->route_fd >= 0)
		close(r->route_fd);
	if (r->nft_fd >= 0)
		close(r->nft_fd);
	r->route_fd = r->nft_fd = -1;
}

// Marks and numbers as they were put in, which need not be those of today's configuration.
static const struct routing *routing_in_place(const struct rules *r)
{
	return r->state.routing.mark ? &r->state.routing : &r->config->routing;
}

static bool routing_has_changed(const struct rules *r)
{
	return memcmp(routing_in_place(r), &r->config->routing, sizeof(struct routing)) != 0;
}

static enum err parse_table(enum family f, enum table t, const struct buf *text,
			    struct saved_table *out, struct reason *why)
{
	enum err err = saved_parse(buf_slice(text), t, out);

	return err == ERR_OK ? err
			     : err_because(err, why,
					   "%s table %s: more chains called %s… than this program "
					   "makes",
					   family_name(f), table_name(t), RENDER_CHAIN_PREFIX);
}

// What has to be known of a table in order to check and to replace. nat and filter are kube-proxy's to
// fill, so there only what is ours is read; raw and mangle are small, and one program call tells all.
static enum err load_table(const struct rules *r, enum family f, enum table t, struct buf *text,
			   struct saved_table *out, struct reason *why)
{
	bool crowded = t == TABLE_NAT || t == TABLE_FILTER;
	enum err err = r->backend == BACKEND_NFT && crowded
			       ? host_save_ours(r->config, f, t, text, why)
			       : host_save(r->backend, f, t, text, why);

	return err == ERR_OK ? parse_table(f, t, text, out, why) : err;
}

static enum err render_digest(const struct rules_config *c, enum family f, enum table t,
			      uint64_t *out)
{
	struct buf text;

	buf_init_growing(&text, RENDER_TABLE_BYTES_MAX);
	render_table(c, f, t, (struct slice){0}, &text);
	enum err err = text.err;

	if (err == ERR_OK)
		*out = hash_bytes(buf_slice(&text), 0);
	buf_deinit(&text);
	return err;
}

static enum err check_table(const struct rules *r, enum family f, enum table t, struct reason *why)
{
	struct reason inner = {""};
	struct saved_table saved;
	struct buf text;
	uint64_t rendered;
	enum err err = render_digest(r->config, f, t, &rendered);

	if (err != ERR_OK)
		return err_because(err, why, "the rule set is too large");
	if (rendered != r->state.rendered[f][t])
		return err_because(ERR_NOT_FOUND, why,
				   "%s: table %s was not put in from this "
				   "configuration",
				   family_name(f), table_name(t));
	buf_init_growing(&text, HOST_SAVE_BYTES_MAX);
	err = load_table(r, f, t, &text, &saved, why);
	if (err == ERR_OK) {
		err = saved_check_jumps(&saved, r->config, t, &inner);
		if (err != ERR_OK)
			err_because(err, why, "%s: %s", family_name(f), inner.text);
	}
	if (err == ERR_OK && saved.digest != r->state.kernel[f][t])
		err = err_because(ERR_NOT_FOUND, why, "%s: our chains in table %s were changed",
				  family_name(f), table_name(t));
	buf_deinit(&text);
	return err;
}

static enum err replace_table(struct rules *r, enum family f, enum table t, struct reason *why)
{
	struct saved_table saved;
	struct buf text, jumps, transaction;
	enum err err;

	buf_init_growing(&text, HOST_SAVE_BYTES_MAX);
	buf_init_growing(&jumps, RENDER_TABLE_BYTES_MAX);
	buf_init_growing(&transaction, 2 * RENDER_TABLE_BYTES_MAX);
	err = load_table(r, f, t, &text, &saved, why);
	if (err != ERR_OK)
		goto out;
	saved_put_deletions(&saved, &jumps);
	render_table(r->config, f, t, buf_slice(&jumps), &transaction);
	err = transaction.err != ERR_OK ? transaction.err
					: host_restore(r->backend, f, buf_slice(&transaction), why);
out:
	buf_deinit(&text);
	buf_deinit(&jumps);
	buf_deinit(&transaction);
	return err;
}

static enum err put_table(struct rules *r, enum family f, enum table t, struct reason *why)
{
	struct saved_table saved;
	struct buf text;
	enum err err = ERR_UNSUPPORTED;

	for (int i = 0; err == ERR_UNSUPPORTED && i < RESTORE_TRIES_MAX; i++)
		err = replace_table(r, f, t, why);
	if (err != ERR_OK)
		return err;
	buf_init_growing(&text, HOST_SAVE_BYTES_MAX);
	err = load_table(r, f, t, &text, &saved, why);
	if (err == ERR_OK) {
		r->state.kernel[f][t] = saved.digest;
		err = render_digest(r->config, f, t, &r->state.rendered[f][t]);
	}
	buf_deinit(&text);
	return err;
}

static enum err remove_from_table(enum backend b, enum family f, enum table t, struct reason *why)
{
	struct saved_table saved;
	struct buf text, transaction;
	enum err err;

	buf_init_growing(&text, HOST_SAVE_BYTES_MAX);
	buf_init_growing(&transaction, RENDER_TABLE_BYTES_MAX);
	err = host_save(b, f, t, &text, why);
	if (err == ERR_OK)
		err = parse_table(f, t, &text, &saved, why);
	if (err == ERR_OK && saved.chain_count + saved.jump_count > 0) {
		saved_put_removal(&saved, t, &transaction);
		err = transaction.err != ERR_OK ? transaction.err
						: host_restore(b, f, buf_slice(&transaction), why);
	}
	buf_deinit(&text);
	buf_deinit(&transaction);
	return err;
}

static enum err remove_table(struct rules *r, enum family f, enum table t, struct reason *why)
{
	enum err first = ERR_OK;

	for (int b = BACKEND_NFT; b <= BACKEND_LEGACY; b++) {
		enum err err = ERR_UNSUPPORTED;

		if (!host_has_table((enum backend)b, f, t))
			continue;
		for (int i = 0; err == ERR_UNSUPPORTED && i < RESTORE_TRIES_MAX; i++)
			err = remove_from_table((enum backend)b, f, t, why);
		first = first == ERR_OK ? err : first;
	}
	r->state.rendered[f][t] = r->state.kernel[f][t] = 0;
	return first;
}

static enum err check_binding(const struct rules *r, enum family f, struct reason *why)
{
	uint64_t digest;

	if (r->nft_fd < 0)
		return ERR_OK;
	enum err err = nft_binding_digest(r->nft_fd, f, &digest);

	if (err != ERR_OK)
		return err_because(err, why, "%s: nf_tables cannot be read: %s", family_name(f),
				   strerror(errno));
	return digest && digest == r->state.binding[f]
		       ? ERR_OK
		       : err_because(ERR_NOT_FOUND, why,
				     "%s: nf_tables' table portcullis is missing or was changed",
				     family_name(f));
}

static enum err put_binding(struct rules *r, enum family f, struct reason *why)
{
	enum err err = nft_binding_put(r->nft_fd, &r->config->routing, f);

	if (err == ERR_OK)
		err = nft_binding_digest(r->nft_fd, f, &r->state.binding[f]);
	return err == ERR_OK ? err
			     : err_because(err, why,
					   "%s: nf_tables' table portcullis cannot be "
					   "made: %s",
					   family_name(f), strerror(errno));
}

static enum err remove_binding(struct rules *r, enum family f, struct reason *why)
{
	if (r->nft_fd < 0)
		return ERR_OK;
	enum err err = nft_binding_remove(r->nft_fd, f);

	r->state.binding[f] = 0;
	return err == ERR_OK ? err
			     : err_because(err, why,
					   "%s: nf_tables' table portcullis cannot be "
					   "removed: %s",
					   family_name(f), strerror(errno));
}

// Routing, binding, then the tables in the order of enum table.
enum { PIECE_ROUTING = 0, PIECE_BINDING, PIECE_TABLES, PIECES = PIECE_TABLES + TABLE_COUNT };

static enum err check_piece(const struct rules *r, enum family f, int piece, struct reason *why)
{
	switch (piece) {
	case PIECE_ROUTING:
		return routes_check(r->route_fd, &r->config->routing, f, why);
	case PIECE_BINDING:
		return check_binding(r, f, why);
	}
	return check_table(r, f, (enum table)(piece - PIECE_TABLES), why);
}

static enum err put_piece(struct rules *r, enum family f, int piece, struct reason *why)
{
	switch (piece) {
	case PIECE_ROUTING:
		return routes_put(r->route_fd, &r->config->routing, f, why);
	case PIECE_BINDING:
		return put_binding(r, f, why);
	}
	return put_table(r, f, (enum table)(piece - PIECE_TABLES), why);
}

static enum err remove_piece(struct rules *r, enum family f, int piece, struct reason *why)
{
	switch (piece) {
	case PIECE_ROUTING:
		return routes_remove(r->route_fd, routing_in_place(r), f, why);
	case PIECE_BINDING:
		return remove_binding(r, f, why);
	}
	return remove_table(r, f, (enum table)(piece - PIECE_TABLES), why);
}

enum err rules_check(const struct rules *r, struct reason *why)
{
	if (r->state.backend != r->backend)
		return err_because(ERR_NOT_FOUND, why, "nothing was put in through iptables-%s",
				   backend_name(r->backend));
	if (routing_has_changed(r))
		return err_because(ERR_NOT_FOUND, why,
				   "marks or routing numbers were put in with "
				   "another configuration");
	for (int f = 0; f < FAMILY_COUNT; f++) {
		for (int piece = 0; host_has_family((enum family)f) && piece < PIECES; piece++) {
			enum err err = check_piece(r, (enum family)f, piece, why);

			if (err != ERR_OK)
				return err;
		}
	}
	return ERR_OK;
}

// The tables follow by themselves: what is rendered differs. Meanwhile captured packets carry a mark
// that leads nowhere and are dropped.
static enum err change_routing(struct rules *r, struct reason *why)
{
	enum err err = ERR_OK;

	for (int f = 0; err == ERR_OK && f < FAMILY_COUNT; f++) {
		err = routes_remove(r->route_fd, routing_in_place(r), (enum family)f, why);
		r->state.binding[f] = 0;
	}
	if (err != ERR_OK)
		return err;
	r->state.routing = r->config->routing;
	return state_save(r->config->run_dir, &r->state);
}

// Before anything changes: what is there, to be left so.
static enum err remember_found(struct rules *r, struct reason *why)
{
	if (r->state.found_known && r->state.backend == r->backend)
		return routing_has_changed(r) ? change_routing(r, why) : ERR_OK;
	// The host has changed sides, or an older program left a set in the other variant.
	if (r->state.found_known) {
		enum err err = rules_remove(r, why);

		if (err != ERR_OK)
			return err;
	}
	if (r->nft_fd >= 0) {
		enum err err = nft_take_inventory(r->nft_fd, &r->state.found);

		if (err != ERR_OK)
			return err_because(err, why, "nf_tables cannot be read: %s",
					   strerror(errno));
	}
	r->state.found_known = true;
	r->state.backend = r->backend;
	r->state.routing = r->config->routing;
	enum err err = state_save(r->config->run_dir, &r->state);

	return err == ERR_OK ? err
			     : err_because(err, why, "%s/rules.state cannot be written: %s",
					   r->config->run_dir, strerror(errno));
}

enum err rules_ensure(struct rules *r, uint32_t *changed, struct reason *why)
{
	enum err err = remember_found(r, why);

	*changed = 0;
	for (int piece = 0; piece < PIECES; piece++) {
		for (int f = 0; err == ERR_OK && f < FAMILY_COUNT; f++) {
			if (!host_has_family((enum family)f))
				continue;
			err = check_piece(r, (enum family)f, piece, why);
			if (err != ERR_NOT_FOUND)
				continue;
			err = put_piece(r, (enum family)f, piece, why);
			*changed += err == ERR_OK;
		}
	}
	if (*changed == 0)
		return err;
	enum err saved = state_save(r->config->run_dir, &r->state);

	if (saved != ERR_OK)
		err_because(saved, why, "%s/rules.state cannot be written: %s", r->config->run_dir,
			    strerror(errno));
	return err != ERR_OK ? err : saved;
}

enum err rules_remove(struct rules *r, struct reason *why)
{
	enum err first = ERR_OK;

	for (int piece = PIECES - 1; piece >= 0; piece--) {
		for (int f = 0; f < FAMILY_COUNT; f++) {
			struct reason one = {""};
			enum err err = remove_piece(r, (enum family)f, piece, &one);

			if (err != ERR_OK && first == ERR_OK)
				first = err_because(err, why, "%s", one.text);
		}
	}
	for (int f = 0; f < FAMILY_COUNT; f++) {
		enum err err = conntrack_forget_ours(routing_in_place(r), (enum family)f);

		if (err != ERR_OK && first == ERR_OK)
			first = err_because(err, why, "connection tracking: %s", strerror(errno));
	}
	if (r->nft_fd >= 0 && r->state.found_known) {
		enum err err = nft_restore(r->nft_fd, &r->state.found);

		if (err != ERR_OK && first == ERR_OK)
			first = err_because(err, why, "nf_tables: %s", strerror(errno));
	}
	if (first != ERR_OK)
		return first;
	r->state = (struct state){0};
	return state_forget(r->config->run_dir);
}

void rules_render(const struct rules_config *c, enum backend b, struct buf *out)
{
	for (int f = 0; f < FAMILY_COUNT; f++) {
		buf_printf(out, "# %s: routing and binding\n", family_name((enum family)f));
		render_routing(c, (enum family)f, out);
		for (int t = 0; t < TABLE_COUNT; t++) {
			buf_printf(out, "# %s-%s-restore --noflush\n",
				   f == FAMILY_V6 ? "ip6tables" : "iptables",
				   b == BACKEND_LEGACY ? "legacy" : "nft");
			render_table(c, (enum family)f, (enum table)t, (struct slice){0}, out);
		}
	}
}
