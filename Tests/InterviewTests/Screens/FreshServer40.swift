// Written by LATCHKEY_RECORD=1, see GoldenTests.
let freshServer40 = #"""

    latchkey sets up this server's firewall.
    Nothing changes until you have seen the
    result and said so, and if your
    connection is lost the old rules return.
    At any question: ? explains, back, show,
    quit. Enter takes [default].

    Found here
      you: 203.0.113.7, by SSH, port 22
      addresses: 198.51.100.20 and
        2001:db8:1::20 on eth0
      listening: sshd 22, nginx 80 443, node
        3000, postgres 5432 (local only)
      rules now: none
      besides: other firewalls: none;
        Docker: no

    1/5  Who administers this server?
      These addresses may reach everything
      on it.
      admins [203.0.113.7] > 192.168.1.33 192.168.1.300
      "192.168.1.300" is not an address: 300
      is more than 255.
      admins > 192.168.1.33
      ! Your own address, 203.0.113.7, is
        not among them.
      ! The server has IPv6 too: whoever
        comes by IPv6 is none of these.

    2/5  Who may log in by SSH (port 22)?
      everyone: any address may knock; keys
        and passwords decide
      admins: only 192.168.1.33; when that
        address changes, nobody
      ssh [everyone] > <Enter>
      ! SSH stays open to the world: use
        keys, not passwords.

    3/5  What does this server offer?
      [x] web: Websites, 80 443, nginx
        listens
      [ ] mail: Mail, 25 143 465 587 993
      [ ] dns: DNS, 53
      more: Tab, or "list"; limit one with
      "mail from 192.168.1.0/24"
      services [web] > <Enter>

    4/5  Any other ports?
      node listens on 3000 to the world now
      ports [none] > 8080/tcp
      ! Nothing listens on 8080/tcp now: it
        will be open all the same.
      ! Port 3000 (node) is in use by
        198.51.100.44 right now and will be
        closed to it.

    5/5  Who may ping this server?
      nobody: it can still ping others and
        hear the answers
      admins: only 192.168.1.33
      limited: everyone, a few a second
      everyone: any address, as often as it
        likes
      ping [nobody] > nobody

    Review
      ssh 22
        admins open, others open
      web 80 443
        admins open, others open
      8080/tcp
        admins open, others open
        nothing listens there
      node 3000
        admins open, others closed
        ! 198.51.100.44 is connected
      ping
        admins open, others closed
      all else
        admins open, others closed
      Out: everything, and the replies come
        back. IPv4 and IPv6 alike.
      Rules: 0 go, 13 come ("rules" shows
        them, "diff" the difference).

    Rehearsing with real packets in a copy
    of this machine's network ...
      64 of 64 as promised, 0.6 s. From
      203.0.113.7 a new SSH login gets in.

      The old rules return after 60 s unless
        you keep the new ones ("deadline
        5m").
      If your line drops, the same happens:
        log in again, type "sudo latchkey".

    edit 1-5 / ? [apply] > rules
    *filter
    :INPUT DROP [0:0]
    -A INPUT -i lo -m comment --comment
          "latchkey: loopback" -j ACCEPT
    edit 1-5 / ? [apply] > ?
      apply: puts the rules in force for 60
        s; unless you keep them then, the
        old ones return
      edit 3: asks question 3 again; the
        number or the name alone will do
      rules: shows the rules as the kernel
        gets them
      diff: shows what goes and what comes
      deadline: gives you more or less time
        to keep them, as in: deadline 5m
      show: shows the review again
      save: saves your answers to a file, as
        in: save answers.yaml
      quit: leaves; nothing was changed
    edit 1-5 / ? [apply] > apply

    """#
