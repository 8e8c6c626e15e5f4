// Written by LATCHKEY_RECORD=1, see GoldenTests.
let freshServer80 = #"""

    latchkey sets up this server's firewall. Nothing changes until you have reviewed
    the new rules and applied them. If you then lose your connection, latchkey rolls
    back to the previous rules.
    At any question:  ? explains   back   show   quit    Enter accepts [default]

    Found here
      you         203.0.113.7, by SSH, port 22
      addresses   198.51.100.20 and 2001:db8:1::20 on eth0
      listening   sshd 22, nginx 80 443, node 3000, postgres 5432 (local only)
      rules now   none
      also here   other firewalls: none; Docker: no

    1/5  Who administers this server?
         These addresses can reach every port.
         admins [203.0.113.7] > 192.168.1.33 192.168.1.300
         "192.168.1.300" is not an address: 300 is more than 255.
         admins > 192.168.1.33
         ! Your own address, 203.0.113.7, is not in the list.
         ! This server also has IPv6, and none of these addresses is IPv6.

    2/5  Who may log in by SSH (port 22)?
         everyone   any address can connect; sshd checks the key or password
         limited    everyone, but at most 6 connections in 30 s from one address
         admins     only 192.168.1.33. If that address changes, you can't log in
         ssh [everyone] > <Enter>
         ! SSH is open to everyone. Use keys, not passwords.

    3/5  What does this server offer?
         [x] web   Websites  80 443              nginx listens
         [ ] mail  Mail      25 143 465 587 993
         [ ] dns   DNS       53
         For more, press Tab or type "list". To limit one: mail from 192.168.1.0/24
         services [web] > <Enter>

    4/5  Any other ports?                     node listens on 3000, open to everyone
         ports [none] > 8080/tcp
         ! Nothing is listening on 8080/tcp now. It will be open anyway.
         ! Port 3000 (node) is in use by 198.51.100.44. New connections from there
           will be blocked.

    5/5  Who may ping this server?
         nobody     this server can still ping others and receive their replies
         admins     only 192.168.1.33
         limited    everyone, a few times per second
         everyone   any address, without a limit
         ping [nobody] > nobody

    Review                       admins        everyone else
      ssh 22                     open          open
      web 80 443                 open          open
      8080/tcp                   open          open     nothing listens there
      node 3000                  open          closed   ! 198.51.100.44 is connected
      ping                       open          closed
      everything else            open          closed
      Outgoing traffic and replies to it are allowed. Same rules for IPv4 and IPv6.
      Rules: 0 removed, 13 added. "rules" lists them, "diff" shows the difference.

    Rehearsing with real packets in a copy of this machine's network ...
      64 of 64 packets as expected, 0.6 s. A new SSH login from 203.0.113.7 works.

      New rules roll back after 60 s unless you keep them (to change: deadline 5m).
      They also roll back if your connection drops. To keep them, log in again and
        run "sudo latchkey".

    apply / edit 1-5 / rules / diff / deadline / save / quit [apply] > rules
    *filter
    :INPUT DROP [0:0]
    -A INPUT -i lo -m comment --comment "latchkey: loopback" -j ACCEPT
    apply / edit 1-5 / rules / diff / deadline / save / quit [apply] > ?
      apply      activates the rules; they roll back after 60 s unless you keep them
      edit 3     asks question 3 again; "3" or the question's name is enough
      rules      lists the new rules, as iptables-save or nft prints them
      diff       shows the rules that are removed and added
      deadline   sets how long you have to keep the rules, for example: deadline 5m
      show       shows the review again
      save       saves your answers to a file, for example: save answers.yaml
      quit       quits without changing anything
    apply / edit 1-5 / rules / diff / deadline / save / quit [apply] > apply

    """#
