// SPDX-License-Identifier: GPL-3.0-or-later
// path/end_reason: one vocabulary. Every reason has a name of its own and a word for the peer node, and what
// the peer is told never tells more, nor less, than who is to blame.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "path/end_reason.h"

static void names_are_tokens_and_differ(void **state)
{
	(void)state;
	for (int i = 0; i < END_COUNT; i++) {
		const char *name = end_reason_name((enum end_reason)i);

		assert_non_null(name);
		assert_int_not_equal(name[0], 0);
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(name, end_reason_name((enum end_reason)k));
	}
	assert_string_equal(end_reason_name(END_COUNT), "invalid");
	assert_string_equal(end_reason_name((enum end_reason) - 1), "invalid");
}

static void every_reason_can_be_told(void **state)
{
	(void)state;
	for (int i = 0; i < END_COUNT; i++) {
		enum tunnel_reason told = end_reason_to_tunnel((enum end_reason)i);

		assert_true((unsigned int)told < TUNNEL_REASON_COUNT);
		// A clean end alone is no reason; anything else that came out as one would be a lost reset.
		assert_int_equal(told == TUNNEL_REASON_NONE, i == END_CLOSED);
	}
	assert_int_equal(end_reason_to_tunnel(END_COUNT), TUNNEL_REASON_PROTOCOL);
	assert_int_equal(end_reason_to_tunnel((enum end_reason) - 1), TUNNEL_REASON_PROTOCOL);
}

static void what_is_told_comes_back_as_what_it_was(void **state)
{
	static const enum end_reason kept[] = {
		END_DENIED,	 END_POLICY_CHANGED,  END_DESTINATION_GONE, END_NO_SNAPSHOT,
		END_UNREACHABLE, END_CONNECT_TIMEOUT, END_TUNNEL_LOST,	    END_PEER_REFUSED,
		END_OVERLOADED,	 END_SERVER_RESET,
	};
	// Refusals of policy are one word on the wire: which rule it was is the destination's to log.
	static const enum end_reason denied[] = {END_UNAUTHENTICATED, END_RATE_LIMITED,
						 END_POLICY_INVALID,  END_BAD_REQUEST,
						 END_NOT_HTTP,	      END_TOO_LARGE};

	(void)state;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		assert_int_equal(end_reason_from_tunnel(end_reason_to_tunnel(kept[i])), kept[i]);
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
		assert_int_equal(end_reason_from_tunnel(end_reason_to_tunnel(denied[i])),
				 END_DENIED);
}

// A peer of another version may say what we do not know: a reset then, never a clean end.
static void unknown_words_are_resets(void **state)
{
	(void)state;
	for (int i = -1; i < 300; i++) {
		enum end_reason r = end_reason_from_tunnel((enum tunnel_reason)i);

		assert_int_not_equal(r, END_NONE);
		assert_int_equal(r == END_CLOSED,
				 i == TUNNEL_REASON_NONE); // STOP's: no frame says it
		assert_true((unsigned int)r < END_COUNT);
		if (i < 0 || i >= TUNNEL_REASON_COUNT)
			assert_int_equal(r, END_SERVER_RESET);
	}
}

// Whoever was refused something is cut at once, also where the other node says so.
static void what_was_refused_goes_behind_nothing(void **state)
{
	static const enum end_reason behind[] = {END_CLIENT_RESET, END_SERVER_RESET,
						 END_CONNECT_TIMEOUT, END_TUNNEL_LOST,
						 END_IDLE_TIMEOUT};
	static const enum tunnel_reason cuts[] = {TUNNEL_REASON_DENIED,
						  TUNNEL_REASON_POLICY_CHANGED,
						  TUNNEL_REASON_OVERLOADED, TUNNEL_REASON_IDENTITY,
						  TUNNEL_REASON_DESTINATION};
	uint32_t n = 0;

	(void)state;
	for (int r = -1; r <= END_COUNT; r++)
		n += end_reason_goes_behind((enum end_reason)r);
	assert_int_equal(n, sizeof(behind) / sizeof(behind[0]));
	for (size_t i = 0; i < n; i++)
		assert_true(end_reason_goes_behind(behind[i]));
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
		assert_false(end_reason_goes_behind(end_reason_from_tunnel(cuts[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_tokens_and_differ),
		cmocka_unit_test(every_reason_can_be_told),
		cmocka_unit_test(what_is_told_comes_back_as_what_it_was),
		cmocka_unit_test(unknown_words_are_resets),
		cmocka_unit_test(what_was_refused_goes_behind_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
