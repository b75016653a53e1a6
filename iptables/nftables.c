// SPDX-License-Identifier: GPL-3.0-or-later
// nf_tables over nfnetlink, as little as is needed; see nftables.h. The message formats are in
// linux/netfilter/nf_tables.h.
#include "iptables/nftables.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/hash.h"
#include "iptables/netlink.h"

#define BINDING_TABLE	     "portcullis"
#define BINDING_CHAIN	     "prerouting"
#define BINDING_PRIORITY     (-149) // after TPROXY has marked (mangle, -150), before any DNAT (-100)
#define HOOKS		     5
#define INVENTORY_CHAINS_MAX 64

static uint8_t nfproto(enum family f)
{
	return f == FAMILY_V6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
}

static void begin(struct netlink_request *r, uint16_t message, uint16_t flags, uint8_t family)
{
	struct nfgenmsg h = {.nfgen_family = family, .version = NFNETLINK_V0};

	netlink_begin(r, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | message), flags, &h, sizeof(h));
}

// Changes come in transactions: all or none.
static void put_edge(struct netlink_request *r, uint16_t type)
{
	struct nfgenmsg h = {.version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};

	netlink_begin(r, type, 0, &h, sizeof(h));
	netlink_end(r);
}

static enum err commit(int fd, struct netlink_request *r)
{
	// The acknowledgement of the last message before the batch's end is the batch's.
	uint32_t last = r->sequence;

	put_edge(r, NFNL_MSG_BATCH_END);
	r->sequence = last;
	return netlink_talk(fd, r, NULL, NULL);
}

static enum err dump(int fd, uint16_t message, uint8_t family, const char *table, const char *chain,
		     netlink_on_message *on_message, void *context)
{
	struct netlink_request r;

	netlink_request_init(&r);
	begin(&r, message, NLM_F_DUMP, family);
	if (table)
		netlink_put_str(&r, NFTA_RULE_TABLE, table);
	if (chain)
		netlink_put_str(&r, NFTA_RULE_CHAIN, chain);
	netlink_end(&r);
	return netlink_talk(fd, &r, on_message, context);
}

enum err nft_open(int *out)
{
	struct netlink_request r;
	int fd;
	enum err err = netlink_open(NETLINK_NETFILTER, NULL, &fd);

	if (err != ERR_OK)
		return err;
	netlink_request_init(&r);
	begin(&r, NFT_MSG_GETGEN, NLM_F_ACK, AF_UNSPEC);
	netlink_end(&r);
	err = netlink_talk(fd, &r, NULL, NULL);
	if (err != ERR_OK) {
		close(fd);
		return err == ERR_IO && errno == EINVAL ? ERR_UNSUPPORTED : err;
	}
	*out = fd;
	return ERR_OK;
}

static void copy_str(char *out, size_t cap, struct slice s)
{
	size_t len = s.len < cap ? s.len : cap;

	snprintf(out, cap, "%.*s", (int)(len > 0 ? len - 1 : 0), (const char *)s.ptr);
}

struct chain_walk {
	void (*each)(const struct nft_chain *c, void *context);
	void *context;
};

static void on_chain(const struct nlmsghdr *m, void *context)
{
	struct chain_walk *w = context;
	const struct nfgenmsg *h = NLMSG_DATA(m);
	struct slice a = netlink_attributes(m, sizeof(*h));
	struct slice hook = netlink_find(a, NFTA_CHAIN_HOOK);
	struct nft_chain c = {.family = h->nfgen_family};

	if ((m->nlmsg_type & 0xff) != NFT_MSG_NEWCHAIN || hook.len == 0)
		return;
	copy_str(c.table, sizeof(c.table), netlink_find(a, NFTA_CHAIN_TABLE));
	copy_str(c.name, sizeof(c.name), netlink_find(a, NFTA_CHAIN_NAME));
	copy_str(c.type, sizeof(c.type), netlink_find(a, NFTA_CHAIN_TYPE));
	c.hook = netlink_be32(netlink_find(hook, NFTA_HOOK_HOOKNUM));
	c.priority = (int32_t)netlink_be32(netlink_find(hook, NFTA_HOOK_PRIORITY));
	c.policy = netlink_be32(netlink_find(a, NFTA_CHAIN_POLICY));
	w->each(&c, w->context);
}

enum err nft_list_chains(int fd, void (*each)(const struct nft_chain *c, void *context),
			 void *context)
{
	struct chain_walk w = {each, context};

	return dump(fd, NFT_MSG_GETCHAIN, NFPROTO_UNSPEC, NULL, NULL, on_chain, &w);
}

