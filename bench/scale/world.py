#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of any size as a directory of YAML, the same for the same arguments.

world.py DIR [--pods N] [--services N] [--policies N] [--nodes N] [--per-file N]

Pods are written as the API server writes them, with what policy-sync passes over. Services select ten
pods each, every one has its EndpointSlice; a tenth of the policies are limits, a tenth go by pod
selector, a tenth by namespace, the others by Service. Addresses lie in 10.64.0.0/12 and
10.240.0.0/14, nodes are named far-N: nothing of it meets the test worlds.
"""
import argparse
import pathlib

SERVICE_PODS = 10
NAMESPACE_PODS = 100


def pod(i, nodes):
    ns, app = f"ns-{i // NAMESPACE_PODS:04d}", f"app-{i // SERVICE_PODS:05d}"
    ip = f"10.{64 + (i >> 16)}.{(i >> 8) & 255}.{i & 255}"
    return f"""apiVersion: v1
kind: Pod
metadata:
  name: {app}-{i % SERVICE_PODS}
  namespace: {ns}
  uid: 5ca1ab1e-0000-4000-8000-{i:012d}
  resourceVersion: "{100000 + i}"
  creationTimestamp: "2026-01-01T00:00:00Z"
  labels:
    app: {app}
    app.kubernetes.io/part-of: shop
    pod-template-hash: 6d4cf56db6
  ownerReferences:
  - apiVersion: apps/v1
    kind: ReplicaSet
    name: {app}-6d4cf56db6
    uid: 0b5e55ed-0000-4000-8000-{i // SERVICE_PODS:012d}
    controller: true
spec:
  nodeName: far-{i % nodes}
  serviceAccountName: {app}
  restartPolicy: Always
  containers:
  - name: main
    image: registry.example/{app}:1.0
    ports:
    - {{name: http, containerPort: 8080, protocol: TCP}}
    - {{name: metrics, containerPort: 9090, protocol: TCP}}
    resources: {{requests: {{cpu: 100m, memory: 128Mi}}, limits: {{memory: 256Mi}}}}
    volumeMounts:
    - {{name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}}
  volumes:
  - name: token
    projected: {{defaultMode: 420, sources: [{{serviceAccountToken: {{expirationSeconds: 3607, path: token}}}}]}}
status:
  phase: Running
  hostIP: 192.0.2.{1 + i % nodes}
  podIP: {ip}
  podIPs: [{{ip: {ip}}}]
  conditions:
  - {{type: Ready, status: "True", lastTransitionTime: "2026-01-01T00:00:05Z"}}
  - {{type: ContainersReady, status: "True", lastTransitionTime: "2026-01-01T00:00:05Z"}}
"""


def service(i, pods):
    ns, app = f"ns-{i * SERVICE_PODS // NAMESPACE_PODS:04d}", f"app-{i:05d}"
    endpoints = "".join(
        f"""- addresses: [10.{64 + (k >> 16)}.{(k >> 8) & 255}.{k & 255}]
  conditions: {{ready: true, serving: true, terminating: false}}
  nodeName: far-0
  targetRef: {{kind: Pod, namespace: {ns}, name: {app}-{k % SERVICE_PODS}, uid: 5ca1ab1e-0000-4000-8000-{k:012d}}}
"""
        for k in range(i * SERVICE_PODS, min((i + 1) * SERVICE_PODS, pods)))
    return f"""apiVersion: v1
kind: Service
metadata: {{name: {app}, namespace: {ns}}}
spec:
  clusterIP: 10.{240 + (i >> 16)}.{(i >> 8) & 255}.{i & 255}
  selector: {{app.kubernetes.io/part-of: shop, app: {app}}}
  ports:
  - {{name: http, port: 80, targetPort: http}}
  - {{name: metrics, port: 9090, targetPort: metrics}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {app}-abcde, namespace: {ns}, labels: {{kubernetes.io/service-name: {app}}}}}
addressType: IPv4
ports:
- {{name: http, port: 8080, protocol: TCP}}
- {{name: metrics, port: 9090, protocol: TCP}}
endpoints:{"" if endpoints else " []"}
{endpoints}"""


def policy(i, services):
    k = i % services
    ns, app = f"ns-{k * SERVICE_PODS // NAMESPACE_PODS:04d}", f"app-{k:05d}"
    caller = f"app-{(k * 7 + i) % services:05d}"
    head = f"metadata: {{name: p-{i:05d}, namespace: {ns}}}\nspec:\n"
    target = {
        7: f"{{group: \"\", kind: Pod, selector: {{matchLabels: {{app: {app}, pod-template-hash: 6d4cf56db6}}}}}}",
        8: f"{{group: \"\", kind: Namespace, name: {ns}}}",
    }.get(i % 10, f"{{group: \"\", kind: Service, name: {app}}}")
    if i % 10 == 9:
        return f"""apiVersion: policy.portcullis.dev/v1alpha1
kind: RateLimitPolicy
{head}  targetRefs: [{target}]
  scope: Node
  rules:
  - name: each
    clientSelectors: [{{sourceCIDR: {{type: Distinct, value: 0.0.0.0/0}}}}]
    limit: {{requests: {100 + i % 900}, unit: Minute}}
"""
    return f"""apiVersion: policy.portcullis.dev/v1alpha1
kind: SecurityPolicy
{head}  targetRefs: [{target}]
  authorization:
    defaultAction: Deny
    rules:
    - name: callers
      action: Allow
      principal: {{sources: [{{type: ServiceAccount, serviceAccount: {{namespace: {ns}, name: {caller}}}}}]}}
      operation: {{methods: [GET, POST], paths: [{{type: PathPrefix, value: /api/{i % 50}}}]}}
    - name: not-admin
      action: Deny
      operation: {{paths: [{{type: PathPrefix, value: /admin}}]}}
    - name: not-from-there
      action: Deny
      principal: {{clientCIDRs: [198.51.{i % 100}.0/24]}}
"""


def write(directory, kind, documents, per_file):
    for first in range(0, len(documents), per_file):
        path = directory / f"{kind}-{first // per_file:05d}.yaml"
        path.write_text("---\n".join(documents[first:first + per_file]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--services", type=int, help="a tenth of the pods")
    parser.add_argument("--policies", type=int, help="a third of the pods")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--per-file", type=int, default=100)
    given = parser.parse_args()
    services = given.services if given.services is not None else max(1, given.pods // SERVICE_PODS)
    policies = given.policies if given.policies is not None else given.pods // 3
    given.directory.mkdir(parents=True, exist_ok=True)
    nodes = [f"""apiVersion: v1
kind: Node
metadata: {{name: far-{i}}}
status: {{addresses: [{{type: InternalIP, address: 203.0.113.{i + 1}}}]}}
""" for i in range(given.nodes)]
    namespaces = [f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: ns-{i:04d}, labels: {{tier: \"{i % 3}\"}}}}\n"
                  for i in range((given.pods + NAMESPACE_PODS - 1) // NAMESPACE_PODS)]
    write(given.directory, "cluster", nodes + namespaces, len(nodes) + len(namespaces))
    write(given.directory, "pods", [pod(i, given.nodes) for i in range(given.pods)], given.per_file)
    write(given.directory, "services", [service(i, given.pods) for i in range(services)], given.per_file)
    write(given.directory, "policies", [policy(i, services) for i in range(policies)], given.per_file)


if __name__ == "__main__":
    main()
