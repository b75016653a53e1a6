// SPDX-License-Identifier: GPL-3.0-or-later
// explain: what would happen to a connection or request, by the very code that decides on the nodes
// (decide/), over a snapshot compiled from the same files; who calls and where that leads is in
// explain_walk. Limits are not taken: they depend on what came before.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "compile/compile.h"
#include "core/match.h"
#include "decide/decide.h"
#include "decide/decide_fields.h"
#include "io/crypto.h"
#include "model/load.h"
#include "verbs/explain_readings.h"
#include "verbs/explain_walk.h"
#include "verbs/verbs.h"

#define HEADERS_MAX    32
#define WALK_BYTES_MAX (64u << 20)
#define OUTCOMES_MAX   16 // that differ; more are not told apart

struct explain {
	const char *directory, *from, *to, *method, *path, *host, *jwt;
	bool json;
	struct slice names[HEADERS_MAX], values[HEADERS_MAX];
	uint32_t header_count;
	char authorization[16400];
	struct walk walk;
};

// What comes of one way, and of how many.
struct outcome {
	const struct walk_way *way;
	struct decision decision;
	uint32_t endpoints;
	bool requested; // a request was read, and may be answered
	bool repeated;	// it has a field twice that a rule reads
	bool watched;	// what only watches would read a request that was not given
};

static const char usage[] =
	"usage: policy-sync explain --from-dir DIR --from NS/POD|IP|outside:IP\n"
	"         --to SERVICE.NS:PORT|NS/POD:PORT|IP:PORT\n"
	"         [--method GET --path /x] [--host H] [--jwt TOKEN] [--header 'Name: value'] "
	"[--json]\n";

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
	if (err == ERR_OK &&
	    snapshot_new((struct generation){1, 1}, sections, n, SLICE_LIT(""), &s, why) != ERR_OK)
		s = NULL;
	while (n > 0)
		snapshot_section_unref(sections[--n]);
	return s;
}

// ---- asking ------------------------------------------------------------------------------------

// What a rule reads and the request has twice is answered with 400: see path/request.
struct explain_fields {
	const struct explain *x;
	bool *repeated;
	const struct policy *policy; // whose enforced words count; NULL: whoever asks
};

static bool explain_header(const void *context, struct slice lower_name, struct slice *value)
{
	const struct explain_fields *f = context;
	uint32_t found = 0;

	for (uint32_t i = 0; i < f->x->header_count; i++) {
		if (slice_eq_nocase(f->x->names[i], lower_name) && found++ == 0)
			*value = f->x->values[i];
	}
	if (found > 1)
		*f->repeated |= !f->policy || decide_reads_field(f->x->walk.snapshot, f->policy,
								 http1_name(lower_name));
	return found > 0;
}

static bool explain_field(const void *context, uint32_t i, struct slice *name, struct slice *value)
{
	const struct explain *x = ((const struct explain_fields *)context)->x;

	if (i >= x->header_count)
		return false;
	*name = x->names[i];
	*value = x->values[i];
	return true;
}

// The path of a target in origin-form, or of none: "*".
static bool fill_path(const struct explain *x, struct policy_input *in)
{
	struct slice target = slice_str(x->path), query;

	if (slice_eq_str(target, "*") && slice_eq_str(in->method, "OPTIONS"))
		return true;
	in->path = slice_make(target.ptr, slice_find(target, '?'));
	query = slice_make(target.ptr + in->path.len, target.len - in->path.len);
	return path_form(in->path) != PATH_MALFORMED && query_is_plain(query);
}

static bool fill_request(struct explain *x, struct policy_input *in, struct arena *a)
{
	size_t room = (x->host ? strlen(x->host) : 0) + ADDR_TEXT_MAX + 2;
	uint8_t *host = arena_alloc(a, 1, room);

	in->l7 = true;
	in->method = slice_str(x->method ? x->method : "GET");
	in->header = explain_header;
	in->field = explain_field;
	return host && fill_path(x, in) &&
	       (!x->host || host_canonicalize(slice_str(x->host), host, room, &in->host) == ERR_OK);
}

// The port is opaque: whatever is asked passes, and somebody may say that he would refuse it.
static void ask_observer(struct explain *x, const struct decide_context *c,
			 const struct decide_subject *s, struct policy_input *in, struct outcome *o)
{
	struct decision would;
	bool readable = fill_request(x, in, c->arena);

	if (readable)
		decide_observed(c, s, in, &would);
	if (!readable || o->repeated)
		decide_unreadable(c, s, in, &would);
	o->repeated = false;
	o->decision.would_deny = would.would_deny;
	o->decision.audit_policy = would.audit_policy;
	o->decision.audit_rule = would.audit_rule;
}

