// SPDX-License-Identifier: GPL-3.0-or-later
// capget and capset by number: libcap would be a library for two calls; see capabilities.h.
#include "common/capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static enum err get(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capget, &header, data) == 0 ? ERR_OK : ERR_IO;
}

static uint64_t whole(uint32_t high, uint32_t low)
{
	return (uint64_t)high << 32 | low;
}

// What an exec could gain. Past the last one that this kernel knows: EINVAL.
static enum err drop_bounding(uint64_t keep)
{
	for (int cap = 0; cap < 64; cap++) {
		if (keep & CAPABILITY(cap))
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return errno == EINVAL ? ERR_OK : ERR_IO;
	}
	return ERR_OK;
}

enum err capabilities_keep(uint64_t keep, struct reason *why)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (get(data) != ERR_OK)
		return err_because(ERR_IO, why, "capget: %s", strerror(errno));
	if ((data[0].effective & CAPABILITY(CAP_SETPCAP)) && drop_bounding(keep) != ERR_OK)
		return err_because(ERR_IO, why, "bounding set: %s", strerror(errno));
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(keep >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return err_because(ERR_IO, why, "capset: %s", strerror(errno));
	return ERR_OK;
}

enum err capabilities_try(uint64_t these, bool (*enough)(void), struct reason *why)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct before[2], data[2];
	bool said;

	if (get(before) != ERR_OK)
		return err_because(ERR_IO, why, "capget: %s", strerror(errno));
	memcpy(data, before, sizeof(data));
	for (int i = 0; i < 2; i++)
		data[i].effective &= (uint32_t)(these >> (32 * i));
	if (syscall(SYS_capset, &header, data) < 0)
		return err_because(ERR_IO, why, "capset: %s", strerror(errno));
	said = enough();
	if (syscall(SYS_capset, &header, before) < 0)
		return err_because(ERR_IO, why, "capset: %s", strerror(errno));
	return said ? ERR_OK : ERR_UNSUPPORTED;
}

uint64_t capabilities_effective(void)
{
	struct __user_cap_data_struct data[2];

	return get(data) == ERR_OK ? whole(data[1].effective, data[0].effective) : 0;
}

int process_close(void)
{
#if defined(__SANITIZE_ADDRESS__)
	return 0;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
	return 0;
#endif
#endif
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
