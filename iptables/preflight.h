// SPDX-License-Identifier: GPL-3.0-or-later
// Looks at the host before anything is changed and says, one sentence a finding, what is wrong and
// what to do about it. An error means: capture would not work, or would not hold; a warning: it may
// not, and a person should look; info: worth knowing.
#pragma once

#include "iptables/host_links.h"
#include "iptables/rules.h"

#define FINDINGS_MAX	  64
#define FINDING_BYTES_MAX 400

enum severity { SEVERITY_ERROR = 0, SEVERITY_WARNING, SEVERITY_INFO };

struct finding {
	enum severity severity;
	const char *id; // short and stable: "br_netfilter"
	char text[FINDING_BYTES_MAX];
};

struct preflight {
	const struct rules_config *config;
	struct rules *rules; // opened; what it found out about backend and sockets
	struct links links;
	struct finding findings[FINDINGS_MAX];
	uint32_t count;
	uint32_t errors;
};

const char *severity_name(enum severity s);

void preflight_add(struct preflight *p, enum severity severity, const char *id, const char *format,
		   ...) __attribute__((format(printf, 4, 5)));
// A number out of /proc/sys, or fallback where it cannot be read.
int64_t preflight_sysctl(const char *path, int64_t fallback);

// All checks. ERR_IO: the host could not be read.
enum err must_check preflight_run(const struct rules_config *c, struct rules *r,
				  struct preflight *out);

// The groups, in files of their own.
void preflight_host(struct preflight *p); // preflight_host.c: kernel, io_uring, interfaces, routes
void preflight_neighbours(
	struct preflight *p); // preflight_neighbours.c: kube-proxy, meshes, firewalls
void preflight_extensions(
	struct preflight *p); // preflight_extensions.c: matches and targets, tried
