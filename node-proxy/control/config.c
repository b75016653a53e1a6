// SPDX-License-Identifier: GPL-3.0-or-later
// Flags of `node-proxy run`; see config.h.
#include "control/config.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

const char config_usage[] =
	"usage: node-proxy run --node NAME --run-dir DIR --sync HOST:PORT --token-file FILE\n"
	"                      --trust-file PEM [options]\n"
	"  --sync HOST:PORT[,HOST:PORT]  where policy-sync listens\n"
	"  --token-file FILE        what this node proves itself with\n"
	"  --trust-file PEM         roots that policy-sync's certificate is checked against\n"
	"  --uplink IFACE           an interface that leads to other nodes (repeatable)\n"
	"  --capture-port N         TPROXY's target on loopback (15001)\n"
	"  --tunnel-addr IP         where the tunnel listens (all addresses)\n"
	"  --tunnel-port N          (14443)\n"
	"  --admin-port N           on loopback: healthz, readyz, metrics, debug (15020)\n"
	"  --workers N              threads of the data path (1)\n"
	"  --access-log FILE|-|off  one JSON line an exchange (-: standard output)\n"
	"  --drain-s N              seconds that open connections are given at the end (30)\n"
	"  --mark N                 SO_MARK of the proxy's own connections (0: none)\n"
	"  --log-level LEVEL        error, warn, info, debug (info)\n"
	"  --takeover               take the listeners over from the process in --run-dir\n";

enum option_id {
	OPTION_NODE = 256,
	OPTION_RUN_DIR,
	OPTION_SYNC,
	OPTION_TOKEN_FILE,
	OPTION_TRUST_FILE,
	OPTION_UPLINK,
	OPTION_CAPTURE_PORT,
	OPTION_TUNNEL_ADDR,
	OPTION_TUNNEL_PORT,
	OPTION_ADMIN_PORT,
	OPTION_WORKERS,
	OPTION_ACCESS_LOG,
	OPTION_DRAIN_S,
	OPTION_MARK,
	OPTION_LOG_LEVEL,
	OPTION_TAKEOVER,
};

