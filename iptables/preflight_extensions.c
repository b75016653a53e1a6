// SPDX-License-Identifier: GPL-3.0-or-later
// Does this kernel, with this host's iptables, take every match and target that our rules use? Asked
// by trying: in an empty network namespace where we may make one, else in a chain without a jump.
#include "iptables/preflight.h"

#include <errno.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>
#include "iptables/host.h"

struct extension {
	enum table table;
	const char *rule[FAMILY_COUNT];
	const char *module; // what an operator loads or installs
};

static const struct extension extensions[] = {
	{TABLE_RAW,
	 {"-p tcp ! --syn -m socket --transparent", "-p tcp ! --syn -m socket --transparent"},
	 "xt_socket"},
	{TABLE_RAW, {"-j CT --notrack", "-j CT --notrack"}, "xt_CT"},
	{TABLE_RAW,
	 {"-m addrtype --dst-type LOCAL", "-m addrtype --dst-type LOCAL"},
	 "xt_addrtype"},
	{TABLE_RAW,
	 {"-p tcp -m multiport --dports 1:2,3", "-p tcp -m multiport --dports 1:2,3"},
	 "xt_multiport"},
	{TABLE_RAW, {"-j MARK --set-xmark 0x1/0x1", "-j MARK --set-xmark 0x1/0x1"}, "xt_mark"},
	{TABLE_MANGLE,
	 {"-p tcp -j TPROXY --on-ip 127.0.0.1 --on-port 1 --tproxy-mark 0x1/0x1",
	  "-p tcp -j TPROXY --on-ip ::1 --on-port 1 --tproxy-mark 0x1/0x1"},
	 "xt_TPROXY"},
	{TABLE_MANGLE,
	 {"-m conntrack --ctstate ESTABLISHED --ctorigdst 192.0.2.1 --ctorigdstport 1",
	  "-m conntrack --ctstate ESTABLISHED --ctorigdst 2001:db8::1 --ctorigdstport 1"},
	 "xt_conntrack"},
	{TABLE_MANGLE, {"-m connmark --mark 0x1/0x1", "-m connmark --mark 0x1/0x1"}, "xt_connmark"},
	{TABLE_MANGLE,
	 {"-j CONNMARK --set-xmark 0x1/0x1", "-j CONNMARK --set-xmark 0x1/0x1"},
	 "xt_connmark"},
};

#define EXTENSIONS  (sizeof(extensions) / sizeof(extensions[0]))
#define PROBE_CHAIN "PORTCULLIS-PROBE"

static bool is_taken(enum backend b, enum family f, const struct extension *e)
{
	uint8_t bytes[512];
	struct reason why;
	struct buf text;

	buf_init_fixed(&text, bytes, sizeof(bytes));
	buf_printf(&text, "*%s\n:" PROBE_CHAIN " - [0:0]\n-A " PROBE_CHAIN " %s\nCOMMIT\n",
		   table_name(e->table), e->rule[f]);
	return host_restore(b, f, buf_slice(&text), &why) == ERR_OK;
}

static void forget_probe(enum backend b, enum family f, enum table t)
{
	uint8_t bytes[128];
	struct reason why;
	struct buf text;

	buf_init_fixed(&text, bytes, sizeof(bytes));
	buf_printf(&text, "*%s\n-F " PROBE_CHAIN "\n-X " PROBE_CHAIN "\nCOMMIT\n", table_name(t));
	// Absent where no probe was taken.
	enum err err = host_restore(b, f, buf_slice(&text), &why);

	(void)err;
}

// One byte an extension and family into the pipe: 1 taken, 0 refused.
static void probe_all(enum backend b, bool clean_up, int fd)
{
	for (int f = 0; f < FAMILY_COUNT; f++) {
		for (size_t i = 0; i < EXTENSIONS; i++) {
			uint8_t taken = !host_has_family((enum family)f) ||
					is_taken(b, (enum family)f, &extensions[i]);

			if (write(fd, &taken, 1) != 1)
				return;
		}
		if (clean_up) {
			forget_probe(b, (enum family)f, TABLE_RAW);
			forget_probe(b, (enum family)f, TABLE_MANGLE);
		}
	}
}

// A table that a probe made must not stay.
static void probe_in_place(struct preflight *p, int fd)
{
	struct nft_inventory found;
	struct rules *r = p->rules;

	if (r->backend != BACKEND_NFT || r->nft_fd < 0 ||
	    nft_take_inventory(r->nft_fd, &found) != ERR_OK) {
		preflight_add(p, SEVERITY_INFO, "extensions",
			      "matches and targets were not tried: that needs CAP_SYS_ADMIN here.");
		return;
	}
	probe_all(r->backend, true, fd);
	if (nft_restore(r->nft_fd, &found) != ERR_OK)
		preflight_add(p, SEVERITY_WARNING, "extensions",
			      "an empty table may be left from trying matches and targets.");
}

// In a child, because a process does not come back from a network namespace that it had to leave
// without CAP_SYS_ADMIN in the old one. False: no namespace can be made here.
static bool probe_in_namespace(const struct preflight *p, int fd)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return false;
	if (pid == 0) {
		if (unshare(CLONE_NEWNET) < 0)
			_exit(1);
		probe_all(p->rules->backend, false, fd);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void preflight_extensions(struct preflight *p)
{
	int fds[2];

	if (pipe2(fds, 0) < 0)
		return;
	if (!probe_in_namespace(p, fds[1]))
		probe_in_place(p, fds[1]);
	close(fds[1]);
	for (int f = 0; f < FAMILY_COUNT; f++) {
		for (size_t i = 0; i < EXTENSIONS; i++) {
			uint8_t taken;

			if (read(fds[0], &taken, 1) == 1 && !taken)
				preflight_add(p, SEVERITY_ERROR, "extensions",
					      "%s: iptables-%s does not take `%s`: load the kernel "
					      "module %s on the node (modprobe), or install the "
					      "iptables extension of that name.",
					      family_name((enum family)f),
					      backend_name(p->rules->backend),
					      extensions[i].rule[f], extensions[i].module);
		}
	}
	close(fds[0]);
}
