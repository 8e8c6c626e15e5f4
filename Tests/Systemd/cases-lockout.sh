# shellcheck shell=bash
# Everybody is locked out, and something happens to the guard. Sourced by run.

# a hang-up of the waiting login changes nothing: the guard reverts
case_hang_up() {
    fresh
    earlier_rules
    locked
    open_session waiting ops -tt
    printf 'sudo %s 10\n' "$lock_out" >&"${session_input[waiting]}"
    wait_for 20 said waiting 0 'roll back in' || fail 'apply does not wait'
    since=$(now)
    hang_up waiting
    is_closed || fail 'the rules do not lock out'
    door_opens 13
    earlier_rules_are_back
}

# logging out with KillUserProcesses=yes does not reach the guard
case_logout() {
    fresh
    earlier_rules
    # Old connections continue: a logout needs packets in both directions.
    locked "$established"
    open_session login ops
    in_session login "sudo sh -c 'trap \"\" TERM HUP; exec sleep 77' >/dev/null 2>&1 & sudo $lock_out 10 --detach; sleep 0.2"
    since=$(now)
    log_out login
    wait_for 9 sleeper_is_gone || fail 'logind kills nothing: the case shows nothing'
    is_closed || fail 'the rules do not lock out'
    door_opens 13
    earlier_rules_are_back
}
sleeper_is_gone() { ! inside 'pgrep -x sleep'; }

# kill -9 of everything named latchkey: the guard is restarted and reverts in time
case_killed_once() {
    fresh
    earlier_rules
    lock_everybody_out
    kill_everything 0
    wait_for 5 guard_runs || fail 'no guard comes back'
    door_opens 13
    earlier_rules_are_back
}
guard_runs() { inside 'pgrep -f "latchkey guard"'; }

# kill -9 of everything, again and again for 8 s
case_killed_again() {
    fresh
    earlier_rules
    lock_everybody_out
    kill_everything 8
    door_opens 28
    earlier_rules_are_back
}

# endless kill -9 of everything: the previous rules are active within 20 s, long before the deadline
case_killed_for_good() {
    fresh
    earlier_rules
    lock_everybody_out 300
    kill_everything 30 &
    since=$(now)
    door_opens 20
    is_beneath || differ 'the previous rules are not beneath' "$before"
    wait $! || fail 'there was nothing to kill'
    end_it
    earlier_rules_are_back
}

# everything is stopped: the previous rules are active within 20 s, long before the deadline
case_stopped_for_good() {
    fresh
    earlier_rules
    lock_everybody_out 300
    inside "for process in /proc/[0-9]*; do
            [[ \$process/exe -ef /usr/local/sbin/latchkey ]] && kill -STOP \${process#/proc/}
        done; true"
    since=$(now)
    door_opens 20
    is_beneath || differ 'the previous rules are not beneath' "$before"
    end_it
    earlier_rules_are_back
}
# A guard that was killed too often has rolled back by itself.
end_it() {
    status_of inside latchkey revert
    [[ $last_status == 0 || $(state) == reverted ]] || fail "revert said $last_status"
}

# daemon-reexec, daemon-reload and stopping the service leave the guard running
case_stopped_unit() {
    fresh
    earlier_rules
    lock_everybody_out 20
    inside 'systemctl daemon-reexec; systemctl daemon-reload; systemctl stop "latchkey-*.service"'
    guard_runs || fail 'no guard'
    is_closed || fail 'too late: the case shows nothing'
    door_opens 23
    earlier_rules_are_back
}
