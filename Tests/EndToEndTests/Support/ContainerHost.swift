import TestSupport

/// A server with one container whose port 80 is published as 8080, with rules as Docker writes them, and the outside.
struct ContainerHost {
    /// How the port is published.
    enum Publisher: String, CaseIterable, Sendable {
        /// Docker 20 to 27 with iptables.
        case docker20
        /// Docker 28 and 29 with iptables.
        case docker28
        /// Docker 29 with nftables.
        case dockerNFTables
        /// Podman 5: netavark with nftables.
        case podman
    }

    let machine: Machine
    let outside: NetworkNamespace
    let container: NetworkNamespace
    let publisher: Publisher

    static let container4 = "172.17.0.2"
    static let container6 = "fd00:d0c::2"

    /// Provides such a server; the container's interface is the other end of `docker0`.
    static func with(
        _ backend: TestBackend, _ publisher: Publisher, _ body: (ContainerHost) async throws -> Void
    ) async throws {
        try await Machine.withOutside(backend) { machine, outside in
            let container = try await NetworkNamespace("container", beside: machine.namespace)
            defer {
                container.killAll()
                container.close()
            }
            let host = ContainerHost(
                machine: machine, outside: outside, container: container, publisher: publisher)
            try await host.connect()
            try await body(host)
        }
    }

    private func connect() async throws {
        let server = machine.namespace
        try await server.mustRun([
            "ip", "link", "add", "docker0", "type", "veth", "peer", "name", "eth0", "netns", "\(container.holderID)",
        ])
        for (namespace, name, four, six) in [
            (server, "docker0", "172.17.0.1/16", "fd00:d0c::1/64"),
            (container, "eth0", "\(Self.container4)/16", "\(Self.container6)/64"),
        ] {
            try await namespace.mustRun(["ip", "link", "set", name, "up"])
            try await namespace.mustRun(["ip", "address", "add", four, "dev", name])
            try await namespace.mustRun(["ip", "address", "add", six, "dev", name, "nodad"])
        }
        try await container.mustRun(["ip", "route", "add", "default", "via", "172.17.0.1"])
        try await container.mustRun(["ip", "-6", "route", "add", "default", "via", "fd00:d0c::1"])
        try await server.mustRun([
            "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding",
        ])
        for _ in 0..<10 where try await server.run(["ping", "-c", "1", "-W", "1", Self.container4]).status == 0 {
            break
        }
        for _ in 0..<10 where try await server.run(["ping", "-c", "1", "-W", "1", Self.container6]).status == 0 {
            break
        }
    }

    // MARK: - The container program

    /// Loads what the container program loads when it starts; it keeps what is in DOCKER-USER.
    func start() async throws {
        switch publisher {
        case .docker20, .docker28:
            for family in IPFamily.allCases {
                try await machine.namespace.mustRun(
                    ["sh", "-euc", publisher == .docker20 ? Self.docker20 : Self.docker28],
                    environment: [
                        "T": "\(machine.backend.tool(family)) -w 5",
                        "NET": family == .ipv4 ? "172.17.0.0/16" : "fd00:d0c::/64",
                        "TO": family == .ipv4 ? Self.container4 : Self.container6,
                        "DNAT": family == .ipv4 ? "\(Self.container4):80" : "[\(Self.container6)]:80",
                        "LO": family == .ipv4 ? "! -d 127.0.0.0/8" : "! -d ::1",
                    ])
            }
        case .dockerNFTables: try await machine.nft(Self.dockerNFTables("ip") + Self.dockerNFTables("ip6"))
        case .podman: try await machine.nft(Self.podman)
        }
    }

    /// Docker 20 to 27: isolation stages, and a RETURN at the end of DOCKER-USER.
    private static let docker20 = """
        $T -P FORWARD DROP
        $T -t nat -N DOCKER 2>/dev/null || $T -t nat -F DOCKER
        for chain in DOCKER DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2; do
            $T -N $chain 2>/dev/null || $T -F $chain
        done
        $T -t nat -C PREROUTING -m addrtype --dst-type LOCAL -j DOCKER 2>/dev/null ||
            $T -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
        $T -t nat -C POSTROUTING -s $NET ! -o docker0 -j MASQUERADE 2>/dev/null ||
            $T -t nat -A POSTROUTING -s $NET ! -o docker0 -j MASQUERADE
        $T -t nat -A DOCKER -i docker0 -j RETURN
        $T -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination $DNAT
        $T -A DOCKER -d $TO ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
        for rule in "-i docker0 -o docker0 -j ACCEPT" "-i docker0 ! -o docker0 -j ACCEPT" "-o docker0 -j DOCKER" \\
            "-o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT" "-j DOCKER-ISOLATION-STAGE-1"; do
            $T -D FORWARD $rule 2>/dev/null || true
            $T -I FORWARD $rule
        done
        $T -N DOCKER-USER 2>/dev/null || true
        $T -C DOCKER-USER -j RETURN 2>/dev/null || $T -A DOCKER-USER -j RETURN
        $T -D FORWARD -j DOCKER-USER 2>/dev/null || true
        $T -I FORWARD -j DOCKER-USER
        """

