// SPDX-License-Identifier: GPL-3.0-or-later
// core/tunnel_proto: any bytes as header, HELLO and OPEN; what is accepted encodes and decodes again to
// the same.
#include <stdlib.h>
#include "core/tunnel_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void open_again(const struct tunnel_open *o)
{
	uint8_t bytes[TUNNEL_CONTROL_MAX];
	struct tunnel_open again;
	struct buf b;

	buf_init_fixed(&b, bytes, sizeof(bytes));
	tunnel_encode_open(&b, 7, o);
	if (b.err != ERR_OK)
		return; // texts beyond what we ever send
	if (tunnel_decode_open(slice_make(bytes + TUNNEL_HEADER_BYTES, b.len - TUNNEL_HEADER_BYTES),
			       &again) != ERR_OK ||
	    again.kind != o->kind || !addr_eq(again.client.addr, o->client.addr) ||
	    !slice_eq(again.destination_uid, o->destination_uid) ||
	    again.generation.counter != o->generation.counter)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	struct tunnel_header header;
	struct tunnel_hello hello;
	struct tunnel_open o;

	if (tunnel_decode_header(in, &header) == ERR_OK && header.bytes > TUNNEL_SKIP_MAX)
		abort();
	(void)!tunnel_decode_hello(in, &hello);
	if (tunnel_decode_open(in, &o) == ERR_OK)
		open_again(&o);
	return 0;
}
