# SPDX-License-Identifier: Apache-2.0
# husk.m4: the checks of configure.ac. Each missing thing is collected with its Debian package, and all are told at once.

husk_missing_packages=
husk_missing_reasons=

# HUSK_MISSING(package, what is missing and for what)
AC_DEFUN([HUSK_MISSING], [
	husk_missing_packages="$husk_missing_packages $1"
	husk_missing_reasons="$husk_missing_reasons
    $1: $2"
])

# HUSK_REPORT_MISSING: ends configure when a check before it found something missing.
AC_DEFUN([HUSK_REPORT_MISSING], [
	AS_IF([test -n "$husk_missing_packages"], [
		AC_MSG_ERROR([these Debian packages are missing:
$husk_missing_reasons

  Install them with:
    apt-get install$husk_missing_packages
])])
])

# HUSK_NEED_COMPILER: a sentence with a package name where AC_PROG_CC would only say "no acceptable C compiler".
AC_DEFUN([HUSK_NEED_COMPILER], [
	AS_IF([test -z "$CC"], [
		husk_compiler=no
		for husk_candidate in gcc cc clang; do
			AS_IF([command -v $husk_candidate >/dev/null 2>&1], [husk_compiler=yes])
		done
		AS_IF([test $husk_compiler = no],
			[AC_MSG_ERROR([no C compiler found; install one with: apt-get install gcc libc6-dev make pkg-config])])
	])
])

# HUSK_NEED_LIBC: the kernel interfaces that the tree uses without fallback (glibc 2.36 of Debian 12 has them all).
AC_DEFUN([HUSK_NEED_LIBC], [
	AC_CHECK_FUNCS([memfd_create pidfd_open], [], [HUSK_MISSING([libc6-dev], [a C library of 2.36 or newer])])
	AS_IF([test -z "$PKG_CONFIG"], [AC_MSG_ERROR([pkg-config is missing; install it with: apt-get install pkg-config])])
])

# HUSK_PKG(NAME, pkg-config condition, Debian package, for what)
AC_DEFUN([HUSK_PKG], [
	PKG_CHECK_MODULES([$1], [$2], [], [HUSK_MISSING([$3], [$2, for $4])])
	AC_SUBST([$1_CFLAGS])
	AC_SUBST([$1_LIBS])
])

# HUSK_PKG_OPTIONAL(NAME, pkg-config condition, Debian package, for what): conditional HAVE_NAME
AC_DEFUN([HUSK_PKG_OPTIONAL], [
	m4_pushdef([husk_lower], m4_tolower([$1]))
	PKG_CHECK_MODULES([$1], [$2], [have_[]husk_lower=yes], [
		have_[]husk_lower=no
		AC_MSG_WARN([left out for want of $2: $4 (apt-get install $3)])
	])
	AM_CONDITIONAL([HAVE_$1], [test $have_[]husk_lower = yes])
	m4_popdef([husk_lower])
])

# HUSK_NEED_MSGPACK: the C packer, header-only use. Its pkg-config name is msgpack in Debian 12 and msgpack-c in 13.
AC_DEFUN([HUSK_NEED_MSGPACK], [
	PKG_CHECK_MODULES([MSGPACK], [msgpack-c], [], [
		PKG_CHECK_MODULES([MSGPACK], [msgpack], [], [MSGPACK_CFLAGS=])
	])
	husk_save_CPPFLAGS=$CPPFLAGS
	CPPFLAGS="$CPPFLAGS $MSGPACK_CFLAGS"
	AC_CHECK_HEADER([msgpack/pack.h], [], [
		AS_CASE([`. /etc/os-release 2>/dev/null && echo "$VERSION_CODENAME"`],
			[bookworm], [HUSK_MISSING([libmsgpack-dev], [msgpack/pack.h, for the link to the worker])],
			[HUSK_MISSING([libmsgpack-c-dev], [msgpack/pack.h, for the link to the worker])])
	])
	CPPFLAGS=$husk_save_CPPFLAGS
	AC_SUBST([MSGPACK_CFLAGS])
])

