#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A big cluster's objects as YAML, beside those that the rig uses: what they cost is measured.

  crowd.py PODS SERVICES POLICIES

Pods on both nodes, Services each in front of one of them, SecurityPolicies over the Services in turn; every
hundredth policy targets the very server that is measured, and denies what the load does not ask for.
"""
import sys

ON_SERVER_EVERY = 100

POD = """apiVersion: v1
kind: Pod
metadata: {{name: crowd-{i}, namespace: crowd, uid: uid-crowd-{i}, labels: {{app: crowd-{i}}}}}
spec: {{nodeName: n{node}, serviceAccountName: crowd-{account}, containers: [{{name: main, ports: [{{name: http, containerPort: 8080}}]}}]}}
status: {{phase: Running, hostIP: 192.168.78.1{node}, podIP: {ip}, podIPs: [{{ip: {ip}}}]}}
---
"""
SERVICE = """apiVersion: v1
kind: Service
metadata: {{name: crowd-{i}, namespace: crowd}}
spec: {{clusterIP: {ip}, clusterIPs: [{ip}], selector: {{app: crowd-{pod}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: crowd-{i}, namespace: crowd, labels: {{kubernetes.io/service-name: crowd-{i}}}}}
addressType: IPv4
ports: [{{name: http, port: 8080}}]
endpoints: [{{addresses: [{pod_ip}], nodeName: n{node}, targetRef: {{kind: Pod, name: crowd-{pod}, namespace: crowd, uid: uid-crowd-{pod}}}}}]
---
"""
POLICY = """apiVersion: policy.portcullis.dev/v1alpha1
kind: SecurityPolicy
metadata: {{name: crowd-{i}, namespace: crowd}}
spec:
  targetRefs: [{{group: "", kind: Service, name: crowd-{service}}}]
  authorization:
    defaultAction: Deny
    rules:
      - name: callers
        action: Allow
        principal: {{sources: [{{type: ServiceAccount, serviceAccount: {{namespace: crowd, name: crowd-{account}}}}}]}}
        operation: {{methods: [GET, POST], paths: [{{type: PathPrefix, value: /api/{i}}}]}}
---
"""
ON_SERVER = """apiVersion: policy.portcullis.dev/v1alpha1
kind: SecurityPolicy
metadata: {{name: crowd-{i}, namespace: shop}}
spec:
  targetRefs: [{{group: "", kind: Service, name: server}}]
  authorization:
    rules:
      - {{name: not-this, action: Deny, operation: {{paths: [{{type: PathPrefix, value: /api/crowd-{i}}}]}}}}
---
"""


def pod_ip(i):
    return f"10.246.{i // 250}.{i % 250 + 1}"


def write(pods, services, policies, out):
    out.write("apiVersion: v1\nkind: Namespace\nmetadata: {name: crowd}\n---\n")
    for i in range(pods):
        out.write(POD.format(i=i, node=i % 2 + 1, account=i % 100, ip=pod_ip(i)))
    for i in range(services):
        pod = i % pods
        out.write(SERVICE.format(i=i, ip=f"10.97.{i // 250 + 1}.{i % 250 + 1}", pod=pod, pod_ip=pod_ip(pod),
                                 node=pod % 2 + 1))
    for i in range(policies):
        if i % ON_SERVER_EVERY == 0 or not services:
            out.write(ON_SERVER.format(i=i))
        else:
            out.write(POLICY.format(i=i, service=i % services, account=i % 100))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    write(*(int(word) for word in sys.argv[1:]), sys.stdout)
