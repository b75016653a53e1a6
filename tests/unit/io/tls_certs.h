// SPDX-License-Identifier: GPL-3.0-or-later
// For the tests of TLS: certificates of two roots, good and bad, made once for a program.
#pragma once

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/tls_pair.h"

#define HOUR 3600

static struct cert root, other_root, node, expired, early, stranger;
static struct tls_context *good;

static inline int make_certificates(void **state)
{
	(void)state;
	assert_int_equal(tls_global_init(), ERR_OK);
	// Two CAs of one name: only their keys tell them apart.
	cert_root(&root, "portcullis root");
	cert_root(&other_root, "portcullis root");
	cert_sign(&node, &root, NODE_URI, -60, HOUR);
	cert_sign(&expired, &root, NODE_URI, -HOUR, -60);
	cert_sign(&early, &root, NODE_URI, HOUR, 2 * HOUR);
	cert_sign(&stranger, &other_root, NODE_URI, -60, HOUR);
	good = context_new(&node, buf_slice(&root.text), ALPN, true);
	return 0;
}

static inline int free_certificates(void **state)
{
	(void)state;
	tls_context_unref(good);
	return tls_thread_heap_used() == 0 ? 0 : -1; // nothing is left of all sessions and contexts
}