# HUSK_NEED_PYTHON: the interpreter that runs the build's own scripts, and Python.h for the limited API. The core is
# never linked to a libpython: it is loaded into the interpreter that it serves (ARCHITECTURE.md 3).
AC_DEFUN([HUSK_NEED_PYTHON], [
	AS_IF([test -z "$PYTHON"], [
		for husk_candidate in /usr/bin/python3 python3; do
			AS_IF([test -z "$PYTHON"], [PYTHON=`command -v $husk_candidate 2>/dev/null`])
		done
	])
	AC_MSG_CHECKING([for CPython >= 3.11])
	husk_python_version=
	AS_IF([test -n "$PYTHON"],
		[husk_python_version=`"$PYTHON" -c 'import sys; print("%d.%d.%d" % sys.version_info@<:@:3@:>@ if sys.version_info >= (3, 11) and sys.implementation.name == "cpython" else "")' 2>/dev/null`])
	AS_IF([test -n "$husk_python_version"], [AC_MSG_RESULT([$PYTHON ($husk_python_version)])], [
		AC_MSG_RESULT([no])
		HUSK_MISSING([python3], [CPython >= 3.11 (PYTHON=${PYTHON:-not found}), which builds the worker])
	])
	AC_MSG_CHECKING([for Python.h])
	husk_python_include=
	AS_IF([test -n "$husk_python_version"],
		[husk_python_include=`"$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("include"))'`])
	AS_IF([test -n "$husk_python_include" && test -r "$husk_python_include/Python.h"],
		[AC_MSG_RESULT([$husk_python_include])], [
		AC_MSG_RESULT([no])
		HUSK_MISSING([python3-dev], [Python.h, for the worker's core])
	])
	PYTHON_CPPFLAGS="-isystem $husk_python_include -DPy_LIMITED_API=0x030b0000"
	AC_SUBST([PYTHON])
	AC_SUBST([PYTHON_CPPFLAGS])
])

# HUSK_APPEND_FLAGS(VARIABLE, flags, [link]): those that the compiler takes without a warning.
AC_DEFUN([HUSK_APPEND_FLAGS], [
	for husk_flag in $2; do
		AC_MSG_CHECKING([whether $CC takes $husk_flag])
		husk_save_CFLAGS=$CFLAGS
		husk_save_LDFLAGS=$LDFLAGS
		m4_ifval([$3], [LDFLAGS="$LDFLAGS -Werror $husk_flag"], [CFLAGS="$CFLAGS -Werror $husk_flag"])
		m4_ifval([$3], [AC_LINK_IFELSE], [AC_COMPILE_IFELSE])([AC_LANG_PROGRAM([], [])],
			[AC_MSG_RESULT([yes]); AS_VAR_APPEND([$1], [" $husk_flag"])], [AC_MSG_RESULT([no])])
		CFLAGS=$husk_save_CFLAGS
		LDFLAGS=$husk_save_LDFLAGS
	done
	AC_SUBST([$1])
])

AC_DEFUN([HUSK_WARNINGS], [
	HUSK_APPEND_FLAGS([WARN_CFLAGS], [-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes dnl
		-Wold-style-definition -Wpointer-arith -Wwrite-strings -Wcast-qual -Wformat=2 -Wimplicit-fallthrough -Wimplicit-fallthrough=5 dnl
		-Wswitch-enum -Wundef -Wvla -Wconversion -Wno-sign-conversion])
	AS_IF([test "x$enable_werror" = xyes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
])

# Fortification needs optimisation and is at odds with ASan's own checks of the same calls.
AC_DEFUN([HUSK_HARDENING], [
	HUSK_APPEND_FLAGS([HARDEN_CFLAGS], [-fstack-protector-strong -fstack-clash-protection -fcf-protection=full dnl
		-ftrivial-auto-var-init=zero -fno-strict-overflow -fno-common])
	HUSK_APPEND_FLAGS([HARDEN_LDFLAGS], [-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed], [link])
	AS_CASE([" $CFLAGS "], [*' -O0 '*], [], [
		AS_IF([test "x$enable_sanitizers" = xno && test "x$enable_fuzzing" = xno],
			[HARDEN_CFLAGS="$HARDEN_CFLAGS -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3"])
	])
])

# The core is preloaded into an interpreter that has no sanitizer runtime: there UBSan traps, and ASan is left out.
AC_DEFUN([HUSK_SANITIZERS], [
	SANITIZE_CFLAGS=
	CORE_SANITIZE_CFLAGS=
	AS_IF([test "x$enable_sanitizers" = xyes], [
		SANITIZE_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
		CORE_SANITIZE_CFLAGS="-fsanitize=undefined -fsanitize-undefined-trap-on-error -fno-omit-frame-pointer"
		husk_save_CFLAGS=$CFLAGS
		CFLAGS="$CFLAGS $SANITIZE_CFLAGS"
		AC_MSG_CHECKING([whether $CC links with ASan and UBSan])
		AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [AC_MSG_RESULT([yes])], [
			AC_MSG_RESULT([no])
			AC_MSG_ERROR([the sanitizer runtime of $CC is missing; install it with: apt-get install libasan8 libubsan1 (gcc) or libclang-rt-dev (clang)])
		])
		CFLAGS=$husk_save_CFLAGS
	])
	AC_DEFINE_UNQUOTED([HUSK_SANITIZED], [`test "x$enable_sanitizers" = xyes && echo 1 || echo 0`],
		[1 when ASan is linked in, which maps terabytes of address space])
	AC_SUBST([SANITIZE_CFLAGS])
	AC_SUBST([CORE_SANITIZE_CFLAGS])
	AM_CONDITIONAL([SANITIZERS], [test "x$enable_sanitizers" = xyes])
])

AC_DEFUN([HUSK_FUZZING], [
	FUZZ_CFLAGS=
	FUZZ_LDFLAGS=
	AS_IF([test "x$enable_fuzzing" = xyes], [
		FUZZ_CFLAGS="-fsanitize=fuzzer-no-link"
		FUZZ_LDFLAGS="-fsanitize=fuzzer"
		husk_save_CFLAGS=$CFLAGS
		CFLAGS="$CFLAGS -fsanitize=fuzzer"
		AC_MSG_CHECKING([whether $CC links with libFuzzer])
		AC_LINK_IFELSE([AC_LANG_SOURCE([
			#include <stddef.h>
			#include <stdint.h>
			int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
			int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return data == 0 && size != 0; }
		])], [AC_MSG_RESULT([yes])], [
			AC_MSG_RESULT([no])
			AC_MSG_ERROR([--enable-fuzzing needs clang with libFuzzer: configure with CC=clang; apt-get install clang libclang-rt-dev])
		])
		CFLAGS=$husk_save_CFLAGS
	])
	AC_SUBST([FUZZ_CFLAGS])
	AC_SUBST([FUZZ_LDFLAGS])
	AM_CONDITIONAL([FUZZING], [test "x$enable_fuzzing" = xyes])
])
