@testable import Netfilter

/// The reader of the iptables-save format: what it reads is written byte for byte as it was, and errors have a place.
enum FuzzedRules {
    static func read(_ bytes: [UInt8]) {
        for family in [nil, Family.ipv4] {
            let read = { (bytes: [UInt8]) throws(RuleSetError) in
                try RuleSet(bytes: bytes, file: "fuzz", for: family)
            }
            guard let set = check(bytes, read) else { continue }
            for rule in set.tables.flatMap(\.rules) {
                require((try? Rule(parsing: rule.text)) == rule, "\(rule.text) is read as another rule")
            }
            do { try set.requireChains(file: "fuzz") } catch { check(error, of: bytes) }
        }
        // A dump may hold any bytes in a comment; they are decoded before they are read.
        let text = DumpText.decode(bytes)
        require(DumpText.bytes(text) == bytes, "decoded as other bytes")
        _ = check(Array(text.utf8)) { (bytes) throws(RuleSetError) in
            try RuleSet(dumped: String(decoding: bytes, as: UTF8.self), file: "fuzz")
        }
    }

    private static func check(
        _ bytes: [UInt8], _ read: ([UInt8]) throws(RuleSetError) -> RuleSet
    ) -> RuleSet? {
        let set: RuleSet
        do { set = try read(bytes) } catch {
            check(error, of: bytes)
            return nil
        }
        require(Array(set.text.utf8) == bytes, "written as \(set.text)")
        require(RuleSet.differences(from: set, to: set).isEmpty, "differs from itself")
        let canonical = set.normalized()
        // A command that cannot be carried out stays after the rules, which may change what it would do.
        if !canonical.tables.contains(where: \.hasCommands) {
            require(canonical.normalized() == canonical, "the canonical form of \(canonical.text) is another one")
        }
        return set
    }

    private static func check(_ error: RuleSetError, of bytes: [UInt8]) {
        let lines = bytes.count { $0 == Ascii.newline } + 1
        require((1...lines).contains(error.line), "line \(error.line) of \(lines): \(error)")
        require(error.description.isPrintable, "a control character in: \(error)")
    }
}
