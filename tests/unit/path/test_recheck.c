// SPDX-License-Identifier: GPL-3.0-or-later
// What an exchange is asked after a new snapshot, by what it says of itself. That the question is asked,
// and that it ends the exchange: the simulator, and tests/netns/63_open_streams.sh.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "path/http.h"
#include "path/recheck.h"

static const struct recheck_case {
	const char *what;
	bool pod, elsewhere, decided, read, l7, replied;
	enum recheck_question question;
} cases[] = {
	{"not ours", 0, 0, 0, 0, 0, 0, RECHECK_NOTHING},
	{"waits for its first request", 1, 0, 0, 0, 1, 0, RECHECK_NOTHING},
	{"a request begins to come", 1, 0, 0, 1, 1, 0, RECHECK_NOTHING},
	{"the other node decides", 1, 1, 0, 0, 0, 0, RECHECK_NOTHING},
	{"opaque", 1, 0, 1, 0, 0, 0, RECHECK_CONNECTION},
	{"a request under way: download, upload, events", 1, 0, 1, 1, 1, 0, RECHECK_AT_BEST},
	{"upgraded", 1, 0, 1, 1, 0, 0, RECHECK_AT_BEST},
	{"answered, the last bytes leave", 1, 0, 1, 1, 1, 1, RECHECK_NOTHING},
	{"refused, the answer leaves", 1, 0, 1, 0, 1, 1, RECHECK_NOTHING},
};

static void test_question(void **state)
{
	static struct workload pod;
	static struct ss_node node;
	static struct http http;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct recheck_case *c = &cases[i];
		struct exchange x = {
			.destination = c->pod ? &pod : NULL,
			.node = c->elsewhere ? &node : NULL,
			.decided = c->decided,
			.http = c->read ? &http : NULL,
			.l7 = c->l7,
			.replied = c->replied,
		};

		if (recheck_question(&x) != c->question)
			fail_msg("%s: %d", c->what, (int)recheck_question(&x));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_question),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
