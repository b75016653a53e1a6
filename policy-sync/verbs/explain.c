// SPDX-License-Identifier: GPL-3.0-or-later
// explain: what would happen to a connection or request, by the very code that decides on the nodes
// (decide/), over a snapshot compiled from the same files. Limits are not taken: they depend on what
// came before.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "compile/compile.h"
#include "core/match.h"
#include "decide/decide.h"
#include "io/crypto.h"
#include "model/load.h"
#include "verbs/verbs.h"

#define SCRATCH_BYTES (256u << 10)
#define HEADERS_MAX 32

struct explain {
	const char *directory, *from, *to, *method, *path, *host, *jwt;
	bool json;
	struct slice names[HEADERS_MAX], values[HEADERS_MAX];
	uint32_t header_count;
	char authorization[16400];
	// resolved
	const struct snapshot *snapshot;
	struct principal source;
	const struct workload *source_pod;
	struct addr client;
	const struct workload *destination;
	uint16_t port;
};

static const char usage[] =
	"usage: policy-sync explain --from-dir DIR --from NS/POD|IP|outside:IP\n"
	"         --to SERVICE.NS:PORT|NS/POD:PORT|IP:PORT\n"
	"         [--method GET --path /x] [--host H] [--jwt TOKEN] [--header 'Name: value'] [--json]\n";

// ---- snapshot ----------------------------------------------------------------------------------

static struct snapshot *link_snapshot(const struct compiled *c, struct reason *why)
{
	struct snapshot_section *sections[SNAPSHOT_SECTIONS_MAX] = {0};
	struct snapshot *s = NULL;
	uint32_t n = 0;
	enum err err = ERR_OK;

	for (; n < c->count && err == ERR_OK; n++) {
		struct section_ref ref = {.name = c->sections[n].name,
					  .bytes = (uint32_t)c->sections[n].bytes.len};

		crypto_sha256(c->sections[n].bytes, ref.sha256);
		err = snapshot_section_new(ref, c->sections[n].bytes, &sections[n], why);
		if (err != ERR_OK)
			break;
	}
	if (err == ERR_OK && snapshot_new((struct generation){1, 1}, sections, n, SLICE_LIT(""), &s,
					  why) != ERR_OK)
		s = NULL;
	while (n > 0)
		snapshot_section_unref(sections[--n]);
	return s;
}

// ---- who and whom ------------------------------------------------------------------------------

static const struct workload *pod_by_name(const struct model *m, const struct snapshot *s,
					  struct slice ns, struct slice name)
{
	for (uint32_t i = 0; i < m->pods.count; i++) {
		const struct pod *p = m->pods.items[i];

		if (slice_eq(p->namespace, ns) && slice_eq(p->name, name))
			return snapshot_workload_by_uid(s, p->uid);
	}
	return NULL;
}

static void set_source_pod(struct explain *x, const struct workload *w)
{
	x->source_pod = w;
	x->source = (struct principal){
		.type = PRINCIPAL_WORKLOAD,
		.trust_domain = snapshot_meta(x->snapshot)->trust_domain,
		.namespace = w->record.namespace,
		.service_account = w->record.service_account,
		.name = w->record.name,
		.uid = w->record.uid,
	};
	if (w->record.addr_count > 0 && addr_is_none(x->client))
		x->client = w->record.addrs[0];
}

static bool resolve_source(struct explain *x, const struct model *m)
{
	struct slice from = slice_str(x->from);
	size_t slash = slice_find(from, '/');
	const struct workload *w = NULL;

	if (slice_starts(from, SLICE_LIT("outside:"))) {
		x->source.type = PRINCIPAL_UNAUTHENTICATED;
		return addr_parse(slice_str(x->from + 8), &x->client) == ERR_OK;
	}
	if (addr_parse(from, &x->client) == ERR_OK) {
		w = snapshot_workload_by_addr(x->snapshot, x->client);
		if (!w)
			x->source.type = snapshot_node_by_addr(x->snapshot, x->client)
						 ? PRINCIPAL_NODE
						 : PRINCIPAL_UNAUTHENTICATED;
	} else if (slash < from.len) {
		w = pod_by_name(m, x->snapshot, slice_make(from.ptr, slash),
				slice_make(from.ptr + slash + 1, from.len - slash - 1));
		if (!w)
			return false;
	} else {
		return false;
	}
	if (w)
		set_source_pod(x, w);
	return true;
}

// The first endpoint stands for all: pods of one Service have one policy, unless labels differ.
static bool resolve_service(struct explain *x, const struct ss_service *s, uint16_t port)
{
	for (uint32_t i = 0; s && i < s->port_count; i++) {
		if (s->ports[i].port != port || s->ports[i].endpoint_count == 0)
			continue;
		const struct ss_endpoint *e = &s->ports[i].endpoints[0];

		x->destination = snapshot_workload_by_uid(x->snapshot, e->workload_uid);
		x->port = e->port;
		return x->destination != NULL;
	}
	return false;
}

