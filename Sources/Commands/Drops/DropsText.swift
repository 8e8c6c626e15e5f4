import Host
import Netfilter

/// The report of dropped packets for people.
struct DropsText: Sendable {
    /// How far back the log was read: `24h`.
    var period: String
    /// Its beginning and end, in seconds since the beginning of 1970.
    var since: Int64
    var until: Int64
    /// What is logged, or how to turn it on, in a sentence or two.
    var logging: String
    /// How many packets latchkey's rules have dropped since they were loaded.
    var total: UInt64?
    /// Whether the rules only observe, and would have dropped the packets.
    var isObserving = false
    /// What else there is to know, a sentence each.
    var notes: [String] = []
    /// The width of lines; nil for the terminal's.
    var width: Int?

    /// How many kinds of packets are shown.
    private static let shown = 20

    /// The report.
    ///
    /// - Parameter packets: the dropped packets of that time.
    /// - Returns: its lines.
    func lines(_ packets: DroppedPackets) -> [String] {
        let groups = DropGroup.groups(packets.packets)
        var lines = wrapped(
            "\(groups.isEmpty ? "No dropped packet was logged" : "Dropped packets") in the last \(period), "
                + "\(Self.minute(since)) to \(Self.minute(until)) UTC" + (groups.isEmpty ? "." : ":"))
        for group in groups.prefix(Self.shown) { lines += [""] + self.lines(group) }
        let rest = groups.dropFirst(Self.shown)
        if !rest.isEmpty {
            let count = rest.reduce(0) { $0 + $1.count }
            lines += [""] + wrapped("And \(Self.number(rest.count, "more kind")) of packets, \(Self.times(count)).")
        }
        lines.append("")
        var remarks = [logging]
        if let total {
            let subject = isObserving ? "The observed answers would have" : "latchkey's rules have"
            remarks.append("\(subject) dropped \(Self.number(total, "packet")) since they were loaded.")
        } else {
            remarks.append("The counters of latchkey's rules cannot be read.")
        }
        if packets.unreadable > 0 {
            remarks.append(
                "\(Self.number(packets.unreadable, "line")) of the log could not be read and "
                    + "\(packets.unreadable == 1 ? "is" : "are") not counted.")
        }
        return lines + (remarks + notes).flatMap { wrapped($0) }
    }

    private func lines(_ group: DropGroup) -> [String] {
        let ranked = group.ranked
        let from = ranked.count == 1 ? "from \(ranked[0].source)" : "from \(ranked.count) addresses"
        var lines = wrapped("\(group.kind.title), \(Self.times(group.count)) \(from): \(group.kind.reason)")
        let (first, last) = (Self.second(group.first), Self.second(group.last))
        lines += wrapped(first == last ? first : "\(first) to \(Self.end(last, after: first))", indent: "  ")
        guard ranked.count > 1 else { return lines }
        let top = ranked.prefix(3).map { "\($0.source) (\($0.count))" }.joined(separator: ", ")
        return lines + wrapped(top + (ranked.count > 3 ? " and \(ranked.count - 3) more" : ""), indent: "  ")
    }

    private func wrapped(_ text: String, indent: String = "") -> [String] {
        Wrapping.lines(text, first: indent, rest: indent + "  ", width: width)
    }

    /// One line for a packet, as `--follow` prints it.
    static func line(_ dropped: DroppedPacket) -> String {
        "\(second(dropped.time)) \(DropGroup.Kind(dropped).title) from \(dropped.packet.source): \(dropped.reason)"
    }

    // MARK: - Numbers and times

    private static func times(_ count: Int) -> String { count == 1 ? "once" : "\(count) times" }

    private static func number(_ count: some BinaryInteger, _ what: String) -> String {
        "\(count) \(what)\(count == 1 ? "" : "s")"
    }

    /// `2026-11-27 03:10`.
    static func minute(_ seconds: Int64) -> String {
        String(UTCTime(secondsSince1970: seconds).iso8601.replacing("T", with: " ").dropLast(3))
    }

    /// `2026-11-27 03:10:22`.
    private static func second(_ microseconds: Int64) -> String {
        UTCTime(microseconds: microseconds).iso8601.replacing("T", with: " ")
    }

    /// A later time, without the date if it is the same.
    private static func end(_ last: String, after first: String) -> String {
        last.prefix(10) == first.prefix(10) ? String(last.dropFirst(11)) : last
    }
}
