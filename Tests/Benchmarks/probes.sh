# Packets that show what rules do, read with "source" after common.sh, in the namespaces of private_pair.

# Sends numbered datagrams every 200 microseconds, over IPv4 and IPv6, to an allowed port (53) and to a forbidden one
# (9999), until /run/end exists. No answer comes back, so each of them is a new connection for the rules. Prints how many
# it sent of each kind.
send_numbers() {
  nsenter -t "$outside" -n perl - <<'END'
use strict; use warnings; use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6); use Time::HiRes qw(clock_gettime usleep);
my @to;
for my $port (53, 9999) {
    socket my $four, AF_INET, SOCK_DGRAM, 0 or die $!;
    bind $four, sockaddr_in(0, inet_aton('198.51.100.7')) or die $!;
    connect $four, sockaddr_in($port, inet_aton('192.0.2.2')) or die $!;
    socket my $six, AF_INET6, SOCK_DGRAM, 0 or die $!;
    bind $six, pack_sockaddr_in6(0, inet_pton(AF_INET6, '2001:db8:bad::7')) or die $!;
    connect $six, pack_sockaddr_in6($port, inet_pton(AF_INET6, '2001:db8:2::2')) or die $!;
    push @to, $four, $six;
}
my ($number, $next, $end) = (0, clock_gettime(1), 0);
until ($end) {
    my $wait = $next - clock_gettime(1);
    usleep($wait * 1e6) if $wait > 0;
    my $now = clock_gettime(1);
    my $bytes = pack 'N', $number++;
    # A program may refuse packets, and then the kernel says so here.
    send $_, $bytes, 0 for @to;
    $next += 0.0002;
    $next = $now if $next < $now; # not in bursts
    $end = -e '/run/end' if $number % 500 == 0;
}
print "$number\n";
END
}

# Receives until /run/stop exists. Prints how many datagrams came to the allowed port by IPv4 and by IPv6, and to the
# forbidden one by each; repeated ones count once.
receive_numbers() {
  perl - <<'END'
use strict; use warnings; use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6); use IO::Select;
my @sockets;
for my $port (53, 9999) {
    socket my $four, AF_INET, SOCK_DGRAM, 0 or die $!;
    bind $four, sockaddr_in($port, INADDR_ANY) or die $!;
    socket my $six, AF_INET6, SOCK_DGRAM, 0 or die $!;
    setsockopt $six, 41, 26, 1 or die $!; # IPPROTO_IPV6, IPV6_V6ONLY
    bind $six, pack_sockaddr_in6($port, inet_pton(AF_INET6, '::')) or die $!;
    for ($four, $six) { setsockopt $_, SOL_SOCKET, 33, 64 << 20 or die "$!" } # SO_RCVBUFFORCE
    push @sockets, $four, $six;
}
my $select = IO::Select->new(@sockets);
my @seen = map { {} } @sockets;
open my $ready, '>', '/run/ready' or die $!; close $ready;
until (-e '/run/stop') {
    for my $socket ($select->can_read(0.2)) {
        my ($place) = grep { $sockets[$_] == $socket } 0 .. 3;
        for (1 .. 1000) {
            defined recv $socket, my $bytes, 16, 0x40 or last; # MSG_DONTWAIT
            $seen[$place]{unpack 'N', $bytes} = 1;
        }
    }
}
print join(' ', map { scalar keys %$_ } @seen), "\n";
END
}

# Runs a command under these packets. Prints how many allowed ones were lost and how many forbidden ones got in.
# FAMILIES=4 counts IPv4 alone, for rules that say nothing about IPv6.
exposure() {
  local receiver sender sent four six closed4 closed6
  rm -f /run/ready /run/end /run/stop
  receive_numbers > /run/received &
  receiver=$!
  until [ -e /run/ready ]; do sleep 0.01; done
  send_numbers > /run/sent &
  sender=$!
  sleep 0.3
  "$@" > /run/said 2>&1 || { echo "$* ended with $?: $(tail -n 3 /run/said)" >&2; return 1; }
  sleep 0.3
  touch /run/end
  wait "$sender"
  sleep 0.5
  touch /run/stop
  wait "$receiver"
  read -r sent < /run/sent
  read -r four six closed4 closed6 < /run/received
  if [ "${FAMILIES:-46}" = 4 ]; then echo "$((sent - four)) $closed4"
  else echo "$((2 * sent - four - six)) $((closed4 + closed6))"; fi
}

