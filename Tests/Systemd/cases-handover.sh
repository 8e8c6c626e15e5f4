# shellcheck shell=bash
# What happens when the guard or the server dies in the middle of a take-over, with the real programs. Sourced by run.

# From now on, the tools that a guard uses read /run/end-at: "WHAT WHEN PATTERN". A call that matches the pattern (grep -E)
# ends the guard, or the server hangs in it (WHAT: kill or hang), before or after the tool has done its work (WHEN).
watch_calls() {
    inside 'cat >/usr/local/sbin/watch-call && chmod +x /usr/local/sbin/watch-call' <<'X'
#!/bin/bash
name=$1
shift
run() { exec -a "$name" "/opt/real/$name" "$@"; }
[[ -e /run/end-at ]] || run "$@"
read -r what when pattern </run/end-at
grep -qE -- "$pattern" <<<"$name $*" && mv /run/end-at /run/ended-at 2>/dev/null || run "$@"
[[ $when == before ]] || (run "$@")
touch /run/ending
[[ $what == kill ]] || sleep infinity
for process in /proc/[0-9]*; do
    [[ $process/exe -ef /usr/local/sbin/latchkey ]] && tr '\0' ' ' <"$process/cmdline" | grep -q 'latchkey guard' &&
        kill -KILL "${process#/proc/}"
done 2>/dev/null
X
    inside 'mkdir /opt/real
        for tool in ufw nft systemctl iptables-nft-restore ip6tables-nft-restore; do
            path=$(command -v $tool)
            cp "$(readlink -f "$path")" /opt/real/$tool
            rm "$path"
            printf "#!/bin/sh\nexec /usr/local/sbin/watch-call $tool \"\$@\"\n" >"$path"
            chmod +x "$path"
        done'
}
end_at() { inside "rm -f /run/ending; echo '$*' >/run/end-at.new; mv /run/end-at.new /run/end-at"; }
is_ending() { inside 'test -e /run/ending'; }

set_up_ufw() {
    # Its unit is enabled as on a server with only this manager.
    inside 'systemctl --quiet enable ufw && ufw allow ssh && ufw allow 9090/tcp && ufw --force enable' >/dev/null ||
        fail 'ufw does not start'
}
set_up_firewalld() {
    inside 'systemctl enable --now firewalld && firewall-cmd -q --permanent --add-port 9090/tcp && firewall-cmd -q --reload' ||
        fail 'firewalld does not start'
}

# Records whether SSH is closed, or port 9091 reachable, at some time until "door_was_right".
watch_door() {
    rm -f "$work/stopped" "$work/shut" "$work/leaks"
    (while [[ ! -e $work/stopped ]]; do is_open || echo "$EPOCHREALTIME" >>"$work/shut"; done) &
    (while [[ ! -e $work/stopped ]]; do reaches 9091 && echo "$EPOCHREALTIME" >>"$work/leaks"; done) &
}
door_was_right() {
    touch "$work/stopped"
    sleep 1.2
    [[ ! -e $work/shut ]] || fail "$1: SSH was closed"
    [[ ! -e $work/leaks ]] || fail "$1: packets came through: $(wc -l <"$work/leaks")"
}
no_shield() { ! inside 'nft list tables' | grep -q shield || fail "$1: the shield is still there"; }

# The guard is killed at a moment of the take-over; see watch_calls.
killed_handover() {
    local moment="$manager, $*"
    "set_up_$manager"
    take_over
    watch_door
    end_at kill "$@"
    as_root latchkey confirm >"$work/said" 2>&1
    status_of inside 'test -e /run/ending'
    [[ $last_status == 0 ]] || fail "$moment: no such call"
    wait_for 30 is_kept || fail "$moment: the state is $(state): $(<"$work/said")"
    door_was_right "$moment"
    answers_decide
    no_drift "$moment"
    no_shield "$moment"
}

# ufw and firewalld: the guard is killed while it takes over; the next one ends it, and SSH answers all the time
case_handover_killed() {
    local manager
    fresh managers
    watch_calls
    answers 'services: [web]'
    manager=ufw
    killed_handover after 'iptables-nft-restore .*--counters'
    manager=firewalld
    killed_handover after 'systemctl disable --now firewalld'
}

# The server loses power at a moment of the take-over; see watch_calls.
cut_handover() {
    local moment="$manager, $*" client
    "set_up_$manager"
    take_over
    end_at hang "$@"
    as_root latchkey confirm >"$work/said" 2>&1 &
    client=$!
    wait_for 10 is_ending || fail "$moment: no such call"
    is_open || fail "$moment: SSH is closed"
    kill $client
    power_cut
    is_open || fail "$moment, after boot: SSH is closed"
    reaches 9091 && fail "$moment, after boot: the server is open"
    [[ $(status state) != pending ]] || fail "$moment, after boot: still pending"
}

# ufw: the power fails while latchkey takes over; the server boots with both firewalls, or with latchkey's
case_handover_power_cut() {
    local manager=ufw
    fresh managers
    watch_calls
    answers 'services: [web]'
    cut_handover before 'ufw --force disable'
    inside 'latchkey doctor' | grep -q '^warning  *ufw' || fail 'doctor does not name ufw'
    cut_handover after 'ufw --force disable'
    answers_decide
    no_drift 'ufw is stopped'
}

# Keeps the answers, with arguments as for apply, beside what a program has left.
keep_beside_leftovers() {
    as_root latchkey apply --answers /root/answers.yaml --detach "$@" >"$work/said" 2>&1 || fail "apply said $?"
    expect_status 0 as_root latchkey confirm
}
names_leftovers() {
    inside 'latchkey doctor' | sed -n '/only leftovers/,/^[^ ]/p' | tr -s '\n ' ' ' >"$work/said"
    grep -q "^warning $1 only leftovers" "$work/said"
}
leave_ufw() {
    set_up_ufw
    inside 'sed -i s/ENABLED=yes/ENABLED=no/ /etc/ufw/ufw.conf'
    names_leftovers ufw || fail 'doctor does not name the leftovers of ufw'
}

# firewalld and ufw that are not active, but have left their rules: named, not refused, and each remedy works
case_leftovers() {
    local remedy
    fresh managers
    set_up_firewalld
    inside 'systemctl --quiet disable firewalld && systemctl kill --signal KILL firewalld'
    wait_for 5 names_leftovers firewalld || fail 'doctor does not name the leftovers of firewalld'
    remedy=$(sed -n 's/.*then run: \(sudo nft delete table [a-z0-9]* [a-z]*\).*/\1/p' "$work/said")
    answers 'services: [web]'
    keep_beside_leftovers --no-rehearsal
    as_ops "$remedy" || fail "the remedy does not work: $remedy"
    answers_decide
    names_leftovers firewalld && fail 'firewalld is still named'

    leave_ufw
    answers 'services: [web]' 'existing: replace'
    keep_beside_leftovers --no-rehearsal
    answers_decide
    inside 'iptables-save; ip6tables-save' | grep -q 'ufw' && fail 'a rule of ufw is left'

    leave_ufw
    answers 'services: [web]'
    keep_beside_leftovers
    grep -q 'Only leftovers of ufw' "$work/said" || fail "apply does not name the leftovers: $(<"$work/said")"
    reboot
    answers_decide
    names_leftovers ufw && fail 'ufw is still named after a reboot'
    no_drift 'after the reboot'
}
