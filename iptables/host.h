// SPDX-License-Identifier: GPL-3.0-or-later
// The host's iptables programs: which of the two variants it uses, reading a table, one transaction.
#pragma once

#include "iptables/render.h"

#define HOST_SAVE_BYTES_MAX (64u << 20) // kube-proxy with 10,000 Services writes some 20 MB of nat

// iptables-wrappers' rule: the variant that holds kubelet's chains; else kube-proxy's; else the one
// that our rules are in already (in_use; auto: none); else nft. ERR_UNSUPPORTED: the host has neither.
// Never makes a legacy table where there is none.
enum err must_check host_choose_backend(const struct rules_config *c, enum backend in_use,
					enum backend *out, struct reason *why);

// Is there a kernel that speaks this family at all?
bool host_has_family(enum family f);

// May this variant hold anything in that table? Asking a legacy table makes it, and nothing but a
// reboot unmakes it; so ask this first where nothing of ours is known to be there.
bool host_has_table(enum backend b, enum family f, enum table t);

// iptables-save of one table, appended. ERR_UNSUPPORTED with the program's complaint in why.
enum err must_check host_save(enum backend b, enum family f, enum table t, struct buf *out,
			      struct reason *why);
// Only our chains and the hook chains that c jumps from, in the manner of iptables-save. With
// kube-proxy's 10,000 Services in nat that takes milliseconds where the whole takes seconds; nft only.
enum err must_check host_save_ours(const struct rules_config *c, enum family f, enum table t,
				   struct buf *out, struct reason *why);
// All tables, appended; empty where the variant is not installed or holds nothing.
enum err must_check host_save_all(enum backend b, enum family f, struct buf *out);

// iptables-restore --noflush. ERR_UNSUPPORTED: refused, with its complaint in why.
enum err must_check host_restore(enum backend b, enum family f, struct slice transaction,
				 struct reason *why);
