# The firewall programs that the benchmarks compare, read with "source". Each has the same task: the tutorial's services
# for everyone, the two admins of private_pair, a port that changes ($1), and everything else dropped, IPv4 and IPv6.
# For each program: prepare_X once, write_X PORT to change its files, and the command in loads[X] to make the change
# active.

tcp=22,80,443,25,465,587,143,993,53
programs=(
  tutorial iptables-restore nft latchkey-nftables latchkey-nft latchkey-legacy ufw firewalld ferm shorewall firehol
)

declare -A loads=(
  [tutorial]='sh -e /run/tutorial'
  [iptables-restore]='iptables-nft-restore -w < /run/rules.4 && ip6tables-nft-restore -w < /run/rules.6'
  [nft]='nft -f /run/rules.nft'
  [ufw]='ufw reload'
  [firewalld]='firewall-cmd --reload'
  [ferm]='ferm /etc/ferm/ferm.conf'
  [shorewall]='shorewall reload && shorewall6 reload'
  [firehol]='firehol start'
)
# A change that is kept, without the rehearsal, which is measured separately.
for backend in nftables nft legacy; do
  loads[latchkey-$backend]="\$latchkey apply --detach --no-rehearsal --deadline 5m --backend $backend \
    --answers /run/answers.yaml && \$latchkey confirm --same-connection"
done

# Whether a program is installed.
installed() {
  case $1 in
    latchkey-*) return 0 ;;
    tutorial) command -v iptables-nft > /dev/null ;;
    firewalld) command -v firewalld > /dev/null && command -v dbus-daemon > /dev/null ;;
    shorewall) command -v shorewall > /dev/null && command -v shorewall6 > /dev/null ;;
    *) command -v "$1" > /dev/null ;;
  esac
}

# Inside: separate, writable copies of /etc, /usr and /var, with the unpacked packages of $PEERS, if that is set.
private_files() {
  local folder
  for folder in etc usr var; do
    mkdir -p "/run/copies/$folder/upper" "/run/copies/$folder/work"
    mount -t overlay overlay "/$folder" -o \
      "lowerdir=${PEERS:+$PEERS/$folder:}/$folder,upperdir=/run/copies/$folder/upper,workdir=/run/copies/$folder/work"
  done
  for folder in sbin lib; do
    [ ! -d "${PEERS:-/nowhere}/$folder" ] ||
      mount -t overlay overlay "/usr/$folder" -o "lowerdir=$PEERS/$folder:/usr/$folder"
  done
  mkdir -p /run/lock
}

# --- The kernel's own tools

write_tutorial() {
  { backend=nft tutorial; echo "iptables-nft -w -A INPUT -p tcp --dport $1 -j ACCEPT"; } > /run/tutorial
}

write_iptables-restore() {
  local family
  for family in 4 6; do
    {
      printf '*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT\n'
      echo '-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT'
      if [ $family = 4 ]; then
        echo '-A INPUT -s 192.168.1.33 -j ACCEPT'
      else
        printf -- '-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type %s -j ACCEPT\n' 133 134 135 136
        echo '-A INPUT -s 2001:db8:5::33 -j ACCEPT'
      fi
      printf -- '-A INPUT -p tcp -m multiport --dports %s,%s -j ACCEPT\n-A INPUT -p udp --dport 53 -j ACCEPT\nCOMMIT\n' \
        "$tcp" "$1"
    } > /run/rules.$family
  done
}

write_nft() {
  cat > /run/rules.nft <<END
table inet plain
delete table inet plain
table inet plain {
  chain input {
    type filter hook input priority filter; policy drop;
    iif lo accept
    ct state established,related accept
    icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept
    ip saddr 192.168.1.33 accept
    ip6 saddr 2001:db8:5::33 accept
    tcp dport { $tcp, $1 } accept
    udp dport 53 accept
  }
}
END
}

# --- latchkey

write_latchkey() {
  printf 'version: 1\nadmins: [192.168.1.33, "2001:db8:5::33"]\nservices: [ssh, web, mail, dns]\nports: [%s/tcp]\n' \
    "$1" > /run/answers.yaml
}

# --- Other programs, with the files of their Debian packages

