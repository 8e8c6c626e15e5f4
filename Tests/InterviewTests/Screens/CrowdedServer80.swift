// Written by LATCHKEY_RECORD=1, see GoldenTests.
let crowdedServer80 = #"""

    latchkey sets up this server's firewall. Nothing changes until you have seen the
    result and said so, and if your connection is lost the old rules return.
    At any question:  ? explains   back   show   quit       Enter takes [default]

    Found here
      you         203.0.113.7, by SSH, port 22
      addresses   198.51.100.20 and 2001:db8:1::20 on eth0
      listening   sshd 22, nginx 80 443, node 3000, postgres 5432 (local only)
      rules now   21, with the chains DOCKER and f2b-sshd
      besides     other firewalls: ufw; Docker: yes

    1/6  Who administers this server?
         These addresses may reach everything on it.
         admins [203.0.113.7] > <Enter>
         ! The server has IPv6 too: whoever comes by IPv6 is none of these.

    2/6  Who may log in by SSH (port 22)?
         everyone   any address may knock; keys and passwords decide
         admins     only 203.0.113.7; when that address changes, nobody
         ssh [everyone] > admins

    3/6  What does this server offer?
         [x] web   Websites  80 443              nginx listens
         [ ] mail  Mail      25 143 465 587 993
         [ ] dns   DNS       53
         more: Tab, or "list"; limit one with "mail from 192.168.1.0/24"
         services [web] > mail from 192.168.1.0/24, web, postgres from everyone
         ! Nothing listens for mail here now: open all the same.
         ! postgres would be open to everyone: it is meant for administrators only.

    4/6  Any other ports?                      node listens on 3000 to the world now
         ports [none] > show
         1 admins     203.0.113.7
         2 ssh        admins
         3 services   mail from 192.168.1.0/24, web, postgres from everyone
         4 ports      none (not asked yet)
         5 ping       nobody (not asked yet)
         6 existing   keep (not asked yet)
         ports [none] > 60000-61000/udp
         ! Nothing listens on 60000-61000/udp now: it will be open all the same.
         ! Port 3000 (node) is in use by 198.51.100.44 right now and will be closed
           to it.

    5/6  Who may ping this server?
         nobody     it can still ping others and hear the answers
         admins     only 203.0.113.7
         limited    everyone, a few a second
         everyone   any address, as often as it likes
         ping [nobody] > everyone

    6/6  What about the rules that are here now?                            21 rules
         keep      the chains DOCKER and f2b-sshd and their rules stay as they are;
                   1 in INPUT belongs to nobody and goes
         replace   all rules and chains of filter and nat go, DOCKER and f2b-sshd
                   too; Docker's containers lose their network until Docker restarts
         existing [keep] > replace
         ! ufw will bring its own rules back at the next start: switch it off.

    Review                       admins        everyone else
      ssh 22                     open          closed
      mail 25 143 465 587 993    open          only 192.168.1.0/24
                                               nothing listens there
      web 80 443                 open          open
      postgres 5432              open          open     listens for itself only
      60000-61000/udp            open          open     nothing listens there
      node 3000                  open          closed   ! 198.51.100.44 is connected
      ping                       open          open
      all else                   open          closed
      Out: everything, and the replies come back. IPv4 and IPv6 alike.
      Rules: 0 go, 13 come ("rules" shows them, "diff" the difference).
      This belongs to nobody and goes:
        -A INPUT -p tcp -m tcp --dport 8443 -j ACCEPT
      ! ufw is at work here too: its own rules decide besides these, and were not
        rehearsed. See: latchkey doctor

    Rehearsing with real packets in a copy of this machine's network ...
      ! 1 of 64 not as promised:
        22/tcp from 203.0.113.7: promised open, found closed
          decided by: -A INPUT -p tcp -m tcp --dport 22 -j REJECT --reject-with
            icmp-port-unreachable
        The answer to change is number 2: edit 2

    edit 1-6 / rules / diff / save / quit [edit 2] > edit 2

    2/6  Who may log in by SSH (port 22)?
         everyone   any address may knock; keys and passwords decide
         admins     only 203.0.113.7; when that address changes, nobody
         ssh [admins] > everyone
         ! SSH stays open to the world: use keys, not passwords.

    Review                       admins        everyone else
      ssh 22                     open          open
      mail 25 143 465 587 993    open          only 192.168.1.0/24
                                               nothing listens there
      web 80 443                 open          open
      postgres 5432              open          open     listens for itself only
      60000-61000/udp            open          open     nothing listens there
      node 3000                  open          closed   ! 198.51.100.44 is connected
      ping                       open          open
      all else                   open          closed
      Out: everything, and the replies come back. IPv4 and IPv6 alike.
      Rules: 0 go, 13 come ("rules" shows them, "diff" the difference).
      This belongs to nobody and goes:
        -A INPUT -p tcp -m tcp --dport 8443 -j ACCEPT
      ! ufw is at work here too: its own rules decide besides these, and were not
        rehearsed. See: latchkey doctor

    Rehearsing with real packets in a copy of this machine's network ...
      64 of 64 as promised, 0.6 s. From 203.0.113.7 a new SSH login gets in.

      The old rules return after 60 s unless you keep the new ones ("deadline 5m").
      If your line drops, the same happens: log in again, type "sudo latchkey".

    apply / edit 1-6 / rules / diff / deadline / save / quit [apply] > diff
    -:INPUT ACCEPT
    +:INPUT DROP
    apply / edit 1-6 / rules / diff / deadline / save / quit [apply] > save
      Saved in answers.yaml.
    apply / edit 1-6 / rules / diff / deadline / save / quit [apply] > apply

    """#
