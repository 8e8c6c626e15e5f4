// Written by LATCHKEY_RECORD=1, see GoldenTests.
let change40 = #"""
    The new rules are in force. Unless you
    keep them, the old ones return in 60 s.

      Log in anew from a second terminal:
        ssh ops@198.51.100.20
      If that does not work, do nothing:
      wait, and you are back where you were.
      If this line drops: log in again, type
      "sudo latchkey", and go on from here.

      47 s   no new login yet > keep
      No new login has been seen. Yours
      would survive rules that lock everyone
      out. To keep them all the same, type:
      keep unproven
      47 s   no new login yet > ?
      keep: keeps the new rules for good and
        saves them for the next start
      revert: puts the earlier rules back
        now
      more: waits 60 s longer
      wait: nothing; at the end of the
        countdown the earlier rules return
      A connection that is there already
      lives on under any rules: replies to
      it are let in. Only a new login proves
      that you can come back, so latchkey
      looks for one before it keeps the
      rules.
      47 s   no new login yet > quit
      A change is pending: keep it, or
      revert it. Ctrl-C leaves it to itself.
      47 s   no new login yet > ^C
      The new rules are still in force; the
      old ones return in 47 s. To have them
      back now, type: revert. Ctrl-C again
      leaves, and they return all the same.
      A new login from 203.0.113.7 got in:
      the door opens.
      31 s   keep / revert / more > keep

    Kept, and saved for the next start
    (/etc/iptables/rules.v4, rules.v6).
    Undo: sudo latchkey snapshots restore
           20261122-154210

    """#
