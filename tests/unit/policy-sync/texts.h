// SPDX-License-Identifier: GPL-3.0-or-later
// For the tests of this directory: a model from a text, what was found in it, and its compiled and linked
// snapshot asked with the very code that decides on a node.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "compile/compile.h"
#include "decide/decide.h"
#include "io/crypto.h"
#include "model/load.h"

#define OURS "apiVersion: policy.portcullis.dev/v1alpha1\n"

struct texts {
	struct diagnostics findings;
	struct model *model;
	struct compiled *compiled;
	struct snapshot *snapshot;
	struct buf printed;
};

static inline void texts_open(struct texts *t)
{
	*t = (struct texts){.model = model_new()};
	assert_non_null(t->model);
	diagnostics_init(&t->findings);
	buf_init_growing(&t->printed, 1u << 20);
}

static inline void texts_close(struct texts *t)
{
	snapshot_free(t->snapshot);
	compiled_free(t->compiled);
	model_free(t->model);
	diagnostics_deinit(&t->findings);
	buf_deinit(&t->printed);
}

static inline void texts_add(struct texts *t, const char *text)
{
	load_text(t->model, "test.yaml", slice_str(text), &t->findings);
}

// Is there a finding in exactly this place that says so?
static inline bool texts_found(struct texts *t, uint32_t line, uint32_t column, const char *field,
			       const char *part)
{
	for (uint32_t i = 0; i < t->findings.count; i++) {
		const struct diagnostic *d = &t->findings.list[i];
		char message[1024];

		snprintf(message, sizeof(message), "%.*s", SLICE_ARG(d->message));
		if (d->line == line && d->column == column && slice_eq_str(d->field, field) &&
		    strstr(message, part))
			return true;
	}
	buf_reset(&t->printed);
	diagnostics_print(&t->findings, &t->printed);
	print_message("%.*s", (int)t->printed.len, (const char *)t->printed.ptr);
	return false;
}

static inline void texts_compile(struct texts *t)
{
	struct snapshot_section *sections[SNAPSHOT_SECTIONS_MAX] = {0};
	struct reason why = {0};

	assert_int_equal(compile_model(t->model, &t->findings, &t->compiled), ERR_OK);
	for (uint32_t i = 0; i < t->compiled->count; i++) {
		struct section_ref ref = {.name = t->compiled->sections[i].name,
					  .bytes = (uint32_t)t->compiled->sections[i].bytes.len};

		crypto_sha256(t->compiled->sections[i].bytes, ref.sha256);
		if (snapshot_section_new(ref, t->compiled->sections[i].bytes, &sections[i], &why))
			fail_msg("%s", why.text);
	}
	if (snapshot_new((struct generation){1, 1}, sections, t->compiled->count, SLICE_LIT("n1"),
			 &t->snapshot, &why))
		fail_msg("%s", why.text);
	for (uint32_t i = 0; i < t->compiled->count; i++)
		snapshot_section_unref(sections[i]);
}

static inline const struct workload *texts_pod(const struct texts *t, const char *address)
{
	struct addr a;

	assert_int_equal(addr_parse(slice_str(address), &a), ERR_OK);
	return snapshot_workload_by_addr(t->snapshot, a);
}

// Who asks: a pod's address, or one of outside.
static inline struct principal texts_principal(const struct texts *t, const char *from)
{
	const struct workload *w = texts_pod(t, from);

	if (!w)
		return (struct principal){.type = PRINCIPAL_UNAUTHENTICATED};
	return (struct principal){
		.type = PRINCIPAL_WORKLOAD,
		.trust_domain = snapshot_meta(t->snapshot)->trust_domain,
		.namespace = w->record.namespace,
		.service_account = w->record.service_account,
		.name = w->record.name,
		.uid = w->record.uid,
	};
}

static inline const struct policy *texts_policy(const struct texts *t, const char *to,
						uint16_t port)
{
	const struct workload *w = texts_pod(t, to);

	assert_non_null(w);
	return snapshot_policy_for(t->snapshot, w, port);
}

static inline struct decision texts_asked(const struct texts *t, const char *from, const char *to,
					  uint16_t port, bool request)
{
	struct principal source = texts_principal(t, from);
	struct decide_context context = {.snapshot = t->snapshot, .now_unix_s = 1};
	struct decide_subject subject = {texts_pod(t, to), texts_policy(t, to, port)};
	struct policy_input in = {.source = &source, .port = port};
	struct decision d;

	assert_int_equal(addr_parse(slice_str(from), &in.client), ERR_OK);
	in.l7 = request;
	(request ? decide_request : decide_connection)(&context, &subject, &in, &d);
	return d;
}

static inline struct decision texts_ask(const struct texts *t, const char *from, const char *to,
					uint16_t port)
{
	return texts_asked(t, from, to, port, false);
}

static inline struct decision texts_request(const struct texts *t, const char *from, const char *to,
					    uint16_t port)
{
	return texts_asked(t, from, to, port, true);
}

static inline enum verdict texts_verdict(const struct texts *t, const char *from, const char *to,
					 uint16_t port)
{
	return texts_ask(t, from, to, port).verdict;
}
