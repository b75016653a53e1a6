#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# An OCI image as a tar file, made without a container engine: the three programs, both variants of
# iptables, and of the distribution only the libraries that these load. Beside it the same content as
# an SBOM (SPDX 2.3). The same input gives the same bytes: names sorted, owners and times fixed (the time is
# the commit's).
#
#   image.sh [TAR]      build/image/portcullis.tar; the SBOM is TAR without .tar, with .spdx.json
#
# Load it with `ctr images import TAR`. Programs come from build/bin.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tar=$(realpath -m "${1:-build/image/portcullis.tar}")
sbom=${tar%.tar}.spdx.json
bin=$PWD/build/bin
bytes_max=$((30 << 20))
name=portcullis
version=$(sed -n "s/^  version: '\(.*\)',/\1/p" meson.build)
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
triplet=$(gcc -print-multiarch)
case $(uname -m) in
x86_64) architecture=amd64 ;;
aarch64) architecture=arm64 ;;
*) architecture=$(uname -m) ;;
esac

say() { printf '  %s\n' "$*" >&2; }
die() {
	printf 'image: %s\n' "$*" >&2
	exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
oci=$work/oci
export LC_ALL=C TZ=UTC
umask 022

# ---- the root file system ------------------------------------------------------------------------

skeleton() {
	mkdir -p "$root"/{etc,proc,sys,dev,run,tmp,usr/{bin,sbin,lib/"$triplet"/xtables,share/doc},var}
	chmod 1777 "$root/tmp"
	ln -s usr/bin "$root/bin"
	ln -s usr/sbin "$root/sbin"
	ln -s usr/lib "$root/lib"
	ln -s /run "$root/var/run"
	echo 'root:x:0:0:root:/:/usr/sbin/nologin' >"$root/etc/passwd"
	echo 'root:x:0:' >"$root/etc/group"
	echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
}

programs() {
	local program
	for program in node-proxy policy-sync portcullis-rules; do
		[[ -x $bin/$program ]] || die "build/bin/$program is missing; ./build.sh build makes it"
		install -m 755 "$bin/$program" "$root/usr/bin/$program"
		# The build id covers names of the linker's temporary files: another one at every build.
		strip --strip-all --remove-section=.note.gnu.build-id "$root/usr/bin/$program"
	done
}

# Both variants: a node's rules live in one of them, and the program looks which.
iptables() {
	local variant family verb extension
	for variant in legacy nft; do
		take "/usr/sbin/xtables-$variant-multi"
		for family in iptables ip6tables; do
			for verb in '' -save -restore; do
				ln -s "xtables-$variant-multi" "$root/usr/sbin/$family-$variant$verb"
			done
		done
	done
	for family in iptables ip6tables; do
		ln -s "$family-nft" "$root/usr/sbin/$family"
	done
	for extension in "/usr/lib/$triplet/xtables/"*.so; do
		take "$extension"
	done
}

# take FILE: a file of the distribution, its contents under the same name; remembered for the SBOM.
take() {
	[[ -e $1 ]] || die "$1 is missing; is the package iptables installed?"
	install -D -m "$(stat -Lc %a "$1")" "$(realpath "$1")" "$root/${1#/}"
	echo "$1" >>"$work/taken"
}

# The loader and the libraries, under the names they are asked for by, until nobody asks for more.
libraries() {
	local loader file library before=-1
	loader=$(readelf -p .interp "$root/usr/bin/node-proxy" | sed -n 's|.*\(/lib.*\)|\1|p')
	[[ $loader == /lib64/* ]] && ln -s usr/lib64 "$root/lib64"
	install -D -m 755 "$(realpath "$loader")" "$root/usr$loader"
	echo "$loader" >>"$work/taken"
	while ((before != $(find "$root" -type f | wc -l))); do
		before=$(find "$root" -type f | wc -l)
		while read -r library; do
			file=$(find "/usr/lib/$triplet" "/lib/$triplet" -maxdepth 1 -name "$library" -print -quit)
			[[ $file ]] || die "no $library in /usr/lib/$triplet"
			[[ -e $root/usr/lib/$triplet/$library || -e $root/usr${loader%/*}/$library ]] || {
				install -m 644 "$(realpath "$file")" "$root/usr/lib/$triplet/$library"
				echo "$file" >>"$work/taken"
			}
		done < <(find "$root/usr" -type f \( -path '*bin/*' -o -name '*.so*' \) -exec readelf -d {} + 2>/dev/null |
			sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u)
	done
}

# ---- what is in it, and under which terms --------------------------------------------------------

# PACKAGE VERSION SOURCE of every file taken. dpkg knows a file by the name that its package gave it:
# /lib or /usr/lib, the library or what its link leads to.
packages() {
	while read -r file; do
		printf '%s\n' "$file" "$(realpath "$file")"
	done <"$work/taken" | sed 's|^/usr/|/|' | sort -u | sed 'p; s|^|/usr|' >"$work/asked"
	# Of each file one name is wrong; a diversion is said too, and owns nothing.
	{ xargs dpkg -S <"$work/asked" 2>/dev/null || true; } | grep -v '^diversion by ' >"$work/owners"
	local file
	while read -r file; do
		grep -qE ": (/usr)?(${file#/usr}|$(realpath "$file" | sed 's|^/usr||'))$" "$work/owners" || die "no package owns $file"
	done <"$work/taken"
	sed 's/[:,].*//' "$work/owners" | sort -u >"$work/names"
	# shellcheck disable=SC2016 # dpkg's own words
	xargs dpkg-query -W -f '${Package} ${Version} ${source:Package}\n' <"$work/names" | sort
}

# Who reads the image reads the terms of what is in it.
terms() {
	local package
	install -D -m 644 LICENSE "$root/usr/share/doc/$name/copyright"
	while read -r package _; do
		install -D -m 644 "$(realpath "/usr/share/doc/$package/copyright")" "$root/usr/share/doc/$package/copyright"
	done <"$work/packages"
}

# Linked into the programs, from deps.lock: NAME VERSION LICENCE SHA256.
linked() {
	local library file sha licence release
	while read -r library _ _ file sha; do
		case $library in
		wolfssl) licence=GPL-3.0-or-later ;;
		liburing | yyjson | libllhttp) licence=MIT ;;
		msgpack-c) licence=BSL-1.0 ;;
		*) die "deps.lock names $library, and this script does not know its licence" ;;
		esac
		release=${file#*_}
		release=${release%.orig.tar.*}
		echo "$library ${release%%[_]*} $licence $sha"
	done < <(grep -v '^#' .ci/deps.lock)
	echo "xxhash $(dpkg-query -W -f '${Version}' libxxhash-dev | sed 's/-.*//') BSD-2-Clause -"
}

