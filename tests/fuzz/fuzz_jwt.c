// SPDX-License-Identifier: GPL-3.0-or-later
// core/jwt: any bytes as a token, and as its payload behind a good header; claims are looked at.
#include <stdlib.h>
#include "core/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t scratch[1 << 20];
	struct ss_claim_match claim = {.name = SLICE_LIT("a.b")};
	struct ss_provider provider = {.issuer = SLICE_LIT("i")};
	struct arena a;
	struct jwt t;

	arena_init_fixed(&a, scratch, sizeof(scratch));
	if (jwt_parse(slice_make(data, size), &a, &t) != JWT_OK)
		return 0;
	if (t.signing_input.len >= size)
		abort();
	(void)!jwt_check_claims(&t, &provider, 1000);
	(void)jwt_claim_matches(&t, &claim);
	(void)jwt_has_scope(&t, SLICE_LIT("x"));
	return 0;
}
