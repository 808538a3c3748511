#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the fuzzers one after the other: each until it has executed N inputs (all runs together), and prints the counts.
#
#   tests/fuzz/run.sh [-n EXECUTIONS] [-b BUILD] [-m] [NAME...]
#
#   -n N      executions per fuzzer (default 20000000)
#   -b BUILD  build tree, configured with CC=clang --enable-fuzzing --enable-sanitizers; made there when it is missing
#   -m        afterwards, merge what gave new coverage into tests/fuzz/corpus
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
executions=20000000
build=${TMPDIR:-/tmp}/husk-fuzz-$(id -u)
merge=no
while getopts n:b:m option; do
	case $option in
	n) executions=$OPTARG ;;
	b) build=$OPTARG ;;
	m) merge=yes ;;
	*) sed -n '3,10s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
	esac
done
shift $((OPTIND - 1))
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(frames header json message connection-file limits link msgpack profile proxy-request ring zmtp curve)

mkdir -p "$build"
cd "$build"
[ -x "$top/configure" ] || (cd "$top" && ./autogen.sh)
[ -f Makefile ] || "$top/configure" CC=clang CFLAGS='-O2 -g' --enable-fuzzing --enable-sanitizers >configure.log
for name in "${names[@]}"; do
	make -s "tests/fuzz/fuzz-$name"
done

# libFuzzer counts in 32 bits and keeps its whole history in one process; pieces also renew the seed.
piece=5000000
# Longer texts only make runs slower: 256 levels of JSON fit, and nearly full buffers cut texts into pieces.
declare -A longest=([json]=512 [connection-file]=1024 [ring]=512 [zmtp]=512)
status=0
for name in "${names[@]}"; do
	found=$build/found-$name
	mkdir -p "$found"
	done_so_far=0
	while [ "$done_so_far" -lt "$executions" ]; do
		runs=$((executions - done_so_far < piece ? executions - done_so_far : piece))
		if ! nice -n 19 "tests/fuzz/fuzz-$name" -runs=$runs -max_len="${longest[$name]:-4096}" -timeout=20 -rss_limit_mb=2048 \
			-artifact_prefix="$build/crash-$name-" -print_final_stats=1 "$found" "$here/corpus/$name" 2>"fuzz-$name.log"; then
			tail -n 40 "fuzz-$name.log" >&2
			echo "$name: FAILED after $done_so_far executions and those of fuzz-$name.log; input kept as $build/crash-$name-*"
			status=1
			break
		fi
		n=$(sed -n 's/^stat::number_of_executed_units: *//p' "fuzz-$name.log")
		done_so_far=$((done_so_far + n))
	done
	echo "$name: $done_so_far executions, $(find "$found" -type f | wc -l) inputs found"
	if [ $merge = yes ]; then
		# One input for each place in the code, not for each count of passing it: corpora in the tree stay small.
		"tests/fuzz/fuzz-$name" -merge=1 -use_counters=0 -max_len=1024 "$here/corpus/$name" "$found" 2>"merge-$name.log"
	fi
done
exit $status
