#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: a token opens the door only if every part of it is right. Each algorithm's good token is let in;
# expired, not yet valid, unsigned, of a wrong key, issuer or audience, altered, of a key's other
# algorithm, or no token at all gets 401 with WWW-Authenticate, never the pod, and the log
# says which. A claim decides between tokens that are all valid (403). policy-sync explain agrees.
# shellcheck disable=SC2016 # $now is jq's
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck source=tests/netns/lib/access_log.sh
source "$(dirname "$0")/lib/access_log.sh"
# shellcheck disable=SC2154 # world.sh's
jwt() { /usr/bin/python3 "$world_here/jwt.py" "$@"; }

usual_world
keys=$W/keys
mkdir "$keys"
algorithms=(RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA)
for alg in "${algorithms[@]}"; do
	jwt key "$alg" "$keys/$alg"
	public+=("$alg:key-$alg:$keys/$alg")
done
jwt key ES256 "$keys/foreign"
policy jwt.yaml <<YAML
apiVersion: policy.portcullis.dev/v1alpha1
kind: SecurityPolicy
metadata: {name: token, namespace: shop}
spec:
  targetRefs: [{group: "", kind: Service, name: server, sectionName: p80}]
  jwt:
    providers:
      - name: issuer
        issuer: https://issuer.example
        audiences: [shop, warehouse]
        localJWKS: {type: Inline, inline: '$(jwt jwks "${public[@]}")'}
  authorization:
    defaultAction: Allow
    rules:
      - name: refunds-by-others
        action: Deny
        principal: {jwt: {provider: issuer, claims: [{name: role, values: [guest]}]}}
        operation: {paths: [{type: PathPrefix, value: /refunds}]}
YAML
world_start
serve server http 8080
: >"$W/reached"
spawn inside p-server tcpdump -i eth0 --immediate-mode -U -s 2048 -B 8192 -w "$W/inside.pcap" "tcp port 8080"
until_ok 10 test -s "$W/inside.pcap" || die "tcpdump does not start"

now=$(date +%s)
claims() { # JQ-EDIT: the usual claims, one thing changed
	jq -cn --argjson now "$now" '{iss: "https://issuer.example", aud: "shop", sub: "ada", role: "buyer",
		iat: $now, nbf: ($now - 10), exp: ($now + 600)} | '"${1:-.}"
}
url=http://10.97.0.20
# asked NAME TOKEN [PATH]: the status; in the log and in the capture the request is known by its path.
asked() {
	local headers=()
	[[ -z $2 ]] || headers=(-H "Authorization: Bearer $2")
	code "$url/${3:-}?$1" "${headers[@]}"
}
refused() { # NAME TOKEN REASON
	same "$1 is refused" 401 "$(asked "${1// /-}" "$2" "${1// /-}")"
	logged "$1: the log says $3" n2 ".[\"url.path\"] == \"/${1// /-}\" and .jwt == \"$3\" and .end == \"unauthenticated\""
}

for alg in "${algorithms[@]}"; do
	good=$(jwt sign "$alg" "key-$alg" "$keys/$alg" "$(claims)")
	same "$alg: a good token is let in" 200 "$(asked good "$good")"
	# The signature's first character: a bit of its first byte.
	dot=${good%.*} tail=${good##*.}
	[[ ${tail:0:1} == A ]] && first=B || first=A
	same "$alg: an altered signature is not" 401 "$(asked altered "$dot.$first${tail:1}")"
	same "$alg: an expired one is not" 401 \
		"$(asked expired "$(jwt sign "$alg" "key-$alg" "$keys/$alg" "$(claims '.exp = $now - 5')")")"
done

signed() { jwt sign ES256 key-ES256 "$keys/ES256" "$(claims "$1")"; }
good=$(signed .)
refused "no token" "" missing
refused "no token at all but text" "not.a.token" malformed
refused "expired" "$(signed '.exp = $now - 1')" expired
refused "not yet valid" "$(signed '.nbf = $now + 60')" not_yet_valid
refused "wrong issuer" "$(signed '.iss = "https://elsewhere.example"')" issuer
refused "no issuer" "$(signed 'del(.iss)')" issuer
refused "wrong audience" "$(signed '.aud = "bank"')" audience
refused "unsigned" "$(jwt sign none key-ES256 - "$(claims)")" algorithm
refused "unsigned without key id" "$(jwt sign none '' - "$(claims)")" algorithm
refused "signed by a foreign key" "$(jwt sign ES256 key-ES256 "$keys/foreign" "$(claims)")" signature
refused "unknown key id" "$(jwt sign ES256 nobody "$keys/ES256" "$(claims)")" no_key
refused "header names the key's other algorithm" "$(jwt sign RS256 key-RS256 "$keys/RS256" "$(claims)" RS512)" no_key
other=$(signed '.sub = "eve" | .role = "owner"')
IFS=. read -r head _ signature <<<"$good"
IFS=. read -r _ body _ <<<"$other"
refused "claims of another token" "$head.$body.$signature" signature

same "one of several audiences is enough" 200 "$(asked audiences "$(signed '.aud = ["bank", "warehouse"]')")"
same "the scheme's letters may be small (RFC 9110, 11.1)" 200 "$(code "$url/" -H "Authorization: bearer $good")"
same "401 says how to authenticate" yes \
	"$(get -D - -o /dev/null "$url/" | grep -qi '^www-authenticate: Bearer' && echo yes || echo no)"
same "a claim that is denied: 403" 403 "$(asked guest "$(signed '.role = "guest"')" refunds)"
same "the same claim elsewhere: allowed" 200 "$(asked guest "$(signed '.role = "guest"')" orders)"
same "another claim there: allowed" 200 "$(asked buyer "$good" refunds)"
same "by pod IP a token is needed too" 401 "$(code "http://$(pod_ip server):8080/")"
same "and enough" 200 "$(code "http://$(pod_ip server):8080/" -H "Authorization: Bearer $good")"

# A token is judged anew each time: what was let in a moment ago is not once it is over.
brief=$(signed '.exp = (now | floor) + 2')
same "a token of two seconds is let in" 200 "$(asked brief "$brief")"
over() { [[ $(asked brief "$brief") == 401 ]]; }
holds "and is not any more when it is over" until_ok 6 over

explained() { # TOKEN JQ-FIELD
	"$BIN/policy-sync" explain --from-dir "$W/policy" --from shop/client --to server.shop:80 --method GET \
		--path /refunds ${1:+--jwt "$1"} --json | jq -r "$2" || true
}
same "explain: no token" "unauthenticated 401 missing" "$(explained '' '"\(.verdict) \(.status) \(.jwt)"')"
same "explain: expired" "unauthenticated 401 expired" "$(explained "$(signed '.exp = $now - 1')" '"\(.verdict) \(.status) \(.jwt)"')"
same "explain: a guest" "deny 403 refunds-by-others" "$(explained "$(signed '.role = "guest"')" '"\(.verdict) \(.status) \(.rule)"')"
same "explain: a buyer" allow "$(explained "$good" .verdict)"

halt inside INT
same "the capture missed nothing" 0 "$(awk '/dropped by kernel/ { print $1 }' "$W/log/inside")"
tcpdump -q -A -r "$W/inside.pcap" 2>/dev/null | grep -aoE '(GET|POST) /[^ ]*' >"$W/reached" || true
same "no refused request reached the pod" "" "$(grep -vE '/(refunds|orders)?(\?(good|audiences|guest|buyer|brief))?$' "$W/reached" || true)"
same "the others did (the capture is no blind one)" yes "$(grep -q 'GET /?good' "$W/reached" && echo yes || echo no)"
