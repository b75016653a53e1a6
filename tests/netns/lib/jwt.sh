# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# Tokens and key sets by openssl alone, so that nothing of ours signs what ours verifies.

b64url() { base64 -w0 | tr '+/' '-_' | tr -d '='; }

# jwt_key FILE: an ECDSA P-256 key.
jwt_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

# jwks KEYFILE KID: a key set with its public half.
jwks() {
	local point
	point=$(openssl ec -in "$1" -pubout -outform DER 2>/dev/null | tail -c 64 | xxd -p -c 64)
	printf '{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":"%s","x":"%s","y":"%s"}]}' "$2" \
		"$(xxd -r -p <<<"${point:0:64}" | b64url)" "$(xxd -r -p <<<"${point:64:64}" | b64url)"
}

# jwt KEYFILE KID CLAIMS-JSON: an ES256 token. openssl signs as DER; JWS wants r and s side by side.
jwt() {
	local input der r s
	input=$(printf '{"alg":"ES256","kid":"%s"}' "$2" | b64url).$(printf '%s' "$3" | b64url)
	der=$(printf '%s' "$input" | openssl dgst -sha256 -sign "$1" | openssl asn1parse -inform DER |
		sed -n 's/.*INTEGER *:\([0-9A-F]*\)$/\1/p')
	{ read -r r && read -r s; } <<<"$der"
	printf '%s.%s' "$input" "$(printf '%064s%064s' "$r" "$s" | tr ' ' 0 | xxd -r -p | b64url)"
}