enum err nft_has_table(int fd, uint8_t family, const char *name, bool *out)
{
	struct netlink_request r;

	netlink_request_init(&r);
	begin(&r, NFT_MSG_GETTABLE, NLM_F_ACK, family);
	netlink_put_str(&r, NFTA_TABLE_NAME, name);
	netlink_end(&r);
	enum err err = netlink_talk(fd, &r, NULL, NULL);

	*out = err == ERR_OK;
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

// A base chain that iptables-nft made: its table bears iptables' name, the chain its hook's.
static bool chain_is_iptables(const struct nft_chain *c, enum family *f, enum table *t)
{
	static const char *const names[HOOKS] = {[NF_INET_PRE_ROUTING] = "PREROUTING",
						 [NF_INET_LOCAL_IN] = "INPUT",
						 [NF_INET_FORWARD] = "FORWARD",
						 [NF_INET_LOCAL_OUT] = "OUTPUT",
						 [NF_INET_POST_ROUTING] = "POSTROUTING"};

	if ((c->family != NFPROTO_IPV4 && c->family != NFPROTO_IPV6) || c->hook >= HOOKS ||
	    strcmp(c->name, names[c->hook]) != 0)
		return false;
	*f = c->family == NFPROTO_IPV6 ? FAMILY_V6 : FAMILY_V4;
	for (int i = 0; i < TABLE_COUNT; i++) {
		if (strcmp(c->table, table_name((enum table)i)) == 0) {
			*t = (enum table)i;
			return true;
		}
	}
	return false;
}

static void note_chain(const struct nft_chain *c, void *context)
{
	struct nft_inventory *inventory = context;
	enum family f;
	enum table t;

	if (chain_is_iptables(c, &f, &t))
		inventory->tables[f][t].hooks |= 1u << c->hook;
}

enum err nft_take_inventory(int fd, struct nft_inventory *out)
{
	*out = (struct nft_inventory){0};
	for (int f = 0; f < FAMILY_COUNT; f++) {
		for (int t = 0; t < TABLE_COUNT; t++) {
			enum err err =
				nft_has_table(fd, nfproto((enum family)f),
					      table_name((enum table)t), &out->tables[f][t].exists);

			if (err != ERR_OK)
				return err;
		}
	}
	return nft_list_chains(fd, note_chain, out);
}

// NLM_F_NONREC: the kernel refuses with EBUSY what is not empty, so nobody's rule is lost to a race.
static enum err delete_if_empty(int fd, uint8_t family, const char *table, const char *chain)
{
	struct netlink_request r;

	netlink_request_init(&r);
	put_edge(&r, NFNL_MSG_BATCH_BEGIN);
	begin(&r, chain ? NFT_MSG_DELCHAIN : NFT_MSG_DELTABLE, NLM_F_ACK | NLM_F_NONREC, family);
	netlink_put_str(&r, chain ? NFTA_CHAIN_TABLE : NFTA_TABLE_NAME, table);
	if (chain)
		netlink_put_str(&r, NFTA_CHAIN_NAME, chain);
	netlink_end(&r);
	enum err err = commit(fd, &r);

	return err == ERR_NOT_FOUND || (err == ERR_IO && errno == EBUSY) ? ERR_OK : err;
}

struct leftover {
	const struct nft_inventory *found;
	struct nft_chain chains[INVENTORY_CHAINS_MAX];
	uint32_t count;
};

static void note_leftover(const struct nft_chain *c, void *context)
{
	struct leftover *l = context;
	enum family f;
	enum table t;

	// A policy other than accept is somebody's decision, made since.
	if (chain_is_iptables(c, &f, &t) && c->policy == NF_ACCEPT &&
	    !(l->found->tables[f][t].hooks & 1u << c->hook) && l->count < INVENTORY_CHAINS_MAX)
		l->chains[l->count++] = *c;
}

enum err nft_restore(int fd, const struct nft_inventory *found)
{
	struct leftover l = {.found = found};
	enum err err = nft_list_chains(fd, note_leftover, &l);

