import Host
import Netfilter
import Policy

/// A dropped packet of the kernel log, with its time and the reason.
struct DroppedPacket: Equatable, Sendable {
    /// Microseconds since the beginning of 1970.
    let time: Int64
    /// The packet.
    let packet: LoggedPacket
    /// Why it was dropped, in words.
    let reason: String
}

/// The dropped packets in a part of the kernel log.
struct DroppedPackets: Sendable {
    /// The packets, in the order of the log.
    private(set) var packets: [DroppedPacket] = []
    /// How many lines begin as latchkey's do and yet describe no packet.
    private(set) var unreadable = 0

    /// The packets in messages of the kernel.
    ///
    /// - Parameters:
    ///   - entries: the messages, which may contain anything.
    ///   - prefix: how latchkey's messages begin.
    ///   - explain: the reason for a packet.
    init(
        _ entries: [KernelLog.Entry], prefix: String = LoggedPacket.dropPrefix, explain: (LoggedPacket) -> String
    ) {
        // The same few packets come again and again.
        var reasons: [LoggedPacket: String] = [:]
        for entry in entries where entry.text.hasPrefix(prefix) {
            guard let packet = LoggedPacket(parsing: entry.text, prefix: prefix) else {
                unreadable += 1
                continue
            }
            let reason = reasons[packet] ?? explain(packet)
            reasons[packet] = reason
            packets.append(DroppedPacket(time: entry.time, packet: packet, reason: reason))
        }
    }
}

/// Dropped packets of one kind: the same protocol, port and reason.
struct DropGroup: Sendable {
    /// What the packets have in common.
    struct Kind: Hashable, Sendable {
        let family: Family
        let protocolName: String
        let port: UInt16?
        let icmpType: UInt8?
        let isForwarded: Bool
        let isIncomplete: Bool
        let reason: String
    }

    let kind: Kind
    /// How many packets.
    var count = 0
    /// How many packets from each source.
    var sources: [IPAddress: Int] = [:]
    /// When the first and the last one came, in microseconds since the beginning of 1970.
    var first: Int64
    var last: Int64

    /// The sources with the most packets first.
    var ranked: [(source: IPAddress, count: Int)] {
        sources.map { ($0.key, $0.value) }.sorted { ($1.count, $0.source) < ($0.count, $1.source) }
    }

    /// The kinds of packets, the most frequent first; of equal ones the latest first.
    static func groups(_ packets: [DroppedPacket]) -> [DropGroup] {
        var groups: [Kind: DropGroup] = [:]
        for dropped in packets {
            let kind = Kind(dropped)
            var group = groups[kind] ?? DropGroup(kind: kind, first: dropped.time, last: dropped.time)
            group.count += 1
            group.sources[dropped.packet.source, default: 0] += 1
            group.first = min(group.first, dropped.time)
            group.last = max(group.last, dropped.time)
            groups[kind] = group
        }
        return groups.values.sorted { ($1.count, $1.last, $0.kind.order) < ($0.count, $0.last, $1.kind.order) }
    }
}

extension DropGroup.Kind {
    /// The kind of a packet.
    init(_ dropped: DroppedPacket) {
        let packet = dropped.packet
        let isIncomplete = if case .incomplete = packet.content { true } else { false }
        self.init(
            family: packet.family, protocolName: packet.protocolName, port: packet.port, icmpType: packet.icmpType,
            isForwarded: packet.outInterface != nil, isIncomplete: isIncomplete, reason: dropped.reason)
    }

    /// What people call it: `8443/tcp`, `ping`, `ICMP type 3`, `protocol 132`.
    var title: String {
        let name =
            if let port { "\(port)/\(protocolName)" } else if let icmpType { Self.title(icmpType, family) } else {
                switch protocolName {
                case "unknown": "an unknown protocol"
                case let name where name.first?.isNumber ?? false: "protocol \(name)"
                case let name: name.uppercased().replacing("ICMPV6", with: "ICMPv6")
                }
            }
        return name + (isIncomplete && protocolName != "unknown" ? " without ports" : "")
            + (isForwarded ? " to a container" : "")
            + (family == .ipv6 && !name.hasPrefix("ICMPv6") ? " over IPv6" : "")
    }

    private static func title(_ type: UInt8, _ family: Family) -> String {
        switch (family, type) {
        case (.ipv4, 8), (.ipv6, 128): "ping"
        case (.ipv4, _): "ICMP type \(type)"
        case (.ipv6, _): "ICMPv6 type \(type)"
        }
    }

    /// For a stable order of equally frequent kinds.
    fileprivate var order: String { "\(title) \(reason)" }
}

extension UTCTime {
    /// The time of a message.
    init(microseconds: Int64) { self.init(secondsSince1970: microseconds / 1_000_000) }
}
