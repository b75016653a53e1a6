// SPDX-License-Identifier: GPL-3.0-or-later
// Memory of the TLS library, counted and capped per thread. For tls.c only; what others may ask is in
// tls.h (tls_thread_heap and its like).
#pragma once

#include "common/err.h"
#include "common/slice.h"

// Makes it the library's allocator. Once a process, before any thread.
enum err must_check tls_heap_install(void);
// While on, what this thread asks for is a record's buffer, gone again in a moment: it is served from
// a few blocks that the thread keeps, so that a record costs no malloc.
void tls_heap_records(bool on);
