// SPDX-License-Identifier: GPL-3.0-or-later
// What less strict servers read in a request beside its plain form: a Deny rule counts for that too, an
// Allow rule never. Letter case and trailing slashes, lists and quoted values, '_' for '-' in a field's
// name, fields that stand for the method or the target.
#pragma once

#include "common/slice.h"

#define DENY_METHOD_MAX 64 // longer ones are nobody's
#define DENY_VALUE_MAX	1024
// Of the fields that a rule reads, together: a sender chooses their number, and every one is looked up.
#define DENY_ELEMENTS_MAX 256

// Copies: out has room for text.len.
struct slice deny_lower(struct slice text, uint8_t *out);
struct slice deny_upper(struct slice text, uint8_t *out);
// Is deny_trim of deny_lower another text?
bool deny_path_differs(struct slice path);
// Without trailing slashes, but for the first.
struct slice deny_trim(struct slice path);
// Names of fields: no letter case, and '_' is '-' (RFC 3875 4.1.18 makes them one).
bool deny_name_is(struct slice name, struct slice lower_name);
// X-HTTP-Method-Override, X-HTTP-Method, X-Method-Override.
bool deny_overrides_method(struct slice name);
// X-Original-URL, X-Rewrite-URL; says which.
bool deny_overrides_target(struct slice name, const char **which);
// The path that such a field names; empty: none that can be read.
struct slice deny_target_path(struct slice value);

// Elements of lists (RFC 9110 5.6.1) without their parameters, as they are written: as who minds quotes reads
// them, and then, where there is a quote, as who splits at every ',' and ';'.
struct deny_list {
	struct slice value, rest;
	bool naive;
	uint32_t elements; // of all lists since the struct was zeroed
	bool over;	   // there are more than DENY_ELEMENTS_MAX: nobody looks at the rest
};

void deny_list_begin(struct deny_list *l, struct slice value);
// False: no more, or over.
bool deny_list_next(struct deny_list *l, struct slice *element);
// What a quoted-string says (RFC 9110 5.6.4); what is none, or longer than the room, stays.
struct slice deny_unquote(struct slice element, uint8_t out[DENY_VALUE_MAX]);