spdx_packages() {
	local package release source licence sha
	while read -r package release source; do
		jq -n --arg n "$package" --arg v "$release" --arg s "$source" --arg a "$architecture" '
			{SPDXID: ("SPDXRef-deb-" + ($n | gsub("[^A-Za-z0-9.-]"; "-"))), name: $n, versionInfo: $v, sourceInfo: ("Debian source package " + $s),
			supplier: "Organization: Debian", downloadLocation: "NOASSERTION", filesAnalyzed: false,
			licenseConcluded: "NOASSERTION", licenseDeclared: "NOASSERTION", copyrightText: "NOASSERTION",
			externalRefs: [{referenceCategory: "PACKAGE-MANAGER", referenceType: "purl",
				referenceLocator: ("pkg:deb/debian/" + $n + "@" + ($v | @uri) + "?arch=" + $a)}]}'
	done <"$work/packages"
	while read -r package release licence sha; do
		jq -n --arg n "$package" --arg v "$release" --arg l "$licence" --arg h "$sha" '
			{SPDXID: ("SPDXRef-linked-" + $n), name: $n, versionInfo: $v, downloadLocation: "NOASSERTION",
			filesAnalyzed: false, licenseConcluded: "NOASSERTION", licenseDeclared: $l, copyrightText: "NOASSERTION",
			comment: "linked into the programs"}
			+ if $h == "-" then {} else {checksums: [{algorithm: "SHA256", checksumValue: $h}]} end'
	done < <(linked)
}

