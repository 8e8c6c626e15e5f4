import Netfilter

// What is expected of interfaces, of blocked sources, and of limits.
extension ExpectationList {
    // MARK: - Interfaces and blocked sources

    /// Packets that come in through the interfaces that the answers name.
    var fromInterfaces: [Expectation] {
        plan.namedInterfaces.flatMap { interface -> [Expectation] in
            guard let host = host(on: interface) else { return [] }
            let open = plan.permissions.filter { $0.limits?.interfaces.contains(interface) ?? false }
                .compactMap(\.opening.portSpec)
            let tried = Self.singles(plan.sshPorts.map(Self.tcp) + open.flatMap(Self.ends) + Self.sample.prefix(1))
            return news(from: host, tried) + [ping(from: host)]
        }
    }

    /// A host whose packets come in through an interface; nil if the interface is not on the stage.
    func host(on interface: InterfaceName) -> IPAddress? {
        let networks = scene.servers.filter { $0.interface == interface.text && $0.address.family == family }
            .flatMap(\.neighbours)
        return networks.lazy.compactMap { SampleAddress.member(of: $0, except: scene.addresses) }
            .first { scene.servers.facing($0)?.interface == interface.text }
    }

    /// Packets of blocked sources.
    var fromBlocked: [Expectation] {
        let tried = Self.singles(plan.sshPorts.map(Self.tcp) + opened.prefix(1))
        return plan.answers.block.sample(family).flatMap { network -> [Expectation] in
            guard let host = SampleAddress.member(of: network, except: scene.addresses), !isAdmin(host) else {
                return []
            }
            return news(from: host, tried) + [ping(from: host)]
        }
    }

    // MARK: - Limits

    /// The limit that counts a packet; nil if none does, or another answer allows the packet without one.
    func limit(of source: IPAddress, _ spec: PortSpec) -> RateLimit? {
        guard !isAdmin(source) else { return nil }
        let deciding = plan.permissions.filter { permission in
            guard let open = permission.opening.portSpec, open.transport == spec.transport,
                open.range.contains(spec.range.lower)
            else { return false }
            return permission.admits(source, on: interface(source), admins: plan.answers.admins)
        }
        return deciding.contains { $0.limit == nil } ? nil : deciding.first?.limit
    }

    /// The same list with at most one packet that counts against each limit from each source: further ones would use up
    /// what the limit allows.
    static func counted(_ list: [Expectation]) -> [Expectation] {
        struct Key: Hashable {
            let source: CIDR?
            let answer: Permission.Answer?
        }
        var seen: Set<Key> = []
        return list.filter { expectation in
            guard expectation.limit != nil, expectation.role != .you else { return true }
            let length = expectation.family == .ipv4 ? 32 : RateLimit.prefixLengthIPv6
            let key = Key(
                source: CIDR(of: expectation.source, prefixLength: length), answer: expectation.answer)
            return seen.insert(key).inserted
        }
    }

    /// The largest limit that is tested with packets, and the shortest time after which one more is accepted, in
    /// seconds.
    private static let (most, pause) = (30, 2)

    /// As many connections as each limit allows, and one more, from an address that sends nothing else; and as many from
    /// an admin, who is never limited.
    var overLimits: [Expectation] {
        var seen: [Permission.Answer] = []
        return plan.permissions.flatMap { permission -> [Expectation] in
            guard let limit = permission.limit, let open = permission.opening.portSpec, plan.isOpen(family),
                permission.source == .everyone, limit.count <= Self.most,
                limit.seconds >= limit.count * Self.pause, !seen.contains(permission.answer)
            else { return [] }
            let spec = PortSpec(range: PortRange(open.range.lower), transport: open.transport)
            guard let host = unusedHost(seen.count), self.limit(of: host, spec) == limit,
                plan.accepts(from: host, transport: spec.transport, port: spec.range.lower, on: interface(host))
            else { return [] }
            seen.append(permission.answer)
            let answer = permission.answer
            var list = [
                make(host, .several(spec, limit.count), isAccepted: true, answer: answer, limit: limit),
                make(host, .oneMore(spec, limit.count), isAccepted: false, answer: answer, limit: limit),
            ]
            if let admin = admins.lazy.compactMap({ SampleAddress.member(of: $0, except: scene.addresses) }).first {
                list.append(make(admin, .several(spec, limit.count + 1), isAccepted: true, answer: .admins))
            }
            return list
        }
    }

    /// An address of the documentation networks that no other test uses, each in a /64 of its own (RFC 5737, RFC 3849).
    private func unusedHost(_ number: Int) -> IPAddress? {
        let text = family == .ipv4 ? "203.0.113.\(100 + number)" : "2001:db8:11b1:\(number + 1)::77"
        guard number < 100, let host = try? IPAddress(parsing: text), !scene.addresses.contains(host),
            host != scene.you
        else { return nil }
        return host
    }
}
