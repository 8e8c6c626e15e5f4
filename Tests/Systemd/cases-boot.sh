# shellcheck shell=bash
# Reboots and power cuts, during the countdown and after it. Sourced by run.

# a reboot during the countdown restores the previous rules, and does not wait for the guard
case_reboot_pending() {
    local began
    fresh persistent
    earlier_rules
    inside 'netfilter-persistent save'
    answers 'services: [web]' 'existing: replace'
    as_root 'latchkey apply --answers /root/answers.yaml --deadline 5m --detach' || fail "apply said $?"
    is_before && fail 'the rules have not changed'
    is_beneath || differ 'the previous rules are not beneath' "$before"
    began=$(now)
    reboot
    (($(now) - began < 300)) || fail 'the reboot waited for the guard'
    is_before || differ 'not the previous rules' "$before"
    [[ $(state) == idle ]] || fail "the state is $(state)"
    as_root latchkey status | grep -q 'A reboot interrupted the change' || fail 'status does not say what became of the change'
    expect_status 6 as_root latchkey confirm
}

# rules that another program saves during the countdown do not lock anybody out after a power cut
case_saved_by_others() {
    fresh persistent
    earlier_rules
    lock_everybody_out 300
    inside 'netfilter-persistent save'
    power_cut
    is_open || fail 'what was saved locks out'
    [[ $(rules) == *'latchkey: trial'* ]] || fail 'nothing of the trial was saved: the case shows nothing'
    is_beneath || differ 'the previous rules are not beneath' "$before"
    lock_everybody_out 300
    expect_status 0 inside latchkey revert
    is_open || fail 'the door stays locked'
    earlier_rules_are_back
}

# after a power cut during the countdown an open server is open again
case_power_cut_pending() {
    fresh
    before=$(rules)
    lock_everybody_out
    power_cut
    is_before || fail 'there are rules'
    [[ $(state) == idle ]] || fail "the state is $(state)"
    answers 'services: [web]'
    expect_status 0 as_root latchkey apply --answers /root/answers.yaml --detach
    expect_status 0 as_root latchkey confirm
}

# Kept rules are active after a power cut, before eth0 has an address.
keep_and_cut() {
    local kept
    answers 'services: [web]'
    as_root 'latchkey apply --answers /root/answers.yaml --detach' || fail "apply said $?"
    expect_status 0 as_root latchkey confirm
    kept=$(rules)
    power_cut
    [[ $(rules) == "$kept" ]] || differ 'other rules than those kept' "$kept"
    [[ $(state) == kept ]] || fail "the state is $(state)"
    [[ $(inside 'latchkey status --json') == *'"drift":false'* ]] || fail 'drift'
    inside 'cat /run/before-network' | grep -q 'inet' && fail 'the network was up: the case shows nothing'
    inside 'cat /run/before-network' | grep -q 'latchkey: drop all else' || fail 'the network came up before the rules'
    inside 'cat /run/before-network6' | grep -q 'latchkey: drop all else' || fail 'the network came up before the IPv6 rules'
    [[ -z $(inside 'systemctl --failed --no-legend') ]] || fail 'a unit has failed'
}

# systemd reloads and restarts only a unit that has started to its end.
table_is_kept() {
    inside 'systemctl --quiet is-active latchkey-restore.service' &&
        [[ $(inside 'nft -s list table inet latchkey') == "$kept" ]]
}

# nftables: kept rules survive a restart and a reload of nftables.service and a power cut; a broken file leaves SSH open
case_kept_nftables() {
    local kept
    fresh
    inside 'systemctl enable --now nftables.service' || fail 'nftables.service does not start'
    answers 'services: [web]'
    as_root 'latchkey apply --answers /root/answers.yaml --backend nftables --detach' || fail "apply said $?"
    expect_status 0 as_root latchkey confirm
    kept=$(inside 'nft -s list table inet latchkey')
    [[ $kept == *'latchkey: drop all else'* ]] || fail 'nothing was kept'
    wait_for 5 table_is_kept || fail 'the unit is not active'
    for action in restart reload; do
        inside "systemctl $action nftables.service" || fail "$action failed"
        wait_for 5 table_is_kept || fail "the rules are gone after a $action"
    done
    inside 'systemctl stop nftables.service; systemctl start nftables.service' || fail 'stop and start failed'
    wait_for 5 table_is_kept || fail 'the rules are gone after stop and start'
    power_cut
    table_is_kept || fail 'other rules than those kept'
    [[ $(inside 'latchkey status --json') == *'"drift":false'* ]] || fail 'drift'
    [[ -z $(inside 'systemctl --failed --no-legend') ]] || fail 'a unit has failed'
    inside 'echo oops >>/var/lib/latchkey/restore/nftables.rules'
    power_cut
    [[ $(inside 'nft list table inet latchkey') == *'policy drop'* ]] || fail 'the server is open'
    [[ $(inside 'nft list table inet latchkey') == *'dport { 80'* ]] && fail 'more than SSH is open'
    [[ $(inside 'latchkey status --json') == *'"drift":true'* ]] || fail 'status does not report it'
}

