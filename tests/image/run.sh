#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: the image is one that any engine can load (every digest and size of the layout is right, and the check
# sees a wrong byte), it is small, two runs give the same bytes, its SBOM names every package in it, and
# what is in it runs with nothing but what is in it: in a chroot without network.
# build: release
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[[ $(id -u) == 0 ]] || {
	echo "needs root (chroot)"
	exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
ok() { echo "ok $1"; }
not_ok() {
	echo "not ok $1: $2"
	failed=1
}
same() { # NAME EXPECTED GOT
	if [[ $2 == "$3" ]]; then ok "$1"; else not_ok "$1" "expected '$2', got '$3'"; fi
}
holds() { # NAME COMMAND...
	local name=$1
	shift
	if "$@" >"$work/out" 2>&1; then ok "$name"; else not_ok "$name" "$* failed: $(head -n 3 "$work/out")"; fi
}

.ci/image.sh "$work/first.tar"
.ci/image.sh "$work/second.tar"
holds "two runs give the same bytes" cmp "$work/first.tar" "$work/second.tar"
holds "and the same SBOM" cmp "$work/first.spdx.json" "$work/second.spdx.json"
bytes=$(stat -c %s "$work/first.tar")
if ((bytes <= 30 << 20)); then ok "at most 30 MB ($((bytes >> 10)) KiB)"; else not_ok "at most 30 MB" "$bytes"; fi

# ---- the layout ----------------------------------------------------------------------------------

oci=$work/oci
mkdir "$oci"
tar xf "$work/first.tar" -C "$oci"
field() { jq -r "$2" "$oci/$1"; }
path_of() { echo "blobs/sha256/${1#sha256:}"; }
# descriptor NAME FILE JQ-PATH: what it points to is there, of that size and digest
descriptor() {
	local digest size
	digest=$(field "$2" "$3.digest") size=$(field "$2" "$3.size")
	same "$1: size" "$size" "$(stat -c %s "$oci/$(path_of "$digest")")"
	same "$1: digest" "${digest#sha256:}" "$(sha256sum <"$oci/$(path_of "$digest")" | cut -d' ' -f1)"
}
same "version of the layout" 1.0.0 "$(field oci-layout .imageLayoutVersion)"
same "one manifest" 1 "$(field index.json '.manifests | length')"
descriptor manifest index.json '.manifests[0]'
manifest=$(path_of "$(field index.json '.manifests[0].digest')")
descriptor config "$manifest" .config
descriptor layer "$manifest" '.layers[0]'
config=$(path_of "$(field "$manifest" .config.digest)")
layer=$(path_of "$(field "$manifest" '.layers[0].digest')")
same "digest of the layer's content" "$(field "$config" '.rootfs.diff_ids[0]')" "sha256:$(zcat "$oci/$layer" | sha256sum | cut -d' ' -f1)"
same "nothing else lies in the layout" 3 "$(find "$oci/blobs" -type f | wc -l)"
same "a name that ctr imports by" "localhost/portcullis:$(build/bin/node-proxy --version | cut -d' ' -f2)" \
	"$(field index.json '.manifests[0].annotations["io.containerd.image.name"]')"
cp "$oci/$layer" "$work/kept"
printf x | dd of="$oci/$layer" bs=1 seek=100 conv=notrunc status=none
holds "the digest check sees a wrong byte" grep -q '^not ok layer: digest' <(descriptor layer "$manifest" '.layers[0]')
mv "$work/kept" "$oci/$layer"

# ---- what is in it -------------------------------------------------------------------------------

root=$work/root
mkdir "$root"
tar xzf "$oci/$layer" -C "$root"
same "nothing is setuid or writable by others" "" \
	"$(find "$root" \( -perm /6000 -o -perm -0002 ! -type l ! -path "$root/tmp" \) -printf '%P ')"
same "no shell" "" "$(find "$root" -name 'sh' -o -name 'bash' -o -name 'dash' -o -name 'busybox')"
same "everything is root's" "" "$(find "$root" ! -user 0 -printf '%P ')"

# Own network namespace, no environment: what runs, runs by what is in the image.
inside() { env -i PATH=/usr/sbin:/usr/bin unshare --net chroot "$root" "$@"; }
version=$(sed -n "s/^  version: '\(.*\)',/\1/p" meson.build)
for program in node-proxy policy-sync portcullis-rules; do
	same "$program --version" "$program $version" "$(inside $program --version 2>&1)"
	holds "$program --help" inside $program --help
	same "$program has no symbols left to strip" "" "$(nm "$root/usr/bin/$program" 2>/dev/null)"
done
for family in iptables ip6tables; do
	same "$family -V" "$family" "$(inside $family -V 2>&1 | cut -d' ' -f1)"
	holds "$family-nft -V" grep -q '(nf_tables)$' <(inside $family-nft -V 2>&1)
	holds "$family-legacy -V" grep -q '(legacy)$' <(inside $family-legacy -V 2>&1)
	for backend in nft legacy; do
		for program in save restore; do
			holds "$family-$backend-$program -V" inside $family-$backend-$program -V
		done
	done
done
# Every match and target that a rendered rule set uses is an extension that loads.
cp tests/golden/rules/everything.conf "$root/tmp/rules.conf"
inside portcullis-rules render --config /tmp/rules.conf >"$work/rules"
same "rules are rendered as reviewed" "$(sed 1d tests/golden/rules/everything.rules | sha256sum)" "$(sha256sum <"$work/rules")"
holds "an extension that is not there is missed" bash -c "! chroot '$root' iptables-nft -m nonsense --help"
while read -r kind extension; do
	holds "extension $kind $extension" inside iptables-nft "$kind" "$extension" --help
	holds "extension $kind $extension, legacy" inside iptables-legacy "$kind" "$extension" --help
done < <(grep -oE -- '(-m|-j) [A-Za-z][A-Za-z0-9_]*' "$work/rules" | grep -vE -- '-j (ACCEPT|DROP|RETURN|PORTCULLIS)' | sort -u)
cp -r tests/golden/contract/input "$root/tmp/input"
same "policy-sync reads YAML there as here" "$(sed -n '$s/exit //p' tests/golden/contract/check.txt 2>/dev/null || echo 0)" \
	"$(inside policy-sync check /tmp/input >/dev/null 2>&1 && echo 0 || echo $?)"
# Its own libraries, and no other's: with one taken away it does not start.
mv "$root/usr/lib/$(gcc -print-multiarch)/libyaml-0.so.2" "$work/"
holds "without its library it would not run (the chroot is no blind one)" bash -c "! chroot '$root' policy-sync --version"

# ---- the SBOM ------------------------------------------------------------------------------------

sbom=$work/first.spdx.json
same "SPDX 2.3" "SPDX-2.3 CC0-1.0 SPDXRef-DOCUMENT" "$(jq -r '"\(.spdxVersion) \(.dataLicense) \(.SPDXID)"' "$sbom")"
same "every package says what the format asks for" "" \
	"$(jq -r '.packages[] | select((.SPDXID | test("^SPDXRef-[A-Za-z0-9.-]+$") | not) or .name == null or .versionInfo == null or .downloadLocation == null) | .name' "$sbom")"
same "every element of it is related to the image" "" \
	"$(jq -r '([.relationships[].relatedSpdxElement] | unique) as $r | .packages[].SPDXID | select(. as $id | $r | index($id) | not)' "$sbom")"
same "it describes this layer" "$(field "$manifest" '.layers[0].digest')" "sha256:$(jq -r '.packages[] | select(.SPDXID == "SPDXRef-image").checksums[0].checksumValue' "$sbom")"
same "every pinned library is in it" "" \
	"$(comm -23 <(awk '!/^#/ { print $1 }' .ci/deps.lock | sort) <(jq -r '.packages[].name' "$sbom" | sort))"
same "every copyright file's package is in it" "" \
	"$(comm -23 <(find "$root/usr/share/doc" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort) <(jq -r '.packages[].name' "$sbom" | sort))"
exit $failed
