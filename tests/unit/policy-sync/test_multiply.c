// SPDX-License-Identifier: GPL-3.0-or-later
// Policies that cover much and targets with policies of their own add up, they do not multiply: twice as many of
// both make a snapshot of about twice the bytes, twice the memory on a node and not four times the CPU,
// whatever the wide ones select by and the narrow ones target.
#include <stdio.h>
#include <time.h>
#include "policy-sync/texts.h"

#define SMALL	 100
#define LARGE	 (2 * SMALL)
#define GROWTH	 2.2
#define TIME_MAX 3.2 // of four, were it quadratic
#define TRIES	 3

struct shape {
	const char *name;
	const char *wide;   // target of the policies that cover all
	const char *narrow; // of one's own; %u: its number
	uint16_t port;	    // of the first pod, where both count
	bool tokens;	    // the wide ones name a provider that every narrow one has
};

static const struct shape shapes[] = {
	{"namespace, Services", "kind: Namespace, name: shop", "kind: Service, name: a%u", 8080,
	 false},
	{"one Service of all, Services", "kind: Service, name: all", "kind: Service, name: a%u",
	 8080, false},
	{"a Service, its ports", "kind: Service, name: ports",
	 "kind: Service, name: ports, sectionName: p%u", 9000, false},
	{"pods by a common label, pods by their own",
	 "kind: Pod, selector: {matchLabels: {all: x}}",
	 "kind: Pod, selector: {matchLabels: {app: a%u}}", 8080, false},
	{"namespace, Services with providers of one name", "kind: Namespace, name: shop",
	 "kind: Service, name: a%u", 8080, true},
	{"cluster, Services", NULL, "kind: Service, name: a%u", 8080, false},
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

struct cost {
	double bytes, memory, compile_s, take_up_s;
};

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void write_objects(struct buf *b, uint32_t n)
{
	buf_printf(b, "---\napiVersion: v1\nkind: Node\nmetadata: {name: n1}\n"
		      "status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}\n"
		      "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n");
	for (uint32_t i = 0; i < n; i++)
		buf_printf(
			b,
			"---\napiVersion: v1\nkind: Pod\nmetadata: {name: a%u, namespace: shop, "
			"uid: u%u, labels: {app: a%u, all: x}}\nspec: {nodeName: n1, containers: "
			"[{name: m, ports: [{containerPort: 8080}]}]}\n"
			"status: {phase: Running, podIPs: [{ip: 10.64.%u.%u}]}\n"
			"---\napiVersion: v1\nkind: Service\nmetadata: {name: a%u, namespace: "
			"shop}\n"
			"spec: {clusterIP: 10.240.%u.%u, selector: {app: a%u}, ports: [{name: "
			"http, "
			"port: 80, targetPort: 8080}]}\n",
			i, i, i, i >> 8, i & 255, i, i >> 8, i & 255, i);
	buf_printf(b,
		   "---\napiVersion: v1\nkind: Service\nmetadata: {name: all, namespace: shop}\n"
		   "spec:\n  clusterIP: 10.241.0.1\n  selector: {all: x}\n  ports:\n"
		   "  - {name: http, port: 80, targetPort: 8080}\n"
		   "---\napiVersion: v1\nkind: Service\nmetadata: {name: ports, namespace: shop}\n"
		   "spec:\n  clusterIP: 10.241.0.2\n  selector: {app: a0}\n  ports:\n");
	for (uint32_t i = 0; i < n; i++)
		buf_printf(b, "  - {name: p%u, port: %u, targetPort: %u}\n", i, 1000 + i, 9000 + i);
}

static void write_policy(struct buf *b, const char *name, uint32_t i, const char *target)
{
	buf_printf(
		b,
		"---\n" OURS "kind: SecurityPolicy\nmetadata: {name: %s%u, namespace: shop}\n"
		"spec:\n  targetRefs: [{group: \"\", %s}]\n  authorization:\n    rules:\n    - "
		"name: callers\n      action: Allow\n      operation: {paths: [{type: PathPrefix, "
		"value: /%s/%u}]}\n      principal:\n        sources: [{type: ServiceAccount, "
		"serviceAccount: {namespace: shop, name: s%u}}]\n",
		name, i, target, name, i, i);
}

static void write_cluster_policy(struct buf *b, uint32_t i)
{
	buf_printf(
		b,
		"---\n" OURS "kind: ClusterSecurityPolicy\nmetadata: {name: wide%u}\nspec:\n  "
		"namespaceSelector: {}\n  overrides:\n    authorization:\n      rules: [{name: no, "
		"action: Deny, operation: {paths: [{type: PathPrefix, value: /wide/%u}]}}]\n",
		i, i);
}

static void write_world(struct buf *b, const struct shape *s, uint32_t n)
{
	char target[128];

	write_objects(b, n);
	for (uint32_t i = 0; i < n; i++) {
		if (s->wide)
			write_policy(b, "wide", i, s->wide);
		else
			write_cluster_policy(b, i);
		if (s->tokens)
			buf_printf(b, "        jwt: {provider: idp}\n");
		snprintf(target, sizeof(target), s->narrow, i);
		write_policy(b, "narrow", i, target);
		if (s->tokens)
			buf_printf(b,
				   "  jwt: {providers: [{name: idp, issuer: 'https://i%u', "
				   "localJWKS: {inline: '{\"keys\":[{\"kty\":\"OKP\",\"crv\":"
				   "\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUR"
				   "o\"}]}'}}]}\n",
				   i);
	}
	assert_int_equal(b->err, ERR_OK);
}

// Nobody's rules are lost by being shared: each pod has those of the wide policies and its own.
static void check_rules(const struct texts *t, const struct shape *s, uint32_t n)
{
	const struct policy *p = texts_policy(t, "10.64.0.0", s->port);
	uint32_t rules = 0;

	assert_non_null(p);
	assert_int_equal(policy_source(p)->broken.len, 0);
	while (policy_rule(p, rules))
		rules++;
	assert_int_equal(rules, n + 1);
}

static struct cost cost_once(const struct shape *s, uint32_t n)
{
	struct cost cost = {0};
	struct texts t;
	struct buf text;
	double at;

	buf_init_growing(&text, 64u << 20);
	write_world(&text, s, n);
	texts_open(&t);
	load_text(t.model, "many.yaml", buf_slice(&text), &t.findings);
	at = cpu_s();
	assert_int_equal(compile_model(t.model, &t.findings, &t.compiled), ERR_OK);
	cost.compile_s = cpu_s() - at;
	if (t.findings.errors > s->tokens)
		(void)texts_found(&t, 0, 0, "", "");
	// Ports that no Service leads to have nobody to say what the name means: they refuse.
	assert_int_equal(t.findings.errors, s->tokens);
	for (uint32_t i = 0; i < t.compiled->count; i++)
		cost.bytes += (double)t.compiled->sections[i].bytes.len;
	compiled_free(t.compiled);
	at = cpu_s();
	texts_compile(&t);
	cost.take_up_s = cpu_s() - at - cost.compile_s;
	cost.memory = (double)snapshot_bytes(t.snapshot);
	check_rules(&t, s, n);
	texts_close(&t);
	buf_deinit(&text);
	return cost;
}

static struct cost cost_of(const struct shape *s, uint32_t n)
{
	struct cost best = cost_once(s, n);

	for (int i = 1; i < TRIES; i++) {
		struct cost now = cost_once(s, n);

		best.compile_s = now.compile_s < best.compile_s ? now.compile_s : best.compile_s;
		best.take_up_s = now.take_up_s < best.take_up_s ? now.take_up_s : best.take_up_s;
	}
	return best;
}

static void check_growth(const char *what, double small, double large, double factor, double floor)
{
	if (large > factor * small && large > floor)
		fail_msg("%s grow from %g to %g", what, small, large);
}

static void wide_and_narrow_add_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < SHAPES; i++) {
		struct cost small = cost_of(&shapes[i], SMALL), large = cost_of(&shapes[i], LARGE);

		print_message(
			"%s: %.0f and %.0f KB, %.0f and %.0f KB in memory, compiled in %.1f and "
			"%.1f ms, taken up in %.1f and %.1f\n",
			shapes[i].name, small.bytes / 1e3, large.bytes / 1e3, small.memory / 1e3,
			large.memory / 1e3, small.compile_s * 1e3, large.compile_s * 1e3,
			small.take_up_s * 1e3, large.take_up_s * 1e3);
		check_growth("bytes", small.bytes, large.bytes, GROWTH, 0);
		check_growth("bytes in memory", small.memory, large.memory, GROWTH, 0);
		// Below that, clocks and caches speak.
		check_growth("seconds of compiling", small.compile_s, large.compile_s, TIME_MAX,
			     5e-3);
		check_growth("seconds of taking up", small.take_up_s, large.take_up_s, TIME_MAX,
			     10e-3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wide_and_narrow_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
