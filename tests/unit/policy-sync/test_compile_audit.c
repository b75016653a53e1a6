// SPDX-License-Identifier: GPL-3.0-or-later
// A policy on trial changes no answer, not by a token of its own either: it says what it would refuse.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "policy-sync/shop.h"

#define KEY                                                                                        \
	"{\\\"kty\\\": \\\"OKP\\\", \\\"crv\\\": \\\"Ed25519\\\", \\\"x\\\": "                     \
	"\\\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\\\"}"
#define JWT(name, rest)                                                                            \
	"jwt: {" rest "providers: [{name: " name ", issuer: i, localJWKS: {inline: "               \
	"\"{\\\"keys\\\": [" KEY "]}\"}}]}"
#define NAMES(action, name)                                                                        \
	"authorization: {defaultAction: Allow, rules: [{name: r, action: " action                  \
	", principal: {jwt: {provider: " name "}}}]}"
#define AUDIT	   "mode: Audit, "
#define SAYS(name) "SecurityPolicy/shop/" name

// A request without a token.
static struct decision ask(const struct texts *t)
{
	static uint8_t scratch[DECIDE_SCRATCH_BYTES];
	struct principal source = texts_principal(t, X);
	struct arena arena;
	struct decide_context context = {.snapshot = t->snapshot, .arena = &arena, .now_unix_s = 1};
	struct decide_subject subject = {texts_pod(t, Z), texts_policy(t, Z, 8080)};
	struct policy_input in = {.source = &source,
				  .client = addr_from_v4(0x0a010101),
				  .port = 8080,
				  .l7 = true,
				  .method = SLICE_LIT("GET"),
				  .path = SLICE_LIT("/")};
	struct decision d;

	arena_init_fixed(&arena, scratch, sizeof(scratch));
	decide_request(&context, &subject, &in, &d);
	return d;
}

static void a_token_on_trial(void **state)
{
	static const struct {
		const char *policies;
		enum verdict verdict;
		const char *audit; // policy, or NULL
	} rows[] = {
		{POLICY("a", SERVICE_Z, AUDIT JWT("idp", "")), VERDICT_ALLOW, SAYS("a")},
		{POLICY("a", SERVICE_Z, AUDIT JWT("idp", "optional: true, ")), VERDICT_ALLOW, NULL},
		// With rules that name it, which was 500.
		{POLICY("a", SERVICE_Z, AUDIT JWT("idp", "") ", " NAMES("Allow", "idp")),
		 VERDICT_ALLOW, SAYS("a")},
		{POLICY("a", SERVICE_Z, AUDIT NAMES("Deny", "nobody")), VERDICT_ALLOW, NULL},
		// Beside what is enforced, by the same name or another, at one level or two.
		{POLICY("e", SERVICE_Z, JWT("idp", ""))
			 POLICY("a", SERVICE_Z, AUDIT JWT("idp", "")),
		 VERDICT_UNAUTHENTICATED, NULL},
		{POLICY("e", SERVICE_Z, JWT("idp", "optional: true, "))
			 POLICY("f", SERVICE_Z, AUDIT JWT("other", "")),
		 VERDICT_ALLOW, SAYS("e")},
		{POLICY("e", SERVICE_Z, JWT("idp", ""))
			 POLICY("n", NAMESPACE, AUDIT JWT("idp", "")),
		 VERDICT_UNAUTHENTICATED, NULL},
		{POLICY("e", SERVICE_Z, ALLOW_REST) POLICY("n", NAMESPACE, AUDIT JWT("idp", "")),
		 VERDICT_ALLOW, SAYS("n")},
		{CLUSTER("c", AUDIT "overrides: {" JWT("idp", "") "}"), VERDICT_ALLOW,
		 "ClusterSecurityPolicy/c"},
		// What is enforced has to have its own: nobody else's will do.
		{POLICY("e", SERVICE_Z, NAMES("Deny", "idp"))
			 POLICY("a", SERVICE_Z, AUDIT JWT("idp", "")),
		 VERDICT_BROKEN, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct texts t;

		build(&t, rows[i].policies);
		struct decision d = ask(&t);
		const char *audit = rows[i].audit ? rows[i].audit : "";

		if (d.verdict != rows[i].verdict || !slice_eq_str(d.audit_policy, audit) ||
		    d.would_deny != (rows[i].audit != NULL))
			fail_msg("row %zu: %s %.*s, by %.*s", i, verdict_name(d.verdict),
				 SLICE_ARG(d.policy), SLICE_ARG(d.audit_policy));
		texts_close(&t);
	}
}

// What only watches never makes a port one of requests: a server that speaks first would not be heard.
static void what_watches_leaves_the_port_opaque(void **state)
{
#define READS "authorization: {rules: [{name: r, action: Deny, operation: {methods: [PUT]}}]}"
#define LIMIT_OF(shadow)                                                                           \
	"---\n" OURS "kind: RateLimitPolicy\nmetadata: {name: l, namespace: shop}\n"               \
	"spec: {targetRefs: [{group: \"\", " SERVICE_Z                                             \
	"}], scope: Node, rules: [{name: r, " shadow "limit: {requests: 1, unit: Minute}}]}\n"
#define SHADOW LIMIT_OF("shadowMode: true, ")
	static const struct {
		const char *policies;
		bool needs, audits;
	} rows[] = {
		{POLICY("a", SERVICE_Z, READS), true, false},
		{POLICY("a", SERVICE_Z, AUDIT READS), false, true},
		{POLICY("a", SERVICE_Z, AUDIT JWT("idp", "")), false, true},
		{POLICY("a", SERVICE_Z, AUDIT DENY_REST), false, false},
		{CLUSTER("c", AUDIT "overrides: {" READS "}"), false, true},
		{CLUSTER("c", AUDIT "defaults: {" READS "}"), false, true},
		{POLICY("a", NAMESPACE, AUDIT READS), false, true},
		{POLICY("a", SERVICE_Z, AUDIT READS) POLICY("e", SERVICE_Z, ONLY_X), false, true},
		{POLICY("a", SERVICE_Z, AUDIT READS) POLICY("e", SERVICE_Z, READS), true, true},
		{LIMIT_OF(""), true, false},
		{SHADOW, false, true},
		{SHADOW POLICY("e", SERVICE_Z, READS), true, true},
		{SHADOW POLICY("e", SERVICE_Z, DENY_REST), false, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct ss_policy *p;
		struct texts t;

		build(&t, rows[i].policies);
		p = policy_source(texts_policy(&t, Z, 8080));
		if (p->needs_l7 != rows[i].needs || p->audits_l7 != rows[i].audits)
			fail_msg("row %zu: needs %d, audits %d", i, p->needs_l7, p->audits_l7);
		texts_close(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_on_trial),
		cmocka_unit_test(what_watches_leaves_the_port_opaque),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
