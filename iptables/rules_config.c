// SPDX-License-Identifier: GPL-3.0-or-later
// `key = value` lines to struct rules_config; see config.h. Strict: an unknown key, a number out of range
// or host bits in a network are refused, because a rule set that means something else than its
// author thought is worse than none.
#include "iptables/rules_config.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/file.h"

#define LINE_BYTES_MAX	8192
#define LIST_SEPARATORS " \t,"

const char *family_name(enum family f)
{
	return f == FAMILY_V6 ? "ipv6" : "ipv4";
}

const char *backend_name(enum backend b)
{
	static const char *const names[] = {
		[BACKEND_AUTO] = "auto", [BACKEND_NFT] = "nft", [BACKEND_LEGACY] = "legacy"};

	return names[b];
}

enum family rules_config_family_of(struct cidr c)
{
	return addr_is_v4(c.addr) ? FAMILY_V4 : FAMILY_V6;
}

static enum err parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out,
			     struct reason *why)
{
	char *end;

	errno = 0;
	unsigned long long v = strtoull(text, &end, 0);

	if (errno || end == text || *end || *text == '-' || v < min || v > max)
		return err_because(ERR_CONFIG, why, "%s is not a number from %llu to %llu", text,
				   (unsigned long long)min, (unsigned long long)max);
	*out = v;
	return ERR_OK;
}

static enum err parse_ports(const char *text, struct port_range *out, struct reason *why)
{
	char copy[16];
	uint64_t min, max;
	enum err err;

	if (strlen(text) >= sizeof(copy))
		return err_because(ERR_CONFIG, why, "%s is no port and no range of ports", text);
	strcpy(copy, text);
	char *dash = strchr(copy, '-');

	if (dash)
		*dash = 0;
	err = parse_number(copy, 1, UINT16_MAX, &min, why);
	if (err != ERR_OK)
		return err;
	max = min;
	if (dash)
		err = parse_number(dash + 1, min, UINT16_MAX, &max, why);
	*out = (struct port_range){(uint16_t)min, (uint16_t)max};
	return err;
}

static enum err parse_network(const char *text, struct cidr *out, struct reason *why)
{
	if (cidr_parse(slice_str(text), false, out) != ERR_OK)
		return err_because(ERR_CONFIG, why,
				   "%s is no network (address/bits, no bits set behind the prefix)",
				   text);
	return ERR_OK;
}

// NET, NET:PORTS, [NET6]:PORTS, node:PORTS
static enum err parse_exclude(char *text, struct exclude *out, struct reason *why)
{
	char *address = text, *ports = NULL;

	*out = (struct exclude){0};
	if (*text == '[') {
		char *close = strchr(text, ']');

		if (!close || close[1] != ':')
			return err_because(ERR_CONFIG, why, "%s: want [network]:port", text);
		address = text + 1;
		*close = 0;
		ports = close + 2;
	} else if (strchr(text, ':') && strchr(text, ':') == strrchr(text, ':')) {
		ports = strchr(text, ':');
		*ports++ = 0;
	}
	if (ports) {
		enum err err = parse_ports(ports, &out->ports, why);

		if (err != ERR_OK)
			return err;
	}
	if (ports && strcmp(address, "node") == 0) {
		out->node = true;
		return ERR_OK;
	}
	return parse_network(address, &out->network, why);
}

static enum err set_number16(struct rules_config *c, size_t offset, const char *text,
			     struct reason *why)
{
	uint64_t v;
	enum err err = parse_number(text, 1, UINT16_MAX, &v, why);

	if (err == ERR_OK)
		*(uint16_t *)((char *)c + offset) = (uint16_t)v;
	return err;
}

static enum err set_number32(struct rules_config *c, size_t offset, const char *text,
			     struct reason *why)
{
	uint64_t v;
	enum err err = parse_number(text, 1, UINT32_MAX, &v, why);

	if (err == ERR_OK)
		*(uint32_t *)((char *)c + offset) = (uint32_t)v;
	return err;
}

static enum err set_path(struct rules_config *c, size_t offset, const char *text,
			 struct reason *why)
{
	if (*text != '/' || strlen(text) >= RULES_CONFIG_PATH_MAX)
		return err_because(ERR_CONFIG, why, "%s is no absolute path of up to %d bytes",
				   text, RULES_CONFIG_PATH_MAX - 1);
	strcpy((char *)c + offset, text);
	return ERR_OK;
}

static enum err set_backend(struct rules_config *c, size_t offset, const char *text,
			    struct reason *why)
{
	(void)offset;
	for (int b = BACKEND_AUTO; b <= BACKEND_LEGACY; b++) {
		if (strcmp(text, backend_name((enum backend)b)) == 0) {
			c->backend = (enum backend)b;
			return ERR_OK;
		}
	}
	return err_because(ERR_CONFIG, why, "%s is none of auto, nft, legacy", text);
}

