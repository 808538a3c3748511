# SPDX-License-Identifier: Apache-2.0
# lib: what tools/quickstart, tools/check and tools/debian13 share. To be sourced, with source_dir set.
# shellcheck shell=bash disable=SC2034

tool=$(basename "$0")
cache_dir=${HUSK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/husk-dev}
assume_yes=${assume_yes:-no}
export LC_ALL=C.UTF-8

bold= green= red= dim= plain=
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
	bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' dim=$'\e[2m' plain=$'\e[0m'
fi

step() { printf '%s\n' "$bold==> $*$plain"; }
say() { printf '    %s\n' "$*"; }
fail() {
	printf '%s\n' "$red$tool: $*$plain" >&2
	exit 1
}

# The release of this machine: bookworm, trixie; empty when it is not Debian.
release() {
	(. /etc/os-release 2>/dev/null && [ "${ID:-}" = debian ] && echo "${VERSION_CODENAME:-}") || true
}

# Names of the packages that build husk, and for what.
build_packages() {
	local msgpack=libmsgpack-c-dev

	[ "$(release)" != bookworm ] || msgpack=libmsgpack-dev
	echo gcc libc6-dev make autoconf automake pkg-config \
		nettle-dev libconfig-dev libsodium-dev libsqlite3-dev $msgpack python3-dev python3-venv
}

# What a Debian 13 tree has, for building husk and running its tests.
debian13_packages() {
	echo autoconf automake gcc libc6-dev make pkg-config procps xz-utils \
		libzmq3-dev nettle-dev libconfig-dev libsodium-dev libsqlite3-dev libmsgpack-c-dev libcmocka-dev libjansson-dev \
		python3-dev python3-venv \
		python3-ipython python3-jupyter-client python3-ipykernel python3-matplotlib python3-numpy python3-pandas \
		python3-debugpy python3-hypothesis python3-ipywidgets python3-jsonschema python3-jupyter-kernel-test python3-msgpack \
		python3-psutil python3-pytest python3-pytest-timeout python3-trio python3-zmq
}

# This machine's own mirror of Debian, else mmdebstrap's default.
debian_mirror() {
	apt-get indextargets 'Origin: Debian' --format '$(REPO_URI)' 2>/dev/null | grep -m1 '/debian/*$' || true
}

# apt_need WHY PACKAGE...: installs those that are missing, after it has said so and was allowed to.
apt_need() {
	local why=$1 package answer missing=() sudo=()

	shift
	command -v dpkg-query >/dev/null || { say "no dpkg here: make sure that you have what Debian calls: $*"; return 0; }
	for package in "$@"; do
		[ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = "install ok installed" ] || missing+=("$package")
	done
	if [ ${#missing[@]} = 0 ]; then
		say "packages $why: all there"
		return 0
	fi
	say "packages $why: ${#missing[@]} to install from Debian"
	say "  ${missing[*]}"
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || fail "neither root nor sudo; install them yourself: apt-get install ${missing[*]}"
		sudo=(sudo)
	fi
	if [ "$assume_yes" != yes ]; then
		[ -t 0 ] || fail "not allowed to install without a terminal to ask at; add --yes, or: apt-get install ${missing[*]}"
		read -r -p "    install them${sudo:+ with sudo}? [Y/n] " answer
		case $answer in '' | y | Y | yes) ;; *) fail "nothing installed" ;; esac
	fi
	apt_install "${missing[@]}"
}

apt_install() {
	local package apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)

	[ "$(id -u)" = 0 ] || apt=(sudo "${apt[@]}")
	for package in "$@"; do
		apt-cache show "$package" >/dev/null 2>&1 && continue
		logged "read the package lists" apt-update "${apt[@]}" update
		break
	done
	# A list that is too old names files that the mirror no longer has: read it again, once.
	if ! (logged "install packages" apt-install "${apt[@]}" install -y --no-install-recommends "$@"); then
		logged "read the package lists anew" apt-update "${apt[@]}" update
		logged "install packages" apt-install "${apt[@]}" install -y --no-install-recommends "$@"
	fi
}

log_dir=${log_dir:-}

# logged TITLE NAME COMMAND...: runs a command with its output in a file and one line of progress; ends the script, with
# the last lines of the file, when it fails.
logged() {
	local title=$1 log pid status=0

	[ -n "$log_dir" ] || log_dir=$(mktemp -d "${TMPDIR:-/tmp}/husk-$tool.XXXXXX")
	mkdir -p "$log_dir"
	log=$log_dir/$2.log
	shift 2
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	trap 'kill $pid 2>/dev/null; exit 130' INT TERM
	progress "$title" "$pid" "$log"
	wait "$pid" || status=$?
	trap - INT TERM
	if [ $status != 0 ]; then
		printf '    %s\n' "${red}failed:$plain $title (exit $status, ${took} s)"
		tail -n 40 "$log" | sed 's/^/    | /'
		say "all of it: $log"
		return $status
	fi
	printf '    %s\n' "$title ${dim}(${took} s)$plain"
}

# Shows that a process is alive: on a terminal a line that is written over, elsewhere one line each half minute.
progress() {
	local title=$1 pid=$2 log=$3 begin=$SECONDS next=30 width last

	width=$(($(tput cols 2>/dev/null || echo 80) - 12))
	while kill -0 "$pid" 2>/dev/null; do
		took=$((SECONDS - begin))
		if [ -t 1 ]; then
			last=$(tail -n 1 "$log" 2>/dev/null | tr -cd '[:print:]')
			last="$title: $last"
			printf '\r    %s%s (%s s)%s\e[K' "$dim" "${last:0:width}" "$took" "$plain"
		elif [ $took -ge $next ]; then
			say "$title: still at it after $took s"
			next=$((next + 30))
		fi
		sleep 0.2
	done
	took=$((SECONDS - begin))
	[ ! -t 1 ] || printf '\r\e[K'
}

# configure_and_make BUILD_DIR CONFIGURE_ARGUMENT...: out of tree; configure runs again only when its arguments change.
configure_and_make() {
	local build=$1 arguments

	shift
	arguments="$*"
	mkdir -p "$build"
	{ [ -x "$source_dir/configure" ] && [ -e "$source_dir/Makefile.in" ]; } ||
		logged "make configure" autogen "$source_dir/autogen.sh" || return 1
	if [ ! -e "$build/config.status" ] || [ "$(cat "$build/.configured" 2>/dev/null)" != "$arguments" ]; then
		(cd "$build" && logged "configure" configure "$source_dir/configure" "$@") || return 1
		echo "$arguments" >"$build/.configured"
	fi
	logged "build" build make -C "$build" -j"$(nproc)" || return 1
}