# The rules that a stranger's IPv4 packet is compared with: a reply, a new connection to SSH, and a forbidden one.
# The kernel traces everything in nf_tables; the rules of iptables-legacy are followed by their counters.
rules_checked() {
  local kind listener sender monitor legacy
  # Not grep -q: it would end the tool that it reads from, and so fail.
  legacy=$(iptables-legacy-save 2> /dev/null | grep '^-A' || true)
  for kind in reply ssh forbidden; do
    rm -f /run/ready /run/go /run/sent /run/over
    listener=
    # Without a listener, the kernel refuses a new connection: the first packet is the only one.
    if [ $kind = reply ]; then
      perl -MIO::Socket::IP -e '
        my $l = IO::Socket::IP->new(LocalAddr => "192.0.2.2", LocalPort => 22, Listen => 1, ReuseAddr => 1) or die $@;
        my $c = $l->accept; 1 while sysread $c, my $x, 100; sleep 9' &
      listener=$!
      until ss -Hltn 'sport = :22' | grep -q .; do sleep 0.02; done
    fi
    send_kind $kind &
    sender=$!
    until [ -e /run/ready ]; do sleep 0.01; done
    if [ -n "$legacy" ]; then
      iptables-legacy-save -c > /run/before
    else
      nft 'table ip probe { chain pre {
        type filter hook prerouting priority -400; ip saddr 198.51.100.7 meta nftrace set 1; }; }'
      nft -s list ruleset > /run/listing 2> /dev/null
      nft -s monitor trace > /run/trace &
      monitor=$!
      sleep 0.3
    fi
    touch /run/go
    until [ -e /run/sent ]; do sleep 0.01; done
    sleep 0.2
    if [ -n "$legacy" ]; then
      iptables-legacy-save -c > /run/after
      "$benchmarks/checked" counters /run/before /run/after $sent
    else
      kill $monitor
      wait $monitor 2> /dev/null || true
      nft delete table ip probe
      "$benchmarks/checked" trace /run/trace /run/listing
    fi
    touch /run/over
    wait $sender
    [ -z "$listener" ] || kill $listener 2> /dev/null || true
  done | paste -sd ' '
}

# Packets of each kind.
sent=20

# Prepares, and after /run/go sends, this many packets of a kind to the server.
send_kind() { # KIND
  nsenter -t "$outside" -n perl - "$1" "$sent" <<'END'
use strict; use warnings; use Socket qw(:DEFAULT SOCK_NONBLOCK IPPROTO_TCP TCP_NODELAY);
my ($kind, $count) = @ARGV;
sub opened {
    my ($type, $port, $flags) = @_;
    socket my $socket, AF_INET, $type | $flags, 0 or die $!;
    bind $socket, sockaddr_in(0, inet_aton('198.51.100.7')) or die "bind: $!";
    connect $socket, sockaddr_in($port, inet_aton('192.0.2.2')) or $!{EINPROGRESS} or $!{ECONNREFUSED}
        or die "connect: $!";
    $socket }
sub mark { open my $file, '>', $_[0] or die $!; close $file }
my @open;
push @open, opened(SOCK_STREAM, 22, 0) if $kind eq 'reply';
setsockopt $open[0], IPPROTO_TCP, TCP_NODELAY, 1 if @open;
mark('/run/ready');
select undef, undef, undef, 0.01 until -e '/run/go';
for (1 .. $count) {
    if ($kind eq 'reply') { syswrite $open[0], 'x' }
    elsif ($kind eq 'ssh') { push @open, opened(SOCK_STREAM, 22, SOCK_NONBLOCK) }
    else { push @open, opened(SOCK_DGRAM, 9999, 0); send $open[-1], 'x', 0 }
    select undef, undef, undef, 0.005;
}
mark('/run/sent');
select undef, undef, undef, 0.02 until -e '/run/over';
END
}