static enum err set_switch(struct rules_config *c, size_t offset, const char *text,
			   struct reason *why)
{
	bool on = strcmp(text, "on") == 0;

	if (!on && strcmp(text, "off") != 0)
		return err_because(ERR_CONFIG, why, "%s is neither on nor off", text);
	*(bool *)((char *)c + offset) = on;
	return ERR_OK;
}

static enum err add_network(struct rules_config *c, size_t offset, char *text, struct reason *why)
{
	struct network_list *list = (struct network_list *)((char *)c + offset);

	if (list->count == RULES_CONFIG_NETWORKS_MAX)
		return err_because(ERR_CONFIG, why, "more than %d networks",
				   RULES_CONFIG_NETWORKS_MAX);
	enum err err = parse_network(text, &list->items[list->count], why);

	if (err == ERR_OK)
		list->count++;
	return err;
}

static enum err add_exclude(struct rules_config *c, size_t offset, char *text, struct reason *why)
{
	(void)offset;
	if (c->exclude_count == RULES_CONFIG_EXCLUDES_MAX)
		return err_because(ERR_CONFIG, why, "more than %d excludes",
				   RULES_CONFIG_EXCLUDES_MAX);
	enum err err = parse_exclude(text, &c->excludes[c->exclude_count], why);

	if (err == ERR_OK)
		c->exclude_count++;
	return err;
}

// The name goes into iptables' input: only what the kernel and iptables both take literally, plus
// iptables' own "name begins with" (eth+).
static bool interface_is_named_well(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.-@:";
	size_t len = strspn(text, allowed);

	return len > 0 && *text != '-' && strlen(text) < IFNAMSIZ &&
	       (text[len] == 0 || (text[len] == '+' && text[len + 1] == 0));
}

static enum err add_uplink(struct rules_config *c, size_t offset, char *text, struct reason *why)
{
	(void)offset;
	if (!interface_is_named_well(text))
		return err_because(ERR_CONFIG, why, "%s is no interface name (eth0, or eth+)",
				   text);
	if (c->uplink_count == RULES_CONFIG_UPLINKS_MAX)
		return err_because(ERR_CONFIG, why, "more than %d uplinks",
				   RULES_CONFIG_UPLINKS_MAX);
	strcpy(c->uplinks[c->uplink_count++], text);
	return ERR_OK;
}

static enum err add_node_ports(struct rules_config *c, size_t offset, char *text,
			       struct reason *why)
{
	(void)offset;
	if (c->node_port_count == RULES_CONFIG_PORTS_MAX)
		return err_because(ERR_CONFIG, why, "more than %d ranges of ports",
				   RULES_CONFIG_PORTS_MAX);
	enum err err = parse_ports(text, &c->node_ports[c->node_port_count], why);

	if (err == ERR_OK)
		c->node_port_count++;
	return err;
}

struct key {
	const char *name;
	size_t offset;
	enum err (*set)(struct rules_config *c, size_t offset, const char *text,
			struct reason *why);
	enum err (*add)(struct rules_config *c, size_t offset, char *text, struct reason *why);
};

#define SET(name, field, set)                                                                      \
	{                                                                                          \
#name, offsetof(struct rules_config, field), set, NULL                             \
	}
#define ADD(name, field, add)                                                                      \
	{                                                                                          \
#name, offsetof(struct rules_config, field), NULL, add                             \
	}

// A scalar may stand once; a list may be spread over several lines of the same key.
static const struct key keys[] = {
	SET(capture_port, capture_port, set_number16),
	SET(tunnel_port, tunnel_port, set_number16),
	SET(sync_port, sync_port, set_number16),
	SET(mark, routing.mark, set_number32),
	SET(mark_mask, routing.mark_mask, set_number32),
	SET(route_table, routing.route_table, set_number32),
	SET(rule_pref, routing.rule_pref, set_number32),
	SET(poll_ms, poll_ms, set_number32),
	SET(backend, backend, set_backend),
	SET(backstop, backstop, set_switch),
	SET(run_dir, run_dir, set_path),
	SET(cni_dir, cni_dir, set_path),
	ADD(uplinks, uplinks, add_uplink),
	ADD(capture_cidrs, capture, add_network),
	ADD(node_cidrs, nodes, add_network),
	ADD(external_cidrs, external, add_network),
	ADD(exclude, excludes, add_exclude),
	ADD(node_ports, node_ports, add_node_ports),
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

static enum err take_value(struct rules_config *c, const struct key *key, char *value, bool seen,
			   struct reason *why)
{
	char *save = NULL;

	if (key->set && seen)
		return err_because(ERR_CONFIG, why, "given twice");
	if (key->set)
		return key->set(c, key->offset, value, why);
	for (char *one = strtok_r(value, LIST_SEPARATORS, &save); one;
	     one = strtok_r(NULL, LIST_SEPARATORS, &save)) {
		enum err err = key->add(c, key->offset, one, why);

		if (err != ERR_OK)
			return err;
	}
	return ERR_OK;
}

// line is NUL-terminated, without comment and without surrounding space.
static enum err take_line(struct rules_config *c, char *line, bool seen[KEYS], struct reason *why)
{
	struct reason inner = {""};
	char *equals = strchr(line, '=');

	if (!equals)
		return err_because(ERR_CONFIG, why, "want key = value");
	size_t len = strcspn(line, " \t=");
	char *value = equals + 1 + strspn(equals + 1, " \t");

	line[len] = 0;
	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(line, keys[i].name) != 0)
			continue;
		enum err err = *value ? take_value(c, &keys[i], value, seen[i], &inner)
				      : err_because(ERR_CONFIG, &inner, "no value");

		seen[i] = true;
		return err == ERR_OK ? ERR_OK : err_because(err, why, "%s: %s", line, inner.text);
	}
	return err_because(ERR_CONFIG, why, "no key is called %s", line);
}

