#!/usr/bin/env bash
# dist.sh: writes the files of a release to build/dist: Debian packages, the tarball that runs anywhere, the source,
# the Python wheel if pyproject.toml exists, the list of contents (SPDX 2.3), and SHA256SUMS. Only the source is made
# from committed files; all else is built from the working tree. docs/install.md describes them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=build/dist packed=build/package/packed

fail() {
    printf 'dist.sh: %s\n' "$*" >&2
    exit 1
}
git rev-parse --verify -q HEAD >/dev/null || fail "not a git clone: the source tarball is made of a commit"
[[ -z $(git status --porcelain) ]] ||
    echo "dist.sh: note: the source tarball has the last commit, without the changes since" >&2

# The time of files in the packages: two runs on a commit give the same bytes.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
umask 022

cmake --preset package
cmake --build --preset package
version=$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' build/package/CMakeCache.txt)
head -n 1 packaging/debian/changelog | grep -qF "($version-1)" ||
    fail "packaging/debian/changelog: the first entry is not of version $version"

rm -rf "$out" "$packed"
mkdir -p "$out"
cpack --config build/package/CPackConfig.cmake -B "$packed"
cp "$packed"/*.deb "$packed"/*.tar.gz "$out/"

git archive --format=tar --prefix="s2a-$version/" HEAD | gzip -9n >"$out/s2a-$version-source.tar.gz"
if [[ -f pyproject.toml ]]; then
    python3 -m pip wheel --quiet --no-deps --wheel-dir "$out" .
fi
scripts/sbom.py "$out" >"$packed/sbom.json"
mv "$packed/sbom.json" "$out/s2a-$version.spdx.json"
(cd "$out" && sha256sum -- * >SHA256SUMS)
rm -rf "$packed/_CPack_Packages"
ls -l "$out"
