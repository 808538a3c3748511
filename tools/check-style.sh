#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# check-style: check-text.py on the tree, ruff and mypy on its Python where they are installed (tools/venv test has them).
set -euo pipefail

top=${1:-${top_srcdir:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}}
python=${PYTHON:-/usr/bin/python3}
status=0

"$python" "$top/tools/check-text.py" "$top" || status=1

cd "$top"
if command -v ruff >/dev/null; then
	ruff check --no-cache --quiet . || status=1
	echo "check-style: ruff has judged"
else
	echo "check-style: no ruff on PATH, left out"
fi
if command -v mypy >/dev/null && [ -n "$(find kernel/worker/py -name '*.py' -print -quit)" ]; then
	mypy --cache-dir=/dev/null --no-error-summary || status=1
	echo "check-style: mypy has judged"
else
	echo "check-style: no mypy on PATH, left out"
fi
if command -v shellcheck >/dev/null; then
	# Empty assignments and lists of words are meant as they are written; lib.sh is sourced.
	shellcheck --severity=warning --exclude=SC1007,SC1091,SC2034,SC2046,SC2154 --shell=bash \
		tools/check tools/quickstart tools/venv tools/debian13 .ci/run tools/*.sh tests/vm/run tests/vm/*.sh || status=1
	echo "check-style: shellcheck has judged"
else
	echo "check-style: no shellcheck on PATH, left out"
fi
exit $status
