// SPDX-License-Identifier: GPL-3.0-or-later
// node-proxy/control/loader: the real thread against the real policy-sync.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "loader_play.h"

static bool has_snapshot(void *context)
{
	return ((struct test *)context)->worker.snapshot_count > 0;
}

static bool has_two_credentials(void *context)
{
	return ((struct test *)context)->worker.credentials_seen >= 2;
}

static bool is_disconnected(void *context)
{
	return !((struct test *)context)->status.connected;
}

static bool is_from_file(void *context)
{
	return ((struct test *)context)->status.from_file;
}

static bool file_is_there(void *context)
{
	struct test *t = context;
	char path[128];

	snprintf(path, sizeof(path), "%s/last-good.snapshot", t->w.dir);
	return access(path, F_OK) == 0;
}

static void it_follows(void **state)
{
	struct test *t = *state;
	static const char *const services[] = {"api", "new", "web"};
	struct stat st;
	char path[128];

	assert_true(world_until(&t->w, play_is_served, t));
	assert_int_equal(snapshot_service_count(play_snapshot(&t->worker)), 2);
	assert_int_equal(t->worker.credentials_seen, 1);
	assert_in_range(t->worker.not_after, time(NULL) + 3500, time(NULL) + 3601);
	assert_true(t->worker.links_seen >= 1);
	world_set_services(&t->w, services, 3);
	world_publish(&t->w);
	assert_true(world_until(&t->w, play_is_served, t));
	assert_int_equal(snapshot_service_count(play_snapshot(&t->worker)), 3);
	play_turn(&t->w, t, clock_monotonic_ns());
	assert_true(t->status.connected);
	assert_false(t->status.from_file);
	assert_int_equal(t->status.snapshots_refused, 0);
	assert_true(world_until(&t->w, file_is_there, t));
	snprintf(path, sizeof(path), "%s/last-good.snapshot", t->w.dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void nothing_secret_is_written(void **state)
{
	struct test *t = *state;
	char out[256];

	assert_true(world_until(&t->w, play_is_served, t));
	assert_true(world_until(&t->w, file_is_there, t));
	play_stop_loader(t);
	// Neither the token nor anything of a private key's form.
	assert_int_not_equal(world_shell(&t->w, "grep -c token-of-node last-good.snapshot", out,
					 sizeof(out)),
			     0);
	assert_int_not_equal(world_shell(&t->w, "grep -c 'PRIVATE KEY' last-good.snapshot", out,
					 sizeof(out)),
			     0);
}

static void a_cold_start_needs_nobody(void **state)
{
	struct test *t = *state;
	struct generation g;

	assert_true(world_until(&t->w, play_is_served, t));
	g = snapshot_generation(play_snapshot(&t->worker));
	play_stop_loader(t); // saves what is new
	world_stop_server(&t->w);
	play_start_loader(t, t->w.port);
	assert_true(world_until(&t->w, has_snapshot, t));
	assert_int_equal(generation_cmp(snapshot_generation(play_snapshot(&t->worker)), g), 0);
	assert_int_equal(snapshot_service_count(play_snapshot(&t->worker)), 2);
	assert_true(world_until(&t->w, is_from_file, t));
	assert_int_equal(t->worker.credentials_seen, 0); // keys are never kept
	// policy-sync is back: the file's content is confirmed, with a new number.
	world_start_server(&t->w);
	assert_true(world_until(&t->w, play_is_served, t));
	assert_true(generation_cmp(snapshot_generation(play_snapshot(&t->worker)), g) > 0);
}

static bool was_refused(void *context)
{
	return ((struct test *)context)->status.snapshots_refused > 0;
}

static void a_damaged_file_is_refused(void **state)
{
	struct test *t = *state;
	static const struct {
		const char *damage, *reason;
	} cases[] = {
		{"truncate -s -1 last-good.snapshot", "the sections' bytes are not all there"},
		{"truncate -s 100 last-good.snapshot", "the header is truncated or damaged"},
		{"truncate -s 10 last-good.snapshot", "the file is truncated"},
		{"echo >>last-good.snapshot", "the sections' bytes are not the end of the file"},
		{"printf x | dd of=last-good.snapshot conv=notrunc bs=1", "not a snapshot file"},
		{"printf x | dd of=last-good.snapshot conv=notrunc bs=1 seek=11",
		 "the header is truncated or damaged"},
		{"printf x | dd of=last-good.snapshot conv=notrunc bs=1 "
		 "seek=$(($(stat -c %s last-good.snapshot) - 40))",
		 "section trust: digest does not match"},
	};
	char out[512];

	assert_true(world_until(&t->w, play_is_served, t));
	play_stop_loader(t);
	world_stop_server(&t->w);
	assert_int_equal(world_shell(&t->w, "cp last-good.snapshot good", out, sizeof(out)), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(world_shell(&t->w, "cp good last-good.snapshot", out, sizeof(out)),
				 0);
		assert_int_equal(world_shell(&t->w, cases[i].damage, out, sizeof(out)), 0);
		memset(&t->status, 0, sizeof(t->status));
		play_start_loader(t, t->w.port);
		assert_true(world_until(&t->w, was_refused, t));
		assert_string_equal(t->status.refusal.text, cases[i].reason);
		assert_int_equal(t->worker.snapshot_count, 0);
		play_stop_loader(t);
	}
}

static void policy_sync_away_is_not_noticed(void **state)
{
	struct test *t = *state;
	const struct snapshot *s;

	assert_true(world_until(&t->w, play_is_served, t));
	s = play_snapshot(&t->worker);
	world_stop_server(&t->w);
	assert_true(world_until(&t->w, is_disconnected, t));
	world_for(&t->w, 300);
	assert_ptr_equal(play_snapshot(&t->worker), s);
	assert_non_null(t->worker.credentials);
	world_start_server(&t->w);
	assert_true(world_until(&t->w, play_is_served, t));
}

static bool three_are_live(void *context)
{
	return ((struct test *)context)->status.snapshots_live == 3;
}

static bool newest_has_five(void *context)
{
	struct test *t = context;

	return snapshot_service_count(play_snapshot(&t->worker)) == 5;
}

static void three_generations_live_at_most(void **state)
{
	struct test *t = *state;
	static const char *const services[] = {"a", "b", "c", "d", "e"};
	uint32_t seen;

	assert_true(world_until(&t->w, play_is_served, t));
	play_worker_turn(&t->worker);
	t->worker.keep_old = true; // long-lived exchanges stand on each
	for (uint32_t i = 3; i <= 4; i++) {
		world_set_services(&t->w, services, i);
		world_publish(&t->w);
		assert_true(world_until(&t->w, play_is_served, t));
	}
	assert_true(world_until(&t->w, three_are_live, t));
	seen = t->worker.snapshots_seen;
	world_set_services(&t->w, services, 5);
	world_publish(&t->w);
	world_for(&t->w, 300);
	assert_int_equal(t->worker.snapshots_seen, seen); // it waits
	assert_int_equal(t->status.snapshots_live, 3);
	t->worker.keep_old = false;
	play_release_old(&t->worker);
	assert_true(world_until(&t->w, newest_has_five, t));
	assert_true(world_until(&t->w, play_is_served, t));
}

static void certificates_are_renewed_at_half_life(void **state)
{
	struct test *t = *state;
	int64_t first;
	time_t started = time(NULL);

	assert_true(world_until(&t->w, play_is_served, t));
	first = t->worker.not_after;
	assert_true(world_until(&t->w, has_two_credentials, t));
	assert_in_range(time(NULL) - started, 1, 3);
	assert_true(t->worker.not_after > first);
	play_turn(&t->w, t, clock_monotonic_ns());
	assert_true(t->status.certs.asked >= 1);
	assert_int_equal(t->status.certs.refused, 0);
	// Without policy-sync the certificate stays, also past its end: peers judge it, not we.
	world_stop_server(&t->w);
	assert_true(world_until(&t->w, is_disconnected, t));
	world_for(&t->w, 2500);
	assert_non_null(t->worker.credentials);
	world_start_server(&t->w);
	assert_true(world_until(&t->w, play_is_served, t));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_follows, play_setup, play_teardown),
		cmocka_unit_test_setup_teardown(nothing_secret_is_written, play_setup,
						play_teardown),
		cmocka_unit_test_setup_teardown(a_cold_start_needs_nobody, play_setup,
						play_teardown),
		cmocka_unit_test_setup_teardown(a_damaged_file_is_refused, play_setup,
						play_teardown),
		cmocka_unit_test_setup_teardown(policy_sync_away_is_not_noticed, play_setup,
						play_teardown),
		cmocka_unit_test_setup_teardown(three_generations_live_at_most, play_setup,
						play_teardown),
		cmocka_unit_test_setup_teardown(certificates_are_renewed_at_half_life,
						play_setup_short_lives, play_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
