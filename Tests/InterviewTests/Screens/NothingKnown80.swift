// Written by LATCHKEY_RECORD=1, see GoldenTests.
let nothingKnown80 = #"""

    latchkey sets up this server's firewall. Nothing changes until you have reviewed
    the new rules and applied them. If you then lose your connection, latchkey rolls
    back to the previous rules.
    At any question:  ? explains   back   show   quit    Enter accepts [default]

    Found here
      you         no SSH connection detected
      listening   nothing found
      rules now   could not be read (see: latchkey doctor)
      also here   other firewalls: none

    1/5  Who administers this server?
         These addresses can reach every port.
         admins [none] > ?
         An administrator's address gets full access: every port, ping, and every
         program that runs here. Enter the address of your office or VPN, several
         addresses separated by spaces, or a network such as 192.168.1.0/24, which
         contains all addresses from 192.168.1.0 to 192.168.1.255. An interface,
         such as wg0 of a VPN, stands for everything that comes in there; one that
         does not exist yet is entered as "interface wg0". Host names are not
         supported. If your address changes (at home, on a phone), answer "none".
         The next question is about SSH.
         Examples:   192.168.1.33     192.168.1.0/24 wg0     none
         admins [none] > none
         ! No administrator addresses: SSH is your only way to reach this server.

    2/5  Who may log in by SSH (port 22)?
         everyone   any address can connect; sshd checks the key or password
         limited    everyone, but at most 6 connections in 30 s from one address
         admins     there are none, so nobody could log in
         ssh [everyone] > ?
         SSH is how you log in to this server. With "everyone", any address can
         connect, and sshd asks for a key or a password. This is safe if you use
         keys. With "limited", a program that tries many passwords is slowed down:
         one address can make 6 new connections at once, and then one every 5 s.
         Logins that exist already and the addresses from question 1 are not
         limited. With "admins", only the addresses from question 1 can connect to
         sshd. You can also enter addresses or networks. The port is the one that
         sshd listens on. To open a different port, add "port 2222", for example.
         latchkey does not change the settings of sshd.
         Examples:   limited     admins     192.168.1.0/24     everyone port 2222
         ssh [everyone] > <Enter>

    3/5  What does this server offer?
         [ ] web   Websites  80 443
         [ ] mail  Mail      25 143 465 587 993
         [ ] dns   DNS       53
         For more, press Tab or type "list". To limit one: mail from 192.168.1.0/24
         services [none] > ?
         A service is a name for the ports that a program needs: "web" is 80 and
         443. Enter the services that others may use. All other services are blocked
         for everyone except administrators, even if their programs are running.
         Databases and control panels are open to administrators only, unless you
         add "from". Your line replaces the whole list. Enter accepts the services
         marked [x]; at first, these are the ones that are listening now.
         web    Serves websites over HTTP and HTTPS, including HTTP/3 over UDP.
         mail   Receives mail for a domain and delivers it to mail programs (SMTP
                and IMAP).
         dns    Answers DNS queries, for a domain or for other machines.
         Examples:   web mail     web, postgres from 192.168.1.0/24     none
         services [none] > none

    4/5  Any other ports?
         ports [none] > ?
         A program waits for connections on a port, which is a number. Enter the
         port number and the protocol that the program's manual gives: tcp (most
         programs) or udp (games, calls, VPNs). These ports will be open to
         everyone, unless you add "from" with addresses. For a range, enter two
         numbers with a dash between them. You don't need to repeat the ports of
         services that you chose.
         Examples:
            8080/tcp 60000-61000/udp
            8080/tcp from 192.168.1.0/24
            none
         ports [none] > <Enter>

    5/5  Who may ping this server?
         nobody     this server can still ping others and receive their replies
         admins     there are none, so this is the same as nobody
         limited    everyone, a few times per second
         everyone   any address, without a limit
         ping [nobody] > ?
         A ping is a request and a reply. This server can always send requests. To
         receive the reply, the firewall must allow the packet that comes back, but
         only if this server sent a request. How does the firewall know? The kernel
         tracks every conversation that this server starts. A packet that belongs to
         such a conversation has the state ESTABLISHED. An error message about one
         ("host unreachable", "packet too big") has the state RELATED. Both are
         allowed. A packet that only claims to be a reply belongs to no conversation
         and is blocked.
         The same rule allows the replies to this server's DNS queries, which come
         from port 53, and to the mail that it sends, which come from port 25. No
         port is opened for them: a packet from port 53 or 25 that is not a reply is
         blocked. Your answer here only decides who may ping this server.
         Examples:   nobody     admins     limited     everyone
         ping [nobody] > back

    4/5  Any other ports?
         ports [none] > none

    5/5  Who may ping this server?
         nobody     this server can still ping others and receive their replies
         admins     there are none, so this is the same as nobody
         limited    everyone, a few times per second
         everyone   any address, without a limit
         ping [nobody] > <Enter>

    Review                       everyone
      ssh 22                     open
      ping                       closed
      everything else            closed
      Outgoing traffic and replies to it are allowed. Same rules for IPv4 and IPv6.
      Rules: 0 removed, 13 added. "rules" lists them, "diff" shows the difference.

    Rehearsing with real packets in a copy of this machine's network ...
      64 of 64 packets as expected, 0.6 s. A new SSH login from 203.0.113.7 works.

      New rules roll back after 60 s unless you keep them (to change: deadline 5m).
      They also roll back if your connection drops. To keep them, log in again and
        run "sudo latchkey".

    apply / edit 1-5 / rules / diff / deadline / save / quit [apply] > quit
    Nothing was changed.

    """#
