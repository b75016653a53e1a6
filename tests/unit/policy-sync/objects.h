// SPDX-License-Identifier: GPL-3.0-or-later
// For the tests of reading: the beginning of a SecurityPolicy, and a key that it may hold.
#pragma once

#include "policy-sync/texts.h"

#define POLICY_HEAD                                                                                \
	OURS "kind: SecurityPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n"                 \
	     "  targetRefs: [{group: \"\", kind: Service, name: z}]\n"
#define ED25519                                                                                    \
	"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"                               \
	"7TyWQHOg7hcvPapiMlrwIaaPcHURo\""
// A rule stands in line 8, behind "    - ".
#define RULE(text) POLICY_HEAD "  authorization:\n    rules:\n    - " text "\n"
