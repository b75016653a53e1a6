// SPDX-License-Identifier: GPL-3.0-or-later
// What a decision costs: one request to a pod whose policy has 1 to 4,096 rules, without and with a
// token, without and with a limit. Nanoseconds a decision, the best of several rounds, so that a busy
// machine is not measured. Everything but the network: the snapshot is encoded and linked as on a node.
//
//   decide [RULES...]
#include <stdio.h>
#include <stdlib.h>
#include "common/clock.h"
#include "common/snapshot_codec.h"
#include "decide/decide.h"
#include "io/crypto.h"

#define ROUNDS	      10
#define DECISIONS     20000
#define ARENA_BYTES   (64u << 20)
#define SECTION_BYTES (64u << 20)
#define NOW_UNIX_S    1700000000
#define BUCKETS	      65536

// An ES256 token as an identity provider makes them, and its public key; the private one is gone.
static const char token[] =
	"Bearer "
	"eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImJlbmNoLTIwMjYifQ.eyJpc3MiOiJodHRwc"
	"zovL2lzc3Vlci5leGFtcGxlL3JlYWxtcy9iZW5jaCIsInN1YiI6ImYzYTFkMWRlLTFjMWQtNGYwYi05Y"
	"TQ1LTBkNmYzZjNjMmIxMSIsImF1ZCI6WyJzaG9wIiwiYWNjb3VudCJdLCJleHAiOjIwMDAwMDAwMDAsI"
	"mlhdCI6MTYwMDAwMDAwMCwibmJmIjoxNjAwMDAwMDAwLCJhenAiOiJzdG9yZWZyb250Iiwic2NvcGUiO"
	"iJvcGVuaWQgcHJvZmlsZSByZWFkIHdyaXRlIiwiZ3JvdXBzIjpbImRldiIsIm9wcyIsIm9uY2FsbCJdL"
	"CJlbWFpbCI6ImFsaWNlQGV4YW1wbGUuY29tIiwiZW1haWxfdmVyaWZpZWQiOnRydWUsInByZWZlcnJlZ"
	"F91c2VybmFtZSI6ImFsaWNlIiwicmVhbG1fYWNjZXNzIjp7InJvbGVzIjpbIm9mZmxpbmVfYWNjZXNzI"
	"iwidXNlciJdfX0.jheWNCepWN3ArKHNhLTofCRXt-pUUJk9TxgCE1-R237D4Tb7c1KjJckRJIuOb-Oym"
	"YADVptvidpZI3yhBSJQhg";
static const char key_x[] = "\x7f\x7a\x5f\xaf\x2b\x20\x2b\x95\x5f\x8e\x6e\x7a\x5b\xe3\xf4\xd0\xfc"
			    "\x95\x7d\x0f\x49\xff\xcb\x4d\x6f\x8a\x43\xa5\x7c\x13\xad\x81";
static const char key_y[] = "\xa2\xed\xe3\xa7\x73\x1b\xbf\x64\x62\x1f\x0f\x03\x75\xc4\x12\x0e\xdf"
			    "\x2a\x06\x54\x53\x84\x54\x71\x37\x16\xf8\x9e\xc1\xee\x84\x60";

struct setup {
	uint32_t rules;
	bool limit;
	bool jwt;
};

struct bench {
	struct arena arena;
	struct snapshot *snapshot;
	struct ratelimit_table *limits;
	struct token_cache *tokens;
	struct slice path, account;
};

static struct slice text_of(struct arena *a, const char *format, uint32_t i)
{
	char text[64];

	snprintf(text, sizeof(text), format, i);
	return arena_copy(a, slice_str(text));
}

static void *make(struct arena *a, size_t count, size_t size)
{
	void *p = arena_alloc(a, count, size);

	if (!p)
		abort();
	return p;
}

// Rule i: account svc-i may GET /api/i; nobody may /admin.
static void make_rule(struct arena *a, uint32_t i, struct ss_rule *r)
{
	struct ss_source *source = make(a, 1, sizeof(*source));
	struct ss_path_match *path = make(a, 1, sizeof(*path));
	struct slice *method = make(a, 1, sizeof(*method));

	*r = (struct ss_rule){.policy = SLICE_LIT("SecurityPolicy/shop/p"),
			      .name = text_of(a, "rule-%u", i),
			      .groups = 1,
			      .paths = path,
			      .path_count = 1};
	if (i == 0) {
		*path = (struct ss_path_match){PATH_PREFIX, SLICE_LIT("/admin")};
		return;
	}
	*source = (struct ss_source){SOURCE_SERVICE_ACCOUNT, SLICE_LIT("clients"),
				     text_of(a, "svc-%u", i)};
	*path = (struct ss_path_match){PATH_PREFIX, text_of(a, "/api/%u", i)};
	*method = SLICE_LIT("GET");
	r->action = RULE_ALLOW;
	r->sources = source;
	r->source_count = 1;
	r->methods = method;
	r->method_count = 1;
}

