import Host
import Netfilter

/// What `drops` reports with `--json`.
package struct DropsReport: Report, Equatable {
    /// A source and the number of its packets.
    package struct Source: Equatable, Codable, Sendable {
        /// The address.
        package var source: String
        /// How many packets.
        package var count: Int
    }

    /// Packets of the same protocol and port that were dropped for the same reason.
    package struct Drop: Equatable, Codable, Sendable {
        /// `tcp`, `udp`, `icmp`, `icmpv6`, another name or the number of the protocol, or `unknown`.
        package var `protocol`: String
        /// The destination port; null for packets without one.
        @OrNull package var port: Int?
        /// The type of ICMP; null for other protocols.
        @OrNull package var type: Int?
        /// `ipv4` or `ipv6`.
        package var family: String
        /// How many packets.
        package var count: Int
        /// From how many addresses.
        package var sources: Int
        /// The addresses with the most packets.
        package var topSources: [Source]
        /// When the first one came, such as `2026-11-27T03:10:22Z`.
        package var first: String
        /// When the last one came.
        package var last: String
        /// Why they were dropped, or that the answers allow them now.
        package var reason: String
    }

    /// The beginning of the time that was looked at.
    package var since: String
    /// Its end.
    package var until: String
    /// Whether the kept rules log dropped packets.
    package var logging: Bool
    /// Whether only some of the dropped packets are logged; always true.
    package var limited = true
    /// How many packets latchkey's rules have dropped since they were loaded; null if that cannot be read.
    @OrNull package var total: UInt64?
    /// What was dropped, the most frequent first.
    package var drops: [Drop]
    /// How many lines of the log look like latchkey's and describe no packet.
    package var unreadable: Int
    /// What else there is to know about the log, a sentence each.
    package var notes: [String]

    /// How many sources are named.
    private static let topCount = 3

    /// The report of a part of the log.
    ///
    /// - Parameters:
    ///   - since: its beginning, in seconds since the beginning of 1970.
    ///   - until: its end.
    ///   - isLogging: whether the kept rules log dropped packets.
    ///   - total: how many packets the rules have counted.
    ///   - notes: what else there is to know, a sentence each.
    ///   - packets: the packets in it.
    init(
        since: Int64, until: Int64, isLogging: Bool, total: UInt64?, notes: [String] = [], _ packets: DroppedPackets
    ) {
        self.since = UTCTime(secondsSince1970: since).iso8601 + "Z"
        self.until = UTCTime(secondsSince1970: until).iso8601 + "Z"
        logging = isLogging
        self.total = total
        drops = DropGroup.groups(packets.packets).map { group in
            Drop(
                protocol: group.kind.protocolName, port: group.kind.port.map(Int.init),
                type: group.kind.icmpType.map(Int.init), family: group.kind.family.rawValue, count: group.count,
                sources: group.sources.count,
                topSources: group.ranked.prefix(Self.topCount).map { Source(source: "\($0.source)", count: $0.count) },
                first: UTCTime(microseconds: group.first).iso8601 + "Z",
                last: UTCTime(microseconds: group.last).iso8601 + "Z", reason: group.kind.reason)
        }
        unreadable = packets.unreadable
        self.notes = notes
    }
}

/// What `drops --follow --json` prints for a packet.
package struct DropLine: Report, Equatable {
    /// When it came.
    package var time: String
    /// Its source address.
    package var source: String
    /// Its destination address.
    package var destination: String
    /// The interface it came in through.
    package var interface: String
    /// As in `DropsReport`.
    package var `protocol`: String
    /// The destination port; null for packets without one.
    @OrNull package var port: Int?
    /// The type of ICMP; null for other protocols.
    @OrNull package var type: Int?
    /// `ipv4` or `ipv6`.
    package var family: String
    /// Why it was dropped.
    package var reason: String

    /// The line of a packet.
    init(_ dropped: DroppedPacket) {
        let packet = dropped.packet
        time = UTCTime(microseconds: dropped.time).iso8601 + "Z"
        source = "\(packet.source)"
        destination = "\(packet.destination)"
        interface = packet.interface
        `protocol` = packet.protocolName
        port = packet.port.map(Int.init)
        type = packet.icmpType.map(Int.init)
        family = packet.family.rawValue
        reason = dropped.reason
    }
}
