// SPDX-License-Identifier: GPL-3.0-or-later
// model/strangers, model/read: what was meant to be ours is never passed over, what is somebody else's is spoken
// of once, and what is no object holds up nobody. What an API server sets is set in files too.
#include <stdio.h>
#include "policy-sync/objects.h"

#include "model/strangers.h"

#define SPEC                                                                                       \
	"metadata: {name: p, namespace: shop}\nspec: {targetRefs: [{group: \"\", kind: Service, "  \
	"name: z}], authorization: {defaultAction: Allow}}\n"

static bool says(struct texts *t, enum severity severity, const char *part)
{
	for (uint32_t i = 0; i < t->findings.count; i++) {
		const struct diagnostic *d = &t->findings.list[i];

		if (d->severity == severity &&
		    memmem(d->message.ptr, d->message.len, part, strlen(part)))
			return true;
	}
	return false;
}

// Its targets refuse: nobody may take such a policy for none.
static void meant_to_be_ours(void **state)
{
	static const char *const rows[] = {
		"apiVersion: policy.portculis.dev/v1alpha1\n",
		"apiVersion: policy.portcullis.io/v1alpha1\n",
		"apiVersion: policies.portcullis.dev/v1alpha1\n",
		"apiVersion: Policy.Portcullis.dev/v1alpha1\n",
		"apiVersion: portcullis.dev/v1\n",
		"apiVersion: portcullis.dev/v1alpha1\n",
		"apiVersion: policy.porcullis.dev/v1alpha1\n",
		"apiVersion: polcy.portcullis.dev/v1alpha1\n",
		"apiVersion: policy.portcullis.dev\n",
		"apiVersion: policy.portcullis.dev/\n",
		"apiVersion: policy.portcullis.dev/v1\n",
		"apiVersion: policy.portcullis.dev/v1beta1\n",
		"apiVersion: policy.portcullis.dev/v1alpha2\n",
		"apiVersion: policy.portcullis.dev/v1alpha1/x\n",
		"apiVersion: v1alpha1\n",
		"apiVersion: v1\n",
		"apiVersion: \"\"\n",
		"apiVersion:\n",
		"",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512];
		struct texts t;

		snprintf(text, sizeof(text), "%skind: SecurityPolicy\n" SPEC, rows[i]);
		texts_open(&t);
		texts_add(&t, text);
		if (t.findings.errors != 1 || t.model->policies.count != 1 ||
		    !says(&t, SEVERITY_ERROR, "policy.portcullis.dev/v1alpha1")) {
			(void)texts_found(&t, 0, 0, "", "");
			fail_msg("row %zu: %s", i, rows[i]);
		}
		const struct security_policy *p = t.model->policies.items[0];

		assert_true(p->broken.len > 0);
		assert_int_equal(p->targets[0].kind, TARGET_SERVICE);
		texts_close(&t);
	}
}

static void kinds_that_there_are_not(void **state)
{
	static const char *const rows[] = {
		OURS "kind: SecurtyPolicy\n" SPEC,
		OURS "kind: securitypolicy\n" SPEC,
		OURS "kind: TrafficPolicy\n" SPEC,
		OURS "kind:\n" SPEC,
		OURS SPEC,
		"apiVersion: policy.portculis.dev/v1alpha1\nkind: SecurtyPolicy\n" SPEC,
		"apiVersion: policy.portculis.dev/v1alpha1\nkind: SecurityPolicyList\nitems: []\n",
		"apiVersion: v1beta1\nkind: List\nitems: []\n",
		"metadata: {name: p}\n",
		"spec: {}\n",
		"kind: Service\nmetadata: {name: p}\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct texts t;

		texts_open(&t);
		texts_add(&t, rows[i]);
		if (t.findings.errors != 1 || !t.model->incomplete) {
			(void)texts_found(&t, 0, 0, "", "");
			fail_msg("row %zu: %s", i, rows[i]);
		}
		texts_close(&t);
	}
}