static struct snapshot_section *make_section(enum section_kind kind, struct slice key,
					     struct buf *value)
{
	struct section_ref ref = {.name = {kind, 0}};
	struct snapshot_section *s;
	struct reason why = {0};
	struct buf b;

	buf_init_growing(&b, SECTION_BYTES);
	if (value->len > 0)
		section_put(&b, key, buf_slice(value));
	crypto_sha256(buf_slice(&b), ref.sha256);
	ref.bytes = (uint32_t)b.len;
	if (snapshot_section_new(ref, buf_slice(&b), &s, &why) != ERR_OK) {
		fprintf(stderr, "%s\n", why.text);
		exit(1);
	}
	buf_deinit(&b);
	buf_reset(value);
	return s;
}

static struct snapshot_section *make_policy(struct bench *b, struct setup setup, struct buf *value)
{
	struct slice limit_id = SLICE_LIT("limit"), provider_id = SLICE_LIT("idp");
	struct ss_group group = {.target = SLICE_LIT("Namespace/shop"),
				 .default_policy = SLICE_LIT("SecurityPolicy/shop/p")};
	struct ss_policy p = {.id = SLICE_LIT("policy"),
			      .needs_l7 = true,
			      .groups = &group,
			      .group_count = 1,
			      .rule_count = setup.rules,
			      .rules = make(&b->arena, setup.rules, sizeof(struct ss_rule)),
			      .provider_ids = &provider_id,
			      .provider_count = setup.jwt,
			      .limit_ids = &limit_id,
			      .limit_count = setup.limit};

	for (uint32_t i = 0; i < setup.rules; i++)
		make_rule(&b->arena, i, &p.rules[i]);
	snapshot_encode_policy(value, &p);
	return make_section(SECTION_POLICIES, p.id, value);
}

static struct snapshot_section *make_provider(struct buf *value)
{
	struct slice audience = SLICE_LIT("shop");
	struct ss_jwk key = {.type = JWK_EC,
			     .kid = SLICE_LIT("bench-2026"),
			     .crv = SLICE_LIT("P-256"),
			     .x = slice_make(key_x, 32),
			     .y = slice_make(key_y, 32)};
	struct ss_provider p = {.id = SLICE_LIT("idp"),
				.name = SLICE_LIT("idp"),
				.issuer = SLICE_LIT("https://issuer.example/realms/bench"),
				.audiences = &audience,
				.audience_count = 1,
				.keys = &key,
				.key_count = 1};

	snapshot_encode_provider(value, &p);
	return make_section(SECTION_PROVIDERS, p.id, value);
}

static void make_snapshot(struct bench *b, struct setup setup)
{
	struct ss_meta meta = {.trust_domain = SLICE_LIT("td")};
	struct addr addr = addr_from_v4(0x0a000001);
	struct ss_port_policy covered = {0, SLICE_LIT("policy")};
	struct ss_workload pod = {.uid = SLICE_LIT("uid"),
				  .node = SLICE_LIT("node"),
				  .addrs = &addr,
				  .addr_count = 1,
				  .enrolled = true,
				  .policies = &covered,
				  .policy_count = 1};
	struct ss_limit limit = {.id = SLICE_LIT("limit"),
				 .key = LIMIT_KEY_CLIENT_ADDR,
				 .requests = 1000000000,
				 .unit_s = 1};
	struct snapshot_section *sections[5];
	struct reason why = {0};
	struct buf value;

	buf_init_growing(&value, SECTION_BYTES);
	snapshot_encode_meta(&value, &meta);
	sections[0] = make_section(SECTION_META, SLICE_LIT("meta"), &value);
	sections[1] = make_policy(b, setup, &value);
	snapshot_encode_workload(&value, &pod);
	sections[2] = make_section(SECTION_WORKLOADS, pod.uid, &value);
	snapshot_encode_limit(&value, &limit);
	sections[3] = make_section(SECTION_LIMITS, limit.id, &value);
	sections[4] = make_provider(&value);
	if (snapshot_new((struct generation){1, 1}, sections, 5, SLICE_LIT("node"), &b->snapshot,
			 &why) != ERR_OK) {
		fprintf(stderr, "%s\n", why.text);
		exit(1);
	}
	for (int i = 0; i < 5; i++)
		snapshot_section_unref(sections[i]);
	buf_deinit(&value);
}

