# shellcheck shell=bash
# The Debian package: installed, upgraded, removed and purged on a server. Sourced by run.
#
# No case may see other rules than before after anything that dpkg does.

# A fresh server (arguments as for fresh) with the package installed as a person does it; $files lists its files before
# that.
fresh_package() {
    fresh "$@"
    # The package's documents are part of the cases.
    inside 'rm -f /etc/dpkg/dpkg.cfg.d/latchkey-test'
    files=$(all_files)
    before=$(in_effect)
    install_package
    [[ $(in_effect) == "$before" ]] || fail 'installing it changed rules'
}
install_package() {
    inside "DEBIAN_FRONTEND=noninteractive apt-get install -qy --reinstall ${1:-/opt/latchkey.deb}" >"$work/said" 2>&1 ||
        fail "apt-get install said: $(tail -n 3 "$work/said")"
}
# Removes or purges it; what is printed is in $work/said.
remove_package() {
    inside "dpkg --$1 latchkey" >"$work/said" 2>&1
}
# What latchkey and dpkg may leave behind; dpkg's own lists and logs, and systemd's, do not count.
all_files() {
    inside 'find /boot /etc /home /media /opt /root /run/latchkey* /srv /usr /var -xdev 2>/dev/null |
        grep -v -e ^/var/lib/dpkg/ -e ^/var/log/ -e ^/var/cache/ -e ^/var/tmp/ -e ^/var/lib/systemd/ -e ^/var/lib/apt/ | sort'
}

# The same package with a higher version, as a file that the server sees.
make_newer() {
    rm -rf "$work/newer"
    dpkg-deb --raw-extract "$binary" "$work/newer"
    sed -i 's/^Version: .*/&.1/' "$work/newer/DEBIAN/control"
    # The program must be another file with other content.
    printf x >>"$work/newer/usr/sbin/latchkey"
    sed -i '\,usr/sbin/latchkey$,d' "$work/newer/DEBIAN/md5sums"
    dpkg-deb --root-owner-group -Znone --build "$work/newer" "$work/root/opt/newer.deb" >/dev/null
    rm -rf "$work/newer"
}

keep_answers() {
    answers 'services: [web]'
    as_root "latchkey apply --answers /root/answers.yaml --detach $*" || fail "apply said $?"
    expect_status 0 as_root latchkey confirm
    kept=$(everything)
    [[ $kept == *'latchkey: drop all else'* || $kept == *'table inet latchkey'* ]] || fail 'nothing was kept'
}
# All rules, of iptables and nftables.
everything() { in_effect; inside 'nft -s list table inet latchkey 2>/dev/null || true'; }
still_kept() { [[ $(everything) == "$kept" ]] || fail "$1: $(diff <(printf '%s\n' "$kept") <(everything) | head -n 5)"; }

