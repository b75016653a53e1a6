// SPDX-License-Identifier: GPL-3.0-or-later
// Nodes for tests of policy-sync: they speak the wire over real TLS, check and build snapshots with
// node-proxy's own code, and do what the test tells them to: answer, keep silent, refuse.
#pragma once

#include "control/holdings.h"
#include "io/x509.h"
#include "publish/subscriber.h"
#include "sync_world.h"

#define NODES_MAX 4
#define TOKEN_1	  "token-of-node-n1-0123456789"
#define TOKEN_2	  "token-of-node-n2-0123456789"

struct node {
	struct world *w;
	const char *name;
	const char *token;
	struct sync_wire wire;
	bool connected;
	bool said_hello;
	bool welcomed;
	bool ended;
	struct reason refused;
	struct x509_key key;
	struct holdings *holdings;
	struct snapshot *snapshot;
	// what it shall do
	uint32_t version;
	bool silent_about_snapshots;
	bool silent_about_certificates;
	bool refuse_snapshots;
	size_t public_len;
	// what it has seen
	uint32_t manifests, sections, patches, commits, certificates;
	uint64_t bytes;
	int64_t not_after;
	size_t chain_len, trust_len;
	uint8_t chain[X509_CERT_PEM_MAX];
	uint8_t trust[2 * X509_CERT_PEM_MAX];
};

struct test {
	struct world w;
	struct node nodes[NODES_MAX];
	uint32_t node_count;
};

int nodes_setup(void **state);
int nodes_teardown(void **state);
struct node *node_add(struct test *t, const char *name, const char *token);
void node_connect(struct node *n);
void node_disconnect(struct node *n);
void node_send(struct node *n, const struct sync_message *m);
// Both nodes, connected, served and at rest.
void nodes_connect_both(struct test *t, struct node **n1, struct node **n2);

// Conditions for world_until.
bool node_is_served(void *context);
bool node_has_ended(void *context);
// Server and all nodes are at rest: everything published has been answered, certificates are in
// use.
bool nodes_are_quiet(void *context);

// Does n's snapshot pin this key for that node?
bool node_pins(const struct node *n, const char *of, const struct x509_key *key);
// Does n's certificate verify against these roots? Asked of openssl.
bool node_verifies(struct node *n, const uint8_t *trust, size_t trust_len);
uint32_t node_count_roots(const struct node *n);