static enum err take_text(struct slice text, struct rules_config *c, struct reason *why)
{
	bool seen[KEYS] = {false};
	char line[LINE_BYTES_MAX];

	for (unsigned number = 1; text.len > 0; number++) {
		size_t len = slice_find(text, '\n');
		struct slice raw = slice_make(text.ptr, len);
		struct reason inner = {""};

		text = slice_make(text.ptr + len + (len < text.len),
				  text.len - len - (len < text.len));
		if (memchr(raw.ptr, 0, raw.len) || raw.len >= sizeof(line))
			return err_because(ERR_CONFIG, why, "line %u: a NUL byte, or too long",
					   number);
		raw.len = slice_find(raw, '#');
		raw = slice_trim_ows(raw);
		if (raw.len == 0)
			continue;
		memcpy(line, raw.ptr, raw.len);
		line[raw.len] = 0;
		if (take_line(c, line, seen, &inner) != ERR_OK)
			return err_because(ERR_CONFIG, why, "line %u: %s", number, inner.text);
	}
	return ERR_OK;
}

static enum err check_whole(const struct rules_config *c, struct reason *why)
{
	if (c->uplink_count == 0)
		return err_because(ERR_CONFIG, why,
				   "uplinks is missing: name the interfaces that "
				   "lead to no local pod (eth0, vxlan.calico)");
	if (c->capture.count == 0)
		return err_because(ERR_CONFIG, why,
				   "capture_cidrs is missing: name the ranges of "
				   "the cluster's pods and Services");
	if ((c->routing.mark & ~c->routing.mark_mask) || c->routing.mark_mask == UINT32_MAX)
		return err_because(ERR_CONFIG, why,
				   "mark 0x%x must lie within mark_mask 0x%x, and "
				   "the mask must leave bits to others",
				   c->routing.mark, c->routing.mark_mask);
	if (c->routing.route_table >= RT_TABLE_COMPAT && c->routing.route_table <= RT_TABLE_LOCAL)
		return err_because(ERR_CONFIG, why, "route_table %u is the kernel's own",
				   c->routing.route_table);
	if (c->routing.rule_pref > 32766 - RULE_PREFS)
		return err_because(ERR_CONFIG, why,
				   "rule_pref %u comes after the main table's rule",
				   c->routing.rule_pref);
	if (c->capture_port == c->tunnel_port)
		return err_because(ERR_CONFIG, why, "capture_port and tunnel_port are both %u",
				   c->capture_port);
	return ERR_OK;
}

enum err rules_config_parse(struct slice text, struct rules_config *out, struct reason *why)
{
	*out = (struct rules_config){.capture_port = 15001,
				     .tunnel_port = 14443,
				     .sync_port = 9443,
				     .routing = {.mark = 0x00500000,
						 .mark_mask = 0x00f00000,
						 .route_table = 15001,
						 .rule_pref = 50},
				     .poll_ms = 3000,
				     .backstop = true,
				     .run_dir = "/run/portcullis",
				     .cni_dir = "/etc/cni/net.d"};
	enum err err = take_text(text, out, why);

	if (err != ERR_OK)
		return err;
	if (out->node_port_count == 0)
		out->node_ports[out->node_port_count++] = (struct port_range){30000, 32767};
	return check_whole(out, why);
}

enum err rules_config_load(const char *path, struct rules_config *out, struct reason *why)
{
	struct reason inner = {""};
	struct buf text;
	enum err err;

	buf_init_growing(&text, RULES_CONFIG_FILE_BYTES_MAX);
	err = file_read(path, RULES_CONFIG_FILE_BYTES_MAX, &text);
	if (err != ERR_OK) {
		err_because(err, why, "%s: cannot be read: %s", path,
			    err == ERR_IO ? strerror(errno) : err_name(err));
	} else {
		err = rules_config_parse(buf_slice(&text), out, &inner);
		if (err != ERR_OK)
			err_because(err, why, "%s: %s", path, inner.text);
	}
	buf_deinit(&text);
	return err;
}