// False: servers differ on the path or host, whatever policy says.
static bool ask(struct explain *x, struct outcome *o, void *scratch)
{
	const struct walk_way *way = o->way;
	const struct snapshot *s = x->walk.snapshot;
	struct explain_fields fields = {x, &o->repeated, NULL};
	struct decision *d = &o->decision;
	struct arena a;
	struct decide_context context = {
		.snapshot = s,
		.arena = &a,
		.now_ns = clock_monotonic_ns(),
		.now_unix_s = (int64_t)(clock_unix_ms() / 1000),
	};
	struct decide_subject subject = {
		.destination = way->destination,
		.policy = snapshot_policy_for(s, way->destination, way->target.port),
	};
	struct policy_input in = {.source = &x->walk.source,
				  .client = x->walk.client,
				  .port = way->target.port,
				  .headers = &fields};

	arena_init_fixed(&a, scratch, DECIDE_SCRATCH_BYTES);
	decide_connection(&context, &subject, &in, d);
	o->watched = d->verdict == VERDICT_ALLOW && decide_observes(subject.policy);
	fields.policy = o->watched ? NULL : subject.policy;
	if (o->watched && x->path) {
		ask_observer(x, &context, &subject, &in, o);
		o->watched = false;
	}
	if (d->verdict != VERDICT_NEEDS_L7)
		return true;
	if (!x->path)
		return true; // says so: a request is needed
	if (!fill_request(x, &in, &a))
		return false;
	o->requested = true;
	decide_request(&context, &subject, &in, d);
	return true;
}

static bool outcome_is(const struct outcome *o, const struct outcome *other)
{
	const struct decision *e = &o->decision, *d = &other->decision;

	if (o->way->end != other->way->end || o->repeated != other->repeated ||
	    o->requested != other->requested)
		return false;
	if (o->way->end != WALK_ENFORCED)
		return strcmp(o->way->reason, other->way->reason) == 0;
	return e->verdict == d->verdict && e->reason == d->reason && e->jwt == d->jwt &&
	       slice_eq(e->policy, d->policy) && slice_eq(e->rule, d->rule) &&
	       e->would_deny == d->would_deny;
}

// Every way, those that end alike as one. False: see ask.
static bool ask_all(struct explain *x, struct outcome list[OUTCOMES_MAX], uint32_t *count,
		    void *scratch)
{
	*count = 0;
	for (uint32_t i = 0; i < x->walk.count; i++) {
		struct outcome o = {.way = &x->walk.ways[i], .endpoints = 1};
		uint32_t k = 0;

		if (o.way->end == WALK_ENFORCED && !ask(x, &o, scratch))
			return false;
		while (k < *count && !outcome_is(&list[k], &o))
			k++;
		if (k < *count)
			list[k].endpoints++;
		else if (k < OUTCOMES_MAX)
			list[(*count)++] = o;
	}
	return true;
}

// ---- answering ---------------------------------------------------------------------------------

static const char *verdict_of(const struct outcome *o)
{
	if (o->repeated)
		return "deny";
	return o->way->end == WALK_ENFORCED ? verdict_name(o->decision.verdict)
	       : o->way->end == WALK_PASSED ? "allow"
					    : "deny";
}

static const char *reason_of(const struct outcome *o)
{
	if (o->repeated)
		return "bad_request";
	return o->way->end == WALK_ENFORCED ? decide_reason_name(o->decision.reason)
					    : o->way->reason;
}

static bool is_allowed(const struct outcome *o)
{
	return o->way->end == WALK_PASSED || (o->way->end == WALK_ENFORCED &&
					      o->decision.verdict == VERDICT_ALLOW && !o->repeated);
}

// What is refused before a request is read is reset: nobody reads one there.
static bool is_reset(const struct outcome *o)
{
	return !is_allowed(o) && !o->requested &&
	       !(o->way->end == WALK_ENFORCED && o->decision.verdict == VERDICT_NEEDS_L7);
}

static uint16_t status_of(const struct explain *x, const struct outcome *o)
{
	if (o->repeated)
		return 400;
	return x->path && o->way->end == WALK_ENFORCED && !is_reset(o) ? decide_status(&o->decision)
								       : 0;
}

static struct slice target_identity(const struct explain *x, const struct outcome *o,
				    char text[SPIFFE_ID_MAX])
{
	struct principal target = {
		.type = PRINCIPAL_WORKLOAD,
		.trust_domain = snapshot_meta(x->walk.snapshot)->trust_domain,
	};

	if (!o->way->destination)
		return (struct slice){0};
	target.namespace = o->way->destination->record.namespace;
	target.service_account = o->way->destination->record.service_account;
	return principal_format(&target, text);
}

