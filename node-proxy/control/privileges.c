// SPDX-License-Identifier: GPL-3.0-or-later
// Capabilities and limits of the process; see privileges.h.
#include "control/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum err privileges_prepare(struct reason *why)
{
	struct rlimit none = {0, 0}, files;

	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_because(ERR_IO, why, "process limits: %s", strerror(errno));
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files); // fewer connections, if it is refused
	}
	return ERR_OK;
}

enum err privileges_drop(bool keep_net_admin, struct reason *why)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	uint32_t keep = 1u << CAP_NET_RAW | (keep_net_admin ? 1u << CAP_NET_ADMIN : 0);

	if (geteuid() != 0)
		return ERR_OK; // started with just what it needs
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++) {
		if (cap < 32 && (keep & (1u << cap)))
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
			return err_because(ERR_IO, why, "capability %d: %s", cap, strerror(errno));
	}
	data[0].effective = data[0].permitted = keep;
	if (syscall(SYS_capset, &header, data) < 0)
		return err_because(ERR_IO, why, "capset: %s", strerror(errno));
	return ERR_OK;
}
