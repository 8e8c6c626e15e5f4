import Host

/// The machine's settings of connection tracking that decide which packets count as invalid; a new network namespace
/// has the kernel's defaults instead.
///
/// With `nf_conntrack_tcp_loose` off, as synproxy needs it, a connection that the kernel has not seen begin is invalid.
package struct TrackingSettings: Equatable, Sendable {
    /// The values by their path under /proc/sys.
    let values: [String: String]

    private static let names = ["nf_conntrack_tcp_loose", "nf_conntrack_tcp_be_liberal"]

    /// Reads them; those that the machine does not have are left out.
    ///
    /// - Parameter facts: where facts about the machine are read.
    package init(_ facts: FactSource) {
        var values: [String: String] = [:]
        for name in Self.names {
            let path = "net/netfilter/\(name)"
            guard let bytes = try? SecureFiles.read(facts.procPath("sys/\(path)")) else { continue }
            let text = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
            if text == "0" || text == "1" { values[path] = text }
        }
        self.values = values
    }
}
