/// systemd's unit files, read as text: what is enabled and configured, whether or not systemd is running.
package struct SystemdUnits: Sendable {
    package let source: FactSource

    /// The folders of unit files; the first one that contains a unit is used (systemd.unit(5)).
    static let folders = [
        "/etc/systemd/system", "/run/systemd/system", "/run/systemd/generator", "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system", "/lib/systemd/system",
    ]

    package init(_ source: FactSource = FactSource()) { self.source = source }

    /// Whether a unit file exists.
    package func isInstalled(_ unit: String) -> Bool { Self.folders.contains { source.exists("\($0)/\(unit)") } }

    /// Whether a unit is active: systemd has a link for it then.
    package func isActive(_ unit: String) -> Bool { source.exists("/run/systemd/units/invocation:\(unit)") }

    /// Whether a unit is masked by a link to /dev/null.
    package func isMasked(_ unit: String) -> Bool {
        ["/etc/systemd/system", "/run/systemd/system"].contains {
            (try? SecureFiles.target(ofLink: source.path("\($0)/\(unit)"))) == "/dev/null"
        }
    }

    /// Whether another unit wants it: what `systemctl enable` leaves behind.
    ///
    /// A package that is removed may leave its link behind. systemd uses only the link's name and looks for a unit file
    /// of that name, so a dangling link counts only if there is such a file.
    package func isEnabled(_ unit: String) -> Bool {
        guard !isMasked(unit) else { return false }
        let links = Self.folders.prefix(3).lazy.flatMap { folder in
            source.names(in: folder).filter { $0.hasSuffix(".wants") || $0.hasSuffix(".requires") }
                .map { "\(folder)/\($0)/\(unit)" }
        }.filter(source.exists)
        return links.contains(where: source.resolves)
            || !links.isEmpty && Self.folders.contains { source.resolves("\($0)/\(unit)") }
    }

    /// The values of one key of a unit and its drop-ins, in order; an empty value discards those before it.
    package func values(of key: String, in unit: String) -> [(value: String, file: String)] {
        var values: [(value: String, file: String)] = []
        for file in files(of: unit) {
            for line in source.lines(file) ?? [] {
                let trimmed = line.drop(while: \.isWhitespace)
                guard !trimmed.hasPrefix("#"), !trimmed.hasPrefix(";"), let equals = trimmed.firstIndex(of: "="),
                    trimmed[..<equals].filter({ !$0.isWhitespace }) == key
                else { continue }
                let value = trimmed[trimmed.index(after: equals)...].split(whereSeparator: \.isWhitespace)
                    .joined(separator: " ")
                if value.isEmpty { values.removeAll() } else { values.append((value, file)) }
            }
        }
        return values
    }

    /// The unit's file and its drop-ins, sorted by name; of drop-ins with the same name, the first folder's is used.
    private func files(of unit: String) -> [String] {
        guard let main = Self.folders.map({ "\($0)/\(unit)" }).first(where: source.exists) else { return [] }
        var dropIns: [String: String] = [:]
        for folder in Self.folders {
            for name in source.names(in: "\(folder)/\(unit).d") where name.hasSuffix(".conf") {
                if dropIns[name] == nil { dropIns[name] = "\(folder)/\(unit).d/\(name)" }
            }
        }
        return [main] + dropIns.sorted { $0.key < $1.key }.map(\.value)
    }
}
