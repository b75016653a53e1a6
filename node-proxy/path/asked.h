// SPDX-License-Identifier: GPL-3.0-or-later
// What a request head asks for, as policy is asked about it: for those who judge it, and for those who only look.
#pragma once

#include "core/reading.h"
#include "path/exchange.h"

struct asked_target {
	struct slice path; // as sent, in the head; empty: it has none
	enum path_form form;
	struct slice host; // canonical, in the scratch
	// What does not go on of an absolute-form, and what does where nothing else is.
	size_t skipped;
	struct slice instead;
};

// A field that a rule reads and that comes twice: one would be judged here and the other believed
// behind us. policy: whose enforced words count, as what only watches changes no answer; NULL: whoever asks.
struct asked_fields {
	const struct http1_message *message;
	bool *repeated;
	const struct snapshot *snapshot;
	const struct policy *policy;
};

// ERR_MALFORMED, ERR_TOO_LARGE: servers differ on it.
enum err must_check asked_target_parse(const struct http1_message *m, struct arena *scratch,
				       struct asked_target *out);
// Everything is borrowed.
void asked_input(const struct exchange *x, const struct asked_fields *fields,
		 const struct asked_target *t, struct policy_input *in);