# kept rules are loaded before the network starts: latchkey's own unit; without the sets it loads those that name none
case_kept_own_unit() {
    fresh
    keep_and_cut
    inside 'systemctl --quiet is-active latchkey-restore.service' || fail 'latchkey-restore.service is not active'
    answers 'services: [web]' "admins: [$(seq -s ', ' -f '203.0.113.%g' 9)]"
    as_root 'latchkey apply --answers /root/answers.yaml --detach' || fail "apply said $?"
    expect_status 0 as_root latchkey confirm
    wait_for 5 inside 'rm /var/lib/latchkey/restore/ipsets' || fail 'there are no sets'
    power_cut
    is_open || fail 'SSH is closed'
    [[ $(rules) == *'latchkey: service web'* && $(rules) == *'latchkey: drop all else'* ]] || fail 'the rest is not loaded'
    inside 'journalctl -b -u latchkey-restore' | grep -q 'ipv4.rules cannot be loaded' || fail 'the log says nothing'
    inside 'latchkey status' | tr -s ' \n' ' ' | grep -q 'Missing or empty: /var/lib/latchkey/restore/ipsets' ||
        fail 'status does not name the file'
}

# kept rules are loaded before the network starts: Debian's netfilter-persistent
case_kept_persistent() {
    fresh persistent
    keep_and_cut
    inside 'test -s /etc/iptables/rules.v4 -a ! -e /etc/systemd/system/latchkey-restore.service' ||
        fail 'netfilter-persistent does not have the rules'
}

