// Written by LATCHKEY_RECORD=1, see GoldenTests.
let crowdedServer80 = #"""

    latchkey sets up this server's firewall. Nothing changes until you have reviewed
    the new rules and applied them. If you then lose your connection, latchkey rolls
    back to the previous rules.
    At any question:  ? explains   back   show   quit    Enter accepts [default]

    Found here
      you         203.0.113.7, by SSH, port 22
      addresses   198.51.100.20 and 2001:db8:1::20 on eth0
      listening   sshd 22, nginx 80 443, node 3000, postgres 5432 (local only)
      rules now   21, other programs' chains: DOCKER and f2b-sshd
      also here   other firewalls: ufw; Docker: yes

    1/7  Who administers this server?
         These addresses can reach every port.
         admins [203.0.113.7] > <Enter>
         ! This server also has IPv6, and none of these addresses is IPv6.

    2/7  Who may log in by SSH (port 22)?
         everyone   any address can connect; sshd checks the key or password
         limited    everyone, but at most 6 connections in 30 s from one address
         admins     only 203.0.113.7. If that address changes, you can't log in
         ssh [everyone] > admins

    3/7  What does this server offer?
         [x] web   Websites  80 443              nginx listens
         [ ] mail  Mail      25 143 465 587 993
         [ ] dns   DNS       53
         For more, press Tab or type "list". To limit one: mail from 192.168.1.0/24
         services [web] > mail from 192.168.1.0/24, web, postgres from everyone
         ! Nothing is listening for mail now. The ports will be open anyway.
         ! postgres would be open to everyone. It is meant for administrators only.

    4/7  Any other ports?                     node listens on 3000, open to everyone
         ports [none] > show
         1 admins     203.0.113.7
         2 ssh        admins
         3 services   mail from 192.168.1.0/24, web, postgres from everyone
         4 ports      none (not asked yet)
         5 ping       nobody (not asked yet)
         6 existing   keep (not asked yet)
         7 docker     open (not asked yet)
         ports [none] > 60000-61000/udp
         ! Nothing is listening on 60000-61000/udp now. It will be open anyway.
         ! Port 3000 (node) is in use by 198.51.100.44. New connections from there
           will be blocked.

    5/7  Who may ping this server?
         nobody     this server can still ping others and receive their replies
         admins     only 203.0.113.7
         limited    everyone, a few times per second
         everyone   any address, without a limit
         ping [nobody] > everyone

    6/7  Keep or replace the existing rules?                                21 rules
         keep      leaves the chains DOCKER and f2b-sshd unchanged; removes 1 INPUT
                   rule that belongs to no known program
         replace   removes all rules and chains in the tables filter and nat,
                   including DOCKER and f2b-sshd; Docker containers have no network
                   until Docker restarts
         existing [keep] > replace
         ! ufw will load its own rules again at boot. Disable it.

    7/7  Who may reach the published container ports?
         Published: 8080/tcp (grafana) and 443/tcp
         open      everyone, as Docker has it; the other answers do not apply to
                   them
         answers   who may reach the same port of the server: see services and ports
         docker [open] > answers
         ! 8080/tcp (grafana) is not among your services and ports: only admins can
           reach it then.

    Review                       admins        everyone else
      ssh 22                     open          closed
      mail 25 143 465 587 993    open          only 192.168.1.0/24
                                               nothing listens there
      web 80 443                 open          open
      postgres 5432              open          open     listens locally only
      60000-61000/udp            open          open     nothing listens there
      node 3000                  open          closed   ! 198.51.100.44 is connected
      ping                       open          open
      everything else            open          closed
      Outgoing traffic and replies to it are allowed. Same rules for IPv4 and IPv6.
      Rules: 0 removed, 13 added. "rules" lists them, "diff" shows the difference.
      This rule belongs to no known program and will be removed:
        -A INPUT -p tcp -m tcp --dport 8443 -j ACCEPT
      ! ufw is also active. Its rules apply in addition to these: they can block
        what these allow. See: latchkey doctor

    Rehearsing with real packets in a copy of this machine's network ...
      ! 1 of 64 packets not as expected:
        22/tcp from 203.0.113.7: expected open, found closed
          decided by: -A INPUT -p tcp -m tcp --dport 22 -j REJECT --reject-with
            icmp-port-unreachable
        Change answer 2: type "edit 2"

    edit 1-7 / rules / diff / save / quit [edit 2] > edit 2

    2/7  Who may log in by SSH (port 22)?
         everyone   any address can connect; sshd checks the key or password
         limited    everyone, but at most 6 connections in 30 s from one address
         admins     only 203.0.113.7. If that address changes, you can't log in
         ssh [admins] > everyone
         ! SSH is open to everyone. Use keys, not passwords.

    Review                       admins        everyone else
      ssh 22                     open          open
      mail 25 143 465 587 993    open          only 192.168.1.0/24
                                               nothing listens there
      web 80 443                 open          open
      postgres 5432              open          open     listens locally only
      60000-61000/udp            open          open     nothing listens there
      node 3000                  open          closed   ! 198.51.100.44 is connected
      ping                       open          open
      everything else            open          closed
      Outgoing traffic and replies to it are allowed. Same rules for IPv4 and IPv6.
      Rules: 0 removed, 13 added. "rules" lists them, "diff" shows the difference.
      This rule belongs to no known program and will be removed:
        -A INPUT -p tcp -m tcp --dport 8443 -j ACCEPT
      ! ufw is also active. Its rules apply in addition to these: they can block
        what these allow. See: latchkey doctor

    Rehearsing with real packets in a copy of this machine's network ...
      64 of 64 packets as expected, 0.6 s. A new SSH login from 203.0.113.7 works.

      New rules roll back after 60 s unless you keep them (to change: deadline 5m).
      They also roll back if your connection drops. To keep them, log in again and
        run "sudo latchkey".

    apply / edit 1-7 / rules / diff / deadline / save / quit [apply] > diff
    -:INPUT ACCEPT
    +:INPUT DROP
    apply / edit 1-7 / rules / diff / deadline / save / quit [apply] > save
      Saved in answers.yaml.
    apply / edit 1-7 / rules / diff / deadline / save / quit [apply] > apply

    """#
