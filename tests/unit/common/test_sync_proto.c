// SPDX-License-Identifier: GPL-3.0-or-later
// common/sync_proto: every member of every message comes back; frames cut anywhere wait, frames that lie
// are refused, and what a later version adds is skipped.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "common/sync_proto.h"

static struct section_ref refs[3];

static struct sync_message whole(enum sync_frame type)
{
	struct sync_message m = {
		.type = type,
		.version = SYNC_PROTO_VERSION,
		.schema_min = 1,
		.schema_max = UINT32_MAX,
		.node = SLICE_LIT("n1"),
		.token = SLICE_LIT("token\0with a nul"),
		.public_key = SLICE_LIT("\x30\x59"),
		.generation = {1ull << 40, UINT64_MAX},
		.refs = refs,
		.ref_count = 3,
		.reason = SLICE_LIT("no \xff reason"),
		.chain_pem = SLICE_LIT("-----BEGIN"),
		.trust_pem = SLICE_LIT("-----END"),
		.not_after_unix_s = 1ull << 33,
		.renew_at_unix_s = 1,
		.section = {SECTION_POLICIES, 0x7f},
		.bytes = SLICE_LIT("section's bytes"),
		.capture = SYNC_CAPTURE_REMOVED,
	};

	refs[0] = (struct section_ref){.name = {.kind = SECTION_META}, .bytes = 5};
	refs[1] = (struct section_ref){.name = {SECTION_WORKLOADS, 0xff}, .bytes = UINT32_MAX};
	refs[2] = (struct section_ref){.name = {SECTION_SERVICES, 0}, .bytes = 0};
	memset(refs[1].sha256, 0xab, 32);
	memset(m.from_sha256, 0x11, 32);
	memset(m.sha256, 0x22, 32);
	return m;
}

static void check_equal(const struct sync_message *a, const struct sync_message *b)
{
	const struct slice *left = &a->node, *right = &b->node;

	assert_int_equal(a->type, b->type);
	assert_int_equal(a->version, b->version);
	assert_int_equal(a->schema_min, b->schema_min);
	assert_int_equal(a->schema_max, b->schema_max);
	for (int i = 0; i < 3; i++) // node, token, public_key stand together
		assert_true(slice_eq(left[i], right[i]));
	assert_int_equal(a->generation.epoch, b->generation.epoch);
	assert_int_equal(a->generation.counter, b->generation.counter);
	assert_int_equal(a->ref_count, b->ref_count);
	for (uint32_t i = 0; i < a->ref_count; i++) {
		assert_int_equal(a->refs[i].name.kind, b->refs[i].name.kind);
		assert_int_equal(a->refs[i].name.shard, b->refs[i].name.shard);
		assert_memory_equal(a->refs[i].sha256, b->refs[i].sha256, 32);
		assert_int_equal(a->refs[i].bytes, b->refs[i].bytes);
	}
	assert_true(slice_eq(a->reason, b->reason));
	assert_true(slice_eq(a->chain_pem, b->chain_pem));
	assert_true(slice_eq(a->trust_pem, b->trust_pem));
	assert_int_equal(a->not_after_unix_s, b->not_after_unix_s);
	assert_int_equal(a->renew_at_unix_s, b->renew_at_unix_s);
	assert_int_equal(a->section.kind, b->section.kind);
	assert_int_equal(a->section.shard, b->section.shard);
	assert_memory_equal(a->from_sha256, b->from_sha256, 32);
	assert_memory_equal(a->sha256, b->sha256, 32);
	assert_true(slice_eq(a->bytes, b->bytes));
	assert_int_equal(a->capture, b->capture);
}

static void messages_come_back(void **state)
{
	struct sync_message m, back;
	struct arena a;
	struct buf b;
	size_t used;

	(void)state;
	arena_init(&a, 1u << 16);
	buf_init_growing(&b, 1u << 16);
	for (enum sync_frame type = SYNC_HELLO; type < SYNC_FRAME_COUNT; type++) {
		for (int empty = 0; empty < 2; empty++) {
			m = empty ? (struct sync_message){.type = type} : whole(type);
			buf_reset(&b);
			sync_encode(&b, &m);
			assert_int_equal(b.err, ERR_OK);
			if (empty)
				assert_int_equal(b.len, SYNC_FRAME_HEADER_BYTES + 1);
			buf_put_str(&b, "the next frame");
			arena_reset(&a);
			assert_int_equal(sync_decode(buf_slice(&b), &a, &back, &used), ERR_OK);
			assert_int_equal(used, b.len - strlen("the next frame"));
			check_equal(&m, &back);
		}
	}
	arena_deinit(&a);
	buf_deinit(&b);
}