    /// Docker 28 and later: two jumps in FORWARD, and an empty DOCKER-USER.
    private static let docker28 = """
        $T -P FORWARD DROP
        $T -t nat -N DOCKER 2>/dev/null || $T -t nat -F DOCKER
        for chain in DOCKER DOCKER-BRIDGE DOCKER-CT DOCKER-FORWARD DOCKER-INTERNAL; do
            $T -N $chain 2>/dev/null || $T -F $chain
        done
        $T -t nat -C PREROUTING -m addrtype --dst-type LOCAL -j DOCKER 2>/dev/null ||
            $T -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
        $T -t nat -C POSTROUTING -s $NET ! -o docker0 -j MASQUERADE 2>/dev/null ||
            $T -t nat -A POSTROUTING -s $NET ! -o docker0 -j MASQUERADE
        $T -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination $DNAT
        $T -A DOCKER -d $TO ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
        $T -A DOCKER ! -i docker0 -o docker0 -j DROP
        $T -A DOCKER-BRIDGE -o docker0 -j DOCKER
        $T -A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        $T -A DOCKER-FORWARD -j DOCKER-CT
        $T -A DOCKER-FORWARD -j DOCKER-INTERNAL
        $T -A DOCKER-FORWARD -j DOCKER-BRIDGE
        $T -A DOCKER-FORWARD -i docker0 -j ACCEPT
        $T -N DOCKER-USER 2>/dev/null || true
        for chain in DOCKER-FORWARD DOCKER-USER; do
            $T -D FORWARD -j $chain 2>/dev/null || true
            $T -I FORWARD -j $chain
        done
        """

    private static func dockerNFTables(_ family: String) -> String {
        let four = family == "ip"
        return """
            table \(family) docker-bridges {
            }
            delete table \(family) docker-bridges
            table \(family) docker-bridges {
                chain filter-FORWARD {
                    type filter hook forward priority filter; policy accept;
                    oifname "docker0" jump filter-forward-in__docker0
                }
                chain filter-forward-in__docker0 {
                    ct state established,related counter accept
                    \(family) daddr \(four ? container4 : container6) tcp dport 80 counter accept
                    counter drop comment "UNPUBLISHED PORT DROP"
                }
                chain nat-PREROUTING {
                    type nat hook prerouting priority dstnat; policy accept;
                    fib daddr type local counter jump nat-prerouting-and-output
                }
                chain nat-prerouting-and-output {
                    iifname != "docker0" tcp dport 8080 counter dnat to \
            \(four ? "\(container4):80" : "[\(container6)]:80") comment "DNAT"
                }
                chain nat-POSTROUTING {
                    type nat hook postrouting priority srcnat; policy accept;
                    oifname != "docker0" \(family) saddr \(four ? "172.17.0.0/16" : "fd00:d0c::/64") counter masquerade
                }
            }

            """
    }

    private static let podman = """
        table inet netavark {
        }
        delete table inet netavark
        table inet netavark {
            chain FORWARD {
                type filter hook forward priority filter; policy accept;
                ct state invalid drop
                ip daddr 172.17.0.0/16 ct state established,related accept
                ip saddr 172.17.0.0/16 accept
            }
            chain PREROUTING {
                type nat hook prerouting priority dstnat; policy accept;
                fib daddr type local jump NETAVARK-HOSTPORT-DNAT
            }
            chain POSTROUTING {
                type nat hook postrouting priority srcnat; policy accept;
                iifname "docker0" oifname != "docker0" masquerade
            }
            chain NETAVARK-HOSTPORT-DNAT {
                tcp dport 8080 jump nv_2f259bab_dnat
            }
            chain nv_2f259bab_dnat {
                meta nfproto ipv4 tcp dport 8080 dnat ip to \(container4):80
                meta nfproto ipv6 tcp dport 8080 dnat ip6 to [\(container6)]:80
            }
        }

        """

    // MARK: - Packets

    /// Makes the outside send as an administrator, or as a stranger.
    func send(asAdmin isAdmin: Bool) async throws {
        for family in IPFamily.allCases {
            let to = NamespacePair.bare(NamespacePair.serverAddresses, family)
            let from = NamespacePair.bare(isAdmin ? NamespacePair.admins : NamespacePair.strangers, family)
            try await outside.mustRun([
                "ip", family == .ipv4 ? "-4" : "-6", "route", "replace", "\(to)/\(family == .ipv4 ? 32 : 128)", "dev",
                "eth0", "src", from,
            ])
        }
    }

    /// Whether the container's own connections to the outside get their replies, in both families.
    func containerGetsReplies() async throws -> Bool {
        for family in IPFamily.allCases {
            let address = NamespacePair.bare(NamespacePair.gateways, family)
            let knock = try await container.run([
                "timeout", "3", "bash", "-c", "exec 3<>/dev/tcp/\(address)/9",
            ])
            // 124: timeout(1) ended an attempt without an answer.
            if knock.status == 124 { return false }
        }
        return true
    }
}
