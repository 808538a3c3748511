#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# image: makes DIRECTORY/root.ext4, vmlinuz and initrd.img. usage: image.sh DIRECTORY SUITE MIRROR PACKAGE...
set -euo pipefail

directory=$1 suite=$2 mirror=$3
shift 3

# With the ids of root: as root itself, else in a user namespace.
as_root=()
[ "$(id -u)" = 0 ] || as_root=(unshare --map-root-user --map-auto)

mmdebstrap --quiet --variant=minbase --include="$(IFS=,; echo "$*")" \
	--aptopt='APT::Install-Recommends "false"' \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"' \
	--essential-hook='printf "MODULES=list\nCOMPRESS=zstd\n" >"$1/etc/initramfs-tools/conf.d/husk"' \
	--essential-hook='printf "virtio_pci\nvirtio_blk\next4\ncrc32c\n" >"$1/etc/initramfs-tools/modules"' \
	--customize-hook='chroot "$1" useradd --create-home --shell /bin/bash husk' \
	--customize-hook='mkdir -p "$1/vm" "$1/src" "$1/var/lib/systemd/linger" && : >"$1/var/lib/systemd/linger/husk"' \
	--customize-hook='echo husk-vm >"$1/etc/hostname" && echo "127.0.0.1 localhost husk-vm" >"$1/etc/hosts"' \
	--customize-hook='printf "/dev/vdb /vm ext4 rw 0 0\n/vm/src /src none bind 0 0\n" >"$1/etc/fstab"' \
	--customize-hook='systemctl --root="$1" mask serial-getty@ttyS0.service getty.target apt-daily.timer \
		apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer systemd-timesyncd.service' \
	--customize-hook='printf "%s\n" "[Unit]" "Requires=vm.mount src.mount" "After=multi-user.target" "[Service]" \
		"Type=exec" "ExecStart=/bin/bash /vm/job/guest.sh" "[Install]" "WantedBy=graphical.target" \
		>"$1/etc/systemd/system/husk-vm.service"' \
	--customize-hook='chroot "$1" systemctl enable husk-vm.service' \
	--customize-hook='chroot "$1" systemctl set-default graphical.target' \
	"$suite" "$directory/root.tar" ${mirror:+"$mirror"}

"${as_root[@]}" bash -euc '
	tree=$1/tree
	mkdir "$tree"
	tar -C "$tree" --exclude="./dev/*" -xpf "$1/root.tar"
	cp "$tree"/boot/vmlinuz-* "$1/vmlinuz"
	cp "$tree"/boot/initrd.img-* "$1/initrd.img"
	mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$tree" "$1/root.ext4" 4G
	rm -rf "$tree" "$1/root.tar"
' bash "$directory"
