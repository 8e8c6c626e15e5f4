// Written by LATCHKEY_RECORD=1, see GoldenTests.
let nothingKnown40 = #"""

    latchkey sets up this server's firewall.
    Nothing changes until you have seen the
    result and said so, and if your
    connection is lost the old rules return.
    At any question: ? explains, back, show,
    quit. Enter takes [default].

    Found here
      you: not by SSH, as far as can be seen
      listening: nothing was found
      rules now: could not be read: see
        latchkey doctor
      besides: other firewalls: none

    1/5  Who administers this server?
      These addresses may reach everything
      on it.
      admins [none] > ?
      An administrator's machine gets full
      access: every port, ping, whatever
      runs here. Give the address of your
      office or VPN, several with spaces
      between, or a network such as
      192.168.1.0/24, which is all addresses
      from 192.168.1.0 to 192.168.1.255.
      Names are not looked up. If your
      address changes (at home, on a phone)
      answer "none": SSH is the next
      question.
      Examples:
         192.168.1.33
         192.168.1.0/24 2001:db8:5::/64
         none
      admins [none] > none
      ! No administrator has a fixed
        address: SSH is your only way in.

    2/5  Who may log in by SSH (port 22)?
      everyone: any address may knock; keys
        and passwords decide
      admins: there are none: nobody could
        log in
      ssh [everyone] > ?
      SSH is your own way in. With
      "everyone", sshd still asks each
      visitor for a key or a password: use
      keys, and this is safe. With "admins",
      only the addresses of question 1 reach
      sshd at all. You may give addresses
      instead. The port is the one sshd
      listens on; to open another, add "port
      2222". latchkey does not change sshd's
      own settings.
      Examples:
         everyone
         admins
         192.168.1.0/24
         everyone port 2222
      ssh [everyone] > <Enter>

    3/5  What does this server offer?
      [ ] web: Websites, 80 443
      [ ] mail: Mail, 25 143 465 587 993
      [ ] dns: DNS, 53
      more: Tab, or "list"; limit one with
      "mail from 192.168.1.0/24"
      services [none] > ?
      A service is a name for the ports that
      a program needs: "web" is 80 and 443.
      Name those that others shall reach;
      what you leave out is closed to
      everyone but the administrators, even
      while its program runs. Databases and
      control panels are open to
      administrators only, unless you say
      "from". The line you type is the whole
      list; Enter takes those marked [x], at
      first what listens here now.
      web: Serves websites over HTTP and
        HTTPS, including HTTP/3 over UDP.
      mail: Receives mail for a domain and
        delivers it to mail programs (SMTP
        and IMAP).
      dns: Answers DNS queries, for a domain
        or for other machines.
      Examples:
         web mail
         web, postgres from 192.168.1.0/24
         none
      services [none] > none

    4/5  Any other ports?
      ports [none] > ?
      Programs wait for connections behind
      numbered doors, the ports. Give the
      number and the protocol that the
      program's manual names: tcp (most of
      them) or udp (games, calls, VPNs).
      They will be open to everyone. Two
      numbers with a dash between are a
      range. What is already open by a
      service's name need not be here.
      Examples:
         8080/tcp
         8080/tcp 60000-61000/udp
         none
      ports [none] > <Enter>

    5/5  Who may ping this server?
      nobody: it can still ping others and
        hear the answers
      admins: there are none: the same as
        nobody
      limited: everyone, a few a second
      everyone: any address, as often as it
        likes
      ping [nobody] > ?
      A ping is a question and an answer.
      This server may always ask; to hear
      the answer, the packet that comes back
      must be let in, and only if the server
      asked. How can a firewall know? The
      kernel remembers every conversation
      the server began. A packet of such a
      conversation is called ESTABLISHED; a
      message about one ("that host cannot
      be reached", "that packet was too
      big") is called RELATED. Those two
      come in. What merely claims to be an
      answer belongs to no conversation and
      does not.
      The same rule brings home the answers
      to the server's DNS questions, which
      come from port 53, and to the mail it
      sends, which come from port 25.
      Nothing is opened for them: a stranger
      who sends from port 53 or 25 unasked
      stays outside. Your answer here is
      only about who may begin.
      Examples:
         nobody
         admins
         limited
         everyone
      ping [nobody] > back

    4/5  Any other ports?
      ports [none] > none

    5/5  Who may ping this server?
      nobody: it can still ping others and
        hear the answers
      admins: there are none: the same as
        nobody
      limited: everyone, a few a second
      everyone: any address, as often as it
        likes
      ping [nobody] > <Enter>

    Review
      ssh 22
        open
      ping
        closed
      all else
        closed
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

    edit 1-5 / ? [apply] > quit
    Nothing was changed.

    """#
