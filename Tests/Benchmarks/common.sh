# Shared functions of the benchmarks, which read this file with "source". Everything happens in separate namespaces.

# One line that says what was run and where.
machine() {
  echo "$0 $*: $(nproc) cores, Linux $(uname -r), $(iptables-nft --version | cut -d' ' -f1,2)," \
    "load $(cut -d' ' -f1 /proc/loadavg)"
}

# The path of the built program, unless another one is named.
program() { echo "${1:-$(cd "$(dirname "$0")/../.." && pwd)/.build/release/latchkey}"; }

# Runs this script again in fresh network, mount and process namespaces. Processes that it started end with it.
in_namespaces() {
  timeout "$1" unshare --net --mount --pid --fork --mount-proc --kill-child --propagation private "${@:2}"
}

benchmarks=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Inside: a separate /run and root folder, and the loopback interface.
private_server() {
  mount -t tmpfs tmpfs /run
  export LATCHKEY_ROOT=/run/root
  mkdir -m 700 "$LATCHKEY_ROOT"
  ip link set lo up
}

# Inside: a veth to an outside namespace, held by process $outside. Neighbours are fixed: the only packets are probes.
# Outside: the admins of the tutorial and a stranger, 198.51.100.7 and 2001:db8:bad::7.
private_pair() {
  private_server
  unshare --net sleep 600 &
  outside=$!
  while [ "$(readlink "/proc/$outside/ns/net")" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
  ip link add eth0 address 02:00:00:00:00:02 type veth \
    peer name eth0 address 02:00:00:00:00:01 netns "$outside"
  ip -batch - <<'END'
address add 192.0.2.2/24 dev eth0
address add 2001:db8:2::2/64 dev eth0 nodad
link set eth0 up
route add 0.0.0.0/0 via 192.0.2.1
route add ::/0 via 2001:db8:2::1
neighbour replace 192.0.2.1 lladdr 02:00:00:00:00:01 nud permanent dev eth0
neighbour replace 2001:db8:2::1 lladdr 02:00:00:00:00:01 nud permanent dev eth0
END
  nsenter -t "$outside" -n ip -batch - <<'END'
link set lo up
address add 192.0.2.1/24 dev eth0
address add 198.51.100.7/32 dev eth0
address add 192.168.1.33/32 dev eth0
address add 2001:db8:2::1/64 dev eth0 nodad
address add 2001:db8:bad::7/128 dev eth0 nodad
address add 2001:db8:5::33/128 dev eth0 nodad
link set eth0 up
neighbour replace 192.0.2.2 lladdr 02:00:00:00:00:02 nud permanent dev eth0
neighbour replace 2001:db8:2::2 lladdr 02:00:00:00:00:02 nud permanent dev eth0
END
  until ip -o link show eth0 | grep -q LOWER_UP; do sleep 0.01; done
}

# The process IDs of every latchkey in this process namespace; optionally only those with a word in the command line.
latchkeys() {
  local process
  for process in /proc/[0-9]*; do
    [ "$process/exe" -ef "$latchkey" ] || continue
    [ $# = 0 ] || tr '\0' '\n' < "$process/cmdline" 2> /dev/null | grep -qx -- "$1" || continue
    echo "${process#/proc/}"
  done
}

# The median of the numbers on standard input.
median() { sort -n | awk 'NF { line[++n] = $1 } END { print n ? line[int((n + 1) / 2)] : "-" }'; }

# The maximum of the numbers on standard input.
worst() { sort -n | awk 'NF { last = $1 } END { print last == "" ? "-" : last }'; }

# The tutorial's 20 commands for $backend.
tutorial() {
  sed "s/^iptables /iptables-$backend -w /" <<'END'
iptables -F
iptables -X
iptables -Z
iptables -t nat -F
iptables -P INPUT DROP
iptables -P OUTPUT ACCEPT
iptables -P FORWARD ACCEPT
iptables -t nat -P PREROUTING ACCEPT
iptables -t nat -P POSTROUTING ACCEPT
iptables -A INPUT -i lo -j ACCEPT
iptables -A INPUT -s 192.168.1.33 -j ACCEPT
iptables -A INPUT -p tcp --dport 80 -j ACCEPT
iptables -A INPUT -p tcp --sport 25 -m state --state ESTABLISHED,RELATED -j ACCEPT
iptables -A INPUT -p tcp --dport 25 -j ACCEPT
iptables -A INPUT -p tcp --dport 143 -j ACCEPT
iptables -A INPUT -p tcp --dport 993 -j ACCEPT
iptables -A INPUT -p tcp --dport 22 -j ACCEPT
iptables -A INPUT -p udp --sport 53 -m state --state ESTABLISHED,RELATED -j ACCEPT
iptables -A INPUT -p udp --dport 53 -j ACCEPT
iptables -A INPUT -p icmp -m state --state ESTABLISHED,RELATED -j ACCEPT
END
}

# Runs a command; prints the milliseconds until it ended, and the CPU time of all that it left running, which is then
# ended, $settle seconds later. The supervisor goes first: the kernel counts the time of a guard only for a parent that
# waits for it, and the supervisor does not.
cost() {
  perl -MTime::HiRes=clock_gettime,sleep -MPOSIX=:sys_wait_h - "${settle:-0.2}" "$latchkey" "$@" <<'END'
use strict; use warnings;
my ($settle, $latchkey, @command) = @ARGV;
my ($prctl, $getrusage) = (POSIX::uname())[4] eq 'aarch64' ? (167, 165) : (157, 98);
# PR_SET_CHILD_SUBREAPER: processes that the client leaves running become our children, and their CPU time counts.
syscall($prctl, 36, 1, 0, 0, 0) == 0 or die "prctl: $!";
my $began = clock_gettime(1);
my $child = fork // die $!;
if (!$child) { open STDOUT, '>', '/run/said'; open STDERR, '>&', \*STDOUT; exec @command or exit 127 }
waitpid $child, 0;
my ($status, $wall) = ($? >> 8, clock_gettime(1) - $began);
sleep $settle;
for my $round (1 .. 4) {
    for my $process (glob '/proc/[0-9]*') {
        next unless (readlink "$process/exe" // '') eq $latchkey;
        open my $words, '<', "$process/cmdline" or next;
        next if $round == 1 && <$words> !~ /\0supervise\0/;
        kill 'KILL', $process =~ s,/proc/,,r;
    }
    sleep 0.02;
    1 while waitpid(-1, WNOHANG) > 0;
}
my $usage = "\0" x 144;
syscall($getrusage, -1, $usage) == 0 or die "getrusage: $!";
my @time = unpack 'q4', $usage;
my $cpu = $time[0] + $time[2] + ($time[1] + $time[3]) / 1e6;
if ($status) { open my $said, '<', '/run/said'; print STDERR "@command ended with $status: ", <$said>; exit 1 }
printf "%.1f %.1f\n", 1000 * $wall, 1000 * $cpu;
END
}