prepare_ufw() {
  local file
  # As the package's configuration script does.
  for file in before before6 after after6 user user6; do cp "/usr/share/ufw/iptables/$file.rules" /etc/ufw/; done
  cp /usr/share/ufw/ufw.conf /usr/share/ufw/before.init /usr/share/ufw/after.init /etc/ufw/
  ufw allow proto tcp to any port $tcp
  ufw allow 53/udp
  ufw allow from 192.168.1.33
  ufw allow from 2001:db8:5::33
  ufw allow 8080/tcp
  ufw --force enable
}
write_ufw() { sed -i -E "s/\b808[01]\b/$1/g" /etc/ufw/user.rules /etc/ufw/user6.rules; }

prepare_firewalld() {
  mkdir -p /run/dbus /etc/firewalld/zones
  write_firewalld 8080
  cat > /etc/firewalld/zones/trusted.xml <<'END'
<?xml version="1.0" encoding="utf-8"?>
<zone target="ACCEPT"><source address="192.168.1.33"/><source address="2001:db8:5::33"/></zone>
END
  dbus-daemon --system --fork --nopidfile
  firewalld --nofork --nopid &
  echo $! > /run/daemon
  until firewall-cmd --state > /dev/null 2>&1; do sleep 0.1; done
}
write_firewalld() {
  {
    echo '<?xml version="1.0" encoding="utf-8"?><zone target="DROP">'
    printf '<port protocol="tcp" port="%s"/>\n' ${tcp//,/ } "$1"
    echo '<port protocol="udp" port="53"/></zone>'
  } > /etc/firewalld/zones/public.xml
}

write_ferm() {
  cat > /etc/ferm/ferm.conf <<END
domain (ip ip6) table filter {
  chain INPUT {
    policy DROP;
    mod conntrack ctstate (ESTABLISHED RELATED) ACCEPT;
    interface lo ACCEPT;
    @if @eq(\$DOMAIN, ip) { saddr 192.168.1.33 ACCEPT; }
    @if @eq(\$DOMAIN, ip6) {
      saddr 2001:db8:5::33 ACCEPT;
      proto ipv6-icmp icmpv6-type (router-solicitation router-advertisement neighbour-solicitation
        neighbour-advertisement) ACCEPT;
    }
    proto tcp dport (${tcp//,/ } $1) ACCEPT;
    proto udp dport 53 ACCEPT;
  }
  chain OUTPUT policy ACCEPT;
  chain FORWARD policy ACCEPT;
}
END
}

prepare_shorewall() {
  local name zone admin
  for name in shorewall shorewall6; do
    zone=ipv4 admin=192.168.1.33
    [ $name = shorewall ] || zone=ipv6 admin='[2001:db8:5::33]'
    cp "/usr/share/$name/configfiles/$name.conf" "/usr/share/$name/configfiles/params" "/etc/$name/"
    sed -i 's/^STARTUP_ENABLED=.*/STARTUP_ENABLED=Yes/; s/^LOG_LEVEL=.*/LOG_LEVEL=none/' "/etc/$name/$name.conf"
    printf 'fw firewall\nnet %s\n' $zone > "/etc/$name/zones"
    printf '?FORMAT 2\nnet eth0\n' > "/etc/$name/interfaces"
    printf 'fw net ACCEPT\nnet all DROP\n' > "/etc/$name/policy"
    echo "$admin" > "/etc/$name/admin"
  done
  mkdir -p /var/lib/shorewall /var/lib/shorewall6
  write_shorewall 8080
  shorewall start && shorewall6 start
}
write_shorewall() {
  local name
  for name in shorewall shorewall6; do
    printf '?SECTION NEW\nACCEPT net:%s fw\nACCEPT net fw tcp %s,%s\nACCEPT net fw udp 53\n' \
      "$(cat "/etc/$name/admin")" "$tcp" "$1" > "/etc/$name/rules"
  done
}

prepare_firehol() { echo START_FIREHOL=YES > /etc/default/firehol; }
write_firehol() {
  cat > /etc/firehol/firehol.conf <<END
version 6
server_services_ports="tcp/${tcp//,/ tcp/} tcp/$1 udp/53"
client_services_ports="default"
ipv6 interface any neighbours proto icmpv6
  client ipv6neigh accept
  server ipv6neigh accept
  policy return
interface any world
  policy drop
  server custom services "\$server_services_ports" default accept
  server4 all accept src 192.168.1.33
  server6 all accept src 2001:db8:5::33
  client all accept
END
}