static void others_are_spoken_of_once(void **state)
{
	static const char *const rows[] = {
		"networking.k8s.io/v1 NetworkPolicy",
		"security.istio.io/v1 AuthorizationPolicy",
		"security.istio.io/v1beta1 PeerAuthentication",
		"security.istio.io/v1 RequestAuthentication",
		"cilium.io/v2 CiliumNetworkPolicy",
		"cilium.io/v2 CiliumClusterwideNetworkPolicy",
		"projectcalico.org/v3 GlobalNetworkPolicy",
		"crd.projectcalico.org/v1 NetworkPolicy",
		"gateway.envoyproxy.io/v1alpha1 SecurityPolicy",
		"gateway.envoyproxy.io/v1alpha1 BackendTrafficPolicy",
		"gateway.envoyproxy.io/v1alpha1 ClientTrafficPolicy",
		"policy.linkerd.io/v1beta3 Server",
		"policy.linkerd.io/v1alpha1 AuthorizationPolicy",
		"policy.linkerd.io/v1beta1 HTTPRoute",
		"policy.networking.k8s.io/v1alpha1 AdminNetworkPolicy",
		"policy.networking.k8s.io/v1alpha1 BaselineAdminNetworkPolicy",
		"policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy",
		"gateway.networking.k8s.io/v1 HTTPRoute",
		"gateway.networking.k8s.io/v1 Gateway",
		"configuration.konghq.com/v1 KongPlugin",
		"traefik.io/v1alpha1 Middleware",
		"kuadrant.io/v1 RateLimitPolicy",
		"crd.nsx.vmware.com/v1alpha1 SecurityPolicy",
		"mesh.example/v1 MeshConfig",
		"anybody.example/v1 SomeNetworkPolicy",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *space = strchr(rows[i], ' ');
		char text[512];
		struct texts t;

		snprintf(text, sizeof(text),
			 "apiVersion: %.*s\nkind: %s\nmetadata: {name: a}\nspec: {}\n---\n"
			 "apiVersion: %.*s\nkind: %s\nmetadata: {name: b}\nspec: {}\n",
			 (int)(space - rows[i]), rows[i], space + 1, (int)(space - rows[i]),
			 rows[i], space + 1);
		texts_open(&t);
		texts_add(&t, text);
		texts_add(&t, text);
		if (t.findings.count != 1 || t.model->incomplete ||
		    !texts_found(&t, 2, 7, "kind", "enforced here"))
			fail_msg("row %zu: %s: %u findings", i, rows[i], t.findings.count);
		texts_close(&t);
	}
}

static void nobody_speaks_of_these(void **state)
{
	static const char *const rows[] = {
		"apps/v1 Deployment",
		"policy/v1 PodDisruptionBudget",
		"rbac.authorization.k8s.io/v1 Role",
		"kustomize.config.k8s.io/v1beta1 Kustomization",
		"autoscaling/v2 HorizontalPodAutoscaler",
		"v1 PersistentVolume",
		"admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *space = strchr(rows[i], ' ');
		char text[512];
		struct texts t;

		snprintf(text, sizeof(text), "apiVersion: %.*s\nkind: %s\nmetadata: {name: a}\n",
			 (int)(space - rows[i]), rows[i], space + 1);
		texts_open(&t);
		texts_add(&t, text);
		assert_int_equal(t.findings.count, 0);
		assert_false(t.model->incomplete);
		texts_close(&t);
	}
}