static bool find_header(const void *headers, struct slice name, struct slice *value)
{
	(void)headers;
	*value = slice_make(token, sizeof(token) - 1);
	return slice_eq_str(name, "authorization");
}

static double measure(struct bench *b, uint32_t last, uint32_t count, enum verdict wanted)
{
	static uint8_t scratch[JWT_ARENA_BYTES];
	struct arena arena;
	struct principal source = {.type = PRINCIPAL_WORKLOAD,
				   .trust_domain = SLICE_LIT("td"),
				   .namespace = SLICE_LIT("clients"),
				   .service_account = text_of(&b->arena, "svc-%u", last)};
	struct policy_input in = {.source = &source,
				  .client = addr_from_v4(0x0a010203),
				  .port = 8080,
				  .l7 = true,
				  .method = SLICE_LIT("GET"),
				  .path = text_of(&b->arena, "/api/%u/items/17", last),
				  .path_ordinary = true, // its parser has looked
				  .host = SLICE_LIT("shop.example"),
				  .header = find_header};
	struct decide_context c = {.snapshot = b->snapshot,
				   .limits = b->limits,
				   .tokens = b->tokens,
				   .arena = &arena,
				   .now_unix_s = NOW_UNIX_S};
	struct decide_subject subject = {
		.destination = snapshot_workload_by_uid(b->snapshot, SLICE_LIT("uid"))};
	double best = 1e9;

	subject.policy = snapshot_policy_for(b->snapshot, subject.destination, in.port);
	arena_init_fixed(&arena, scratch, sizeof(scratch));
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t begin = clock_monotonic_ns();

		c.now_ns = begin;
		for (uint32_t i = 0; i < count; i++) {
			struct decision d;

			c.now_ns++;
			arena_reset(&arena);
			decide_request(&c, &subject, &in, &d);
			if (d.verdict != wanted) {
				fprintf(stderr, "unexpected %s\n", verdict_name(d.verdict));
				exit(1);
			}
		}
		double each = (double)(clock_monotonic_ns() - begin) / count;

		best = each < best ? each : best;
	}
	return best;
}

static double run(struct setup setup, bool cached, uint32_t asked, enum verdict wanted)
{
	size_t bytes = (ratelimit_table_bytes(BUCKETS) + 63) & ~(size_t)63;
	struct bench b = {.tokens = cached ? token_cache_new(1024, 1) : NULL};
	void *table = aligned_alloc(64, bytes);
	double each;

	if (!table)
		abort();
	memset(table, 0, bytes);
	if (ratelimit_table_init(table, bytes, 1, &b.limits) != ERR_OK)
		abort();
	arena_init(&b.arena, ARENA_BYTES);
	make_snapshot(&b, setup);
	each = measure(&b, asked, setup.jwt && !cached ? DECISIONS / 50 : DECISIONS, wanted);
	snapshot_free(b.snapshot);
	token_cache_free(b.tokens);
	arena_deinit(&b.arena);
	free(table);
	return each;
}

static void report(uint32_t n)
{
	printf("%6u %9.0f %9.0f %9.0f %9.0f %9.0f\n", n,
	       run((struct setup){n, false, false}, false, n - 1, VERDICT_ALLOW),
	       run((struct setup){n, false, false}, false, n + 1, VERDICT_DENY),
	       run((struct setup){n, true, false}, false, n - 1, VERDICT_ALLOW),
	       run((struct setup){n, false, true}, true, n - 1, VERDICT_ALLOW),
	       run((struct setup){n, false, true}, false, n - 1, VERDICT_ALLOW));
}

int main(int argc, char **argv)
{
	static const uint32_t usual[] = {2, 10, 100, 1000, 4096};

	printf(" rules   allowed    denied    +limit    +token  +verified   (ns a decision)\n");
	for (int i = 1; i < argc; i++)
		report((uint32_t)strtoul(argv[i], NULL, 10));
	for (size_t i = 0; argc == 1 && i < sizeof(usual) / sizeof(usual[0]); i++)
		report(usual[i]);
	return 0;
}