# the package brings the program and what belongs to it, for everybody to read, and starts nothing
case_package_installed() {
    local path
    fresh_package
    inside 'dpkg --verify latchkey && [ -z "$(dpkg --audit)" ]' || fail 'dpkg finds a mistake'
    [[ $(inside 'latchkey --version') == "latchkey $(inside 'dpkg-query -f \${Version} -W latchkey')" ]] ||
        fail 'the package has another version than the program'
    for path in usr/sbin/latchkey usr/share/man/man8/latchkey.8.gz usr/share/man/man5/latchkey.yaml.5.gz \
        usr/share/bash-completion/completions/latchkey usr/share/zsh/vendor-completions/_latchkey \
        usr/share/fish/vendor_completions.d/latchkey.fish usr/share/doc/latchkey/copyright \
        usr/share/doc/latchkey/changelog.gz; do
        inside "runuser -u ops -- test -s /$path" || fail "/$path is missing, or empty"
    done
    [[ $(inside 'stat -c "%U %G %a" /etc/latchkey/templates') == 'root root 755' ]] || fail 'the mode of templates'
    inside 'cd /usr/share && grep -l "probe-agent\|supervise" */*completions*/*latchkey*' &&
        fail 'a completion offers a hidden command'
    inside 'bash -n /usr/share/bash-completion/completions/latchkey' || fail 'the completion for bash'
    [[ $(inside 'systemctl is-enabled latchkey-restore.service') == disabled ]] || fail 'the unit is enabled'
    inside 'systemctl --quiet is-active latchkey-restore.service' && fail 'the unit is active'
    [[ -z $(inside 'pgrep latchkey') ]] || fail 'a process was started'
    inside 'latchkey doctor' || fail "doctor said $?"
    answers 'services: [web]'
    [[ $(inside 'latchkey plan --answers /root/answers.yaml') == *'latchkey: service web'* ]] ||
        fail 'plan prints no rules'
    inside 'latchkey rehearse --answers /root/answers.yaml' || fail "rehearse said $?"
    # Enabled without anything kept, it changes nothing.
    inside 'systemctl start latchkey-restore.service' || fail 'the unit cannot be started'
    [[ $(in_effect) == "$before" ]] || fail 'the unit changed rules'
    # A change that is rolled back, and one that rolls back by itself.
    as_root 'latchkey apply --answers /root/answers.yaml --detach' || fail "apply said $?"
    expect_status 0 as_root latchkey revert
    [[ $(in_effect) == "$before" ]] || fail 'the previous rules are not back'
    expect_status 3 as_root latchkey apply --answers /root/answers.yaml --deadline 10
    [[ $(in_effect) == "$before" ]] || fail 'the previous rules are not back after the deadline'
    # Removed without anything kept: no message about rules, nothing is left.
    remove_package purge || fail 'it cannot be purged'
    grep -q 'stay' "$work/said" && fail "a message about rules: $(<"$work/said")"
    inside 'rm -f /root/answers.yaml'
    [[ $(all_files) == "$files" ]] || fail "left: $(diff <(printf '%s\n' "$files") <(all_files))"
}

# an upgrade during the countdown: the guard of the old version rolls back in time, also if it is killed
case_package_upgraded_pending() {
    local guard
    fresh_package
    make_newer
    earlier_rules
    lock_everybody_out 20
    guard=$(inside 'pgrep -f "latchkey [g]uard"')
    install_package /opt/newer.deb
    grep -q 'A change is pending' "$work/said" || fail 'the upgrade does not mention the change'
    is_closed || fail 'the upgrade changed rules'
    [[ $(inside 'pgrep -f "latchkey [g]uard"') == "$guard" ]] || fail 'the guard did not stay'
    [[ $(inside "readlink /proc/$guard/exe") == *deleted* ]] || fail 'the program was not replaced: the case shows nothing'
    [[ $(state) == pending ]] || fail "the new version says $(state)"
    inside "kill -KILL $guard"
    wait_for 5 inside 'pgrep -f "latchkey [g]uard"' || fail 'no guard comes back'
    is_closed || fail 'too late: the case shows nothing'
    door_opens 23
    earlier_rules_are_back
}

# an upgrade during the countdown, then kill -9 of everything: systemd starts the new version, which rolls back
case_package_upgraded_killed() {
    fresh_package
    make_newer
    earlier_rules
    lock_everybody_out 15
    install_package /opt/newer.deb
    inside 'pkill -KILL -x latchkey' || fail 'there was nothing to kill'
    wait_for 5 inside 'pgrep -f "latchkey [g]uard"' || fail 'no guard comes back'
    door_opens 18
    earlier_rules_are_back
}

# an upgrade during the countdown: the new version confirms the change
case_package_upgraded_confirmed() {
    fresh_package
    make_newer
    answers 'services: [web]'
    as_root 'latchkey apply --answers /root/answers.yaml --detach' || fail "apply said $?"
    install_package /opt/newer.deb
    expect_status 0 as_root latchkey confirm
    [[ $(state) == kept ]] || fail "the state is $(state)"
    [[ $(inside 'latchkey status --json') == *'"drift":false'* ]] || fail 'drift'
}

# a package with a pending change is not removed, and the change goes on
case_package_removed_pending() {
    fresh_package
    earlier_rules
    lock_everybody_out 10
    remove_package purge && fail 'it was removed'
    grep -q 'latchkey confirm' "$work/said" || fail "no next step: $(<"$work/said")"
    inside 'latchkey --version && dpkg --verify latchkey' || fail 'the package is damaged'
    is_closed || fail 'it changed rules'
    door_opens 13
    earlier_rules_are_back
    wait_for 5 inside '! pgrep -x latchkey' || fail 'a process stays'
    remove_package purge || fail 'it cannot be purged'
    is_before || fail 'it changed rules'
}