static bool resolve_destination(struct explain *x, const struct model *m)
{
	struct slice to = slice_str(x->to);
	const char *colon = strrchr(x->to, ':');
	const struct ss_service *service = NULL;
	struct addr a;

	if (!colon)
		return false;
	int port = atoi(colon + 1);

	to.len = (size_t)(colon - x->to);
	if (port < 1 || port > 65535)
		return false;
	x->port = (uint16_t)port;
	if (to.len > 2 && to.ptr[0] == '[')
		to = slice_make(to.ptr + 1, to.len - 2);
	if (addr_parse(to, &a) == ERR_OK) {
		x->destination = snapshot_workload_by_addr(x->snapshot, a);
		if (x->destination)
			return true;
		if (snapshot_service_port(x->snapshot, a, x->port, &service)) {
			const struct ss_service_port *p =
				snapshot_service_port(x->snapshot, a, x->port, &service);

			return resolve_service(x, service, p->port);
		}
		return false;
	}
	size_t slash = slice_find(to, '/'), dot = slice_find(to, '.');

	if (slash < to.len) {
		x->destination = pod_by_name(m, x->snapshot, slice_make(to.ptr, slash),
					     slice_make(to.ptr + slash + 1, to.len - slash - 1));
		return x->destination != NULL;
	}
	if (dot == to.len)
		return false;
	return resolve_service(x,
			       snapshot_service_by_name(x->snapshot,
							slice_make(to.ptr + dot + 1, to.len - dot - 1),
							slice_make(to.ptr, dot)),
			       x->port);
}

// ---- asking ------------------------------------------------------------------------------------

static bool explain_header(const void *context, struct slice lower_name, struct slice *value)
{
	const struct explain *x = context;

	for (uint32_t i = 0; i < x->header_count; i++) {
		if (slice_eq_nocase(x->names[i], lower_name)) {
			*value = x->values[i];
			return true;
		}
	}
	return false;
}

static bool fill_request(struct explain *x, struct policy_input *in, struct arena *a)
{
	struct slice query;
	size_t room = strlen(x->path) + 1;
	uint8_t *path = arena_alloc(a, 1, room);
	uint8_t *host = arena_alloc(a, 1, x->host ? strlen(x->host) + 1 : 1);
	bool changed;

	in->l7 = true;
	in->method = slice_str(x->method ? x->method : "GET");
	in->headers = x;
	in->header = explain_header;
	if (!path || !host ||
	    path_canonicalize(slice_str(x->path), path, room, &in->path, &query, &changed) != ERR_OK)
		return false;
	return !x->host ||
	       host_canonicalize(slice_str(x->host), host, strlen(x->host) + 1, &in->host) == ERR_OK;
}

static bool ask(struct explain *x, struct decision *d, void *scratch)
{
	struct arena a;
	struct decide_context context = {
		.snapshot = x->snapshot,
		.arena = &a,
		.now_ns = clock_monotonic_ns(),
		.now_unix_s = (int64_t)(clock_unix_ms() / 1000),
	};
	struct decide_subject subject = {
		.destination = x->destination,
		.policy = snapshot_policy_for(x->snapshot, x->destination, x->port),
	};
	struct policy_input in = {.source = &x->source, .client = x->client, .port = x->port};

	arena_init_fixed(&a, scratch, SCRATCH_BYTES);
	decide_connection(&context, &subject, &in, d);
	if (d->verdict != VERDICT_NEEDS_L7)
		return true;
	if (!x->path)
		return true; // says so: a request is needed
	if (!fill_request(x, &in, &a))
		return false;
	decide_request(&context, &subject, &in, d);
	return true;
}

// ---- answering ---------------------------------------------------------------------------------

static void put_member(struct buf *b, const char *key, struct slice value)
{
	buf_printf(b, ",\"%s\":", key);
	buf_put_json_string(b, value);
}

static void answer_json(const struct explain *x, const struct decision *d, struct slice source,
			struct slice target)
{
	struct buf b;

	buf_init_growing(&b, 1u << 16);
	buf_printf(&b, "{\"verdict\":\"%s\",\"reason\":\"%s\",\"status\":%u",
		   verdict_name(d->verdict), decide_reason_name(d->reason),
		   x->path ? decide_status(d) : 0);
	put_member(&b, "policy", d->policy);
	put_member(&b, "rule", d->rule);
	if (d->jwt != JWT_OK)
		put_member(&b, "jwt", slice_str(jwt_refusal_name(d->jwt)));
	put_member(&b, "source.identity", source);
	put_member(&b, "target.identity", target);
	if (d->would_deny) {
		put_member(&b, "audit.policy", d->audit_policy);
		put_member(&b, "audit.rule", d->audit_rule);
	}
	buf_put_str(&b, "}\n");
	fwrite(b.ptr, 1, b.len, stdout);
	buf_deinit(&b);
}

