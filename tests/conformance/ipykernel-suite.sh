#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ipykernel-suite: runs ipykernel's own black-box tests against ipykernel and against husk, and compares.
#
# A kernelspec named python3 on JUPYTER_PATH wins over the native one, so the unmodified tests start whatever it names.
set -euo pipefail

VERSION=${IPYKERNEL_VERSION:-7.4.0}

usage() {
	cat <<-'END'
	usage: tests/conformance/ipykernel-suite.sh [--husk PROGRAM] [--python PATH] [--only FILE]... [-- PYTEST ARGUMENTS]

	Fetches ipykernel's source distribution with pip and runs its test files, but for those that ipykernel-suite.toml
	leaves out, first on ipykernel, then on husk. Prints each test that ends differently, with the reason given there,
	and a table of counts per file. The exit code is 0 when husk passes all that ipykernel passes, or the table says why.

	  --husk PROGRAM   husk-kernel (default: $HUSK_KERNEL)
	  --python PATH    interpreter with ipykernel and its test requirements (default: tools/venv test)
	  --only FILE      only this test file, e.g. test_kernel; may be repeated
	END
}

fail() {
	echo "ipykernel-suite: $*" >&2
	exit 2
}

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${HUSK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/husk-dev}
husk=${HUSK_KERNEL:-}
python=
only=()
while [ $# -gt 0 ]; do
	case $1 in
	--husk) husk=${2:?--husk needs a path}; shift ;;
	--python) python=${2:?--python needs a path}; shift ;;
	--only) only+=("${2%.py}"); shift ;;
	-h | --help) usage; exit 0 ;;
	--) shift; break ;;
	*) usage >&2; fail "unknown argument $1" ;;
	esac
	shift
done
[ -x "$husk" ] || fail "no husk-kernel at '$husk'; give --husk PROGRAM"
husk=$(realpath "$husk")
[ -n "$python" ] || python=$("$source_dir/tools/venv" test)/bin/python
"$python" -c 'import ipykernel, pytest, flaky, pytest_asyncio, pytest_timeout' ||
	fail "$python lacks what ipykernel's tests import"

# The suite, once per version.
suite=$cache/ipykernel-$VERSION
if [ ! -d "$suite/tests" ]; then
	mkdir -p "$cache/sdist"
	"$python" -m pip -q --disable-pip-version-check download --no-deps --no-binary ipykernel \
		-d "$cache/sdist" "ipykernel==$VERSION" || fail "pip could not fetch ipykernel $VERSION"
	tar -xzf "$cache/sdist/ipykernel-$VERSION.tar.gz" -C "$cache"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/native/kernels/python3" "$work/husk"
cat >"$work/native/kernels/python3/kernel.json" <<-END
	{"argv": ["$python", "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "ipykernel",
	 "language": "python", "metadata": {"debugger": true}}
END
"$husk" install --prefix "$work/husk" --name python3 --python "$python" >/dev/null

# run NAME JUPYTER_PATH: one run of the files; the report is $work/NAME.xml
run() {
	local name=$1 path=$2
	shift 2
	mkdir -p "$work/home-$name"
	(
		cd "$suite"
		HOME=$work/home-$name IPYTHONDIR=$work/home-$name/ipython JUPYTER_PATH=$path \
			JUPYTER_RUNTIME_DIR=$work/home-$name/runtime MPLCONFIGDIR=$work/home-$name PYTHONDONTWRITEBYTECODE=1 \
			PYTHONPATH=$source_dir/tests/conformance${PYTHONPATH:+:$PYTHONPATH} \
			timeout 1200 "$python" -m pytest -q -p without_coverage -p no:cacheprovider -o addopts= -o filterwarnings=default \
			-o asyncio_default_fixture_loop_scope=function --timeout 60 --basetemp "$work/tmp-$name" \
			--junit-xml "$work/$name.xml" "${files[@]/%/.py}" "$@" --rootdir "$suite" </dev/null
	) >"$work/$name.log" 2>&1 || true
	[ -s "$work/$name.xml" ] || { tail -30 "$work/$name.log" >&2; fail "pytest made no report for $name"; }
	echo "$name: $(tail -1 "$work/$name.log")"
}

compare=$source_dir/tests/conformance/compare-reports.py
listed=$("$python" "$compare" --files "$suite/tests")
read -r -d '' -a files <<<"$listed" || true
[ ${#only[@]} -eq 0 ] || files=("${only[@]}")
files=("${files[@]/#/tests/}")
run ipykernel "$work/native" "$@"
run husk "$work/husk/share/jupyter" "$@"
"$python" "$compare" "$work/ipykernel.xml" "$work/husk.xml"
