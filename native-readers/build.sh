#!/bin/sh
# Builds native-readers/build/readers.node with one compiler line. Runs on every `npm ci`, so it must not fail where there
# is no compiler (the TypeScript readers take over) and must fail where there is one and the sources do not compile.
# --for-package: also puts it where an installed package looks, which builds nothing (see addonPath in src/readers/native.ts).
set -eu
cd "$(dirname "$0")"

pack() {
  [ "${purpose:-}" = --for-package ] || return 0
  mkdir -p prebuilt
  cp build/readers.node "prebuilt/$(node -p 'process.platform + "-" + process.arch').node"
}
purpose=${1:-}

compiler=${CXX:-}
if [ -z "$compiler" ]; then
  for candidate in g++ c++; do
    if command -v "$candidate" >/dev/null 2>&1; then compiler=$candidate; break; fi
  done
fi
if [ -z "$compiler" ]; then
  echo "native-readers: no C++ compiler, the slower TypeScript readers will be used; install g++ (Debian package: g++) and run 'sh $(pwd)/build.sh' for the fast ones."
  exit 0
fi

# node-api-headers lies in this package's node_modules or, when exporterd is itself a dependency, in a folder above.
headers=
folder=$(pwd)
while [ "$folder" != / ] && [ -z "$headers" ]; do
  folder=$(dirname "$folder")
  if [ -f "${folder%/}/node_modules/node-api-headers/include/node_api.h" ]; then
    headers=${folder%/}/node_modules/node-api-headers/include
  fi
done
if [ -z "$headers" ]; then
  echo "native-readers: node-api-headers is missing from node_modules; run 'npm ci'." >&2
  exit 1
fi

# -z nodelete: node closes an addon when the last thread that loaded it ends, but a thread may still sit in statfs(2) of a
# hung mount (readers/mounts.hpp); its code must stay mapped.
flags="-std=c++20 -O2 -flto -fPIC -shared -pthread
  -fno-exceptions -fno-rtti -fvisibility=hidden -fvisibility-inlines-hidden
  -Wall -Wextra -Wconversion -Werror
  -static-libstdc++ -static-libgcc -Wl,-z,nodelete -Wl,--version-script=src/exports.map -Wl,--as-needed -Wl,--gc-sections -s"
output=build/readers.node
stamp=build/readers.flags
line="$compiler $flags"

if [ -f "$output" ] && [ -f "$stamp" ] && [ "$line" = "$(cat "$stamp")" ] \
  && [ -z "$(find src build.sh -newer "$output" -type f | head -n 1)" ]; then
  pack
  exit 0
fi

mkdir -p build
# Built beside and renamed: a running daemon keeps the file it has mapped.
# shellcheck disable=SC2086 # the flags are a list
$compiler $flags -Isrc -isystem "$headers" src/binding.cpp src/core/*.cpp src/readers/*.cpp -o "$output.new"
mv "$output.new" "$output"
printf '%s\n' "$line" >"$stamp"
pack
