# shellcheck shell=bash
# Firewall managers whose rules have no names of their own, with the real programs. Sourced by run.

set_up_shorewall() {
    inside 'cd /etc/shorewall && printf "fw firewall\nnet ipv4\n" >zones && printf "?FORMAT 2\nnet eth0\n" >interfaces &&
        printf "fw net ACCEPT\nnet all DROP\nall all REJECT\n" >policy &&
        printf "?SECTION NEW\nACCEPT net fw tcp 22,9090\n" >rules &&
        cp zones interfaces policy rules /etc/shorewall6 && sed -i s/ipv4/ipv6/ /etc/shorewall6/zones &&
        sed -i "s/^startup=.*/startup=1/; s/^SAFESTOP=.*/SAFESTOP=1/" /etc/default/shorewall /etc/default/shorewall6 &&
        systemctl --quiet enable --now shorewall shorewall6'
}
set_up_ferm() {
    inside 'cat >/etc/ferm/ferm.conf && systemctl --quiet enable --now ferm' <<'X'
domain (ip ip6) table filter {
    chain INPUT {
        policy DROP;
        mod state state (ESTABLISHED RELATED) ACCEPT;
        interface lo ACCEPT;
        proto (icmp ipv6-icmp) ACCEPT;
        proto tcp jump mine;
    }
    chain mine proto tcp dport (22 9090) ACCEPT;
    chain FORWARD policy DROP;
}
X
}
set_up_firehol() {
    inside 'cat >/etc/firehol/firehol.conf && sed -i "s/^START_FIREHOL=.*/START_FIREHOL=YES/" /etc/default/firehol &&
        systemctl --quiet enable --now firehol' <<'X'
version 6
server_mine_ports="tcp/9090"
client_mine_ports="default"
interface any world
    policy drop
    server "ssh mine ping" accept
    client all accept
X
}

# Everything that decides about packets, in both of iptables' backends.
all_rules() {
    inside 'for tool in iptables-nft-save ip6tables-nft-save iptables-legacy-save ip6tables-legacy-save; do $tool; done' 2>&1 |
        plain | sort
}
is_all_as_before() { [[ $(all_rules) == "$its" ]]; }
does_not_reach() { ! reaches "$1"; }
is_decided_by_it() {
    # firewalld counts as started a moment before it has loaded its rules.
    wait_for 5 does_not_reach 80 || fail "$1: the new rules decide"
    reaches 9090 || fail "$1: $manager does not decide"
    [[ $manager != shorewall ]] || reaches 9090 "$ipv6" || fail "$1: Shorewall does not decide about IPv6"
    is_open || fail "$1: SSH is closed"
}
no_drift() { [[ $(inside 'latchkey status --json') == *'"drift":false'* ]] || fail "drift $1"; }

# Removes latchkey's firewall, and has the manager back with the commands that latchkey prints.
way_back() {
    local remedy
    as_root latchkey off --detach >"$work/said" 2>&1 || fail "off said $?"
    expect_status 0 as_root latchkey confirm
    remedy=$(tr -s '\n ' ' ' <"$work/said" | sed -n 's/.*have it back with: \(sudo [-a-z0-9.; ]*[a-z]\).*/\1/p')
    [[ -n $remedy ]] || fail "the way back is not named: $(<"$work/said")"
    as_ops "$remedy" || fail "the way back does not work: $remedy"
    is_decided_by_it 'on the way back'
}

# The whole way, from the manager to latchkey and back, with what latchkey prints; "short" leaves out some reboots.
takes_over_manager() {
    local manager=$1 way=${2:-long} its
    fresh managers
    "set_up_$manager" || fail "$manager does not start"
    is_decided_by_it 'at first'
    its=$(all_rules)
    inside 'latchkey doctor' | grep -q "^warning  *$manager  *running" || fail 'doctor does not say that it runs'
    answers 'services: [web]'
    expect_status 4 as_root latchkey apply --answers /root/answers.yaml --detach
    take_over
    is_open || fail 'SSH is closed in the window'
    inside "systemctl reload $manager" || fail "$manager does not reload"
    is_open || fail 'SSH is closed after a reload in the window'
    expect_status 0 as_root latchkey revert
    wait_for 10 is_all_as_before || { diff <(echo "$its") <(all_rules); fail 'it is not as it was after the rollback'; }
    is_decided_by_it 'after the rollback'
    if [[ $way == long ]]; then
        take_over
        reboot
        is_decided_by_it 'after a reboot in the window'
    fi
    take_over
    (while [[ ! -e $work/stopped ]]; do reaches 9091 && echo "$EPOCHREALTIME" >>"$work/leaks"; done) &
    expect_status 0 as_root latchkey confirm
    touch "$work/stopped"
    wait $! || true
    rm -f "$work/stopped"
    [[ ! -e $work/leaks ]] || fail "packets came through while $manager stopped: $(wc -l <"$work/leaks")"
    answers_decide
    all_rules | grep '^:.* DROP' && fail "$manager has left a policy"
    inside "systemctl --quiet is-active $manager || systemctl --quiet is-enabled $manager" && fail "$manager still runs"
    inside 'nft list tables' | grep -q shield && fail 'the shield is still there'
    inside 'latchkey doctor' | grep -q "^ok  *$manager  *installed, not active" || fail 'doctor does not say that it is off'
    reboot
    answers_decide
    no_drift 'after the reboot'
    if [[ $way == long ]]; then
        # Later changes are not refused because of it.
        answers 'services: [web]' 'ports: [8080/tcp]'
        expect_status 0 as_root latchkey apply --answers /root/answers.yaml --detach
        expect_status 0 as_root latchkey confirm
    fi
    way_back
    [[ $way == long ]] || return 0
    reboot
    is_decided_by_it 'back, after a reboot'
}