static void no_objects(void **state)
{
	static const struct {
		const char *file, *text;
		uint32_t notes, objects; // policies that are read all the same
	} rows[] = {
		{"kustomization.yaml", "resources: [a.yaml]\nnamespace: shop\n", 1, 0},
		{"a/Kustomization.yml",
		 "apiVersion: kustomize.config.k8s.io/v1beta1\nnamespace: x\n", 1, 0},
		{"values.yaml", "kind: DaemonSet\nspec: {replicas: 3}\n", 1, 0},
		{"a/values-prod.yaml", "metadata: {labels: {}}\n", 1, 0},
		{"Chart.yaml", "apiVersion: v2\nname: a\nversion: 1.0.0\n", 1, 0},
		{"patch.yaml", "- {op: replace, path: /spec/replicas, value: 3}\n", 1, 0},
		{"dashboards.json", "{\"panels\": [], \"title\": \"x\"}", 1, 0},
		{"values.yaml", OURS "kind: SecurityPolicy\n" SPEC, 0, 1},
		{"t/a.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Release.Name }}\n",
		 1, 0},
		{"t/b.yaml", "{{- if .Values.a }}\napiVersion: v1\nkind: Pod\n{{- end }}\n", 1, 0},
		{"t/c.yaml", "{{- if .Values.a }}\na: b\n{{- end }}\n---\nx: {{ .y }}\n", 1, 0},
		{"t/d.yaml",
		 "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nspec: {{ .x "
		 "}}\n",
		 1, 0},
		{"t/e.yaml", "{{ include \"common.all\" . }}\n", 1, 0},
		{"t/f.yaml", "apiVersion: {{ .Values.v }}\nkind: Deployment\n", 1, 0},
		{"job.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {generateName: job-}\n", 1, 0},
		{"pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}\n", 1, 0},
		{"slice.yaml",
		 "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a, "
		 "labels: "
		 "{kubernetes.io/service-name: a}}\naddressType: FQDN\nendpoints: [{addresses: "
		 "[a.example]}]\n",
		 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct texts t;

		texts_open(&t);
		load_text(t.model, rows[i].file, slice_str(rows[i].text), &t.findings);
		if (t.findings.count != rows[i].notes || t.findings.notes != rows[i].notes ||
		    t.model->policies.count != rows[i].objects || t.model->pods.count > 0) {
			(void)texts_found(&t, 0, 0, "", "");
			fail_msg("row %zu: %s", i, rows[i].file);
		}
		texts_close(&t);
	}
}

#define GOOD OURS "kind: SecurityPolicy\nmetadata: {name: good, namespace: shop}\n" REST
#define REST                                                                                       \
	"spec: {targetRefs: [{group: \"\", kind: Service, name: z}], authorization: "              \
	"{defaultAction: Deny}}\n"
#define HEAD OURS "kind: SecurityPolicy\n" SPEC_HEAD
#define SPEC_HEAD                                                                                  \
	"metadata: {name: p, namespace: shop}\nspec:\n  targetRefs: [{group: \"\", kind: "         \
	"Service, name: z}]\n"

// A template of ours is a policy that is not known; what stands behind it is read.
static void templates_of_ours(void **state)
{
	static const struct {
		const char *text;
		uint32_t errors, policies, broken;
	} rows[] = {
		{HEAD "  authorization: {defaultAction: {{ .Values.x }} }\n", 1, 1, 1},
		{HEAD "  authorization: {defaultAction: {{ .Values.x }} }\n---\n" GOOD, 1, 2, 1},
		{HEAD "  authorization:\n    rules: {{ .Values.rules | toYaml }}\n---\n" GOOD, 1, 2,
		 1},
		{HEAD "  authorization:\n    {{- toYaml .x | nindent 4 }}\n---\n" GOOD, 1, 2, 1},
		{"{{- if .Values.a }}\n" HEAD "  mode: Enforce\n{{- end }}\n---\n" GOOD, 1, 1, 0},
		{"{{- if .Values.a }}\n" HEAD "  mode: Enforce\n{{- end }}\n", 1, 0, 0},
		{"{{- if .Values.a }}\napiVersion: {{ .v }}\nkind: {{ .k }}\n{{- end }}\n", 1, 0,
		 0},
		{"apiVersion: {{ .v }}\nkind: SecurityPolicy\n" SPEC, 1, 0, 0},
		{"kind: {{ .v }}\n" OURS SPEC, 1, 0, 0},
		{"{{ if .x }}\napiVersion: policy.portculis.dev/v1alpha1\nkind: X\n", 1, 0, 0},
		{"{{ if .x }}\n{\"apiVersion\": \"policy.portcullis.dev/v1alpha1\"}\n", 1, 0, 0},
		{"apiVersion: v1\nkind: Pod\nspec: {{ .x }}\n---\n" GOOD, 1, 1, 0},
		{GOOD "---\n{{- if .Values.a }}\na: b\n{{- end }}\n", 1, 1, 0},
		{"a: {{ .x }}\n---\nb: {{ .x }}\n---\n" GOOD, 2, 1, 0},
		{"a: {{ .x }}\n---\r\n" GOOD, 1, 1, 0},
		{"a: [\n--- # c\n" GOOD "---\nb: }\n", 2, 1, 0},
		{"a: *b\n--- \n" GOOD, 1, 1, 0},
		{OURS "kind: SecurityPolicy\nmetadata: {name: \"{{ .n }}\"}\nspec: {}\n---\n" GOOD,
		 1, 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t broken = 0;
		struct texts t;

		texts_open(&t);
		texts_add(&t, rows[i].text);
		for (uint32_t k = 0; k < t.model->policies.count; k++) {
			const struct security_policy *p = t.model->policies.items[k];

			broken += p->broken.len > 0;
		}
		if (t.findings.errors != rows[i].errors || !t.model->incomplete ||
		    t.model->policies.count != rows[i].policies || broken != rows[i].broken) {
			(void)texts_found(&t, 0, 0, "", "");
			fail_msg("row %zu: %u policies, %u broken: %s", i, t.model->policies.count,
				 broken, rows[i].text);
		}
		texts_close(&t);
	}
}

// Each finding in its own line of the file, however many documents were lost before.
static void places_behind_an_error(void **state)
{
	struct texts t;

	(void)state;
	texts_open(&t);
	texts_add(&t, "a: [\n---\n" OURS "kind: Nothing\n---\n\n  b: }\n");
	assert_int_equal(t.findings.errors, 3);
	assert_true(texts_found(&t, 4, 7, "kind", "there is no kind"));
	assert_true(texts_found(&t, 7, 6, "", ""));
	texts_close(&t);
}

#define CLUSTER OURS "kind: ClusterSecurityPolicy\n"
#define MESH	OURS "kind: MeshConfig\nmetadata: {name: default}\n"

// Each is one finding that names its member.
static void one_sentence(void **state)
{
	static const struct {
		enum severity severity;
		const char *text, *part;
	} rows[] = {
		{SEVERITY_ERROR,
		 HEAD "  authorization: {rules: [{name: r, action: Allow, principal: {headers: "
		      "[{name: a, value: \" a \"}]}}]}\n",
		 "can match nothing"},
		{SEVERITY_ERROR,
		 HEAD "  authorization: {rules: [{name: r, action: Allow, principal: {headers: "
		      "[{name: a, values: [b, \"a\\n\"]}]}}]}\n",
		 "can match nothing"},
		{SEVERITY_ERROR,
		 HEAD "  authorization: {rules: [{name: r, action: Allow, principal: "
		      "{clientCIDRs: [10.0.0.0/33]}}]}\n",
		 "longer than the address"},
		{SEVERITY_ERROR,
		 HEAD "  authorization: {rules: [{name: r, action: Allow, principal: "
		      "{clientCIDRs: [10.0.0.1/8]}}]}\n",
		 "bits are set behind"},
		{SEVERITY_ERROR,
		 OURS "kind: SecurityPolicy\nmetadata: {name: p}\nspec: {targetRefs: "
		      "[{group: apps, kind: Service, name: z}], authorization: "
		      "{defaultAction: Deny}}\n",
		 "has to be \"\", is \"apps\""},
		{SEVERITY_WARNING,
		 CLUSTER "metadata: {name: c, namespace: x}\nspec: {overrides: "
			 "{authorization: {defaultAction: Deny}}}\n",
		 "whole cluster"},
		{SEVERITY_WARNING, CLUSTER "metadata: {name: c}\nspec: {namespaceSelector: {}}\n",
		 "does nothing"},
		{SEVERITY_ERROR, MESH "spec: {tunnelPort: 10250}\n", "something else of the node"},
		{SEVERITY_ERROR, MESH "spec: {tunnelPort: 15001}\n", "something else of the node"},
		{SEVERITY_ERROR, MESH "spec: {http: {upgrades: [h2c]}}\n", "may pass unread"},
		{SEVERITY_ERROR, MESH "spec: {http: {upgrades: [HTTP/2.0]}}\n", "may pass unread"},
		{SEVERITY_ERROR, MESH "spec: {http: {upgrades: [TLS/1.0]}}\n", "may pass unread"},
		{SEVERITY_ERROR, MESH "spec: {http: {upgrades: [\"*\"]}}\n", "may pass unread"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct texts t;

		texts_open(&t);
		texts_add(&t, rows[i].text);
		if (t.findings.count != 1 || !says(&t, rows[i].severity, rows[i].part)) {
			(void)texts_found(&t, 0, 0, "", "");
			fail_msg("row %zu: %s", i, rows[i].text);
		}
		texts_close(&t);
	}
}

// What no template begins with stays an error.
static void braces_in_a_file_that_is_broken(void **state)
{
	struct texts t;

	(void)state;
	texts_open(&t);
	texts_add(&t,
		  "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: \"{{ x }}\"}\n"
		  "b: [\n");
	assert_int_equal(t.findings.errors, 1);
	assert_true(t.model->incomplete);
	texts_close(&t);
}

// A guardrail that selects by the name of a namespace guards it, whoever wrote which labels.
static void a_namespace_has_the_label_of_its_name(void **state)
{
	struct slice value;
	struct texts t;

	(void)state;
	texts_open(&t);
	texts_add(&t,
		  "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n"
		  "apiVersion: v1\nkind: Namespace\nmetadata: {name: evil, labels: "
		  "{kubernetes.io/metadata.name: good, a: b}}\n---\n"
		  "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: unwritten, uid: u}\n"
		  "spec: {nodeName: n1}\nstatus: {podIPs: [{ip: 10.0.0.1}]}\n");
	assert_int_equal(t.findings.count, 0);
	static const char *const names[] = {"shop", "evil", "unwritten"};

	for (size_t i = 0; i < 3; i++) {
		const struct namespace_object *n = model_namespace(t.model, slice_str(names[i]));

		assert_non_null(n);
		assert_true(labels_get(&n->labels, "kubernetes.io/metadata.name", &value));
		assert_true(slice_eq_str(value, names[i]));
	}
	assert_true(labels_get(&model_namespace(t.model, SLICE_LIT("evil"))->labels, "a", &value));
	texts_close(&t);
}

// Whoever writes pods alone, without their Namespace, is guarded too.
static void a_guardrail_by_the_name_of_a_namespace(void **state)
{
	struct texts t;

	(void)state;
	texts_open(&t);
	texts_add(&t,
		  "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nstatus: {addresses: [{type: "
		  "InternalIP, address: 192.0.2.11}]}\n---\n"
		  "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop, uid: u}\n"
		  "spec: {nodeName: n1}\nstatus: {podIPs: [{ip: 10.0.0.1}]}\n---\n"
		  "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: other, uid: v}\n"
		  "spec: {nodeName: n1}\nstatus: {podIPs: [{ip: 10.0.0.2}]}\n---\n" OURS
		  "kind: ClusterSecurityPolicy\nmetadata: {name: guard}\nspec: {namespaceSelector: "
		  "{matchLabels: {kubernetes.io/metadata.name: shop}}, overrides: {authorization: "
		  "{defaultAction: Deny}}}\n");
	texts_compile(&t);
	assert_int_equal(t.findings.count, 0);
	assert_non_null(texts_policy(&t, "10.0.0.1", 80));
	assert_null(texts_policy(&t, "10.0.0.2", 80));
	texts_close(&t);
}

static void what_an_api_server_sets(void **state)
{
	struct texts t;

	(void)state;
	texts_open(&t);
	texts_add(&t,
		  "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: \"\"}\nspec: "
		  "{clusterIP: \"\", ports: [{port: 80, targetPort: 0, protocol: \"\"}, {port: 81, "
		  "targetPort: \"\"}]}\n---\n"
		  "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: , uid: u}\n"
		  "spec: {nodeName: \"\", serviceAccountName: \"\"}\n---\n"
		  "apiVersion: v1\nkind: Pod\nmetadata: {name: q, uid: v}\n"
		  "spec: {serviceAccount: old}\n");
	assert_int_equal(t.findings.count, 0);
	const struct service_object *s =
		model_service(t.model, SLICE_LIT("default"), SLICE_LIT("a"));

	assert_non_null(s);
	assert_int_equal(s->addr_count, 0);
	assert_int_equal(s->ports[0].target, 80);
	assert_true(s->ports[0].tcp);
	assert_int_equal(s->ports[1].target, 81);
	const struct pod *p = t.model->pods.items[0], *q = t.model->pods.items[1];

	assert_true(slice_eq_str(p->namespace, "default"));
	assert_true(slice_eq_str(p->service_account, "default"));
	assert_true(slice_eq_str(q->service_account, "old"));
	texts_add(&t,
		  "apiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {ports: [{port: 80, "
		  "protocol: tcp}]}\n");
	assert_int_equal(t.findings.errors, 1);
	texts_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(meant_to_be_ours),
		cmocka_unit_test(kinds_that_there_are_not),
		cmocka_unit_test(others_are_spoken_of_once),
		cmocka_unit_test(nobody_speaks_of_these),
		cmocka_unit_test(no_objects),
		cmocka_unit_test(one_sentence),
		cmocka_unit_test(templates_of_ours),
		cmocka_unit_test(places_behind_an_error),
		cmocka_unit_test(braces_in_a_file_that_is_broken),
		cmocka_unit_test(a_namespace_has_the_label_of_its_name),
		cmocka_unit_test(a_guardrail_by_the_name_of_a_namespace),
		cmocka_unit_test(what_an_api_server_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
