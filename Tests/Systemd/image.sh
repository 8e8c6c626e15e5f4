# shellcheck shell=bash
# The server's root folder: only Debian's own packages. Sourced by run.

# LATCHKEY_SUITE=trixie runs the cases on Debian 13.
suite=${LATCHKEY_SUITE:-bookworm}
packages=systemd-sysv,dbus,libpam-systemd,openssh-server,iptables,nftables,ipset,iproute2,procps,sudo
case $suite in
    bookworm) packages+=,libreadline8 ;;
    *) packages+=,libreadline8t64,dbus-user-session,systemd-resolved ;;
esac
# Removed again: cases that need them install them from these files, without a network.
extras=netfilter-persistent,iptables-persistent
# In a folder of their own that is laid over the server's, because the first of them cannot be installed beside the extras.
managers=ufw,firewalld,fail2ban,python3-systemd,shorewall,shorewall6,ferm,firehol
# Large, so they have a folder that is made only for the cases that are run by name.
docker=docker.io,busybox-static

# Prints the folder; creates it if it does not exist yet. With the arguments "managers" and "docker", also the packages
# of these lists, each in a folder beside it.
make_image() {
    local cache=${TMPDIR:-/tmp}/latchkey-server name
    name=$suite-$(cat "${BASH_SOURCE[0]}" | cksum | cut -d ' ' -f 1)
    mkdir -p -m 700 "$cache"
    (
        flock 9
        make_once "$cache/$name" build_image || exit 1
        local beside
        for beside in "$@"; do
            make_once "$cache/$name.$beside" add_packages "$cache/$name" "${!beside}" || exit 1
        done
    ) 9>"$cache/lock" || return 1
    printf '%s\n' "$cache/$name"
}

# Makes a folder with a function that is given its path and the other arguments. If that fails, there is no folder.
make_once() {
    [[ ! -e $1 ]] || return 0
    echo 'making the server from the packages of Debian (a minute or two)' >&2
    rm -rf --one-file-system "$1.part"
    "$2" "$1.part" "${@:3}" >"$1.log" 2>&1 && mv "$1.part" "$1" && return
    tail -n 20 "$1.log" >&2
    return 1
}

# Where this machine gets its packages of Debian; nothing if it does not say.
debian_mirror() {
    apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk -v suite=$suite '$1 == suite { print $2; exit }' || true
}

# In a separate mount namespace, so that debootstrap's mounts always disappear.
build_image() {
    local mirror
    mirror=$(debian_mirror)
    mkdir -p "$1/etc/dpkg/dpkg.cfg.d" "$1.debs"
    # Nothing here has to survive a power cut of the test machine.
    printf 'force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\n' \
        >"$1/etc/dpkg/dpkg.cfg.d/latchkey-test"
    unshare --mount --propagation private -- debootstrap --variant=minbase --cache-dir="$1.debs" \
        --include="$packages,$extras" "$suite" "$1" ${mirror:+"$mirror"} || return 1
    mkdir -p "$1/opt/extras"
    local extra
    for extra in ${extras//,/ }; do mv "$1.debs/$extra"_*.deb "$1/opt/extras/" || return 1; done
    chroot "$1" dpkg --purge ${extras//,/ } || return 1
    rm -rf "$1.debs" "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/* "$1/etc/iptables"
    configure_image "$1"
}

# Installs the packages $3, none of their services active, in the folder $1 over the server $2.
add_packages() {
    local mirror debs=$1.debs
    mirror=$(debian_mirror)
    mkdir -p "$debs"
    # Only downloads: the packages of the server are there already.
    debootstrap --variant=minbase --download-only --cache-dir="$debs" --include="$3" "$suite" "$debs.root" \
        ${mirror:+"$mirror"} || return 1
    mkdir -p "$1" "$1.work" "$1.root"
    unshare --mount --propagation private -- "$BASH" -c '
        mount -t overlay -o "lowerdir=$2,upperdir=$1,workdir=$1.work" overlay "$1.root" || exit 1
        mkdir "$1.root/debs"
        for deb in "$3"/*.deb; do
            name=${deb##*/}
            [[ -e $1.root/var/lib/dpkg/info/${name%%_*}.list || -e $1.root/var/lib/dpkg/info/${name%%_*}:amd64.list ]] ||
                cp "$deb" "$1.root/debs" || exit 1
        done
        # Several times: some packages can be unpacked only when others are configured.
        for try in 1 2 3 4; do
            chroot "$1.root" env DEBIAN_FRONTEND=noninteractive dpkg --install --recursive /debs && break
            [[ $try != 4 ]] || exit 1
        done
        rm -rf "$1.root/debs"
        for unit in ufw firewalld fail2ban shorewall shorewall6 ferm firehol docker containerd docker.socket; do
            chroot "$1.root" systemctl --quiet disable "$unit" 2>/dev/null || true
        done' bash "$1" "$2" "$debs" || return 1
    rm -rf --one-file-system "$1.work" "$1.root" "$debs" "$debs.root"
}

configure_image() {
    echo server >"$1/etc/hostname"
    printf '127.0.0.1 localhost\n::1 localhost\n192.0.2.2 server\n' >"$1/etc/hosts"
    printf '%s\n' '[Match]' 'Name=eth0' '[Network]' 'Address=192.0.2.2/24' 'Address=2001:db8:7::2/64' \
        'IPv6AcceptRA=no' 'IPv6DuplicateAddressDetection=0' 'LinkLocalAddressing=no' \
        >"$1/etc/systemd/network/eth0.network"
    # The end of a login ends all of its remaining processes, without a long wait.
    mkdir -p "$1/etc/systemd/logind.conf.d" "$1/etc/systemd/system.conf.d" "$1/etc/ssh/sshd_config.d"
    printf '%s\n' '[Login]' 'KillUserProcesses=yes' 'KillExcludeUsers=' >"$1/etc/systemd/logind.conf.d/test.conf"
    printf '%s\n' '[Manager]' 'DefaultTimeoutStopSec=2s' >"$1/etc/systemd/system.conf.d/test.conf"
    printf '%s\n' 'UseDNS no' 'MaxStartups 100' >"$1/etc/ssh/sshd_config.d/test.conf"
    # The rules that are active at the moment before the network starts.
    printf '%s\n' '[Unit]' 'DefaultDependencies=no' 'After=network-pre.target' 'Before=systemd-networkd.service' \
        'Wants=network-pre.target' '[Service]' 'Type=oneshot' \
        'ExecStart=/bin/sh -c "ip -o address show dev eth0; iptables-save; ip6tables-save >&2"' \
        'StandardOutput=truncate:/run/before-network' 'StandardError=truncate:/run/before-network6' \
        '[Install]' 'WantedBy=multi-user.target' >"$1/etc/systemd/system/before-network.service"
    chroot "$1" useradd --create-home --shell /bin/bash ops
    echo 'ops ALL=(ALL) NOPASSWD: ALL' >"$1/etc/sudoers.d/ops"
    chmod 440 "$1/etc/sudoers.d/ops"
    chroot "$1" systemctl --quiet enable ssh systemd-networkd before-network
    chroot "$1" systemctl --quiet mask systemd-networkd-wait-online apt-daily.timer apt-daily-upgrade.timer \
        fstrim.timer e2scrub_all.timer dpkg-db-backup.timer
}
