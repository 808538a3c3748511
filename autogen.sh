#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# autogen.sh: makes ./configure from configure.ac.
set -eu
cd "$(dirname "$0")"
missing=
command -v autoreconf >/dev/null || missing="$missing autoconf"
command -v automake >/dev/null || missing="$missing automake"
command -v pkg-config >/dev/null || missing="$missing pkg-config"
if [ -n "$missing" ]; then
	echo "autogen.sh: these Debian packages are missing:$missing" >&2
	echo "  apt-get install$missing" >&2
	exit 1
fi
exec autoreconf --install --warnings=all
