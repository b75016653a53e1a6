// SPDX-License-Identifier: GPL-3.0-or-later
// Capabilities and limits of the process; see privileges.h.
#include "control/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/capabilities.h"
#include "common/log.h"

enum err privileges_prepare(struct reason *why)
{
	struct rlimit none = {0, 0}, files;

	if (setrlimit(RLIMIT_CORE, &none) < 0 || process_close() < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_because(ERR_IO, why, "process limits: %s", strerror(errno));
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files); // fewer connections, if it is refused
	}
	return ERR_OK;
}

// Asked of the kernel itself, on a thread that has CAP_NET_RAW alone: what workers set on their sockets.
static bool net_raw_is_enough(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), mark = 1, on = 1;
	bool enough;

	if (fd < 0)
		return false;
	enough = setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0 &&
		 setsockopt(fd, SOL_IP, IP_TRANSPARENT, &on, sizeof(on)) == 0;
	close(fd);
	return enough;
}

enum err privileges_drop(struct reason *why)
{
	uint64_t raw = CAPABILITY(CAP_NET_RAW), admin = CAPABILITY(CAP_NET_ADMIN);
	enum err err = capabilities_try(raw, net_raw_is_enough, why);

	if (err == ERR_OK)
		return capabilities_keep(raw, why);
	if (err != ERR_UNSUPPORTED)
		return err;
	log_event(LOG_INFO, "net_admin_kept",
		  LOG_S("reason", "this kernel wants it for SO_MARK or IP_TRANSPARENT"));
	return capabilities_keep(raw | admin, why);
}
