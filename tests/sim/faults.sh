#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A simulator that cannot fail proves nothing: each fault below is planted in a copy of one source, built
# aside and linked before the libraries; the simulator has to catch it, and say so in the words that
# are expected. Product code holds no switch for it. A fault that no longer fits the source fails the test:
# follow the change, or take its place with another of its kind.
#
#   faults.sh [NAME...]     all, or these
#
# SIM_FAULT_SEEDS (1-6000): how many worlds a fault has to hide in at most.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

build=build/asan
work=$build/sim-faults
seeds=${SIM_FAULT_SEEDS:-1-6000}
wanted=("$@")
caught=0 missed=0
mkdir -p "$work"

# The compiler's and the linker's own command lines, so that what is planted is built like everything else.
commands=$(ninja -C "$build" -t commands tests/sim/sim)
link=$(tail -n 1 <<<"$commands")

is_wanted() { # NAME
	local w
	((${#wanted[@]})) || return 0
	for w in "${wanted[@]}"; do [[ $w != "$1" ]] || return 0; done
	return 1
}

# The same world passes where nothing was planted. LOG OPTION... (A sanitizer names no seed.)
passes_without() {
	local seed
	seed=$(sed -n -E 's/^FAILED seed ([0-9]+),.*/\1/p' "$1" | head -n 1)
	shift
	[[ ! $seed ]] || timeout 60 "$build/tests/sim/sim" --seed "$seed" "$@" >/dev/null 2>&1
}

# fault NAME SOURCE EXPECTED SED-SCRIPT [OPTION...]: the script sees the source as one line (sed -z); options
# of the simulator bring about what the fault hides in.
fault() {
	local name=$1 source=$2 expected=$3 script=$4 copy object compile program log status=0
	shift 4
	is_wanted "$name" || return 0
	copy=$work/$name.c object=$work/$name.o program=$work/$name log=$work/$name.log
	sed -z -E "$script" "$source" >"$copy"
	if cmp -s "$source" "$copy"; then
		echo "$name: does not fit $source any more"
		missed=$((missed + 1))
		return
	fi
	compile=$(grep -F -e "-c ../../$source" <<<"$commands" | head -n 1 |
		sed -E "s| -o [^ ]+ -c ../../[^ ]+| -o ../../$object -c ../../$copy|; s| -M[QF] [^ ]+||g; s| -MD||; s|$| -w|")
	(cd "$build" && eval "$compile" &&
		eval "$(sed -E "s| tests/sim/sim.p/${source##*/}.o||; s| -o tests/sim/sim | -o ../../$program ../../$object |" <<<"$link")") >"$log" 2>&1 ||
		{
			cat "$log"
			exit 1
		}
	timeout 300 "$program" --seeds "$seeds" --jobs "$(nproc)" "$@" >"$log" 2>&1 || status=$?
	if ((status != 0)) && grep -q -E -e "$expected" "$log" && passes_without "$log" "$@"; then
		caught=$((caught + 1))
		printf '%-22s caught: %s\n' "$name" "$(grep -m 1 -o -E -e "$expected" "$log")"
	else
		missed=$((missed + 1))
		printf '%-22s NOT caught (status %d):\n' "$name" "$status"
		tail -n 5 "$log"
	fi
	rm -f "$program" "$object"
}

path=node-proxy/path

# ---- objects and descriptors ----
fault double-free $path/request.c 'freed twice|use-after-poison' \
	's/(pool_put\(&x->worker->https, x->http\);\n)\tx->http = NULL;\n/\1/'
fault closed-while-armed $path/conn.c 'is closed while [0-9]+ operations name it' \
	's/\tif \(conn_is_idle\(c\)\)\n(\t\tring_close)/\tif (!c->ops[CONN_OP_CLOSE].armed)\n\1/'
fault bytes-freed-in-send $path/conn.c 'bytes are freed while a send names them|no object of this pool' \
	's/\tc->state = CONN_CLOSING;\n/&\tqueue_clear(\&c->out, \&c->worker->chunks);\n/'
fault timer-outlives $path/exchange.c 'use-after-poison|written to at [0-9]+ after it was freed' \
	's/(worker_log_exchange\(x\);\n)\texchange_cancel_timer\(x\);\n/\1/'
fault object-leak $path/request.c 'objects of [0-9]+ bytes were never freed|heads are kept' \
	's/pool_put\(&x->worker->https, x->http\);/;/'
fault descriptor-leak $path/mux.c 'was never closed' \
	's/(if \(!m\) \{\n)\t\tclose\(fd\);\n(\t\tw->counters.tunnels_failed\+\+)/\1\2/'
fault snapshot-leak $path/worker.c 'is held [0-9]+ times at the end|too many generations|still waits' \
	's/\tinbox_release\(pin->hold\);\n\t\*pin/\t*pin/'

# ---- completions and wake-ups ----
fault lost-completion tests/sim/sim_kernel.c 'still waits|does not end|nothing will ever happen|calm world|has let go of' \
	's/(static void post\([^{]*\{\n)/\1\tif (o->kind == IO_SEND \&\& sim_chance(3)) {\n\t\to->silent = true;\n\t\to->fd = o->fd;\n\t}\n/; s/\t\tif \(o->silent\)\n\t\t\tpost\(/\t\tif (false)\n\t\t\tpost(/'
fault missed-wakeup $path/conn.c 'still waits|calm world|has let go of' \
	's/\telse if \(c->out.bytes > 0 \|\| c->write_shut \|\| c->state == CONN_FLUSHING\)\n\t\tconn_mark_dirty\(c\);\n(\tif \(c->events\))/\1/'
fault lazy-for-ever $path/conn.c 'would have slept' \
	's/return c->state == CONN_OPEN && !c->write_shut && !c->awaited && !c->send_cut &&/return/'
fault starved-for-ever $path/conn.c 'still waits|does not end|nothing will ever happen|calm world|has let go of' \
	's/(c->starved = false;\n\t\tif \(c->state == CONN_CLOSED\) \{[^}]*\})\n\t\tconn_arm_recv\(c\);/\1/'

# ---- results that pass ----
outcome=node-proxy/io/ring_outcome.c
fault send-gave-up $outcome 'calm world|still waits|has let go of' 's/\t\{EAGAIN, EVERY, RING_AGAIN\},\n//'
fault no-kernel-memory $outcome 'calm world|still waits|has let go of' 's/\t\{ENOMEM, EVERY, RING_NO_MEMORY\},\n//'
fault cancelled-unasked $outcome 'calm world|still waits|has let go of' 's/\t\{ECANCELED, EVERY, RING_AGAIN\},\n//'
fault connect-goes-on $outcome 'calm world|still waits|has let go of' 's/\t\{EINPROGRESS, KIND\(IO_CONNECT\), RING_AGAIN\},\n//'
fault room-not-told $path/conn.c 'still waits|calm world|does not end|has let go of' \
	's/(static void conn_await_room[^}]*)\tconn_wait\(c\);/\1/; s/\t\tif \(c->no_room\)\n\t\t\tconn_resume\(c\);/\t\t;/'
fault close-not-done $path/conn.c 'was never closed|still waits' \
	's/\tif \(outcome > RING_DONE\) \{/\tif (outcome > RING_DONE \&\& op != CONN_OP_CLOSE) {/'
fault cancel-not-done $path/conn.c 'still waits|does not end|nothing will ever happen|calm world|by its own count' \
	's/\tif \(outcome > RING_DONE\) \{/\tif (outcome > RING_DONE \&\& op < CONN_OP_CANCEL_RECV) {/'

fault held-for-ever $path/admission.c 'still waits|does not end|nothing will ever happen|calm world' \
	's/\t\texchange_post\(x, EVENT_TURN\);\n//' \
	--set under_way=0 --set clients=10
fault ghost-in-line $path/admission.c 'use-after-poison|after it was freed' \
	's/\tif \(x->admission.waiting\)\n\t\tfair_remove\([^;]*;\n(\tx->admission.waiting = false;)/\1/' \
	--set under_way=0 --set clients=10

fault forgiven-request $path/recheck.c 'which by its snapshot is for nobody' \
	's/\t\tenforce_at_best\(x, &again\);\n\t\tbreak;/\t\treturn;/' \
	--set clients=10 --set trouble_ms=20000 --set sudden_drain=0 --set calm=0

# ---- bytes ----
fault fin-overtakes $path/conn.c 'after its FIN|sees FIN (after|and no server)|never sent' \
	's/\tif \(c->out.bytes > 0\) \{\n(\t\tif \(!c->no_room\))/\tif (c->out.bytes > 0 \&\& (!c->write_shut || c->write_done)) {\n\1/'
fault cut-looks-whole $path/exchange.c 'sees FIN (after|in the midst|, which|and no server)' \
	's/return x->replied \|\| \(x->end_reason == END_CLOSED && !x->aborted\);/return true;/'
fault reset-overtakes $path/end_reason.c 'sees RST after' \
	's/(\[END_(SERVER|CLIENT)_RESET\] = [^}]*), true\}/\1}/g'
fault answer-not-read $path/conn.c 'sees RST after' \
	's/\tif \(!c->events \|\| c->read_eof\) \{\n(\t\tconn_fail\(c, error\);)/\tif (true) {\n\1/'
fault reset-destroys $path/conn.c 'sees RST after|in the midst|calm world' \
	's/\(conn_waits_until_told\(c\) && sock_has_untold\(c->fd\)\)/false/'
fault hole-passed-over $path/mux_send.c 'is not what was sent' \
	's/!m->record_failed && //; s/\tmux_mark_dirty\(m\); (\/\/ acted upon)/\t\1/' \
	--set key_update=100 --set pool_empty=60 --set calm=0 --set clients=10
fault late-frames $path/mux_streams.c 'FAILED seed' \
	's/slot && \*slot && \(\*slot\)->stream_id == stream \?/slot \&\& *slot ?/' \
	--set clients=10 --set workers=1 --set arrival_ms=20 --set latency_max_us=3000
fault credit-leak $path/leg.c 'still waits|calm world' \
	's/if \(!l->mux \|\| gone < window \/ 2\)/if (!l->mux || gone <= window)/'
fault head-without-credit $path/leg.c 'still waits|calm world' \
	's/if \(l->mux && has < whole\)/if (false)/'
fault head-without-room $path/exchange.c 'still waits|calm world' \
	's/if \(\(whole > 0 \|\| \(s == DOWN/if (((s == DOWN/' \
	--set calm=1 --set chunks_taken=28000
fault no-backpressure $path/leg.c 'KiB lie in queues' \
	's/if \(c->read_wanted && bytes >= mark\)/if (false)/'
fault stop-not-told $path/mux_streams.c 'has let go of|calm world' \
	's/\tif \(!l->read_fin\)\n\t\tmux_put_empty\(l->mux, TUNNEL_STOP, l->stream_id\);\n//'
fault close-not-asked $path/request.c 'is not told once to close' \
	's/\thop.close = h->pod_closes;\n//'
fault close-passed-on $path/http_relay.c 'is told to close by the answer' \
	's/\t\thop.stays = h->keep_alive;\n//'
fault closing-pod-reused $path/http_relay.c 'calm world|gets another request' \
	's/h->pod_closes && h->keep_alive && !h->expects_continue/false/'
fault key-outlived $path/mux.c 'whose key has been taken away' \
	's/mux_fail\(m, TUNNEL_REASON_IDENTITY, "its key has been taken away"\)/mux_goaway(m, TUNNEL_REASON_IDENTITY)/' \
	--set clients=10 --set trouble_ms=20000 --set sudden_drain=0 --set calm=0
fault tunnel-cut $path/mux.c 'calm world|KiB lie in queues' \
	's/(static void mux_finish\([^{]*\{\n)/\1\tmux_fail(m, TUNNEL_REASON_SHUTDOWN, "drained");\n\treturn;\n/'

echo "$caught faults caught, $missed not"
((missed == 0 && caught > 0))
