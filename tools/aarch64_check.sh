#!/usr/bin/env bash
# Compiles the kernels and their tests for 64-bit ARM, warnings being errors, and runs the tests under an emulator:
# nothing may rely on x86. CXX_AARCH64 names another compiler.
#
# Debian: apt-get install g++-aarch64-linux-gnu qemu-user. Exit status: 0 everything that can be run here passed, 3
# there is no compiler, else something failed.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "aarch64_check: $*"; }

cxx=${CXX_AARCH64:-aarch64-linux-gnu-g++}
if ! command -v "$cxx" >/dev/null; then
  say "not run, because $cxx is not installed (Debian: apt-get install g++-aarch64-linux-gnu qemu-user)" >&2
  exit 3
fi
scratch=$(mktemp -d "${TMPDIR:-/tmp}/kerascnn-aarch64.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

flags="-std=c++17 -O3 -DNDEBUG -pthread -Icsrc -fno-math-errno -fno-trapping-math -ffp-contract=fast"
flags+=" -Wall -Wextra -Werror"
say "compiling csrc/kernels/*.cc and csrc/tests/*.cc"
for source in csrc/kernels/*.cc csrc/tests/*.cc; do
  echo "$source" "$scratch/$(basename "$source" .cc).o"
done | xargs -P "$(nproc)" -L 1 sh -c "exec $cxx $flags -c \"\$0\" -o \"\$1\""
"$cxx" -static -pthread -o "$scratch/kernels_test" "$scratch"/*.o

if [[ $(uname -m) == aarch64 ]]; then
  emulator=
elif ! emulator=$(command -v qemu-aarch64 || command -v qemu-aarch64-static); then
  say "compiled, but not run, because there is no emulator (Debian: apt-get install qemu-user)"
  exit 0
fi
$emulator "$scratch/kernels_test"
say "passed"
