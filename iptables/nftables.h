// SPDX-License-Identifier: GPL-3.0-or-later
// What iptables' own programs cannot do on an nf_tables host, over nfnetlink:
//  - tell which tables and base chains exist (iptables-save shows ones that do not), and take away
//    those that our rules brought into being;
//  - the binding: a nat chain that runs before everybody's DNAT and binds a captured connection to
//    the address that it has already. The last ACK of a SYN-cookie handshake has to be tracked (raw
//    cannot tell it from a segment of an old connection), and kube-proxy's nftables mode would
//    rewrite it under the listener's feet;
//  - events, so that a flush is noticed at once.
#pragma once

#include "iptables/render.h"
// Behind netinet/in.h, with which the kernel's own headers agree only in this order.
#include <linux/netfilter.h>

// What of the tables that iptables-nft uses is in the kernel: one bit a hook with a base chain.
struct nft_presence {
	bool exists;
	uint32_t hooks; // 1 << NF_INET_PRE_ROUTING, …
};

struct nft_inventory {
	struct nft_presence tables[FAMILY_COUNT][TABLE_COUNT];
};

#define NFT_NAME_MAX 64

// A base chain, of whichever table.
struct nft_chain {
	uint8_t family; // NFPROTO_…
	char table[NFT_NAME_MAX];
	char name[NFT_NAME_MAX];
	char type[16]; // "nat", "filter", "route"
	uint32_t hook;
	int32_t priority;
	uint32_t policy; // NF_ACCEPT, NF_DROP
};

// A NETLINK_NETFILTER socket; ERR_UNSUPPORTED where the kernel has no nf_tables.
enum err must_check nft_open(int *fd);

enum err must_check nft_list_chains(int fd, void (*each)(const struct nft_chain *c, void *context),
				    void *context);
enum err must_check nft_has_table(int fd, uint8_t family, const char *name, bool *out);

enum err must_check nft_take_inventory(int fd, struct nft_inventory *out);
// Takes away base chains that are empty and were not in found, then tables that were not and have
// become empty. What somebody else uses by now stays, without error.
enum err must_check nft_restore(int fd, const struct nft_inventory *found);

// digest: of the binding as it stands, to be compared with the one after nft_binding_put. 0: none.
enum err must_check nft_binding_digest(int fd, enum family f, uint64_t *digest);
enum err must_check nft_binding_put(int fd, const struct routing *routing, enum family f);
enum err must_check nft_binding_remove(int fd, enum family f);

// A socket that becomes readable when rules change. nft_events_drain reads what is there: true where
// something of interest to us was among it, or where the kernel had to leave out events.
enum err must_check nft_events_open(int *fd);
bool nft_events_drain(int fd);
