// SPDX-License-Identifier: GPL-3.0-or-later
// strangers: documents that are none of our kinds, and what has to be said of them all the same: those that were
// meant to be ours, those of other projects that somebody may take to be enforced, those that are no objects.
#pragma once

#include "files/view.h"

#define OUR_GROUP   "policy.portcullis.dev"
#define OUR_VERSION "v1alpha1"

// "policy.portculis.dev", or no group at all, with a kind of ours.
bool stranger_is_misspelt(struct slice group, bool is_kind_of_ours);
// Why somebody may take this for a policy in force; NULL: nobody does.
const char *stranger_policy(struct slice group, struct slice kind, bool is_kind_of_ours);
// A kustomization, a chart, values, a patch: nothing that an API server would take. What says half of what it is
// may be a policy, and is none of these.
bool stranger_is_no_object(const struct view *document);
// Text that a program makes objects of: YAML cannot mean "{{" where a value begins.
bool stranger_is_template(struct slice text);
// Does a document that cannot be read say, or leave open, that it is of our group? is_kind_of_ours is asked
// for every kind that it names.
bool stranger_may_be_ours(struct slice text, bool (*is_kind_of_ours)(struct slice kind));
