// SPDX-License-Identifier: GPL-3.0-or-later
// iptables-{nft,legacy}-{save,restore}; see host.h.
#include "iptables/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "common/file.h"
#include "iptables/process.h"

#define COMPLAINT_BYTES_MAX 4096
#define XTABLES_LOCK_WAIT_S "10" // legacy: kube-proxy holds the lock for seconds on large clusters

static void program_name(enum backend b, enum family f, const char *what, char out[32])
{
	snprintf(out, 32, "%s-%s-%s", f == FAMILY_V6 ? "ip6tables" : "iptables", backend_name(b),
		 what);
}

bool host_has_family(enum family f)
{
	return f == FAMILY_V4 || access("/proc/net/if_inet6", F_OK) == 0;
}

bool host_has_table(enum backend b, enum family f, enum table t)
{
	const char *path =
		f == FAMILY_V6 ? "/proc/net/ip6_tables_names" : "/proc/net/ip_tables_names";
	char program[32], line[32];
	bool found = false;

	program_name(b, f, "restore", program);
	if (!host_has_family(f) || !process_exists(program))
		return false;
	if (b == BACKEND_NFT)
		return true;
	FILE *names = fopen(path, "re");

	while (names && !found && fgets(line, sizeof(line), names)) {
		line[strcspn(line, "\n")] = 0;
		found = strcmp(line, table_name(t)) == 0;
	}
	if (names)
		fclose(names);
	return found;
}

// The first line of what a program complained about.
static enum err complain(enum err err, const char *program, const struct buf *errors,
			 struct reason *why)
{
	struct slice text = buf_slice(errors);

	text.len = slice_find(text, '\n');
	return err_because(err, why, "%s: %.*s", program, SLICE_ARG(text));
}

static enum err run(const char *const argv[], struct slice input, struct buf *out,
		    struct reason *why)
{
	uint8_t bytes[COMPLAINT_BYTES_MAX];
	struct buf errors;
	int status;

	buf_init_fixed(&errors, bytes, sizeof(bytes));
	enum err err = process_run(argv, input, out, &errors, &status);

	if (err != ERR_OK)
		return err_because(err, why, "%s: %s", argv[0],
				   err == ERR_EXPIRED	  ? "no answer in time"
				   : err == ERR_TOO_LARGE ? "too much output"
							  : "cannot be run");
	return status == 0 ? ERR_OK : complain(ERR_UNSUPPORTED, argv[0], &errors, why);
}

enum err host_save(enum backend b, enum family f, enum table t, struct buf *out, struct reason *why)
{
	char program[32];
	const char *argv[] = {program, "-t", table_name(t), NULL};

	program_name(b, f, "save", program);
	return run(argv, (struct slice){0}, out, why);
}

// A chain that is not there is simply absent from the text.
static enum err save_chain(enum family f, enum table t, const char *chain, struct buf *out,
			   struct reason *why)
{
	const char *argv[] = {f == FAMILY_V6 ? "ip6tables-nft" : "iptables-nft",
			      "-t",
			      table_name(t),
			      "-S",
			      chain,
			      NULL};
	enum err err = run(argv, (struct slice){0}, out, why);

	return err == ERR_UNSUPPORTED ? ERR_OK : err;
}

enum err host_save_ours(const struct rules_config *c, enum family f, enum table t, struct buf *out,
			struct reason *why)
{
	struct render_jump jumps[RENDER_JUMPS_MAX];
	uint32_t count = render_jumps(c, t, jumps);
	enum err err = ERR_OK;

	buf_printf(out, "*%s\n", table_name(t));
	for (uint32_t i = 0; err == ERR_OK && i < count; i++)
		err = save_chain(f, t, jumps[i].hook, out, why);
	for (const char *const *chain = render_chains(t); err == ERR_OK && *chain; chain++) {
		char name[64];

		snprintf(name, sizeof(name), RENDER_CHAIN_PREFIX "%s", *chain);
		err = save_chain(f, t, name, out, why);
	}
	return err;
}

