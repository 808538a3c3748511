#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build: makes husk and its tests in build/vm of the tree that tools/debian13 has entered.
set -euo pipefail

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$source_dir/tools/lib.sh"
build=$source_dir/build/vm

configure_and_make "$build" --enable-werror
logged "build the tests" build-tests make -C "$build" -j"$(nproc)" check TESTS=