static void answer_text(const struct explain *x, const struct decision *d, struct slice source,
			struct slice target)
{
	printf("verdict  %s", verdict_name(d->verdict));
	if (x->path && decide_status(d))
		printf(" (%u)", decide_status(d));
	printf("\nreason   %s", decide_reason_name(d->reason));
	if (d->jwt != JWT_OK)
		printf(": %s", jwt_refusal_name(d->jwt));
	printf("\npolicy   %.*s\nrule     %.*s\nsource   %.*s\ntarget   %.*s (%.*s/%.*s:%u)\n",
	       SLICE_ARG(d->policy), SLICE_ARG(d->rule), SLICE_ARG(source), SLICE_ARG(target),
	       SLICE_ARG(x->destination->record.namespace), SLICE_ARG(x->destination->record.name),
	       x->port);
	if (d->verdict == VERDICT_NEEDS_L7)
		printf("A rule reads requests here: give --path (and --method, --header, --jwt).\n");
	if (d->would_deny)
		printf("audit    %.*s %.*s would deny\n", SLICE_ARG(d->audit_policy),
		       SLICE_ARG(d->audit_rule));
}

static int answer(const struct explain *x, const struct decision *d)
{
	char from[SPIFFE_ID_MAX], to[SPIFFE_ID_MAX];
	struct principal target = {
		.type = PRINCIPAL_WORKLOAD,
		.trust_domain = snapshot_meta(x->snapshot)->trust_domain,
		.namespace = x->destination->record.namespace,
		.service_account = x->destination->record.service_account,
	};
	struct slice source = principal_format(&x->source, from);

	(x->json ? answer_json : answer_text)(x, d, source, principal_format(&target, to));
	return d->verdict == VERDICT_ALLOW ? 0 : 3;
}

static int explain_run(struct explain *x)
{
	struct diagnostics findings;
	struct compiled *compiled = NULL;
	struct decision d;
	struct reason why = {0};
	void *scratch = malloc(SCRATCH_BYTES);
	int status = 2;

	diagnostics_init(&findings);
	struct model *m = NULL;
	struct snapshot *s = NULL;

	if (load_directory(x->directory, &findings, &m) == ERR_OK &&
	    compile_model(m, &findings, &compiled) == ERR_OK)
		s = link_snapshot(compiled, &why);
	x->snapshot = s;
	if (!s || !scratch)
		fprintf(stderr, "policy-sync: %s cannot be compiled: %s\n", x->directory, why.text);
	else if (!resolve_source(x, m))
		fprintf(stderr, "policy-sync: --from %s is not known here\n", x->from);
	else if (!resolve_destination(x, m))
		fprintf(stderr, "policy-sync: --to %s is not known here\n", x->to);
	else if (!ask(x, &d, scratch))
		fprintf(stderr, "policy-sync: that path or host would be refused with 400\n");
	else
		status = answer(x, &d);
	snapshot_free(s);
	compiled_free(compiled);
	model_free(m);
	diagnostics_deinit(&findings);
	free(scratch);
	return status;
}

static bool add_header(struct explain *x, const char *line)
{
	const char *colon = strchr(line, ':');

	if (!colon || x->header_count == HEADERS_MAX)
		return false;
	x->names[x->header_count] = slice_make(line, (size_t)(colon - line));
	x->values[x->header_count++] = slice_trim_ows(slice_str(colon + 1));
	return true;
}

int verb_explain(int argc, char **argv)
{
	static const struct option options[] = {
		{"from-dir", required_argument, NULL, 'd'}, {"from", required_argument, NULL, 'f'},
		{"to", required_argument, NULL, 't'},	    {"method", required_argument, NULL, 'm'},
		{"path", required_argument, NULL, 'p'},	    {"host", required_argument, NULL, 'h'},
		{"jwt", required_argument, NULL, 'j'},	    {"header", required_argument, NULL, 'H'},
		{"json", no_argument, NULL, 'J'},	    {0},
	};
	struct explain *x = calloc(1, sizeof(*x));
	bool good = x != NULL;
	int id;

	while (good && (id = getopt_long(argc, argv, "", options, NULL)) != -1) {
		const char **texts[] = {&x->directory, &x->from, &x->to,  &x->method,
					&x->path,      &x->host, &x->jwt};
		static const char letters[] = "dftmphj";
		const char *at = strchr(letters, id);

		if (id == 'J')
			x->json = true;
		else if (id == 'H')
			good = add_header(x, optarg);
		else if (at && id != '?')
			*texts[at - letters] = optarg;
		else
			good = false;
	}
	if (good && x->jwt) {
		snprintf(x->authorization, sizeof(x->authorization), "Authorization: Bearer %s", x->jwt);
		good = add_header(x, x->authorization);
	}
	if (!good || !x->directory || !x->from || !x->to) {
		fputs(usage, stderr);
		free(x);
		return 2;
	}
	int status = explain_run(x);

	free(x);
	return status;
}