enum err host_save_all(enum backend b, enum family f, struct buf *out)
{
	char program[32];
	const char *argv[] = {program, NULL};
	struct reason why;

	program_name(b, f, "save", program);
	enum err err = run(argv, (struct slice){0}, out, &why);

	return err == ERR_UNSUPPORTED ? ERR_OK : err;
}

enum err host_restore(enum backend b, enum family f, struct slice transaction, struct reason *why)
{
	uint8_t bytes[COMPLAINT_BYTES_MAX];
	char program[32];
	const char *argv[] = {program, "--noflush", "-w", XTABLES_LOCK_WAIT_S, NULL};
	struct buf ignored;

	buf_init_fixed(&ignored, bytes, sizeof(bytes));
	program_name(b, f, "restore", program);
	return run(argv, transaction, &ignored, why);
}

static bool text_has_chain(struct slice text, const char *prefix)
{
	return memmem(text.ptr, text.len, prefix, strlen(prefix)) != NULL;
}

struct traces {
	bool kubelet;
	bool kube_proxy;
};

// Both keep a canary in mangle, which is small; nobody wants to read all Services for this.
static enum err look_for_traces(enum backend b, struct traces *out)
{
	struct reason why;
	struct buf text;
	enum err err = ERR_OK;

	*out = (struct traces){0};
	for (int f = 0; err == ERR_OK && f < FAMILY_COUNT; f++) {
		if (!host_has_table(b, (enum family)f, TABLE_MANGLE))
			continue;
		buf_init_growing(&text, HOST_SAVE_BYTES_MAX);
		err = host_save(b, (enum family)f, TABLE_MANGLE, &text, &why);
		struct slice s = buf_slice(&text);

		if (err == ERR_OK && s.len > 0) {
			out->kubelet |= text_has_chain(s, "\n:KUBE-IPTABLES-HINT ") ||
					text_has_chain(s, "\n:KUBE-KUBELET-CANARY ");
			out->kube_proxy |= text_has_chain(s, "\n:KUBE-");
		}
		buf_deinit(&text);
	}
	return err;
}

enum err host_choose_backend(const struct rules_config *c, enum backend in_use, enum backend *out,
			     struct reason *why)
{
	bool nft = process_exists("iptables-nft-restore");
	bool legacy = process_exists("iptables-legacy-restore");
	struct traces in_nft = {0}, in_legacy = {0};
	enum err err = ERR_OK;

	*out = c->backend;
	if (c->backend == BACKEND_NFT || c->backend == BACKEND_LEGACY)
		return (c->backend == BACKEND_NFT ? nft : legacy)
			       ? ERR_OK
			       : err_because(ERR_UNSUPPORTED, why,
					     "iptables-%s-restore is not "
					     "installed here",
					     backend_name(c->backend));
	if (!nft && !legacy)
		return err_because(ERR_UNSUPPORTED, why,
				   "neither iptables-nft-restore nor iptables-legacy-restore is "
				   "installed here");
	if (nft)
		err = look_for_traces(BACKEND_NFT, &in_nft);
	if (err == ERR_OK && legacy)
		err = look_for_traces(BACKEND_LEGACY, &in_legacy);
	if (err != ERR_OK)
		return err_because(err, why, "iptables-save does not answer");
	*out = in_nft.kubelet	      ? BACKEND_NFT
	       : in_legacy.kubelet    ? BACKEND_LEGACY
	       : in_nft.kube_proxy    ? BACKEND_NFT
	       : in_legacy.kube_proxy ? BACKEND_LEGACY
	       : in_use		      ? in_use
	       : nft		      ? BACKEND_NFT
				      : BACKEND_LEGACY;
	if ((*out == BACKEND_NFT && !nft) || (*out == BACKEND_LEGACY && !legacy))
		return err_because(
			ERR_UNSUPPORTED, why,
			"kubelet's chains are in iptables-%s, which is not installed here",
			backend_name(*out));
	return ERR_OK;
}
