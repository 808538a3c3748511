#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# suite: the sandbox's own tests, from the build that HUSK_BUILD_DIR names. For tests/vm/run, and for any machine.
set -uo pipefail

: "${HUSK_BUILD_DIR:?}" "${top_srcdir:?}"
passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

for test in "$HUSK_BUILD_DIR"/tests/sandbox/test-*; do
	[ -f "$test" ] && [ -x "$test" ] || continue
	name=$(basename "$test")
	if timeout --kill-after=10 600 "$test" >"$log" 2>&1; then
		passed=$((passed + 1))
		echo "PASS $name: $(grep -c '^\[       OK' "$log") tests"
		sed -n 's/^skipped: /    left out: /p' "$log" | sort -u
	else
		failed=$((failed + 1))
		echo "FAIL $name"
		sed 's/^/    | /' "$log"
	fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
