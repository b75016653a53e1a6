// SPDX-License-Identifier: GPL-3.0-or-later
// Who else works on this node's packets: kube-proxy in its modes, CNIs, other meshes, firewalls,
// owners of mark bits. Known by the traces that they leave in tables, interfaces and files.
#include "iptables/preflight.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include "common/file.h"
#include "iptables/host.h"

#define CNI_FILES_MAX	   32
#define CNI_FILE_BYTES_MAX 65536

struct tables_text {
	struct buf text[FAMILY_COUNT];
};

static bool has_text(const struct tables_text *t, const char *what)
{
	for (int f = 0; f < FAMILY_COUNT; f++) {
		if (t->text[f].len > 0 &&
		    memmem(t->text[f].ptr, t->text[f].len, what, strlen(what)))
			return true;
	}
	return false;
}

static const struct link *link_named(const struct preflight *p, const char *name)
{
	for (uint32_t i = 0; i < p->links.count; i++) {
		if (strcmp(p->links.items[i].name, name) == 0)
			return &p->links.items[i];
	}
	return NULL;
}

static bool has_ipvs_services(void)
{
	bool found = false;
	char line[256];
	FILE *f = fopen("/proc/net/ip_vs", "re");

	while (f && !found && fgets(line, sizeof(line), f))
		found = strncmp(line, "TCP ", 4) == 0;
	if (f)
		fclose(f);
	return found;
}

static bool has_nft_table(const struct preflight *p, const char *name)
{
	static const uint8_t families[] = {NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_INET};
	bool found = false;

	for (size_t i = 0; p->rules->nft_fd >= 0 && !found && i < sizeof(families); i++) {
		if (nft_has_table(p->rules->nft_fd, families[i], name, &found) != ERR_OK)
			return false;
	}
	return found;
}

static void check_kube_proxy(struct preflight *p, const struct tables_text *mine,
			     const struct tables_text *other)
{
	enum backend b = p->rules->backend;

	if (has_ipvs_services() || link_named(p, "kube-ipvs0"))
		preflight_add(
			p, SEVERITY_ERROR, "kube_proxy",
			"kube-proxy runs in IPVS mode, which takes Service traffic away in INPUT "
			"before it can be captured: set mode: nftables or mode: iptables in "
			"kube-proxy's configuration and restart it.");
	else if (has_nft_table(p, "kube-proxy"))
		preflight_add(p, SEVERITY_INFO, "kube_proxy", "kube-proxy runs in nftables mode.");
	else if (has_text(mine, "\n:KUBE-SERVICES "))
		preflight_add(p, SEVERITY_INFO, "kube_proxy",
			      "kube-proxy runs in iptables mode (iptables-%s).", backend_name(b));
	else if (has_text(other, "\n:KUBE-SERVICES "))
		preflight_add(
			p, SEVERITY_ERROR, "kube_proxy",
			"kube-proxy's chains are not in iptables-%s, which kubelet and this "
			"program use: have both use one variant, or their order of evaluation "
			"is left to chance.",
			backend_name(b));
	else
		preflight_add(
			p, SEVERITY_INFO, "kube_proxy",
			"no kube-proxy was found: Services must be translated by something that "
			"leaves packets from pods to iptables.");
}

static void check_cni(struct preflight *p, const struct tables_text *mine)
{
	if (link_named(p, "cilium_host") || link_named(p, "cilium_net"))
		preflight_add(
			p, SEVERITY_WARNING, "cilium",
			"Cilium is here: with BPF host routing or socket load balancing packets "
			"pass iptables by. Set bpf.hostLegacyRouting=true and "
			"socketLB.hostNamespaceOnly=true, and check that connections are "
			"captured.");
	if (link_named(p, "bpfin.cali"))
		preflight_add(
			p, SEVERITY_ERROR, "calico",
			"Calico's eBPF data plane is here, and packets between pods pass iptables "
			"by: set linuxDataplane: Iptables (or Nftables) in its Installation.");
	if (has_text(mine, "\n:cali-INPUT "))
		preflight_add(
			p, SEVERITY_WARNING, "calico",
			"Calico puts its chains before all others: set chainInsertMode: Append "
			"and defaultEndpointToHostAction: Accept in its FelixConfiguration, or "
			"it will drop captured connections in INPUT whenever it comes first.");
}

// One line a mesh: a trace in the tables, or a word in the names and contents of CNI configuration.
static const struct {
	const char *name;
	const char *chain;
	const char *cni;
} meshes[] = {
	{"Istio", "\n:ISTIO_", "istio-cni"},	      {"Istio ambient", "\n:ztunnel", "istio-cni"},
	{"Linkerd", "\n:PROXY_INIT_", "linkerd-cni"}, {"Consul", "\n:CONSUL_PROXY_", "consul-cni"},
	{"Kuma", "\n:KUMA_MESH_", "kuma-cni"},
};

static bool cni_file_mentions(const char *dir, const char *name, const char *what)
{
	char path[2 * RULES_CONFIG_PATH_MAX + 256];
	struct buf text;
	bool found = false;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	buf_init_growing(&text, CNI_FILE_BYTES_MAX);
	if (file_read(path, CNI_FILE_BYTES_MAX, &text) == ERR_OK && text.len > 0)
		found = memmem(text.ptr, text.len, what, strlen(what)) != NULL;
	buf_deinit(&text);
	return found;
}

static bool cni_mentions(const char *dir, const char *what)
{
	bool found = false;
	DIR *d = opendir(dir);

	for (int i = 0; d && !found && i < CNI_FILES_MAX; i++) {
		struct dirent *e = readdir(d);

		if (!e)
			break;
		found = *e->d_name != '.' && cni_file_mentions(dir, e->d_name, what);
	}
	if (d)
		closedir(d);
	return found;
}

