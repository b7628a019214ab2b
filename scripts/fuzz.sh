#!/usr/bin/env bash
# fuzz.sh DURATION [PACKAGE...]: each fuzz target for that long, one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."
duration=${1:?usage: scripts/fuzz.sh DURATION [PACKAGE...]}
shift
packages=("$@")
if [ ${#packages[@]} -eq 0 ]; then
  mapfile -t packages < <(git ls-files '*_test.go' | xargs grep -l '^func Fuzz' | xargs -n1 dirname | sort -u)
fi
for p in "${packages[@]}"; do
  for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$p"/*_test.go | sed 's/^func //'); do
    echo "fuzz: $p $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$duration" "./$p" | tail -n 12
  done
done