static void put_member(struct buf *b, const char *key, struct slice value)
{
	buf_printf(b, ",\"%s\":", key);
	buf_put_json_string(b, value);
}

// The path that policy is asked about; empty: none.
static struct slice path_of(const struct explain *x, const struct outcome *o)
{
	struct slice target = slice_str(x->path ? x->path : "");

	if (o->way->end != WALK_ENFORCED)
		target.len = 0;
	return slice_make(target.ptr, slice_find(target, '?'));
}

static void answer_json(const struct explain *x, const struct outcome *o)
{
	const struct decision *d = &o->decision;
	char from[SPIFFE_ID_MAX], to[SPIFFE_ID_MAX], at[ADDR_PORT_TEXT_MAX];
	struct buf b;

	buf_init_growing(&b, 1u << 16);
	buf_printf(&b, "{\"verdict\":\"%s\",\"reason\":\"%s\",\"status\":%u", verdict_of(o),
		   reason_of(o), status_of(x, o));
	put_member(&b, "policy", d->policy);
	put_member(&b, "rule", d->rule);
	if (d->jwt != JWT_OK)
		put_member(&b, "jwt", slice_str(jwt_refusal_name(d->jwt)));
	put_member(&b, "source.identity", principal_format(&x->walk.source, from));
	put_member(&b, "target.identity", target_identity(x, o, to));
	put_member(&b, "source.node", x->walk.node);
	put_member(&b, "target.node", o->way->node);
	if (o->way->target.port)
		put_member(&b, "target.address", slice_str(addr_port_format(o->way->target, at)));
	buf_printf(&b, ",\"endpoints\":%u%s", o->endpoints, is_reset(o) ? ",\"reset\":true" : "");
	if (d->would_deny) {
		put_member(&b, "audit.policy", d->audit_policy);
		put_member(&b, "audit.rule", d->audit_rule);
	}
	explain_readings_json(&b, path_of(x, o), d);
	buf_put_str(&b, "}\n");
	fwrite(b.ptr, 1, b.len, stdout);
	buf_deinit(&b);
}

static void answer_readings(const struct explain *x, const struct outcome *o)
{
	struct buf b;

	buf_init_growing(&b, 1u << 18);
	explain_readings_text(&b, path_of(x, o), &o->decision);
	if (b.len > 0)
		fwrite(b.ptr, 1, b.len, stdout);
	buf_deinit(&b);
}

static void answer_way(const struct explain *x, const struct outcome *o)
{
	struct slice from = x->walk.node.len ? x->walk.node : SLICE_LIT("outside");

	if (o->way->why)
		printf("why      %s\n", o->way->why);
	if (o->repeated)
		printf("why      a field that a rule reads comes twice\n");
	if (o->way->node.len == 0 || o->way->end == WALK_REFUSED)
		return;
	if (slice_eq(from, o->way->node))
		printf("way      on node %.*s\n", SLICE_ARG(from));
	else
		printf("way      %.*s to node %.*s\n", SLICE_ARG(from), SLICE_ARG(o->way->node));
}

static void answer_text(const struct explain *x, const struct outcome *o)
{
	const struct decision *d = &o->decision;
	const struct workload *to = o->way->destination;
	char from[SPIFFE_ID_MAX], identity[SPIFFE_ID_MAX], at[ADDR_PORT_TEXT_MAX];
	struct slice source = principal_format(&x->walk.source, from);
	struct slice target = target_identity(x, o, identity);

	printf("verdict  %s", verdict_of(o));
	if (status_of(x, o))
		printf(" (%u)", status_of(x, o));
	else if (is_reset(o))
		printf(" (reset)");
	printf("\nreason   %s", reason_of(o));
	if (d->jwt != JWT_OK)
		printf(": %s", jwt_refusal_name(d->jwt));
	printf("\npolicy   %.*s\nrule     %.*s\nsource   %.*s\ntarget   ", SLICE_ARG(d->policy),
	       SLICE_ARG(d->rule), SLICE_ARG(source));
	if (to)
		printf("%.*s (%.*s/%.*s:%u)\n", SLICE_ARG(target), SLICE_ARG(to->record.namespace),
		       SLICE_ARG(to->record.name), o->way->target.port);
	else
		printf("%s\n", o->way->target.port ? addr_port_format(o->way->target, at) : "");
	answer_readings(x, o);
	answer_way(x, o);
	if (o->endpoints > 1)
		printf("also     %u more endpoints with the same answer\n", o->endpoints - 1);
	if (o->way->end == WALK_ENFORCED && d->verdict == VERDICT_NEEDS_L7)
		printf("A rule reads requests here: give --path (and --method, --header, "
		       "--jwt).\n");
	if (o->watched)
		printf("What only watches reads requests here: give --path to know what it "
		       "would deny.\n");
	if (d->would_deny)
		printf("audit    %.*s %.*s would deny\n", SLICE_ARG(d->audit_policy),
		       SLICE_ARG(d->audit_rule));
}

