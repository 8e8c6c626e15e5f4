# shellcheck shell=bash
# The server of one lane: boots, reboots, loses power; and the ways to communicate with it. Sourced by run.
#
# The lane's own network is the client's: 192.0.2.1 and 2001:db8:7::1. Each boot gets a new network namespace, so that
# rules do not survive it, as with a real kernel.

work=/run/latchkey-test
ssh_options=(-F none -i "$work/key" -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no
    -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=5
    -o ServerAliveInterval=10)

# Whether the cases are about the Debian package.
is_package() { [[ $binary == *.deb ]]; }

# Once per lane: mounts made here are visible only in the lane and end with it.
prepare_lane() {
    mount -t tmpfs -o mode=755 tmpfs /run
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mkdir -p "$work"
    ssh-keygen -q -t ed25519 -N '' -C latchkey-test -f "$work/key"
    ip link set lo up
    if is_package; then
        mounts=(--bind-ro="$binary:/opt/latchkey.deb")
        return
    fi
    # The program is one file; Debian lacks only Swift's libraries.
    mounts=(--bind-ro="$binary:/usr/local/sbin/latchkey")
    local name path
    while read -r name path; do
        [[ -e $image/usr/lib/$(uname -m)-linux-gnu/$name || -e $image/lib/$(uname -m)-linux-gnu/$name ]] ||
            mounts+=(--bind-ro="$path:/usr/lib/$name")
    done < <(ldd "$binary" | awk '$2 == "=>" && $3 ~ "^/" { print $1, $3 }')
}

# A freshly installed server, booted. "fresh persistent" also has Debian's netfilter-persistent, "fresh managers" other
# firewall managers, "fresh docker" Docker, none of them active.
fresh() {
    power_off
    mountpoint -q "$work/root" && umount "$work/root"
    rm -rf "$work/upper" "$work/overlay"
    mkdir -p "$work/root" "$work/upper" "$work/overlay"
    local lower=$image
    [[ ${1:-} != @(managers|docker) ]] || lower=$image.$1:$image
    container=()
    # runc makes keyrings and loads programs for devices.
    [[ ${1:-} != docker ]] || container=(--system-call-filter='add_key keyctl bpf')
    mount -t overlay -o "lowerdir=$lower,upperdir=$work/upper,workdir=$work/overlay" overlay "$work/root"
    local home
    for home in root home/ops; do
        mkdir -p -m 700 "$work/root/$home/.ssh"
        cp "$work/key.pub" "$work/root/$home/.ssh/authorized_keys"
    done
    chroot "$work/root" chown -R ops: /home/ops
    if [[ ${1:-} == persistent ]]; then
        chroot "$work/root" env DEBIAN_FRONTEND=noninteractive dpkg --install --recursive /opt/extras >/dev/null
    fi
    boot
}

boot() {
    local group
    ip link delete outside 2>/dev/null || true
    ip netns delete server 2>/dev/null || true
    ip netns add server
    ip link add outside type veth peer name eth0 netns server
    ip address add 192.0.2.1/24 dev outside
    ip address add 2001:db8:7::1/64 dev outside nodad
    ip link set outside up
    boots=$(($(cat "$work/boots" 2>/dev/null || echo 0) + 1))
    echo "$boots" >"$work/boots"
    group=/sys/fs/cgroup/$run-$boots
    mkdir "$group"
    (
        echo "$BASHPID" >"$group/cgroup.procs"
        # Network settings belong to the namespace: a server may write them.
        export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_API_VFS_WRITABLE=network
        exec systemd-nspawn --quiet --boot --keep-unit --register=no --machine=server --directory="$work/root" \
            --network-namespace-path=/run/netns/server --capability=CAP_NET_ADMIN,CAP_NET_RAW --resolv-conf=off \
            --timezone=off --link-journal=no --console=passive --kill-signal=SIGRTMIN+3 "${mounts[@]}" "${container[@]}" \
            </dev/null >>"$work/console" 2>&1
    ) &
    echo $! >"$work/nspawn"
    # Users other than root may log in when the boot is over.
    wait_for 60 ssh_to ops true || fail 'the server does not come up'
}