# Shorewall for IPv4 and IPv6: the whole way there and back; it closes the server when it stops
case_takes_over_shorewall() { takes_over_manager shorewall; }

# ferm, which writes the rules of iptables-legacy: the whole way there and back
case_takes_over_ferm() { takes_over_manager ferm; }

# FireHOL, which writes the rules of iptables-legacy: there and back
case_takes_over_firehol() { takes_over_manager firehol short; }

# Whether port 9091 was reachable at some time while a command ran; several probes run side by side.
leaks_during() {
    local probe
    rm -f "$work/stopped" "$work/leaks"
    for probe in 1 2 3 4 5; do
        (sleep "0.$probe"; while [[ ! -e $work/stopped ]]; do reaches 9091 && echo "$EPOCHREALTIME" >>"$work/leaks"; done) &
    done
    "$@"
    touch "$work/stopped"
    sleep 1.2
    [[ -e $work/leaks ]]
}

# a file of rules takes over: nothing comes through while Shorewall stops
case_takes_over_with_file() {
    local manager=shorewall
    fresh managers
    set_up_shorewall || fail 'Shorewall does not start'
    # Its own hook, after it has removed all rules.
    inside 'echo "sleep 1" >/etc/shorewall/clear && shorewall reload' >/dev/null 2>&1 || fail 'Shorewall does not reload'
    printf '%s\n' '*filter' ':INPUT DROP [0:0]' ':FORWARD DROP [0:0]' ':OUTPUT ACCEPT [0:0]' "$established" \
        '-A INPUT -i lo -j ACCEPT' '-A INPUT -p tcp -m multiport --dports 22,80 -j ACCEPT' COMMIT |
        inside 'cat > /root/mine.rules'
    as_root 'latchkey apply --rules /root/mine.rules --take-over --detach' || fail "apply said $?"
    leaks_during expect_status 0 as_root latchkey confirm && fail "packets came through: $(wc -l <"$work/leaks")"
    answers_decide
    inside 'nft list tables' | grep -q shield && fail 'the shield is still there'
    reboot
    answers_decide
    no_drift 'after the reboot'
}

# ufw that does not stop, with tools that fail: the emergency opening is not beneath the shield
case_emergency_with_shield() {
    fresh managers
    inside 'ufw allow ssh && ufw --force enable' >/dev/null || fail 'ufw does not start'
    # It removes its rules, then fails; from then on, no rules can be restored.
    inside 'cp /usr/sbin/ufw /usr/sbin/ufw.real
        printf "#!/bin/sh\ncase \"\$*\" in *disable*) /usr/sbin/ufw.real \"\$@\"; touch /run/broken; exit 1;; *) exit 1;; esac\n" >/usr/sbin/ufw
        for tool in iptables ip6tables; do
            path=$(readlink -f /usr/sbin/$tool-nft-restore)
            rm /usr/sbin/$tool-nft-restore
            printf "#!/bin/bash\n[ ! -e /run/broken ] || exit 1\nexec -a $tool-nft-restore $path \"\$@\"\n" >/usr/sbin/$tool-nft-restore
            chmod +x /usr/sbin/$tool-nft-restore
        done'
    ip address add 192.0.2.9/24 dev outside
    answers 'services: [web]' 'ssh: { from: [192.0.2.1] }'
    take_over
    as_root 'latchkey confirm' && fail 'it was kept'
    wait_for 40 is_opened || fail "the state is $(state)"
    ssh -b 192.0.2.9 "${ssh_options[@]}" root@192.0.2.2 true || fail 'the emergency opening is beneath the shield'
    inside 'nft list tables' | grep -q shield && fail 'the shield is still there'
    ip address delete 192.0.2.9/24 dev outside
}
is_opened() { [[ $(state) == failed ]] && inside 'iptables-save' | grep -q 'emergency opening'; }

