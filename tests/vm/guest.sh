#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# guest: what the machine does when it is up: the job in each mode, then off. Started by systemd as root.
set -u

exec >/dev/virtio-ports/husk.output 2>&1 </dev/null
results=/vm/results
environment=(
	LC_ALL=C.UTF-8 LANG=C.UTF-8 TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	PYTHONDONTWRITEBYTECODE=1 HUSK_BUILD_DIR=/src/build/vm HUSK_KERNEL=/src/build/vm/kernel/front/husk-kernel
	HUSK_TEST_PYTHON=/usr/bin/python3 top_srcdir=/src top_builddir=/src/build/vm
	HUSK_VM_SLOW=5 # the processor is emulated
)
user=husk
user_environment=("HOME=/home/$user" "USER=$user" "LOGNAME=$user" "XDG_RUNTIME_DIR=/run/user/$(id -u $user)")

# as_user COMMAND...: in this group.
as_user() {
	setpriv --reuid=$user --regid=$user --init-groups env -i "${environment[@]}" "${user_environment[@]}" "$@"
}

run_in_mode() {
	local mode=$1 job=(bash -c "cd /src && $(cat /vm/job/command)") given=("HUSK_VM_MODE=$1" "HUSK_VM_RESULTS=$results/$1")
	local unit=(--quiet --pipe --wait --collect --unit=husk-job -p Delegate=yes)

	case $mode in
	root) env -i "${environment[@]}" HOME=/root USER=root "${given[@]}" "${job[@]}" ;;
	delegated) systemd-run "${unit[@]}" -- /usr/bin/env -i "${environment[@]}" HOME=/root USER=root "${given[@]}" "${job[@]}" ;;
	plain) as_user "${given[@]}" "${job[@]}" ;;
	user)
		systemctl start "user@$(id -u $user).service"
		as_user systemd-run --user "${unit[@]}" -- \
			/usr/bin/env -i "${environment[@]}" "${user_environment[@]}" "${given[@]}" "${job[@]}"
		;;
	esac
}

# As much as a larger machine grants: what a tenant asks for is refused by husk here, or not at all.
echo 1 >/proc/sys/vm/overcommit_memory

echo "husk-vm: Linux $(uname -r), $(. /etc/os-release && echo "$PRETTY_NAME"), up $(cut -d' ' -f1 /proc/uptime) s," \
	"controllers $(cat /sys/fs/cgroup/cgroup.controllers)"
for mode in $(cat /vm/job/modes); do
	echo "husk-vm: as $mode"
	mkdir -p "$results/$mode"
	[ "$mode" = root ] || [ "$mode" = delegated ] || chown $user "$results/$mode"
	# What a job leaves behind may hold the pipe: tee is waited for, but not for ever.
	run_in_mode "$mode" > >(tee "$results/$mode.log") 2>&1
	status=$?
	left=$(find /sys/fs/cgroup -type d \( -name 'husk-*' -o -name 'hostile-*' \) ! -name husk-leaf ! -name '*.service' | head -n 5)
	if [ -n "$left" ]; then
		echo "husk-vm: groups are left: $left"
		[ $status != 0 ] || status=99
	fi
	for _ in $(seq 50); do
		kill -0 $! 2>/dev/null || break
		sleep 0.1
	done
	echo "husk-vm: $mode: $status"
done
tar -C "$results" -cf /dev/virtio-ports/husk.results .
echo "husk-vm: off at $(cut -d' ' -f1 /proc/uptime) s"
sync
systemctl poweroff --force --force