static const struct option options[] = {
	{"node", required_argument, NULL, OPTION_NODE},
	{"run-dir", required_argument, NULL, OPTION_RUN_DIR},
	{"sync", required_argument, NULL, OPTION_SYNC},
	{"token-file", required_argument, NULL, OPTION_TOKEN_FILE},
	{"trust-file", required_argument, NULL, OPTION_TRUST_FILE},
	{"uplink", required_argument, NULL, OPTION_UPLINK},
	{"capture-port", required_argument, NULL, OPTION_CAPTURE_PORT},
	{"tunnel-addr", required_argument, NULL, OPTION_TUNNEL_ADDR},
	{"tunnel-port", required_argument, NULL, OPTION_TUNNEL_PORT},
	{"admin-port", required_argument, NULL, OPTION_ADMIN_PORT},
	{"workers", required_argument, NULL, OPTION_WORKERS},
	{"access-log", required_argument, NULL, OPTION_ACCESS_LOG},
	{"drain-s", required_argument, NULL, OPTION_DRAIN_S},
	{"mark", required_argument, NULL, OPTION_MARK},
	{"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
	{"takeover", no_argument, NULL, OPTION_TAKEOVER},
	{0},
};

static enum err parse_number(const char *name, const char *text, uint64_t max, uint64_t *out,
			     struct reason *why)
{
	char *end;

	errno = 0;
	unsigned long long v = strtoull(text, &end, 0);

	// strtoull would take space and signs, and count a negative number from the other end.
	if (errno || *end || *text < '0' || *text > '9' || v > max)
		return err_because(ERR_CONFIG, why, "--%s: %s is not a number up to %llu", name,
				   text, (unsigned long long)max);
	*out = v;
	return ERR_OK;
}

static enum err parse_text(int id, char *value, struct config *c, struct reason *why)
{
	switch (id) {
	case OPTION_NODE:
		c->node = value;
		return ERR_OK;
	case OPTION_RUN_DIR:
		c->run_dir = value;
		return ERR_OK;
	case OPTION_SYNC:
		c->sync = value;
		return ERR_OK;
	case OPTION_TOKEN_FILE:
		c->token_file = value;
		return ERR_OK;
	case OPTION_TRUST_FILE:
		c->trust_file = value;
		return ERR_OK;
	case OPTION_UPLINK:
		if (c->uplink_count == CONFIG_UPLINKS_MAX)
			return err_because(ERR_CONFIG, why, "--uplink: more than %d",
					   CONFIG_UPLINKS_MAX);
		c->uplinks[c->uplink_count++] = value;
		return ERR_OK;
	case OPTION_ACCESS_LOG:
		c->access_log = value;
		return ERR_OK;
	case OPTION_TUNNEL_ADDR:
		if (addr_parse(slice_str(value), &c->tunnel_addr) != ERR_OK)
			return err_because(ERR_CONFIG, why, "--tunnel-addr: %s is no address",
					   value);
		return ERR_OK;
	case OPTION_LOG_LEVEL:
		if (!log_level_parse(slice_str(value), &c->log_level))
			return err_because(ERR_CONFIG, why, "--log-level: %s is no level", value);
		return ERR_OK;
	case OPTION_TAKEOVER:
		c->takeover = true;
		return ERR_OK;
	default:
		return ERR_NOT_FOUND;
	}
}

static enum err parse_numeric(int id, const char *name, const char *value, struct config *c,
			      struct reason *why)
{
	uint64_t max = id == OPTION_MARK      ? UINT32_MAX
		       : id == OPTION_WORKERS ? CONFIG_WORKERS_MAX
		       : id == OPTION_DRAIN_S ? 86400
					      : UINT16_MAX;
	uint64_t v;
	enum err err = parse_number(name, value, max, &v, why);

	if (err != ERR_OK)
		return err;
	switch (id) {
	case OPTION_CAPTURE_PORT:
		c->capture_port = (uint16_t)v;
		break;
	case OPTION_TUNNEL_PORT:
		c->tunnel_port = (uint16_t)v;
		break;
	case OPTION_ADMIN_PORT:
		c->admin_port = (uint16_t)v;
		break;
	case OPTION_WORKERS:
		c->workers = (uint32_t)v;
		break;
	case OPTION_DRAIN_S:
		c->drain_s = (uint32_t)v;
		break;
	default:
		c->mark = (uint32_t)v;
		break;
	}
	return ERR_OK;
}

static enum err config_check(const struct config *c, struct reason *why)
{
	if (!c->node || !c->run_dir || !c->sync || !c->token_file || !c->trust_file)
		return err_because(ERR_CONFIG, why,
				   "--node, --run-dir, --sync, --token-file and "
				   "--trust-file are needed");
	if (strlen(c->node) > 253)
		return err_because(ERR_CONFIG, why, "--node: longer than a node's name can be");
	if (c->workers == 0 || c->capture_port == 0 || c->tunnel_port == 0 || c->admin_port == 0)
		return err_because(ERR_CONFIG, why, "ports and --workers start at 1");
	return ERR_OK;
}

enum err config_parse(int argc, char **argv, struct config *out, struct reason *why)
{
	int id, index = 0;

	*out = (struct config){
		.capture_port = 15001,
		.tunnel_port = 14443,
		.admin_port = 15020,
		.workers = 1,
		.drain_s = 30,
		.access_log = "-",
		.log_level = LOG_INFO,
	};
	opterr = 0;
	while ((id = getopt_long(argc, argv, "", options, &index)) != -1) {
		if (id == '?')
			return err_because(ERR_CONFIG, why, "unknown or incomplete flag %s",
					   argv[optind - 1]);
		enum err err = parse_text(id, optarg, out, why);

		if (err == ERR_NOT_FOUND)
			err = parse_numeric(id, options[index].name, optarg, out, why);
		if (err != ERR_OK)
			return err;
	}
	if (optind < argc)
		return err_because(ERR_CONFIG, why, "unexpected argument %s", argv[optind]);
	return config_check(out, why);
}
