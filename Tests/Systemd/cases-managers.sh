# shellcheck shell=bash
# Other firewall managers, with the real programs. Sourced by run.

# Begins a change that takes over; arguments as for apply.
take_over() {
    as_root "latchkey apply --answers /root/answers.yaml --take-over --detach $*" || fail "apply said $?"
}

# Only latchkey's rules decide: what the answers open is open, and the other program's port is closed.
answers_decide() {
    local six
    reaches 80 || fail 'the web service is closed'
    wait_for 3 reaches 80 "$ipv6" || fail 'the web service is closed by IPv6'
    reaches 9090 "$ipv6" &
    six=$!
    reaches 9090 && fail "the other program's port is open"
    wait $six && fail "the other program's port is open by IPv6"
    is_open || fail 'SSH is closed'
}
ipv6=2001:db8:7::2

# Whether a new connection reaches a port (at an address): nothing listens there, so it is refused by the server or lost on
# the way.
reaches() {
    local said
    said=$(timeout 1 bash -c "exec 3<>/dev/tcp/${2:-192.0.2.2}/$1" 2>&1)
    [[ $? == 0 || $said == *refused* ]]
}

# The command that latchkey names when it refuses shows what the other program allows.
imports() {
    inside "latchkey import $1" >"$work/said" 2>&1 || fail "import said $?: $(<"$work/said")"
    grep -q '9090/tcp' "$work/said" || fail "the port of $1 is not imported: $(<"$work/said")"
}

# ufw: refused beside it; a rollback and a reboot leave it as it was; kept, it is disabled, and the answers decide
case_takes_over_ufw() {
    local its
    fresh managers
    inside 'systemctl --quiet enable ufw && ufw allow ssh && ufw allow 9090/tcp && ufw --force enable' >/dev/null ||
        fail 'ufw does not start'
    its=$(inside 'iptables-save; ip6tables-save; cat /etc/ufw/ufw.conf' | grep -v '^#\|^:')
    answers 'services: [web]'
    expect_status 4 as_root latchkey apply --answers /root/answers.yaml --detach
    imports ufw
    take_over
    reaches 80 || fail 'the trial is not on top of ufw'
    reaches 9090 && fail 'the trial is beneath ufw'
    expect_status 0 as_root latchkey revert
    [[ $(inside 'iptables-save; ip6tables-save; cat /etc/ufw/ufw.conf' | grep -v '^#\|^:') == "$its" ]] ||
        fail 'ufw is not as it was after the rollback'
    reaches 9090 || fail 'ufw does not decide after the rollback'
    take_over
    # It loads its rules again in the window.
    inside 'ufw reload' >/dev/null || fail 'ufw does not reload'
    is_open || fail 'SSH is closed after a reload'
    reboot
    reaches 9090 || fail 'ufw does not decide after a reboot in the window'
    reaches 9091 && fail 'the server is open after a reboot in the window'
    take_over
    expect_status 0 as_root latchkey confirm
    answers_decide
    inside 'grep -qx ENABLED=no /etc/ufw/ufw.conf' || fail 'ufw is still enabled'
    [[ $(inside 'latchkey status --json') == *'"drift":false'* ]] || fail 'drift'
    reboot
    answers_decide
    [[ $(inside 'latchkey status --json') == *'"drift":false'* ]] || fail 'drift after the reboot'
    # The way back, with the command that latchkey names.
    as_root "latchkey snapshots restore \$(latchkey snapshots list | tail -n 1 | cut -d ' ' -f 1) --detach" \
        >"$work/said" 2>&1 || fail "restore said $?"
    grep -q 'ufw --force enable' "$work/said" || fail "the way back to ufw is not named: $(<"$work/said")"
    expect_status 0 as_root latchkey confirm
    inside 'ufw --force enable' >/dev/null || fail 'ufw does not start again'
    reaches 9090 || fail 'ufw does not decide again'
    is_open || fail 'SSH is closed under ufw'
}

# ufw that does not stop: everything is as it was
case_manager_does_not_stop() {
    fresh managers
    inside 'ufw allow ssh && ufw allow 9090/tcp && ufw --force enable' >/dev/null || fail 'ufw does not start'
    # Its own program, which fails when it is to stop, after it has removed its rules.
    inside 'cp /usr/sbin/ufw /usr/sbin/ufw.real && printf "#!/bin/sh\n/usr/sbin/ufw.real \"\$@\" || exit; case \"\$*\" in *disable*) exit 1; esac\n" >/usr/sbin/ufw'
    answers 'services: [web]'
    take_over
    as_root latchkey confirm && fail 'it was kept'
    [[ $(state) == reverted ]] || fail "the state is $(state)"
    reaches 9090 || fail 'ufw does not decide again'
    reaches 80 && fail 'the new rules decide'
    is_open || fail 'SSH is closed'
    inside 'grep -qx ENABLED=yes /etc/ufw/ufw.conf' || fail 'ufw is not enabled again'
    inside 'ls /etc/systemd/system/latchkey-restore.service /var/lib/latchkey/kept.json /etc/latchkey/answers.yaml' 2>/dev/null |
        grep . && fail 'what was saved early is still there'
    inside 'nft list tables' | grep -q shield && fail 'the shield is still there'
    reboot
    reaches 9090 || fail 'ufw does not decide after a reboot'
}

