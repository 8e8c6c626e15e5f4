import Netfilter
import SafeApply

/// A temporary entry, as `status`, `allow` and `block` report it.
package struct TemporaryReport: Report, Equatable {
    /// The address or network.
    package var source: String
    /// allow or block.
    package var verdict: String
    /// The ports that it may reach; nil for everything.
    @OrNull package var what: [String]?
    /// The service that the ports belong to.
    @OrNull package var service: String?
    /// Seconds until the kernel ends it; nil until reboot.
    @OrNull package var secondsLeft: Int?

    /// The report of an entry.
    package init(_ entry: TemporaryEntry) {
        source = "\(entry.source)"
        verdict = entry.verdict.rawValue
        what = entry.opening?.ports.map(\.description)
        service = entry.opening?.service
        secondsLeft = entry.secondsLeft
    }

    /// Creates a report; see the properties.
    package init(source: String, verdict: String, what: [String]?, service: String?, secondsLeft: Int?) {
        self.source = source
        self.verdict = verdict
        self.what = what
        self.service = service
        self.secondsLeft = secondsLeft
    }

    /// The entry without its time: `203.0.113.9 may reach 8080/tcp`.
    var statement: String {
        guard verdict == TemporaryEntry.Verdict.allow.rawValue else { return "\(source) is blocked" }
        guard let what else { return "\(source) may reach everything" }
        let ports = what.joined(separator: ", ")
        return "\(source) may reach " + (service.map { "\($0) (\(ports))" } ?? ports)
    }

    /// The entry in a sentence, with its time.
    var sentence: String {
        statement + (secondsLeft.map { ", \(Self.duration($0)) left." } ?? " until reboot.")
    }

    /// A number of seconds for people, with at most two units.
    static func duration(_ seconds: Int) -> String {
        let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")]
        guard let first = units.firstIndex(where: { seconds >= $0.0 }) else { return "0 s" }
        var rest = seconds
        let parts = units[first...].prefix(2).compactMap { size, name -> String? in
            let count = rest / size
            rest %= size
            return count == 0 ? nil : "\(count) \(name)"
        }
        return parts.joined(separator: " ")
    }
}

/// What `forget` reports with `--json`.
package struct ForgetReport: Report, Equatable {
    /// The address or network.
    package var source: String
    /// Always forget.
    package var verdict = "forget"
    /// Always nil, as is `secondsLeft`: `forgotten` says what there was.
    @OrNull package var what: [String]?
    @OrNull package var secondsLeft: Int?
    /// The entries that were removed.
    package var forgotten: [TemporaryReport]

    /// Creates a report; see the properties.
    package init(source: String, forgotten: [TemporaryReport]) {
        self.source = source
        self.forgotten = forgotten
    }
}
