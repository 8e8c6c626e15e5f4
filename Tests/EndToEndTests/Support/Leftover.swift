import TestSupport

/// What a firewall manager leaves loaded when it is killed or removed without being stopped.
enum Leftover: String, CaseIterable, Sendable {
    case shorewall, csf

    /// Its rules for iptables; IPv6 is not set up in either.
    var rules: String {
        switch self {
        case .shorewall: Self.shorewallRules
        case .csf: Self.csfRules
        }
    }

    /// As Shorewall 5.2 writes them for one zone, shortened.
    private static let shorewallRules = """
        *filter
        :INPUT DROP [0:0]
        :FORWARD DROP [0:0]
        :OUTPUT DROP [0:0]
        :dynamic - [0:0]
        :net-fw - [0:0]
        :reject - [0:0]
        :shorewall - [0:0]
        -A INPUT -i eth0 -j net-fw
        -A INPUT -i lo -j ACCEPT
        -A INPUT -g reject
        -A FORWARD -g reject
        -A OUTPUT -o eth0 -j ACCEPT
        -A OUTPUT -o lo -j ACCEPT
        -A OUTPUT -g reject
        -A net-fw -m conntrack --ctstate INVALID,NEW,UNTRACKED -j dynamic
        -A net-fw -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        -A net-fw -p tcp -m multiport --dports 22,9090 -j ACCEPT
        -A net-fw -j DROP
        -A reject -m addrtype --src-type BROADCAST -j DROP
        -A reject -p tcp -j REJECT --reject-with tcp-reset
        -A reject -j REJECT --reject-with icmp-host-prohibited
        -A shorewall -m recent --set --name %CURRENTTIME --mask 255.255.255.255 --rsource
        COMMIT

        """

    /// As csf 14 writes them, shortened: its own chains have no rules but those that lead to others.
    private static let csfRules = """
        *filter
        :INPUT DROP [0:0]
        :FORWARD DROP [0:0]
        :OUTPUT DROP [0:0]
        :ALLOWIN - [0:0]
        :ALLOWOUT - [0:0]
        :DENYIN - [0:0]
        :DENYOUT - [0:0]
        :LOCALINPUT - [0:0]
        :LOCALOUTPUT - [0:0]
        :LOGDROPIN - [0:0]
        :LOGDROPOUT - [0:0]
        -A INPUT ! -i lo -j LOCALINPUT
        -A INPUT -i lo -j ACCEPT
        -A INPUT ! -i lo -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        -A INPUT ! -i lo -p tcp -m conntrack --ctstate NEW -m tcp --dport 22 -j ACCEPT
        -A INPUT ! -i lo -j LOGDROPIN
        -A OUTPUT ! -o lo -j LOCALOUTPUT
        -A OUTPUT -o lo -j ACCEPT
        -A OUTPUT ! -o lo -m conntrack --ctstate NEW,RELATED,ESTABLISHED -j ACCEPT
        -A OUTPUT ! -o lo -j LOGDROPOUT
        -A LOCALINPUT ! -i lo -j ALLOWIN
        -A LOCALINPUT ! -i lo -j DENYIN
        -A LOCALOUTPUT ! -o lo -j ALLOWOUT
        -A LOCALOUTPUT ! -o lo -j DENYOUT
        -A DENYIN -s 203.0.113.7/32 ! -i lo -j DROP
        -A LOGDROPIN -j DROP
        -A LOGDROPOUT -j DROP
        COMMIT

        """

    /// As firewalld 1.3 writes its table for the zone public, shortened.
    static let firewalldTable = """
        table inet firewalld {
            chain filter_INPUT {
                type filter hook input priority filter + 10; policy accept;
                ct state { established, related } accept
                iifname "lo" accept
                jump filter_INPUT_ZONES
                ct state invalid drop
                reject with icmpx admin-prohibited
            }
            chain filter_INPUT_ZONES {
                goto filter_IN_public
            }
            chain filter_IN_public {
                jump filter_IN_public_allow
                meta l4proto { icmp, ipv6-icmp } accept
                reject with icmpx admin-prohibited
            }
            chain filter_IN_public_allow {
                tcp dport 22 accept
                tcp dport 9090 accept
            }
        }
        """
}
