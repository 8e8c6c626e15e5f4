# shellcheck shell=bash
# Running the cases, and their shared functions. Sourced by run, after the files of cases.
#
# A case is a function named case_*, with its title in the line above it. It runs in its own subshell and ends
# at the first failed check ("fail").

every_case() {
    local long=(takes_over_ferm takes_over_shorewall takes_over_firehol killed_for_good stopped_for_good saved_by_others others reboot_pending killed_again kept_in_parts
        kept_own_unit kept_persistent killed_once
        power_cut_pending kept_half_installed logout hang_up old_connection stopped_unit)
    # Those with Docker's engine run only by name: its packages are large.
    # Handed out to the lanes one by one: the long ones come first, and none is left out.
    {
        printf '%s\n' "${long[@]}"
        cat "$here"/cases-*.sh | sed -n 's/^case_\([a-z_]*\)().*/\1/p'
    } | awk '!seen[$0]++' | if is_package; then grep '^package_'; else grep -v '^package_\|^docker_'; fi
}

title() { cat "$here"/cases-*.sh | sed -n "/^case_$1()/{x;s/^# //p;q};h"; }

run_cases() {
    local name began status
    prepare_lane
    for name in "$@"; do
        declare -F "case_$name" >/dev/null || { printf 'FAIL no case is called %s\n' "$name"; continue; }
        began=$(now)
        : >"$work/why"
        set +e
        (set -e; "case_$name") >"$work/log" 2>&1
        status=$?
        set -e
        took=$(($(now) - began))
        took=$((took / 10)).$((took % 10))
        if ((status == 0)); then
            printf 'ok   %5s s  %s\n' "$took" "$(title "$name")"
        else
            printf 'FAIL %5s s  %s: %s (case %s)\n' "$took" "$(title "$name")" "$(<"$work/why")" "$name"
            { tail -n 15 "$work/log"; is_up && inside 'journalctl -q -n 15 -o cat -t latchkey -t systemd'; } |
                sed 's/^/     | /' || true
        fi
    done
    power_off
}

# --- shared functions of the cases

# Rules that a server may already have: another program's chain with a ban, an unknown rule, nat, mangle, IPv6.
earlier_rules() {
    inside 'iptables-restore' <<'RULES'
*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -m comment --comment "an \"odd\" remark, isn't it" -j MARK --set-xmark 0x7/0xffffffff
COMMIT
*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:f2b-sshd - [0:0]
-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
-A INPUT -p tcp -m tcp --dport 25 -j REJECT
-A f2b-sshd -s 198.51.100.7/32 -j REJECT
-A f2b-sshd -j RETURN
COMMIT
RULES
    inside 'ip6tables -A INPUT -p tcp --dport 25 -j DROP'
    before=$(rules)
}

answers() { printf '%s\n' 'version: 1' "$@" | inside 'cat > /root/answers.yaml'; }
# Rules that block everybody, also over SSH.
locked() {
    printf '%s\n' '*filter' ':INPUT DROP [0:0]' ':OUTPUT ACCEPT [0:0]' "$@" COMMIT | inside 'cat > /root/locked.rules'
}
established='-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT'
lock_out='latchkey apply --rules /root/locked.rules --rules6 /root/locked.rules --no-rehearsal --deadline'

# Activates rules that block everybody, from a login that ends then; for 10 s or the given time. Stores the start in
# $since.
lock_everybody_out() {
    locked
    as_ops "sudo $lock_out ${1:-10} --detach" || fail "apply said $?"
    since=$(now)
    is_closed || fail 'the rules do not lock out: the case shows nothing'
}

# A new connection succeeds within LATEST seconds of $since.
door_opens() {
    local late
    wait_for $(($1 + 5)) is_open || fail 'the door stays locked'
    late=$(($(now) - since))
    echo "open after $late tenths of a second"
    ((late <= $1 * 10)) || fail "the door opened after $((late / 10)) s, not within $1 s"
}
earlier_rules_are_back() {
    wait_for 10 is_before || differ 'the previous rules are not back' "$before"
    [[ $(state) == reverted ]] || fail "the state is $(state)"
}
# Fails and shows how the active rules differ from the given ones.
differ() {
    diff <(printf '%s\n' "$2") <(rules) || true
    fail "$1"
}
is_before() { [[ $(rules) == "$before" ]]; }
# Whether the previous rules are all loaded, possibly with other rules before them.
is_beneath() { [[ $(rules | grep -v -e latchkey-trial -e '"latchkey: trial"') == "$before" ]]; }

status() { inside "latchkey status --json" | sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"; }
state() { status state; }
# Status of a command that may fail.
status_of() {
    local status=0
    "$@" || status=$?
    last_status=$status
}
expect_status() {
    status_of "${@:2}"
    [[ $last_status == "$1" ]] || fail "\"${*:2}\" said $last_status, not $1"
}
expect_in_session() {
    local said
    said=$(in_session "$2" "$3")
    echo "$said"
    [[ $said == *"status=$1"* ]] || fail "\"$3\" in the session \"$2\" did not say $1"
}

# Kills everything whose program is latchkey, again and again for SECONDS.
kill_everything() {
    inside "end=\$((SECONDS + $1)); kills=0
        while :; do
            for process in /proc/[0-9]*; do
                [[ \$process/exe -ef /usr/local/sbin/latchkey ]] && kill -KILL \${process#/proc/} && kills=\$((kills + 1))
            done
            ((SECONDS < end)) || break
            sleep 0.01
        done 2>/dev/null
        echo killed \$kills times
        ((kills > 1))" || fail 'there was nothing to kill'
}