static void check_meshes(struct preflight *p, const struct tables_text *mine,
			 const struct tables_text *other)
{
	for (size_t i = 0; i < sizeof(meshes) / sizeof(meshes[0]); i++) {
		if (has_text(mine, meshes[i].chain) || has_text(other, meshes[i].chain))
			preflight_add(p, SEVERITY_ERROR, "mesh",
				      "%s has chains in this node's tables and captures the same "
				      "packets: take one of the two off this node.",
				      meshes[i].name);
		else if (cni_mentions(p->config->cni_dir, meshes[i].cni))
			preflight_add(
				p, SEVERITY_WARNING, "mesh",
				"%s's CNI plugin is configured in %s: pods with its sidecar or "
				"redirection must not be enrolled here as well.",
				meshes[i].cni, p->config->cni_dir);
	}
}

struct chain_check {
	struct preflight *preflight;
};

// An accept of ours in iptables' filter table says nothing to a chain of another table at that hook.
static void check_chain(const struct nft_chain *c, void *context)
{
	struct chain_check *k = context;
	bool ip =
		c->family == NFPROTO_INET || c->family == NFPROTO_IPV4 || c->family == NFPROTO_IPV6;

	if (!ip || c->hook != NF_INET_LOCAL_IN || c->policy != NF_DROP ||
	    strcmp(c->name, "INPUT") == 0)
		return;
	preflight_add(
		k->preflight, SEVERITY_WARNING, "firewall",
		"nftables chain %s %s drops by default what comes to the node: have it accept "
		"`meta mark & 0x%x == 0x%x`, or captured connections will time out.",
		c->table, c->name, k->preflight->config->routing.mark_mask,
		k->preflight->config->routing.mark);
}

static void check_firewalls(struct preflight *p)
{
	struct chain_check k = {p};

	if (has_nft_table(p, "firewalld"))
		preflight_add(
			p, SEVERITY_WARNING, "firewall",
			"firewalld is active and refuses untracked packets to the node, which "
			"captured connections are: put the pods' interfaces into its trusted "
			"zone (firewall-cmd --zone=trusted --add-interface=…).");
	if (p->rules->nft_fd >= 0 && nft_list_chains(p->rules->nft_fd, check_chain, &k) != ERR_OK)
		preflight_add(p, SEVERITY_WARNING, "firewall", "nf_tables cannot be read.");
}

// Masks of marks in other programs' rules: "--mark 0x4000/0x4000", "--set-xmark 0x80/0x80".
static uint32_t masks_in(struct slice text)
{
	static const char *const words[] = {"mark 0x"}; // also set-xmark, tproxy-mark, nfmask
	uint32_t masks = 0;

	while (text.len > 0) {
		size_t len = slice_find(text, '\n');
		struct slice line = slice_make(text.ptr, len);

		text = slice_make(text.ptr + len + (len < text.len),
				  text.len - len - (len < text.len));
		const char *at = memmem(line.ptr, line.len, words[0], strlen(words[0]));

		if (!at ||
		    memmem(line.ptr, line.len, RENDER_CHAIN_PREFIX, strlen(RENDER_CHAIN_PREFIX)))
			continue;
		char copy[64];

		snprintf(copy, sizeof(copy), "%.*s", (int)((const char *)line.ptr + line.len - at),
			 at);
		const char *mask = strchr(copy, '/');

		masks |= (uint32_t)strtoul(mask ? mask + 1 : copy + strlen("mark "), NULL, 16);
	}
	return masks;
}

static void check_marks(struct preflight *p, const struct tables_text *mine)
{
	const struct routing *r = &p->config->routing;

	for (int f = 0; f < FAMILY_COUNT; f++) {
		uint32_t masks = masks_in(buf_slice(&mine->text[f])), rule_masks = 0;

		if (host_links_rule_masks(p->rules->route_fd, (enum family)f, p->config,
					  &rule_masks) == ERR_OK)
			masks |= rule_masks;
		if (masks & r->mark_mask)
			preflight_add(
				p, SEVERITY_WARNING, "marks",
				"%s: other programs' rules use mark bits 0x%x, which mark_mask "
				"0x%x also covers: choose free bits for mark and mark_mask "
				"(and node-proxy's --mark).",
				family_name((enum family)f), masks & r->mark_mask, r->mark_mask);
	}
}

static void load_all(enum backend b, struct tables_text *out)
{
	for (int f = 0; f < FAMILY_COUNT; f++) {
		buf_init_growing(&out->text[f], HOST_SAVE_BYTES_MAX);
		if (host_save_all(b, (enum family)f, &out->text[f]) != ERR_OK)
			buf_reset(&out->text[f]);
	}
}

static void unload_all(struct tables_text *t)
{
	for (int f = 0; f < FAMILY_COUNT; f++)
		buf_deinit(&t->text[f]);
}

void preflight_neighbours(struct preflight *p)
{
	enum backend b = p->rules->backend;
	struct tables_text mine, other;

	load_all(b, &mine);
	load_all(b == BACKEND_NFT ? BACKEND_LEGACY : BACKEND_NFT, &other);
	preflight_add(p, SEVERITY_INFO, "backend", "this host uses iptables-%s.", backend_name(b));
	check_kube_proxy(p, &mine, &other);
	check_cni(p, &mine);
	check_meshes(p, &mine, &other);
	check_firewalls(p);
	check_marks(p, &mine);
	unload_all(&mine);
	unload_all(&other);
}