static void half_a_frame_waits(void **state)
{
	struct sync_message m = whole(SYNC_MANIFEST), back;
	struct arena a;
	struct buf b;
	size_t used;

	(void)state;
	arena_init(&a, 1u << 16);
	buf_init_growing(&b, 1u << 16);
	sync_encode(&b, &m);
	for (size_t len = 0; len < b.len; len++) {
		uint8_t *copy = malloc(len ? len : 1);

		memcpy(copy, b.ptr, len);
		assert_int_equal(sync_decode(slice_make(copy, len), &a, &back, &used), ERR_AGAIN);
		free(copy);
	}
	arena_deinit(&a);
	buf_deinit(&b);
}

// frame(TYPE, BODY): header with the right length, then the body.
static enum err decode(struct arena *a, uint8_t type, const char *body, size_t len,
		       struct sync_message *out)
{
	uint8_t bytes[4096];
	struct buf b;
	size_t used = 0;

	buf_init_fixed(&b, bytes, sizeof(bytes));
	buf_put_be32(&b, (uint32_t)len);
	buf_put_u8(&b, type);
	buf_put(&b, body, len);
	assert_int_equal(b.err, ERR_OK);
	arena_reset(a);
	return sync_decode(buf_slice(&b), a, out, &used);
}
#define DECODE(a, type, text, out) decode(a, type, text, sizeof(text) - 1, out)

static void lies_are_refused(void **state)
{
	struct sync_message m;
	struct arena a;
	size_t used;

	(void)state;
	arena_init(&a, 1u << 16);
	// Refused before it is waited for: 8 MiB and a byte will not be buffered.
	assert_int_equal(sync_decode(slice_make("\x00\x80\x00\x01\x01", 5), &a, &m, &used),
			 ERR_TOO_LARGE);
	assert_int_equal(sync_decode(slice_make("\x00\x80\x00\x00\x01", 5), &a, &m, &used),
			 ERR_AGAIN);
	assert_int_equal(sync_decode(slice_make("\xff\xff\xff\xff\x01", 5), &a, &m, &used),
			 ERR_TOO_LARGE);
	assert_int_equal(DECODE(&a, SYNC_NONE, "\x80", &m), ERR_MALFORMED);
	assert_int_equal(DECODE(&a, SYNC_FRAME_COUNT, "\x80", &m), ERR_MALFORMED);
	assert_int_equal(DECODE(&a, 255, "\x80", &m), ERR_MALFORMED);
	assert_int_equal(DECODE(&a, SYNC_PING, "", &m), ERR_MALFORMED);
	assert_int_equal(DECODE(&a, SYNC_PING, "\x90", &m), ERR_MALFORMED);
	assert_int_equal(DECODE(&a, SYNC_PING, "\x80\x80", &m), ERR_MALFORMED); // something behind
	assert_int_equal(DECODE(&a, SYNC_PING, "\x81\x04", &m), ERR_MALFORMED);
	assert_int_equal(DECODE(&a, SYNC_PING, "\x81\x04\x07", &m),
			 ERR_MALFORMED); // node: a number
	assert_int_equal(DECODE(&a, SYNC_PING, "\x81\x01\xa1x", &m),
			 ERR_MALFORMED); // version: text
	assert_int_equal(DECODE(&a, SYNC_PING, "\x81\x04\xc4\xff", &m), ERR_MALFORMED);
	assert_int_equal(DECODE(&a, SYNC_SECTION, "\x81\x11\xc4\x02xx", &m),
			 ERR_MALFORMED); // digest
	assert_int_equal(DECODE(&a, SYNC_SECTION, "\x81\x0f\xa4nope", &m), ERR_UNSUPPORTED);
	assert_int_equal(DECODE(&a, SYNC_SECTION, "\x81\x0f\xa9workloads", &m), ERR_MALFORMED);
	arena_deinit(&a);
}

// 2^32 + 1 is not version 1.
static void numbers_do_not_wrap(void **state)
{
	struct sync_message m;
	struct arena a;

	(void)state;
	arena_init(&a, 1u << 16);
	for (char member = 1; member <= 3; member++) {
		char body[] = "\x81\x01\xcf\x00\x00\x00\x01\x00\x00\x00\x01";

		body[1] = member;
		assert_int_equal(decode(&a, SYNC_HELLO, body, sizeof(body) - 1, &m), ERR_MALFORMED);
		body[6] = 0;
		assert_int_equal(decode(&a, SYNC_HELLO, body, sizeof(body) - 1, &m), ERR_OK);
	}
	assert_int_equal(
		DECODE(&a, SYNC_MANIFEST,
		       "\x81\x09\x91\x93\xa4meta\xc4\x20"
		       "0123456789abcdef0123456789abcdef\xcf\x00\x00\x00\x01\x00\x00\x00\x05",
		       &m),
		ERR_MALFORMED);
	arena_deinit(&a);
}

