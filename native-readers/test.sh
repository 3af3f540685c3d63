#!/bin/sh
# Builds the C++ tests with sanitizers and runs them: unit tests, the replay of all fixtures (each whole, each prefix,
# mutated copies, in every format), the mounts tests under the thread sanitizer, and libFuzzer where clang has it.
# Set FUZZ_SECONDS for a longer fuzz run (default 20).
set -eu
cd "$(dirname "$0")"
mkdir -p build/tests
out=build/tests
warnings="-Wall -Wextra -Wconversion -Werror"
common="-std=c++20 -g -O1 -pthread -fno-omit-frame-pointer $warnings -Isrc -Itests"
sanitize="-fsanitize=address,undefined -fno-sanitize-recover=all"
library="src/core/*.cpp src/readers/*.cpp"
unit="tests/unit.cpp tests/numbers.cpp tests/shapes.cpp tests/sources.cpp tests/pages.cpp tests/page_deflate.cpp tests/view_builds.cpp tests/mounts.cpp tests/kernel_calls.cpp tests/rows.cpp tests/watches.cpp tests/tasks.cpp"
compiler=${CXX:-g++}
results=

if ! command -v "$compiler" >/dev/null 2>&1; then
  echo "native tests: skipped, no $compiler (Debian package: g++)"
  exit 0
fi

# shellcheck disable=SC2086 # lists of flags and files
{
  $compiler $common $sanitize $unit $library -o $out/unit
  $compiler $common $sanitize tests/replay.cpp $library -o $out/replay
  $compiler $common -fsanitize=thread $unit $library -o $out/unit-threads
}
results="$($out/unit)"
echo "$results"
replayed="$($out/replay 200 tests/fixtures/*)"
echo "$replayed"
threads="$(TSAN_OPTIONS=halt_on_error=1 $out/unit-threads)"
echo "threads: $threads"

fuzzed="fuzz: skipped, no clang++ with libFuzzer here (Debian packages: clang, libclang-rt-14-dev)"
clang=$(command -v clang++ || command -v clang++-14 || true)
# shellcheck disable=SC2086
if [ -n "$clang" ] && $clang $common $sanitize -fsanitize=fuzzer fuzz/scan.cpp $library -o $out/fuzz 2>$out/fuzz.log; then
  mkdir -p $out/corpus
  $out/fuzz -max_total_time="${FUZZ_SECONDS:-20}" -max_len=4096 -print_final_stats=1 $out/corpus tests/fixtures 2>$out/fuzz.log || {
    tail -n 40 $out/fuzz.log >&2
    exit 1
  }
  fuzzed="fuzz: $(sed -n 's/^stat::number_of_executed_units: *//p' $out/fuzz.log) inputs"
fi

echo "native tests passed: $results; $replayed; threads: $threads; $fuzzed"
