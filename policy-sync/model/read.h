// SPDX-License-Identifier: GPL-3.0-or-later
// Documents to objects. What cannot be read is a finding, and a security policy that cannot be read is kept
// as broken, so that its targets refuse. Unknown kinds are passed over; what does not say what it
// is might be a policy, and nobody may take it for none.
#pragma once

#include "files/view.h"
#include "model/text.h"
#include "model/words.h"

struct object_meta {
	struct slice namespace, name, uid;
	struct labels labels;
	int64_t created_unix_ms;
	struct origin origin;
};

// What a reader is given, and where it says what it found.
struct reading {
	const struct view *v;
	const struct object_meta *meta;
	struct model *model; // our kinds: what they may name; else NULL
	bool *uses_data;
};

struct kind {
	const char *group; // prefix of apiVersion
	const char *name;
	enum object_kind kind;
	bool is_ours;
	bool has_namespace;
	// NULL: there is nothing to keep; with a finding if it could not be read.
	void *(*read)(const struct reading *r);
};

// Which kind a document is and what it is called; NULL without an error: nothing of ours, perhaps a
// stranger of whom something has to be said.
const struct kind *read_identity(const struct view *v, struct slice *ns, struct slice *name,
				 struct stranger *stranger);
bool read_is_our_kind(struct slice name);
// Is it a List? What it holds is not known where it has no items, or members that no List has: an error.
bool read_is_list(const struct view *v, struct view *items);
void *read_object(const struct kind *k, const struct reading *r);

// read_kubernetes.c, read_policy.c
bool read_meta(const struct view *v, struct object_meta *out);
bool read_labels(const struct view *v, struct labels *out);
void *read_pod(const struct reading *r);
void *read_node(const struct reading *r);
void *read_namespace(const struct reading *r);
void *read_service(const struct reading *r);
void *read_endpoint_slice(const struct reading *r);
void *read_secret(const struct reading *r);
void *read_config_map(const struct reading *r);
void *read_security_policy(const struct reading *r);
void *read_cluster_security_policy(const struct reading *r);
void *read_rate_limit_policy(const struct reading *r);
void *read_mesh_config(const struct reading *r);
// Rows that policies and limits share, and the kinds.
extern const struct words words_target, words_path, words_header, words_jwt, words_authorization;
extern const struct words words_security_policy, words_cluster_security_policy,
	words_rate_limit_policy, words_mesh_config;
word_check check_field_name, check_host, check_method, check_methods, check_cidrs;
bool read_cidrs(const struct view *v, struct cidr **out, uint32_t *count);
// "SecurityPolicy/namespace/name".
struct slice read_title(const struct view *v, const char *kind, const struct object_meta *meta);
// Room for the entries of a list of at most max, or NULL with a finding.
void *read_list(const struct view *list, uint32_t max, size_t item_bytes);
struct slice read_lower(struct arena *a, struct slice s);
// As requests' hosts are compared; false: no request has such a one.
bool read_host(const struct view *v, struct slice *host);
bool read_method(const struct view *v, struct slice method);
// read_warn.c: what is well formed and yet says nothing.
void warn_source(const struct view *v, const struct ss_source *s);
void warn_header_name(const struct view *v, struct slice name);
void warn_methods(const struct view *v, const struct slice *list, uint32_t count);
void warn_cidrs(const struct view *v, const struct cidr *list, uint32_t count);
void warn_rules(const struct view *list, const struct policy_spec *spec);
bool read_jwks(const struct view *at, struct slice json, struct ss_provider *out);
// RFC 3339 to milliseconds of the Unix epoch; false: it is none.
bool read_time(struct slice text, int64_t *unix_ms);