# What firewalld removes when it reloads and stops lets nobody in.
takes_over_firewalld() {
    fresh managers
    inside 'systemctl enable --now firewalld && firewall-cmd -q --add-port 9090/tcp && firewall-cmd -q --runtime-to-permanent' ||
        fail 'firewalld does not start'
    reaches 9090 || fail 'firewalld does not open its port'
    answers 'services: [web]' "existing: $1"
    expect_status 4 as_root latchkey apply --answers /root/answers.yaml --detach
    [[ $1 == replace ]] || imports firewalld
    take_over
    reaches 9090 && fail 'the trial does not decide'
    inside 'firewall-cmd -q --reload'
    is_open || fail 'SSH is closed after a reload'
    expect_status 0 as_root latchkey revert
    reaches 9090 || fail 'firewalld does not decide after the rollback'
    take_over
    # Whatever firewalld removes while it stops, its own port stays closed.
    (while [[ ! -e $work/stopped ]]; do reaches 9090 && echo "$EPOCHREALTIME" >>"$work/leaks"; done) &
    expect_status 0 as_root latchkey confirm
    touch "$work/stopped"
    wait $! || true
    [[ ! -e $work/leaks ]] || fail "packets came through while firewalld stopped: $(wc -l <"$work/leaks")"
    rm -f "$work/stopped"
    answers_decide
    inside 'systemctl --quiet is-active firewalld' && fail 'firewalld still runs'
    inside 'nft list tables' | grep -q 'firewalld\|shield' && fail 'a table is left'
    reboot
    answers_decide
    [[ $(inside 'latchkey status --json') == *'"drift":false'* ]] || fail 'drift after the reboot'
    manager=firewalld way_back
}

# firewalld: refused beside it; kept, it is disabled, the answers decide, and nobody got in meanwhile
case_takes_over_firewalld() { takes_over_firewalld keep; }

# the same with existing: replace, where the policy of INPUT becomes DROP
case_takes_over_firewalld_replace() { takes_over_firewalld replace; }

# nftables.service with rules of its own: kept, its table is gone, also after a reboot
case_takes_over_nftables() {
    fresh
    inside 'cat >/etc/nftables.conf' <<'X'
#!/usr/sbin/nft -f
flush ruleset
table inet mine {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		meta l4proto ipv6-icmp accept
		tcp dport { 22, 9090 } accept
	}
}
X
    inside 'systemctl enable --now nftables.service' || fail 'nftables.service does not start'
    local mine backend check
    check=$(inside 'latchkey doctor' | sed -n 's/.*Check it: \(nft list table .*\)/\1/p')
    mine=$(inside "$check") && [[ $mine == 'table inet mine {'* ]] || fail "doctor names no command for the table: $check"
    imports nftables
    answers 'services: [web]'
    for backend in nftables nft; do
        expect_status 4 as_root latchkey apply --answers /root/answers.yaml --detach --backend $backend
        take_over --backend $backend
        reaches 9090 && fail 'the trial does not decide'
        expect_status 0 as_root latchkey revert
        [[ $(inside 'nft list table inet mine') == "$mine" ]] || fail 'the table is not as it was'
        take_over --backend $backend
        expect_status 0 as_root latchkey confirm
        answers_decide
        inside 'nft list tables' | grep -q mine && fail 'the table is left'
        reboot
        answers_decide
        manager=nftables way_back
    done
}

is_kept() { [[ $(state) == kept ]]; }

# a guard that is killed while it takes over: the next one ends it
case_takes_over_killed() {
    fresh managers
    inside 'ufw allow ssh && ufw allow 9090/tcp && ufw --force enable' >/dev/null || fail 'ufw does not start'
    inside 'cp /usr/sbin/ufw /usr/sbin/ufw.real && printf "#!/bin/sh\necho >>/run/called; sleep 2; exec /usr/sbin/ufw.real \"\$@\"\n" >/usr/sbin/ufw'
    answers 'services: [web]'
    take_over
    as_root latchkey confirm >"$work/said" 2>&1 &
    wait_for 10 inside 'test -e /run/called' || fail 'ufw was not stopped'
    inside 'pkill -KILL -f "latchkey [g]uard"' || fail 'no guard to kill'
    is_open || fail 'SSH is closed'
    wait_for 30 is_kept || fail "the state is $(state)"
    wait $! || true
    answers_decide
    inside 'nft list tables' | grep -q shield && fail 'the shield is still there'
    inside 'grep -qx ENABLED=no /etc/ufw/ufw.conf' || fail 'ufw is still enabled'
    reboot
    answers_decide
}