# ufw that neither stops nor starts again: its rules are loaded as they were
case_manager_does_not_start() {
    fresh managers
    inside 'ufw allow ssh && ufw allow 9090/tcp && ufw --force enable' >/dev/null || fail 'ufw does not start'
    inside 'cp /usr/sbin/ufw /usr/sbin/ufw.real
        printf "#!/bin/sh\ncase \"\$*\" in *disable*) /usr/sbin/ufw.real \"\$@\"; esac; exit 1\n" >/usr/sbin/ufw'
    local its
    its=$(all_rules)
    answers 'services: [web]'
    take_over
    as_root 'latchkey confirm' >"$work/said" 2>&1 && fail 'it was kept'
    tr -s '\n ' ' ' <"$work/said" | grep -q 'ufw did not start.*sudo ufw --force enable' || fail "said: $(<"$work/said")"
    [[ $(state) == reverted ]] || fail "the state is $(state)"
    wait_for 10 is_all_as_before || { diff <(echo "$its") <(all_rules); fail 'the rules are not as they were'; }
    reaches 9090 || fail 'the rules of ufw do not decide'
    reaches 9091 && fail 'the server is open'
    inside 'nft list tables' | grep -q shield && fail 'the shield is still there'
    is_open || fail 'SSH is closed'
    # With the command that latchkey names, once the program works again.
    local remedy
    remedy=$(tr -s '\n ' ' ' <"$work/said" | sed -n 's/.*Start it yourself: "\([^"]*\)".*/\1/p')
    inside 'mv /usr/sbin/ufw.real /usr/sbin/ufw'
    as_ops "$remedy" || fail "the command does not work: $remedy"
    reaches 9090 || fail 'the rules of ufw do not decide afterwards'
    reaches 9091 && fail 'the server is open afterwards'
    is_open || fail 'SSH is closed afterwards'
}

# ufw and nftables.service at once, with fail2ban: one change takes over from both, and a ban lasts
case_takes_over_two() {
    fresh managers
    inside 'cat >/etc/nftables.conf && systemctl --quiet enable --now nftables.service' <<'X'
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
    inside 'ufw allow ssh && ufw allow 9090/tcp && ufw --force enable' >/dev/null || fail 'ufw does not start'
    inside 'printf "[DEFAULT]\nbackend = systemd\nbanaction = iptables-multiport\n[sshd]\nenabled = true\n" >/etc/fail2ban/jail.local &&
        systemctl --quiet enable --now fail2ban' || fail 'fail2ban does not start'
    wait_for 10 inside 'fail2ban-client set sshd banip 192.0.2.9' || fail 'no ban'
    ip address add 192.0.2.9/24 dev outside
    is_banned 'before'
    answers 'services: [web]'
    as_root latchkey apply --answers /root/answers.yaml --detach >"$work/said" 2>&1 && fail 'not refused'
    tr -s '\n ' ' ' <"$work/said" | grep -q 'nftables .*ufw ' || fail "not both are named: $(<"$work/said")"
    take_over
    is_banned 'in the window'
    expect_status 0 as_root latchkey confirm
    answers_decide
    inside 'nft list tables' | grep -q 'mine\|shield' && fail 'a table is left'
    is_banned 'after it was kept'
    no_drift 'after it was kept'
    reboot
    answers_decide
    ip address add 192.0.2.9/24 dev outside
    wait_for 15 is_banned_now || fail 'not banned after the reboot'
    no_drift 'after the reboot'
}
is_banned_now() { ! ssh -b 192.0.2.9 "${ssh_options[@]}" -o ConnectTimeout=1 root@192.0.2.2 true; }
is_banned() { is_banned_now || fail "not banned $1"; is_open || fail "SSH is closed $1"; }

# firewalld with Docker's rules: they stay, and Docker's own chain is not taken for firewalld's
case_takes_over_beside_docker() {
    fresh managers
    inside 'systemctl enable --now firewalld && firewall-cmd -q --add-port 9090/tcp && firewall-cmd -q --runtime-to-permanent' ||
        fail 'firewalld does not start'
    # As Docker 20.10 writes them for one published port.
    inside 'iptables-restore --noflush' <<'X'
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
X
    local its
    its=$(inside 'iptables-save' | plain | grep DOCKER)
    answers 'services: [web]' 'docker: answers'
    take_over
    expect_status 0 as_root latchkey confirm
    answers_decide
    inside 'iptables-save' | plain | grep -v latchkey >"$work/rules"
    while IFS= read -r line; do grep -qxF -- "$line" "$work/rules" || fail "lost: $line"; done <<<"$its"
    inside 'iptables-save' | grep -q -- '-A DOCKER-USER .*latchkey' || fail 'the answers do not hold for Docker'
}