// 3 if any endpoint that may be chosen refuses.
static int answer(const struct explain *x, const struct outcome *list, uint32_t count)
{
	int status = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (i > 0 && !x->json)
			printf("\n");
		(x->json ? answer_json : answer_text)(x, &list[i]);
		if (!is_allowed(&list[i]))
			status = 3;
	}
	return status;
}

static int explain_walk(struct explain *x, void *scratch)
{
	struct outcome outcomes[OUTCOMES_MAX];
	uint32_t count;

	if (!walk_from(&x->walk, x->from)) {
		fprintf(stderr, "policy-sync: --from %s: %s\n", x->from, x->walk.problem);
		return 2;
	}
	if (!walk_to(&x->walk, x->to)) {
		fprintf(stderr, "policy-sync: --to %s: %s\n", x->to, x->walk.problem);
		return 2;
	}
	if (!ask_all(x, outcomes, &count, scratch)) {
		fprintf(stderr, "policy-sync: that path or host would be refused with 400\n");
		return 2;
	}
	return answer(x, outcomes, count);
}

static int explain_run(struct explain *x)
{
	struct diagnostics findings;
	struct compiled *compiled = NULL;
	struct reason why = {0};
	void *scratch = malloc(DECIDE_SCRATCH_BYTES);
	struct model *m = NULL;
	struct snapshot *s = NULL;
	struct arena arena;
	int status = 2;

	diagnostics_init(&findings);
	arena_init(&arena, WALK_BYTES_MAX);
	if (load_directory(x->directory, &findings, &m) == ERR_OK &&
	    compile_model(m, &findings, &compiled) == ERR_OK)
		s = link_snapshot(compiled, &why);
	x->walk = (struct walk){.model = m, .snapshot = s, .arena = &arena};
	if (!s || !scratch)
		fprintf(stderr, "policy-sync: %s cannot be compiled: %s\n", x->directory,
			why.text[0] ? why.text : "see policy-sync check");
	else
		status = explain_walk(x, scratch);
	if (m && m->incomplete)
		fprintf(stderr, "policy-sync: a file cannot be read whole: the answer may lack a "
				"policy; see policy-sync check\n");
	snapshot_free(s);
	compiled_free(compiled);
	model_free(m);
	diagnostics_deinit(&findings);
	arena_deinit(&arena);
	free(scratch);
	return status;
}

static bool add_field(struct explain *x, struct slice name, struct slice value)
{
	if (x->header_count == HEADERS_MAX)
		return false;
	x->names[x->header_count] = name;
	x->values[x->header_count++] = slice_trim_ows(value);
	return true;
}

static bool add_header(struct explain *x, const char *line)
{
	const char *colon = strchr(line, ':');

	return colon &&
	       add_field(x, slice_make(line, (size_t)(colon - line)), slice_str(colon + 1));
}

int verb_explain(int argc, char **argv)
{
	static const struct option options[] = {
		{"from-dir", required_argument, NULL, 'd'},
		{"from", required_argument, NULL, 'f'},
		{"to", required_argument, NULL, 't'},
		{"method", required_argument, NULL, 'm'},
		{"path", required_argument, NULL, 'p'},
		{"host", required_argument, NULL, 'h'},
		{"jwt", required_argument, NULL, 'j'},
		{"header", required_argument, NULL, 'H'},
		{"json", no_argument, NULL, 'J'},
		{0},
	};
	struct explain *x = calloc(1, sizeof(*x));
	bool good = x != NULL;
	int id;

	while (good && (id = getopt_long(argc, argv, "", options, NULL)) != -1) {
		const char **texts[] = {&x->directory, &x->from, &x->to, &x->method,
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
		snprintf(x->authorization, sizeof(x->authorization), "Authorization: Bearer %s",
			 x->jwt);
		good = add_header(x, x->authorization);
	}
	if (good && x->host) // a field as well, which rules may read
		good = add_field(x, SLICE_LIT("Host"), slice_str(x->host));
	if (!good || !x->directory || !x->from || !x->to) {
		fputs(usage, stderr);
		free(x);
		return 2;
	}
	int status = explain_run(x);

	free(x);
	return status;
}