# make_sbom LAYER-DIGEST: deterministic, so its namespace is named by what it describes.
make_sbom() {
	spdx_packages | jq -s -S --arg name "$name" --arg version "$version" --arg digest "$1" \
		--arg created "$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)" '
		{spdxVersion: "SPDX-2.3", dataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT", name: ($name + "-" + $version),
		documentNamespace: ("urn:sha256:" + $digest), creationInfo: {created: $created, creators: ["Organization: Portcullis"]},
		packages: ([{SPDXID: "SPDXRef-image", name: $name, versionInfo: $version, downloadLocation: "NOASSERTION",
			filesAnalyzed: false, primaryPackagePurpose: "CONTAINER", licenseConcluded: "NOASSERTION",
			licenseDeclared: "GPL-3.0-or-later", copyrightText: "NOASSERTION",
			checksums: [{algorithm: "SHA256", checksumValue: $digest}]}] + .),
		relationships: ([{spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: "SPDXRef-image"}]
			+ [.[] | {spdxElementId: "SPDXRef-image", relationshipType: "CONTAINS", relatedSpdxElement: .SPDXID}])}'
}

# ---- the image -----------------------------------------------------------------------------------

archive() { # DIRECTORY: a tar of it that depends on nothing but its content
	tar --create --directory "$1" --sort=name --format=ustar --mtime="@$epoch" --owner=0 --group=0 --numeric-owner .
}

blob() { # FILE: put into the layout under its digest, which is printed
	local sha
	sha=$(sha256sum "$1" | cut -d' ' -f1)
	mv "$1" "$oci/blobs/sha256/$sha"
	echo "$sha"
}

size_of() { stat -c %s "$oci/blobs/sha256/$1"; }

make_config() { # DIFF-ID
	jq -n -c -S --arg architecture "$architecture" --arg diff "sha256:$1" --arg version "$version" \
		--arg created "$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)" '
		{architecture: $architecture, os: "linux", created: $created,
		config: {Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], Cmd: ["/usr/bin/node-proxy", "--help"], WorkingDir: "/",
			Labels: {"org.opencontainers.image.title": "portcullis", "org.opencontainers.image.version": $version,
				"org.opencontainers.image.licenses": "GPL-3.0-or-later"}},
		rootfs: {type: "layers", diff_ids: [$diff]},
		history: [{created: $created, created_by: ".ci/image.sh"}]}'
}

make_manifest() { # CONFIG LAYER
	jq -n -c -S --arg config "sha256:$1" --argjson config_size "$(size_of "$1")" \
		--arg layer "sha256:$2" --argjson layer_size "$(size_of "$2")" '
		{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
		config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $config, size: $config_size},
		layers: [{mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: $layer, size: $layer_size}]}'
}

make_index() { # MANIFEST
	jq -n -c -S --arg digest "sha256:$1" --argjson size "$(size_of "$1")" --arg architecture "$architecture" \
		--arg name "$name" --arg version "$version" '
		{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
		manifests: [{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $digest, size: $size,
			platform: {architecture: $architecture, os: "linux"},
			annotations: {"org.opencontainers.image.ref.name": $version,
				"io.containerd.image.name": ("localhost/" + $name + ":" + $version)}}]}'
}

layout() {
	local diff layer config manifest
	mkdir -p "$oci/blobs/sha256"
	archive "$root" >"$work/layer.tar"
	diff=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
	gzip -9 -n "$work/layer.tar"
	layer=$(blob "$work/layer.tar.gz")
	make_config "$diff" >"$work/config"
	config=$(blob "$work/config")
	make_manifest "$config" "$layer" >"$work/manifest"
	manifest=$(blob "$work/manifest")
	make_index "$manifest" >"$oci/index.json"
	printf '{"imageLayoutVersion":"1.0.0"}' >"$oci/oci-layout"
	make_sbom "$layer" >"$work/sbom"
}

main() {
	skeleton
	programs
	iptables
	libraries
	packages >"$work/packages"
	terms
	layout
	mkdir -p "$(dirname "$tar")"
	archive "$oci" >"$work/image.tar"
	(($(stat -c %s "$work/image.tar") <= bytes_max)) || die "the image is larger than $bytes_max bytes"
	mv "$work/image.tar" "$tar"
	mv "$work/sbom" "$sbom"
	say "$tar  $(($(stat -c %s "$tar") / 1024)) KiB, $(wc -l <"$work/packages") packages of the distribution in it"
	say "$sbom"
}
main
