# SPDX-License-Identifier: Apache-2.0
# check-all: what tools/check --all runs beyond the rest. Sourced by tools/check.
# shellcheck shell=bash

all_build=$source_dir/build/all

clang_build() {
	step "clang: -Werror, ASan, UBSan"
	if ! configure_and_make "$all_build/clang" CC=clang --enable-werror --enable-sanitizers; then
		count 0 1 "clang build: $log_dir/build.log"
		return 0
	fi
	one "make check of the clang build" clang-check make -C "$all_build/clang" -j"$(nproc)" check
}

# The plain build: what is installed, what is measured.
plain_build() {
	step "Plain build: hardened, -Werror"
	if ! configure_and_make "$all_build/plain" --enable-werror; then
		count 0 1 "plain build: $log_dir/build.log"
		return 1
	fi
	one "make check of the plain build" plain-check make -C "$all_build/plain" -j"$(nproc)" check
	one "make distcheck" distcheck make -C "$all_build/plain" distcheck
	[ ! -e "$source_dir/.git" ] || one "every file of the tree is in the tarball" dist-files dist_files
}

dist_files() {
	(cd "$source_dir" && git ls-files | grep -vx .gitignore | sort) >"$log_dir/tree-files"
	tar -tf "$all_build"/plain/husk-*.tar.xz | sed 's,^[^/]*/,,' | sort >"$log_dir/tarball-files"
	comm -23 "$log_dir/tree-files" "$log_dir/tarball-files" | (! grep .)
}

# Each fuzzer for a minute: finds what a change broke, not what nobody has found before.
fuzz_smoke() {
	local fuzzer name

	step "Fuzzers, ${FUZZ_SECONDS:-60} s each"
	if ! configure_and_make "$all_build/fuzz" CC=clang --enable-fuzzing --enable-sanitizers; then
		count 0 1 "fuzzing build: $log_dir/build.log"
		return 0
	fi
	logged "build the fuzzers" fuzz-build make -C "$all_build/fuzz" -j"$(nproc)" check TESTS= || count 0 1 "fuzzers: $log_dir"
	for fuzzer in "$all_build"/fuzz/tests/fuzz/fuzz-*; do
		[ -x "$fuzzer" ] && [ -f "$fuzzer" ] || continue
		name=$(basename "$fuzzer")
		mkdir -p "$all_build/corpus/$name"
		one "$name" "$name" "$fuzzer" -max_total_time="${FUZZ_SECONDS:-60}" -print_final_stats=1 \
			-artifact_prefix="$all_build/corpus/$name-" "$all_build/corpus/$name" \
			"$source_dir/tests/fuzz/corpus/${name#fuzz-}"
	done
}

# One round with few samples, without the peers that take minutes: shows that it runs. Numbers to believe come from
# tests/bench/run.py alone, on a quiet machine.
bench_smoke() {
	local venv

	step "Bench, one quick round (no number is judged)"
	venv=$("$source_dir/tools/venv" bench) || return 1
	one "build the bench client" bench-build make -C "$all_build/plain" tests/bench/bench-client
	one "bench" bench "$venv/bin/python" "$source_dir/tests/bench/run.py" --build "$all_build/plain" --quick \
		--kernels ipykernel,husk \
		--json "$log_dir/bench.json" --output "$log_dir/bench.txt"
}

# Real programs and libraries: notebooks through nbclient and its kin, JupyterLab in Chromium.
real_programs() {
	local venv

	venv=$("$source_dir/tools/venv" notebooks) || return 1
	step "Real programs"
	python=$venv/bin/python build=$all_build/plain
	pytest_folder tests/notebooks
}

# What people run every day, with today's packages, under the filter of system calls and in sandboxes. The ordinary run has
# those programs that need no package of theirs.
ordinary_work() {
	local venv test

	venv=$("$source_dir/tools/venv" data-science) || return 1
	test=$("$source_dir/tools/venv" test) || return 1
	step "Ordinary work in sandboxes"
	one "programs under the filter, and as cells of sandboxes" workloads env HUSK_WORKLOAD_PYTHON="$venv/bin/python" \
		HUSK_KERNEL="$all_build/plain/kernel/front/husk-kernel" HUSK_BUILD_DIR="$all_build/plain" \
		timeout --kill-after=30 "$FOLDER_SECONDS" "$test/bin/python" -m pytest -q -rfEs -o cache_dir="$log_dir/pytest-cache" \
		"$source_dir/tests/sandbox/test_workload.py" "$source_dir/tests/e2e/test_l_workloads.py"
}

# What a client sees, in the sandbox that most kernels will have: three folders with the profile default.
inside_a_sandbox() {
	local log_dir=$log_dir/inside

	step "Inside the profile default"
	export HUSK_TEST_PROFILE=default
	build=$all_build/plain
	python=$(test_python)
	pytest_folder tests/conformance
	pytest_folder tests/differential
	as_nobody tests/conformance
	python=$("$source_dir/tools/venv" notebooks)/bin/python
	pytest_folder tests/notebooks
	unset HUSK_TEST_PROFILE
}

# as_nobody FOLDER: runs it a second time as an ordinary user, where root runs this and that user can read what it needs.
as_nobody() {
	local log_dir before=$failed run_as=(setpriv --reuid=65534 --regid=65534 --clear-groups)

	[ "$(id -u)" = 0 ] || return 0
	if ! "${run_as[@]}" test -r "$source_dir/$1" -a -x "$python" -a -x "$build/kernel/front/husk-kernel"; then
		say "$1 as an ordinary user: left out, a user cannot read $source_dir, $build or $python (see HUSK_CACHE)"
		return 0
	fi
	log_dir=$(mktemp -d "${TMPDIR:-/tmp}/husk-check.XXXXXX")
	chown 65534:65534 "$log_dir"
	run_as+=(env HOME="$log_dir" TMPDIR="$log_dir" HUSK_TEST_PYTHON="$python")
	step "As an ordinary user"
	pytest_folder "$1"
	[ "$failed" != "$before" ] || rm -rf "$log_dir"
}

# The sandbox where there is nothing but cgroup v2: another release, another kernel, other users.
virtual_machine() {
	step "A virtual machine with cgroup v2"
	one "make check-vm" check-vm "$source_dir/tests/vm/run" --yes
}

clang_build
virtual_machine
if plain_build; then
	bench_smoke
	real_programs
	ordinary_work
	inside_a_sandbox
fi
fuzz_smoke
