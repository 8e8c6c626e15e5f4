import Netfilter
import Policy

/// A condition on the number of new connections from one address, as far as answers can say the same.
package struct AddressLimit: Hashable, Sendable {
    /// How many one address may make.
    package var rate: RateLimit
    /// Whether the condition holds for those beyond that number; otherwise for those up to it.
    package var isOver: Bool

    /// A condition.
    package init(_ rate: RateLimit, isOver: Bool) {
        self.rate = rate
        self.isOver = isOver
    }

    /// So many connections in a time; nil where answers cannot say it.
    private init?(_ count: Int, in seconds: Int, isOver: Bool) {
        guard let rate = try? RateLimit(parsing: "\(count)/\(seconds)s") else { return nil }
        self.init(rate, isOver: isOver)
    }

    /// What the options of iptables' matches `recent` and `hashlimit` say; nil for anything but a limit on each address.
    ///
    /// - Parameters:
    ///   - module: the match: `recent`, `hashlimit`.
    ///   - words: its options with their values.
    init?(_ module: String, _ words: some Collection<String>) {
        var options: [String: String] = [:]
        var last = ""
        for word in words {
            // What is not the case is no limit.
            if word == "!" { return nil }
            if word.hasPrefix("-") {
                last = word
                options[last] = ""
            } else {
                options[last] = word
            }
        }
        switch module {
        case "recent": self.init(recent: options)
        case "hashlimit": self.init(hashlimit: options)
        default: return nil
        }
    }

    /// With `--hitcount 6`, the sixth packet in that time meets the condition: `--set` has counted it already.
    private init?(recent options: [String: String]) {
        guard options["--update"] != nil || options["--rcheck"] != nil, options["--rdest"] == nil,
            let seconds = options["--seconds"].flatMap({ Int($0) }),
            let hits = options["--hitcount"].flatMap({ Int($0) }), hits > 1
        else { return nil }
        self.init(hits - 1, in: seconds, isOver: true)
    }

    private init?(hashlimit options: [String: String]) {
        let over = options["--hashlimit-above"]
        guard let text = over ?? options["--hashlimit-upto"] ?? options["--hashlimit"],
            (options["--hashlimit-mode"] ?? "").split(separator: ",").contains("srcip")
        else { return nil }
        // A network that counts as one would have to share what each of its addresses then has.
        if let mask = options["--hashlimit-srcmask"], !["32", "64", "128"].contains(mask) { return nil }
        let parts = text.split(separator: "/")
        guard parts.count == 2, let number = Int(parts[0]), number > 0, let unit = Self.seconds(parts[1]),
            let burst = Int(options["--hashlimit-burst"] ?? "5")
        else { return nil }
        self.init(burst, in: (burst * unit + number - 1) / number, isOver: over != nil)
    }

    /// The length of a unit, which people may shorten.
    private static func seconds(_ unit: Substring) -> Int? {
        let units = [("second", 1), ("minute", 60), ("hour", 3_600), ("day", 86_400)]
        return units.first { $0.0.hasPrefix(unit) }?.1
    }
}