# Units like those of other systems: NAME loads FILE with iptables, ip6NAME loads FILE6 with ip6tables.
rule_units() {
    local tool name file
    for tool in iptables ip6tables; do
        name=${1/#iptables/$tool} file=$2
        [[ $tool == iptables ]] || file=$3
        # Debian's package leaves a link of one of these names.
        inside "rm -f /etc/systemd/system/$name.service && mkdir -p ${file%/*} && $tool-save >$file && cat >/etc/systemd/system/$name.service" <<END
[Unit]
Before=network-pre.target
Wants=network-pre.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/$tool-restore $file
${4:+ExecStop=/bin/sh -c "/usr/sbin/$tool-save --counters >$file"}
[Install]
WantedBy=basic.target
END
        inside "systemctl enable --now $name.service" || fail "$name.service does not start"
    done
}

# kept rules are loaded before the network starts: the units of Arch's package iptables
case_kept_arch() {
    fresh
    rule_units iptables /etc/iptables/iptables.rules /etc/iptables/ip6tables.rules
    keep_and_cut
    inside 'test ! -e /etc/systemd/system/latchkey-restore.service' || fail 'latchkey has a unit beside them'
}

# Gentoo's units save the active rules at shutdown: if they cannot load them at boot, latchkey's unit loads those kept
case_kept_gentoo() {
    local kept
    fresh
    rule_units iptables-restore /var/lib/iptables/rules-save /var/lib/ip6tables/rules-save saving
    lock_everybody_out 300
    reboot
    is_open || fail 'the pending rules decide'
    answers 'services: [web]'
    as_root 'latchkey apply --answers /root/answers.yaml --detach' || fail "apply said $?"
    expect_status 0 as_root latchkey confirm
    kept=$(rules)
    reboot
    [[ $(rules) == "$kept" ]] || differ 'other rules than those kept' "$kept"
    inside 'systemctl --quiet is-active latchkey-restore.service' && fail 'the unit ran although it was not needed'
    [[ -z $(inside 'systemctl --failed --no-legend') ]] || fail 'a unit has failed'
    inside 'echo "-A INPUT -m set --match-set gone src -j DROP" >>/var/lib/iptables/rules-save'
    power_cut
    [[ $(rules) == "$kept" ]] || differ 'other rules than those kept' "$kept"
    [[ $(inside 'latchkey status --json') == *'"drift":false'* ]] || fail 'drift'
}

# off: once it is kept nothing is loaded at boot, and a reboot before that brings the kept rules back
case_off() {
    local kept
    fresh "$@"
    before=$(in_effect)
    answers 'services: [web]' 'existing: replace'
    as_root 'latchkey apply --answers /root/answers.yaml --detach' || fail "apply said $?"
    expect_status 0 as_root latchkey confirm
    kept=$(in_effect)
    as_root 'latchkey off --deadline 5m --detach' || fail "off said $?"
    reboot
    [[ $(in_effect) == "$kept" ]] || fail "other rules than those kept: $(in_effect)"
    as_root 'latchkey off --deadline 5m --detach' || fail "off said $?"
    expect_status 0 as_root latchkey confirm
    is_off || fail 'rules of latchkey are left'
    inside 'systemctl list-units --all --no-legend "latchkey-restore.service" | grep -q .' && fail 'the unit is left'
    reboot
    is_off || fail 'rules of latchkey are loaded at boot'
    [[ $(state) == idle ]] || fail "the state is $(state)"
    [[ $(inside 'latchkey status --json') == *'"drift":false'* ]] || fail 'drift'
    [[ -z $(inside 'systemctl --failed --no-legend') ]] || fail 'a unit has failed'
    is_open || fail 'SSH does not answer'
    # The answers stay.
    as_root 'latchkey apply --detach' || fail "apply said $?"
    expect_status 0 as_root latchkey confirm
    [[ $(in_effect) == "$kept" ]] || fail "other rules than those kept: $(in_effect)"
}
# Tables without rules have no effect: whether there are any depends on what loaded the others.
in_effect() { rules | grep -e '^-A' -e ' DROP ' -e ' - $' || true; }
is_off() {
    [[ $(in_effect) == "$before" ]] &&
        ! inside 'find /etc/systemd /etc/iptables /var/lib/latchkey/restore /var/lib/latchkey/kept.json -type f 2>/dev/null |
            xargs grep -l latchkey /dev/null'
}

# off: netfilter-persistent loads nothing of latchkey's any more
case_off_persistent() { case_off persistent; }

# off: latchkey's own table, with nftables.service
case_off_nftables() {
    fresh
    inside 'systemctl enable --now nftables.service' || fail 'nftables.service does not start'
    answers 'services: [web]'
    as_root 'latchkey apply --answers /root/answers.yaml --backend nftables --detach' || fail "apply said $?"
    expect_status 0 as_root latchkey confirm
    as_root 'latchkey off --deadline 5m --detach' || fail "off said $?"
    expect_status 0 as_root latchkey confirm
    inside 'nft list tables' | grep -q latchkey && fail 'the table is left'
    inside 'systemctl restart nftables.service' || fail 'nftables.service does not restart'
    inside 'nft list tables' | grep -q latchkey && fail 'the table is back'
    reboot
    inside 'nft list tables' | grep -q latchkey && fail 'the table is loaded at boot'
    [[ $(state) == idle ]] || fail "the state is $(state)"
    [[ -z $(inside 'systemctl --failed --no-legend') ]] || fail 'a unit has failed'
    is_open || fail 'SSH does not answer'
}

# kept rules are loaded even if netfilter-persistent is installed without its plug-in
case_kept_half_installed() {
    fresh persistent
    inside 'dpkg --purge iptables-persistent'
    keep_and_cut
}

# rules kept in several tables are loaded together, with the sets they use, each change in its own way
case_kept_in_parts() {
    local kept
    fresh
    answers 'services: [web]' 'existing: keep'
    as_root 'latchkey apply --answers /root/answers.yaml --detach' || fail "apply said $?"
    expect_status 0 as_root latchkey confirm
    inside 'ipset create bad hash:ip; ipset add bad 192.0.2.66; ipset create other hash:ip'
    printf '%s\n' '*raw' '-A PREROUTING -m set --match-set bad src -j DROP' COMMIT | inside 'cat > /root/raw.rules'
    as_root 'latchkey apply --rules /root/raw.rules --detach' || fail "apply said $?"
    expect_status 0 as_root latchkey confirm
    kept=$(rules)
    power_cut
    [[ $(rules) == "$kept" ]] || differ 'other rules than those kept' "$kept"
    [[ $(inside 'latchkey status --json') == *'"drift":false'* ]] || fail 'drift'
    [[ $(inside 'ipset list -n') == bad ]] || fail 'other sets than the one that is named'
    [[ -z $(inside 'systemctl --failed --no-legend') ]] || fail 'a unit has failed'
}

# rules of one family that can no longer be loaded do not block the other's, and the unit reports it
case_kept_half() {
    fresh
    answers 'services: [web]'
    as_root 'latchkey apply --answers /root/answers.yaml --detach' || fail "apply said $?"
    expect_status 0 as_root latchkey confirm
    inside 'printf "*filter\n-A INPUT -j nowhere\nCOMMIT\n" > /var/lib/latchkey/restore/ipv4.rules'
    power_cut
    inside 'ip6tables-save' | grep -q 'latchkey: drop all else' || fail 'IPv6 has no rules'
    [[ $(inside 'systemctl --failed --no-legend') == *latchkey-restore.service* ]] || fail 'no unit has failed'
}
