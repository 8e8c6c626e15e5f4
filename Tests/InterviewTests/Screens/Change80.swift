// Written by LATCHKEY_RECORD=1, see GoldenTests.
let change80 = #"""
    The new rules are active. They roll back in 60 s unless you keep them.

      Now log in from a second terminal: ssh ops@198.51.100.20
      If that fails, do nothing. The new rules roll back automatically.
      If your connection drops, log in again and run "sudo latchkey" to resume.

      47 s   no new login yet > keep
      No new login yet. Your current connection would survive rules that lock
      everyone out. To keep the rules anyway, type: keep untested
      47 s   no new login yet > ?
      keep     keeps the new rules and saves them to disk
      revert   rolls back to the previous rules now
      more     gives you 60 s more
      wait     does nothing; the rules roll back when the countdown ends
      A connection that is already open stays open, even if the new rules block new
      connections. Only a new login shows that you can log in again, so latchkey
      looks for one before it keeps the rules.
      47 s   no new login yet > quit
      A change is pending. Type "keep" or "revert", or press Ctrl-C to leave it
      running.
      47 s   no new login yet > ^C
      The new rules are still active and roll back in 47 s. To roll back now, type:
      revert. Ctrl-C again leaves the wizard; the rules still roll back.
      A new SSH login from 203.0.113.7 succeeded.
      31 s   keep / revert / more > keep

    Kept, and saved to disk (/etc/iptables/rules.v4, rules.v6).
    Undo: sudo latchkey snapshots restore 20261122-154210

    """#
