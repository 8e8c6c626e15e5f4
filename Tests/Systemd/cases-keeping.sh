# shellcheck shell=bash
# Keeping, refusing, and the rules of other programs. Sourced by run.

# a new login keeps the rules; a systemd service guarded them meanwhile
case_confirm() {
    fresh
    earlier_rules
    answers 'services: [web]' 'existing: replace'
    as_ops 'sudo latchkey apply --answers /root/answers.yaml --detach' || fail "apply said $?"
    [[ $(inside 'latchkey status --json') == *'"supervisor":"systemd"'* ]] || fail 'systemd does not supervise the guard'
    [[ $(status gate) == recent ]] || fail "the gate is $(status gate)"
    is_beneath || differ 'the previous rules are not beneath' "$before"
    inside 'systemctl show -P OOMScoreAdjust "latchkey-*.service"' | grep -qx -- -1000 || fail 'no shield from OOM'
    [[ $(inside 'cat /proc/$(pgrep -f "latchkey guard" | head -n 1)/cgroup') == *system.slice/latchkey-* ]] ||
        fail 'the guard is in the cgroup of the login'
    expect_status 0 as_ops sudo latchkey confirm
    [[ $(state) == kept ]] || fail "the state is $(state)"
    rules | grep -q 'recent\|latchkey-trial' && fail 'a gate is left'
    inside 'ls /proc/net/xt_recent 2>/dev/null' | grep -q latchkey && fail 'a list is left'
    rules | grep -q '^:INPUT DROP' || fail 'the rules are not active'
    wait_for 5 nothing_runs || fail 'something of latchkey still runs'
    expect_status 6 as_root latchkey confirm
}
nothing_runs() { ! inside 'pgrep -f "latchkey (guard|supervise)" || systemctl --quiet is-active "latchkey-*.service"'; }

# doctor says who would guard a change: systemd, unless it cannot see the network
case_doctor() {
    fresh
    as_root latchkey doctor | grep -q '^ok  *supervision  *by systemd:' || fail 'systemd is not said to supervise'
    inside 'unshare --net latchkey doctor' | grep -q '^warning  *supervision ' || fail 'no warning in another namespace'
}

# a login older than the rules cannot keep them: directly, with sudo, with su, sharing an old connection
case_old_connection() {
    fresh
    open_session root root
    open_session ops ops -tt
    ssh "${ssh_options[@]}" -o ControlMaster=yes -o ControlPath="$work/master" -N root@192.0.2.2 &
    wait_for 10 test -S "$work/master" || fail 'no shared connection'
    answers 'services: [web]'
    as_root 'latchkey apply --answers /root/answers.yaml --detach' || fail "apply said $?"
    expect_in_session 7 root 'latchkey confirm'
    expect_in_session 7 root 'setsid --wait env -i /usr/local/sbin/latchkey confirm'
    expect_in_session 7 ops 'sudo latchkey confirm'
    expect_in_session 7 ops 'sudo --login latchkey confirm'
    expect_in_session 7 ops 'sudo su - -c "latchkey confirm"'
    expect_status 7 ssh -o ControlPath="$work/master" "${ssh_options[@]}" root@192.0.2.2 latchkey confirm
    expect_status 0 as_root latchkey revert
    [[ $(state) == reverted ]] || fail "the state is $(state)"
}

# answers that would lock out the person who applies them are refused, also with sudo
case_refused() {
    fresh
    earlier_rules
    answers 'services: [web]' 'ssh: { from: [198.51.100.1] }'
    expect_status 4 as_root latchkey apply --answers /root/answers.yaml
    expect_status 4 as_ops sudo latchkey apply --answers /root/answers.yaml
    host=2001:db8:7::2 expect_status 4 as_ops sudo latchkey apply --answers /root/answers.yaml
    is_before || fail 'the rules have changed'
}

# with "existing: keep" a ban and a container created during the countdown survive the revert
case_others() {
    fresh
    earlier_rules
    answers 'services: [web]' 'existing: keep'
    as_root 'latchkey apply --answers /root/answers.yaml --deadline 10 --detach' || fail "apply said $?"
    inside 'iptables -I f2b-sshd -s 198.51.100.8 -j REJECT
        iptables -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80'
    wait_for 15 has_reverted || fail 'not reverted'
    rules | grep -q '198.51.100.8/32' || fail 'the ban is gone'
    rules | grep -q '172.17.0.2:80' || fail 'the container is gone'
    inside 'iptables -D f2b-sshd -s 198.51.100.8 -j REJECT
        iptables -t nat -D PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80'
    earlier_rules_are_back
}
has_reverted() { [[ $(state) == reverted ]]; }

# rules without INPUT change nothing but their own table
case_nat_only() {
    fresh
    inside 'iptables -t nat -A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE'
    before=$(rules)
    printf '%s\n' '*nat' ':POSTROUTING ACCEPT [0:0]' '-A POSTROUTING -s 172.18.0.0/16 -j MASQUERADE' COMMIT |
        inside 'cat > /root/nat.rules'
    as_root 'latchkey apply --rules /root/nat.rules --detach' || fail "apply said $?"
    rules | grep -q filter && fail 'there are filter rules'
    expect_status 0 as_root latchkey revert
    earlier_rules_are_back
}

# the first rules that track connections do not cut the current login, IPv4 and IPv6
case_tracking() {
    fresh
    locked "$established"
    open_session four root
    host=2001:db8:7::2 open_session six root
    printf 'while sleep 0.2; do echo tick; done\n' | tee "/dev/fd/${session_input[four]}" >&"${session_input[six]}"
    as_root "$lock_out 20 --detach" || fail "apply said $?"
    is_closed || fail 'the rules do not lock out'
    local name from
    for name in four six; do
        from=$(wc -c <"$work/$name.out")
        wait_for 5 said "$name" "$((from + 20))" tick || fail "the login is cut ($name)"
    done
    inside 'latchkey revert'
}