	for (uint32_t i = 0; err == ERR_OK && i < l.count; i++)
		err = delete_if_empty(fd, l.chains[i].family, l.chains[i].table, l.chains[i].name);
	for (int f = 0; f < FAMILY_COUNT; f++) {
		for (int t = 0; err == ERR_OK && t < TABLE_COUNT; t++) {
			if (!found->tables[f][t].exists)
				err = delete_if_empty(fd, nfproto((enum family)f),
						      table_name((enum table)t), NULL);
		}
	}
	return err;
}

static size_t expression(struct netlink_request *r, const char *name, size_t *element)
{
	*element = netlink_nest(r, NFTA_LIST_ELEM);
	netlink_put_str(r, NFTA_EXPR_NAME, name);
	return netlink_nest(r, NFTA_EXPR_DATA);
}

static void expression_end(struct netlink_request *r, size_t element, size_t data)
{
	netlink_nest_end(r, data);
	netlink_nest_end(r, element);
}

static void put_value(struct netlink_request *r, uint16_t type, uint32_t v)
{
	size_t nest = netlink_nest(r, type);

	netlink_put_u32(r, NFTA_DATA_VALUE, v);
	netlink_nest_end(r, nest);
}

// meta mark & mask == mark
static void put_mark_match(struct netlink_request *r, const struct routing *routing)
{
	size_t element, data = expression(r, "meta", &element);

	netlink_put_be32(r, NFTA_META_DREG, NFT_REG_1);
	netlink_put_be32(r, NFTA_META_KEY, NFT_META_MARK);
	expression_end(r, element, data);

	data = expression(r, "bitwise", &element);
	netlink_put_be32(r, NFTA_BITWISE_SREG, NFT_REG_1);
	netlink_put_be32(r, NFTA_BITWISE_DREG, NFT_REG_1);
	netlink_put_be32(r, NFTA_BITWISE_LEN, sizeof(uint32_t));
	put_value(r, NFTA_BITWISE_MASK, routing->mark_mask);
	put_value(r, NFTA_BITWISE_XOR, 0);
	expression_end(r, element, data);

	data = expression(r, "cmp", &element);
	netlink_put_be32(r, NFTA_CMP_SREG, NFT_REG_1);
	netlink_put_be32(r, NFTA_CMP_OP, NFT_CMP_EQ);
	put_value(r, NFTA_CMP_DATA, routing->mark);
	expression_end(r, element, data);
}

// dnat to the destination that the packet has
static void put_identity_dnat(struct netlink_request *r, enum family f)
{
	size_t element, data = expression(r, "payload", &element);
	bool v6 = f == FAMILY_V6;

	netlink_put_be32(r, NFTA_PAYLOAD_DREG, NFT_REG_1);
	netlink_put_be32(r, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
	netlink_put_be32(r, NFTA_PAYLOAD_OFFSET,
			 v6 ? offsetof(struct ip6_hdr, ip6_dst) : offsetof(struct iphdr, daddr));
	netlink_put_be32(r, NFTA_PAYLOAD_LEN, v6 ? 16 : 4);
	expression_end(r, element, data);

	data = expression(r, "nat", &element);
	netlink_put_be32(r, NFTA_NAT_TYPE, NFT_NAT_DNAT);
	netlink_put_be32(r, NFTA_NAT_FAMILY, nfproto(f));
	netlink_put_be32(r, NFTA_NAT_REG_ADDR_MIN, NFT_REG_1);
	expression_end(r, element, data);
}

static void put_table(struct netlink_request *r, enum family f, bool add)
{
	begin(r, add ? NFT_MSG_NEWTABLE : NFT_MSG_DELTABLE, add ? NLM_F_CREATE : 0, nfproto(f));
	netlink_put_str(r, NFTA_TABLE_NAME, BINDING_TABLE);
	netlink_end(r);
}

enum err nft_binding_put(int fd, const struct routing *routing, enum family f)
{
	struct netlink_request r;
	size_t nest;

	netlink_request_init(&r);
	put_edge(&r, NFNL_MSG_BATCH_BEGIN);
	put_table(&r, f, true); // so that the next one cannot fail
	put_table(&r, f, false);
	put_table(&r, f, true);
	begin(&r, NFT_MSG_NEWCHAIN, NLM_F_CREATE, nfproto(f));
	netlink_put_str(&r, NFTA_CHAIN_TABLE, BINDING_TABLE);
	netlink_put_str(&r, NFTA_CHAIN_NAME, BINDING_CHAIN);
	netlink_put_str(&r, NFTA_CHAIN_TYPE, "nat");
	nest = netlink_nest(&r, NFTA_CHAIN_HOOK);
	netlink_put_be32(&r, NFTA_HOOK_HOOKNUM, NF_INET_PRE_ROUTING);
	netlink_put_be32(&r, NFTA_HOOK_PRIORITY, (uint32_t)BINDING_PRIORITY);
	netlink_nest_end(&r, nest);
	netlink_end(&r);
	begin(&r, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, nfproto(f));
	netlink_put_str(&r, NFTA_RULE_TABLE, BINDING_TABLE);
	netlink_put_str(&r, NFTA_RULE_CHAIN, BINDING_CHAIN);
	nest = netlink_nest(&r, NFTA_RULE_EXPRESSIONS);
	put_mark_match(&r, routing);
	put_identity_dnat(&r, f);
	netlink_nest_end(&r, nest);
	netlink_end(&r);
	return commit(fd, &r);
}

enum err nft_binding_remove(int fd, enum family f)
{
	struct netlink_request r;

	netlink_request_init(&r);
	put_edge(&r, NFNL_MSG_BATCH_BEGIN);
	begin(&r, NFT_MSG_DELTABLE, NLM_F_ACK, nfproto(f));
	netlink_put_str(&r, NFTA_TABLE_NAME, BINDING_TABLE);
	netlink_end(&r);
	enum err err = commit(fd, &r);

	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static void mix_rule(const struct nlmsghdr *m, void *context)
{
	uint64_t *digest = context;
	struct slice a = netlink_attributes(m, sizeof(struct nfgenmsg));

	*digest = hash_bytes(netlink_find(a, NFTA_RULE_EXPRESSIONS), *digest);
}

struct binding_search {
	uint8_t family;
	bool found;
};

static void find_binding(const struct nft_chain *c, void *context)
{
	struct binding_search *s = context;

	if (c->family == s->family && strcmp(c->table, BINDING_TABLE) == 0 &&
	    strcmp(c->name, BINDING_CHAIN) == 0 && c->hook == NF_INET_PRE_ROUTING &&
	    c->priority == BINDING_PRIORITY && strcmp(c->type, "nat") == 0)
		s->found = true;
}

enum err nft_binding_digest(int fd, enum family f, uint64_t *digest)
{
	struct binding_search s = {.family = nfproto(f)};
	enum err err = nft_list_chains(fd, find_binding, &s);

	*digest = 0;
	if (err != ERR_OK || !s.found)
		return err;
	err = dump(fd, NFT_MSG_GETRULE, nfproto(f), BINDING_TABLE, BINDING_CHAIN, mix_rule, digest);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err nft_events_open(int *fd)
{
	static const uint32_t groups[] = {NFNLGRP_NFTABLES, 0};
	int size = 4 << 20; // kube-proxy's transactions are large
	enum err err = netlink_open(NETLINK_NETFILTER, groups, fd);

	if (err == ERR_OK)
		(void)setsockopt(*fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return err;
}

// kube-proxy rewrites its chains all day; only the hook chains, our own chains, and whole tables or
// chains that come and go can matter. NFTA_RULE_CHAIN and NFTA_CHAIN_NAME differ in number.
static bool event_matters(const struct nlmsghdr *m)
{
	struct slice a = netlink_attributes(m, sizeof(struct nfgenmsg));
	uint16_t type = m->nlmsg_type & 0xff;
	struct slice chain;

	if (type == NFT_MSG_NEWRULE || type == NFT_MSG_DELRULE)
		chain = netlink_find(a, NFTA_RULE_CHAIN);
	else if (type == NFT_MSG_NEWCHAIN || type == NFT_MSG_DELCHAIN)
		chain = netlink_find(a, NFTA_CHAIN_NAME);
	else
		return type == NFT_MSG_DELTABLE;
	return slice_starts(chain, SLICE_LIT(RENDER_CHAIN_PREFIX)) ||
	       netlink_is_str(chain, "PREROUTING") || netlink_is_str(chain, "INPUT") ||
	       netlink_is_str(chain, "FORWARD") || netlink_is_str(chain, "OUTPUT") ||
	       netlink_is_str(chain, "POSTROUTING") || netlink_is_str(chain, BINDING_CHAIN);
}

#define DRAIN_READS_MAX 1024

bool nft_events_drain(int fd)
{
	static _Alignas(struct nlmsghdr) uint8_t bytes[65536];
	bool matters = false;

	for (int i = 0; i < DRAIN_READS_MAX; i++) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return matters || errno == ENOBUFS; // events were lost: look for yourself
		struct slice rest = slice_make(bytes, (size_t)n);

		for (const struct nlmsghdr *m; (m = netlink_next(&rest));)
			matters = matters || event_matters(m);
	}
	return matters;
}