static void references_have_a_limit(void **state)
{
	struct section_ref *many = calloc(SNAPSHOT_SECTIONS_MAX + 1, sizeof(*many));
	struct sync_message m = {.type = SYNC_MANIFEST, .refs = many}, back;
	struct arena a, small;
	struct buf b;
	size_t used;

	(void)state;
	assert_non_null(many);
	for (uint32_t i = 0; i <= SNAPSHOT_SECTIONS_MAX; i++)
		many[i].name = (struct section_name){SECTION_WORKLOADS, (uint8_t)i};
	arena_init(&a, 1u << 20);
	arena_init(&small, 1000);
	buf_init_growing(&b, 1u << 20);
	m.ref_count = SNAPSHOT_SECTIONS_MAX;
	sync_encode(&b, &m);
	assert_int_equal(sync_decode(buf_slice(&b), &a, &back, &used), ERR_OK);
	assert_int_equal(back.ref_count, SNAPSHOT_SECTIONS_MAX);
	assert_int_equal(sync_decode(buf_slice(&b), &small, &back, &used), ERR_NOMEM);
	buf_reset(&b);
	m.ref_count = SNAPSHOT_SECTIONS_MAX + 1;
	sync_encode(&b, &m);
	assert_int_equal(sync_decode(buf_slice(&b), &a, &back, &used), ERR_TOO_LARGE);
	// Elements that are no references.
	assert_int_equal(DECODE(&a, SYNC_MANIFEST, "\x81\x09\x91\x92\xa4meta\x01", &back),
			 ERR_MALFORMED);
	assert_int_equal(DECODE(&a, SYNC_MANIFEST, "\x81\x09\x91\x01", &back), ERR_MALFORMED);
	assert_int_equal(DECODE(&a, SYNC_MANIFEST, "\x81\x09\xdd\xff\xff\xff\xff", &back),
			 ERR_MALFORMED);
	arena_deinit(&a);
	arena_deinit(&small);
	buf_deinit(&b);
	free(many);
}

static void a_later_versions_members_are_skipped(void **state)
{
	struct sync_message m;
	struct arena a;

	(void)state;
	arena_init(&a, 1u << 16);
	assert_int_equal(DECODE(&a, SYNC_PING, "\x83\x00\x05\x04\xa2n1\xcd\x01\x00\x91\x81\x01\x02",
				&m),
			 ERR_OK);
	assert_true(slice_eq_str(m.node, "n1"));
	assert_int_equal(DECODE(&a, SYNC_PING, "\x81\x20\x91", &m), ERR_MALFORMED);
	arena_deinit(&a);
}

static void frames_have_a_limit(void **state)
{
	struct sync_message m = {.type = SYNC_SECTION}, back;
	uint8_t *bytes = calloc(1, SYNC_FRAME_BYTES_MAX);
	struct arena a;
	struct buf b;
	size_t used;

	(void)state;
	assert_non_null(bytes);
	arena_init(&a, 1u << 16);
	buf_init_growing(&b, 2 * SYNC_FRAME_BYTES_MAX);
	// A map of one, its key, bin32 and the length: 1 + 1 + 5 bytes beside.
	m.bytes = slice_make(bytes, SYNC_FRAME_BYTES_MAX - 7);
	sync_encode(&b, &m);
	assert_int_equal(b.err, ERR_OK);
	assert_int_equal(sync_decode(buf_slice(&b), &a, &back, &used), ERR_OK);
	assert_int_equal(back.bytes.len, SYNC_FRAME_BYTES_MAX - 7);
	buf_reset(&b);
	m.bytes.len++;
	sync_encode(&b, &m);
	assert_int_equal(b.err, ERR_TOO_LARGE); // the writer knows it too
	buf_deinit(&b);
	buf_init_growing(&b, 100); // no room: no half frame is announced
	sync_encode(&b, &m);
	assert_int_not_equal(b.err, ERR_OK);
	buf_deinit(&b);
	arena_deinit(&a);
	free(bytes);
}

static void garbage(void **state)
{
	struct sync_message m;
	struct arena a;
	struct buf b;
	size_t used;

	(void)state;
	srand(6);
	arena_init(&a, 1u << 16);
	buf_init_growing(&b, 1u << 16);
	for (int round = 0; round < 20000; round++) {
		struct sync_message from =
			whole((enum sync_frame)(1 + rand() % (SYNC_FRAME_COUNT - 1)));

		buf_reset(&b);
		sync_encode(&b, &from);
		for (int i = 0; i < 1 + rand() % 4; i++)
			b.ptr[4 + (size_t)rand() % (b.len - 4)] = (uint8_t)rand();
		arena_reset(&a);
		if (sync_decode(buf_slice(&b), &a, &m, &used) == ERR_OK)
			assert_true(m.ref_count <= SNAPSHOT_SECTIONS_MAX && used <= b.len);
	}
	arena_deinit(&a);
	buf_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_come_back),
		cmocka_unit_test(half_a_frame_waits),
		cmocka_unit_test(lies_are_refused),
		cmocka_unit_test(numbers_do_not_wrap),
		cmocka_unit_test(references_have_a_limit),
		cmocka_unit_test(a_later_versions_members_are_skipped),
		cmocka_unit_test(frames_have_a_limit),
		cmocka_unit_test(garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