# The container's PID 1, as numbered in this lane.
leader() {
    local child
    for child in $(cat "/proc/$(<"$work/nspawn")/task/"*/children 2>/dev/null); do
        awk '$1 == "NSpid:" && $NF == 1 { found = 1 } END { exit !found }' "/proc/$child/status" 2>/dev/null || continue
        echo "$child"
        return
    done
    return 1
}

is_up() { [[ -e $work/nspawn && -e /proc/$(<"$work/nspawn")/ns ]] && leader >/dev/null; }
is_down() { ! is_up; }

power_off() {
    is_up || return 0
    kill -KILL "$(leader)"
    wait_for 20 is_down || fail 'the server does not go down'
}
power_cut() {
    power_off
    boot
}
reboot() {
    inside systemctl reboot
    wait_for 60 is_down || fail 'the server does not go down'
    boot
}

# --- ways to communicate with it

# A root shell command that does not use the network.
inside() {
    nsenter --target "$(leader)" --mount --uts --ipc --net --pid --root --wd -- \
        env -i PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 bash -c "$*"
}
# A command over a new SSH connection.
ssh_to() { ssh "${ssh_options[@]}" "$1@${host:-192.0.2.2}" "${@:2}" </dev/null; }
as_root() { settle "$@"; ssh_to root "$@"; }
as_ops() { settle "$@"; ssh_to ops "$@"; }
# A login that begins within 0.2 s of the new rules counts as older: no person is as fast as a script.
settle() { if [[ $* == *'latchkey confirm'* ]]; then sleep 0.3; fi; }

# A login that stays open: NAME USER [OPTION...]. Its shell reads commands from a pipe; "in_session NAME COMMAND" runs
# one there and prints its output.
declare -A session_input session_client
open_session() {
    local name=$1 user=$2 descriptor
    shift 2
    rm -f "$work/$name.in"
    mkfifo "$work/$name.in"
    : >"$work/$name.out"
    ssh "${ssh_options[@]}" "$@" "$user@${host:-192.0.2.2}" "stty -echo 2>/dev/null; exec sh" <"$work/$name.in" \
        >"$work/$name.out" 2>&1 &
    session_client[$name]=$!
    exec {descriptor}>"$work/$name.in"
    session_input[$name]=$descriptor
    in_session "$name" true >/dev/null
}
in_session() {
    local from
    from=$(wc -c <"$work/$1.out")
    # One line: on a terminal sudo would read the next line.
    printf '%s; echo "status"=$?\n' "$2" >&"${session_input[$1]}"
    wait_for "${3:-30}" said "$1" "$from" 'status=[0-9]' || fail "no answer in the session to: $2"
    tail -c "+$((from + 1))" "$work/$1.out" | tr -d '\r'
}
said() { tail -c "+$(($2 + 1))" "$work/$1.out" | grep -qE -- "$3"; }
# The client is killed: the server sees a broken connection.
hang_up() { kill -KILL "${session_client[$1]}"; }
# The shell reads the end of its input and exits, as after "exit".
log_out() {
    local descriptor=${session_input[$1]}
    exec {descriptor}>&-
}

# Whether a new connection reaches sshd.
is_open() {
    timeout 2 bash -c 'exec 3<>"/dev/tcp/$1/22" && read -r -t 1 line <&3 && [[ $line == SSH-* ]]' \
        bash "${host:-192.0.2.2}" 2>/dev/null
}
is_closed() { ! is_open; }

# The active rules, without counters and comments.
rules() { inside 'for tool in iptables-save ip6tables-save; do echo $tool; $tool | sort; done' | plain; }
plain() { sed -e '/^#/d' -e 's/\[[0-9]*:[0-9]*\]//'; }

# --- the boot-time clock, which no change of the date affects, in tenths of a second

now() {
    local up
    read -r up _ </proc/uptime
    echo $((10#${up//./} / 10))
}
# Runs a command until it succeeds, SECONDS at most.
wait_for() {
    local end=$(($(now) + $1 * 10))
    shift
    while (($(now) < end)); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    "$@" >/dev/null 2>&1
}
fail() {
    printf '%s\n' "$*" >"$work/why"
    exit 1
}