# a purge that nothing refuses, because the change is of a copied program, leaves what the change needs
case_package_purged_pending() {
    fresh_package
    inside 'cp /usr/sbin/latchkey /usr/local/sbin/' || fail 'no copy'
    remove_package remove || fail 'it cannot be removed'
    earlier_rules
    lock_everybody_out 15
    remove_package purge || fail 'it cannot be purged'
    grep -q 'these folders stay' "$work/said" || fail "it does not say what stays: $(<"$work/said")"
    is_closed || fail 'it changed rules'
    door_opens 18
    earlier_rules_are_back
}

# Kept rules survive reboot, upgrade and removal; after a purge they are active until reboot, and can be opened as it
# says.
package_kept() {
    fresh_package
    make_newer
    keep_answers "$@"
    [[ $(inside 'systemctl is-enabled latchkey-restore.service') == enabled ]] || fail 'the kept unit is not enabled'
    reboot
    still_kept 'after a reboot'
    install_package /opt/newer.deb
    still_kept 'after an upgrade'
    grep -q pending "$work/said" && fail 'it says that a change is pending'
    [[ $(inside 'latchkey status --json') == *'"drift":false'* ]] || fail 'drift'
    remove_package remove || fail 'it cannot be removed'
    still_kept 'after the removal'
    grep -q 'latchkey off' "$work/said" || fail "the way to open it is not named: $(<"$work/said")"
    inside '[ ! -e /usr/sbin/latchkey ]' || fail 'the program is still there'
    reboot
    still_kept 'after the removal and a reboot'
    [[ -z $(inside 'systemctl --failed --no-legend') ]] || fail 'a unit has failed'
    install_package
    still_kept 'after a new installation'
    [[ $(state) == kept ]] || fail "the state is $(state)"
    remove_package purge || fail 'it cannot be purged'
    still_kept 'after the purge'
    is_open || fail 'SSH is closed'
    inside 'rm -f /root/answers.yaml /opt/newer.deb'
    [[ $(all_files) == "$files" ]] || fail "left: $(diff <(printf '%s\n' "$files") <(all_files))"
    opened_as_it_says
    reboot
    [[ $(everything) == "$before" ]] || fail "rules are loaded at boot: $(everything)"
    [[ -z $(inside 'systemctl --failed --no-legend') ]] || fail 'a unit has failed'
}
# Runs the commands that a purge printed, one by one; SSH answers after each.
opened_as_it_says() {
    local commands command
    mapfile -t commands < <(sed -n 's/^    //p' "$work/said")
    ((${#commands[@]})) || fail "no commands: $(<"$work/said")"
    for command in "${commands[@]}"; do
        inside "$command" || fail "it failed: $command"
        is_open || fail "SSH is closed after: $command"
    done
    [[ $(everything) == "$before" ]] || fail "rules are left: $(everything)"
}

# iptables: kept rules survive reboot, upgrade and removal; a purge says how to open them
case_package_kept() { package_kept; }

# the same with existing: replace, where the policy drops
case_package_kept_replace() {
    fresh_package
    answers 'services: [web]' 'existing: replace'
    as_root 'latchkey apply --answers /root/answers.yaml --detach' || fail "apply said $?"
    expect_status 0 as_root latchkey confirm
    kept=$(everything)
    remove_package purge || fail 'it cannot be purged'
    still_kept 'after the purge'
    opened_as_it_says
}

# nftables: kept rules survive reboot, upgrade and removal; a purge says how to open them
case_package_kept_nftables() { package_kept --backend nftables; }

# netfilter-persistent: a purge leaves its file, and says how to save the opened firewall in it
case_package_purged_persistent() {
    fresh_package persistent
    keep_answers
    inside 'grep -q latchkey /etc/iptables/rules.v4' || fail 'netfilter-persistent does not have the rules'
    remove_package purge || fail 'it cannot be purged'
    still_kept 'after the purge'
    inside 'grep -q latchkey /etc/iptables/rules.v4' || fail 'the purge changed a file of netfilter-persistent'
    opened_as_it_says
    reboot
    [[ $(everything) == "$before" ]] || fail "rules are loaded at boot: $(everything)"
}
