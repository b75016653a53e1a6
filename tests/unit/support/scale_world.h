// SPDX-License-Identifier: GPL-3.0-or-later
// A cluster of any size as YAML, the same for the same numbers: ten pods a Service with its EndpointSlice, a
// policy for every third pod by Service, selector or namespace, a tenth of them limits.
#pragma once

#include "common/buf.h"

struct scale {
	uint32_t pods;
	uint32_t pods_per_namespace;
};

static inline void scale_pod(struct buf *b, const struct scale *s, uint32_t i)
{
	buf_printf(b,
		   "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: a%u-%u\n  namespace: ns%u\n"
		   "  uid: u%u\n  labels: {app: a%u, part-of: shop, one: p%u}\n"
		   "spec:\n  nodeName: n%u\n  serviceAccountName: a%u\n  containers:\n"
		   "  - name: main\n    ports: [{name: http, containerPort: 8080}]\n"
		   "status:\n  phase: Running\n  podIPs: [{ip: 10.%u.%u.%u}]\n",
		   i / 10, i % 10, i / s->pods_per_namespace, i, i / 10, i, i % 2, i / 10,
		   64 + (i >> 16), i >> 8 & 255, i & 255);
}

static inline void scale_service(struct buf *b, const struct scale *s, uint32_t i)
{
	uint32_t ns = i * 10 / s->pods_per_namespace;

	buf_printf(b,
		   "---\napiVersion: v1\nkind: Service\nmetadata: {name: a%u, namespace: ns%u}\n"
		   "spec:\n  clusterIP: 10.240.%u.%u\n  selector: {part-of: shop, app: a%u}\n"
		   "  ports: [{name: http, port: 80, targetPort: http}]\n"
		   "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
		   "metadata: {name: a%u-1, namespace: ns%u, labels: {kubernetes.io/service-name: "
		   "a%u}}\naddressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints:\n",
		   i, ns, i >> 8 & 255, i & 255, i, i, ns, i);
	for (uint32_t k = i * 10; k < i * 10 + 10 && k < s->pods; k++)
		buf_printf(b, "- addresses: [10.%u.%u.%u]\n", 64 + (k >> 16), k >> 8 & 255,
			   k & 255);
}

static inline void scale_policy(struct buf *b, const struct scale *s, uint32_t i)
{
	uint32_t pod = i * 3, ns = pod / s->pods_per_namespace;
	// What is said of a whole namespace is part of every policy there: few of those.
	bool wide = i % 10 == 8 && pod % s->pods_per_namespace < 100;
	char target[128];

	snprintf(target, sizeof(target),
		 i % 10 == 7 ? "kind: Pod, selector: {matchLabels: {part-of: shop, one: p%u}}"
		 : wide	     ? "kind: Namespace, name: ns%u"
			     : "kind: Service, name: a%u",
		 i % 10 == 7 ? pod
		 : wide	     ? ns
			     : pod / 10);
	buf_printf(b,
		   "---\napiVersion: policy.portcullis.dev/v1alpha1\nkind: %s\n"
		   "metadata: {name: p%u, namespace: ns%u}\nspec:\n"
		   "  targetRefs: [{group: \"\", %s}]\n",
		   i % 10 == 9 ? "RateLimitPolicy" : "SecurityPolicy", i, ns, target);
	if (i % 10 == 9)
		buf_printf(b,
			   "  scope: Node\n  rules: [{name: r, limit: {requests: %u, unit: "
			   "Minute}}]\n",
			   1 + i % 1000);
	else
		buf_printf(
			b,
			"  authorization:\n    rules:\n    - name: callers\n      action: Allow\n"
			"      principal: {sources: [{type: ServiceAccount, serviceAccount: "
			"{namespace: ns%u, name: a%u}}]}\n"
			"      operation: {paths: [{type: PathPrefix, value: /api/%u}]}\n",
			ns, i, i % 50);
}

static inline void scale_write(struct buf *b, const struct scale *s)
{
	for (uint32_t i = 0; i < 2; i++)
		buf_printf(b,
			   "---\napiVersion: v1\nkind: Node\nmetadata: {name: n%u}\n"
			   "status: {addresses: [{type: InternalIP, address: 192.0.2.%u}]}\n",
			   i, i + 1);
	for (uint32_t i = 0; i < s->pods; i++)
		scale_pod(b, s, i);
	for (uint32_t i = 0; i < s->pods / 10; i++)
		scale_service(b, s, i);
	for (uint32_t i = 0; i < s->pods / 3; i++)
		scale_policy(b, s, i);
}
