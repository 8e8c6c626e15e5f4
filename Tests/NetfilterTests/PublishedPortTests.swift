import Netfilter
import Testing

/// Rules as the container programs themselves write them, by version.
@Suite("Published ports in rules")
struct PublishedPortTests {
    private static func shown(_ ports: [PublishedPort]) -> [String] {
        ports.map { port in
            (port.address.map { "\($0) " } ?? "") + "\(port.ports) -> \(port.destination)"
                + (port.isLocalOnly ? " (local)" : "")
        }
    }

    private static func nat(_ rules: String) throws -> [String] {
        let text = """
            *nat
            :PREROUTING ACCEPT [0:0]
            :INPUT ACCEPT [0:0]
            :OUTPUT ACCEPT [0:0]
            :POSTROUTING ACCEPT [0:0]
            \(rules)
            COMMIT

            """
        return shown(PublishedPort.all(in: try RuleSet(parsing: text, file: "nat")))
    }

    @Test("Docker 20 to 27: a chain that returns for the bridge, a range as one rule for each port, and loopback")
    func docker20() throws {
        let found = try Self.nat(
            """
            :DOCKER - [0:0]
            -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
            -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
            -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
            -A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE
            -A DOCKER -i docker0 -j RETURN
            -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
            -A DOCKER ! -i docker0 -p udp -m udp --dport 9001 -j DNAT --to-destination 172.17.0.2:9001
            -A DOCKER ! -i docker0 -p udp -m udp --dport 9000 -j DNAT --to-destination 172.17.0.2:9000
            -A DOCKER -d 127.0.0.1/32 ! -i docker0 -p tcp -m tcp --dport 5432 -j DNAT --to-destination 172.17.0.3:5432
            -A DOCKER -d 198.51.100.20/32 ! -i br-5f0c3d2a1b77 -p tcp -m tcp --dport 443 -j DNAT --to-destination 172.18.0.2:443
            """)
        #expect(
            found == [
                "8080/tcp -> 172.17.0.2:80", "9001/udp -> 172.17.0.2:9001", "9000/udp -> 172.17.0.2:9000",
                "127.0.0.1 5432/tcp -> 172.17.0.3:5432 (local)", "198.51.100.20 443/tcp -> 172.18.0.2:443",
            ])
    }

    @Test("Docker 28 and 29: no rule that returns; IPv6 has brackets")
    func docker28() throws {
        let four = try Self.nat(
            """
            :DOCKER - [0:0]
            -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
            -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
            -A DOCKER ! -i bridge1 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.0.2.2:80
            """)
        #expect(four == ["8080/tcp -> 192.0.2.2:80"])
        let six = try Self.nat(
            """
            :DOCKER - [0:0]
            -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination [fd00:d0c::2]:80
            """)
        #expect(six == ["8080/tcp -> [fd00:d0c::2]:80"])
    }

    @Test("Swarm's published ports go to its gateway bridge")
    func swarm() throws {
        let found = try Self.nat(
            """
            :DOCKER-INGRESS - [0:0]
            -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER-INGRESS
            -A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER-INGRESS
            -A DOCKER-INGRESS -p tcp -m tcp --dport 8081 -j DNAT --to-destination 172.18.0.2:8081
            -A DOCKER-INGRESS -j RETURN
            """)
        #expect(found == ["8081/tcp -> 172.18.0.2:8081"])
    }

    @Test("netavark 1 with iptables: a chain for each container")
    func netavark() throws {
        let found = try Self.nat(
            """
            :NETAVARK-HOSTPORT-DNAT - [0:0]
            :NETAVARK-HOSTPORT-SETMARK - [0:0]
            :NETAVARK-DN-1D8721804F16F - [0:0]
            -A PREROUTING -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT
            -A NETAVARK-HOSTPORT-DNAT -p tcp -m tcp --dport 8080 -m comment --comment "dnat name: podman id: 5c" -j NETAVARK-DN-1D8721804F16F
            -A NETAVARK-DN-1D8721804F16F -s 10.88.0.0/16 -p tcp -m tcp --dport 8080 -j NETAVARK-HOSTPORT-SETMARK
            -A NETAVARK-DN-1D8721804F16F -s 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j NETAVARK-HOSTPORT-SETMARK
            -A NETAVARK-DN-1D8721804F16F -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.88.0.2:80
            -A NETAVARK-HOSTPORT-SETMARK -j MARK --set-xmark 0x2000/0x2000
            """)
        #expect(found == ["8080/tcp -> 10.88.0.2:80"])
    }

    @Test("Kubernetes: a pod's endpoint is not a published port")
    func kubernetes() throws {
        let found = try Self.nat(
            """
            :KUBE-SEP-ABC - [0:0]
            -A KUBE-SEP-ABC -p tcp -m comment --comment "default/web" -m tcp -j DNAT --to-destination 10.244.0.5:8080
            """)
        #expect(found.isEmpty)
    }

    @Test("Docker 29 with nftables, and netavark with nftables")
    func nftables() throws {
        let tables = try NFTable.tables(
            in: """
                table ip docker-bridges {
                \tchain filter-FORWARD {
                \t\ttype filter hook forward priority filter; policy accept;
                \t\toifname vmap @filter-forward-in-jumps
                \t}

                \tchain nat-PREROUTING {
                \t\ttype nat hook prerouting priority dstnat; policy accept;
                \t\tfib daddr type local counter jump nat-prerouting-and-output
                \t}

                \tchain nat-prerouting-and-output {
                \t\tiifname != "bridge1" tcp dport 8080 counter dnat to 192.0.2.2:80 comment "DNAT"
                \t\tip daddr 127.0.0.1 iifname != "bridge1" udp dport 53 counter dnat to 192.0.2.3:53 comment "DNAT"
                \t}
                }
                table ip6 docker-bridges {
                \tchain nat-prerouting-and-output {
                \t\tiifname != "bridge1" tcp dport 8080 counter dnat to [fd00:d0c::2]:80 comment "DNAT"
                \t}
                }
                table inet netavark {
                \tchain OUTPUT {
                \t\ttype nat hook output priority dstnat; policy accept;
                \t\ttcp dport 1 dnat ip to 10.88.0.9:1
                \t}

                \tchain nv_2f259bab_10_88_0_0_nm16_dnat {
                \t\tip saddr 10.88.0.0/16 tcp dport 8082 jump NETAVARK-HOSTPORT-SETMARK
                \t\ttcp dport 8082 dnat ip to 10.88.0.2:80
                \t\tip daddr 192.0.2.9 tcp dport 7000-7010 dnat ip to 10.88.0.3:7000-7010
                \t}
                }

                """)
        #expect(
            Self.shown(PublishedPort.all(in: tables)) == [
                "8080/tcp -> 192.0.2.2:80", "127.0.0.1 53/udp -> 192.0.2.3:53 (local)",
                "8080/tcp -> [fd00:d0c::2]:80", "8082/tcp -> 10.88.0.2:80",
                "192.0.2.9 7000-7010/tcp -> 10.88.0.3:7000-7010",
            ])
    }
}
