import Netfilter

/// The commands of one backend for one address family.
package struct IPTables: Sendable {
    /// Which kernel interface they use.
    package let backend: Backend
    /// The family whose rules they show and change.
    package let family: Family
    /// `iptables-nft` and the like, absolute.
    package let main: String
    /// `iptables-nft-save` and the like, absolute.
    package let save: String
    /// `iptables-nft-restore` and the like, absolute.
    package let restore: String

    private var runner: any CommandRunner

    /// The same commands with another runner, for example in another network.
    package func run(by runner: any CommandRunner) -> IPTables {
        var tool = self
        tool.runner = runner
        return tool
    }

    /// How long a tool waits for the xtables lock, in seconds; bounded, so that a guard never hangs on it.
    private static let lockWait = 8

    /// Finds the commands of a backend by their full names, or by the plain name if its version has that backend.
    ///
    /// - Throws: `toolMissing` if the backend is not installed.
    package init(
        backend: Backend, family: Family, toolbox: Toolbox, runner: any CommandRunner
    ) async throws(HostError) {
        let plain = family == .ipv6 ? "ip6tables" : "iptables"
        let full = "\(plain)-\(backend.rawValue)"
        let name: String
        if toolbox.find(full) != nil {
            name = full
        } else if try await Self.backend(of: plain, toolbox: toolbox, runner: runner) == backend {
            name = plain
        } else {
            throw .toolMissing(name: full, lookedIn: toolbox.folders)
        }
        main = try toolbox.need(name)
        save = try toolbox.need("\(name)-save")
        restore = try toolbox.need("\(name)-restore")
        self.backend = backend
        self.family = family
        self.runner = runner
    }

    /// The backend of the command that the system calls `iptables`.
    ///
    /// The names of the programs that the command links to show it without starting a process; otherwise its version
    /// text does.
    ///
    /// - Throws: `toolMissing` if there is none, and what running it throws.
    package static func backend(
        of name: String = "iptables", toolbox: Toolbox, runner: any CommandRunner
    ) async throws(HostError) -> Backend {
        let program = try toolbox.need(name)
        if let backend = backend(namedBy: program) { return backend }
        let version = try await runner.check(Command(program, ["--version"]))
        return version.text.contains("nf_tables") ? .nft : .legacy
    }

    /// The backend according to the name of a program or of a link to it: `xtables-nft-multi`, `iptables-nft`.
    private static func backend(namedBy program: String) -> Backend? {
        var path = program
        for _ in 0..<8 {
            let name = SecureFiles.name(of: path)
            let told = Backend.iptables.first { backend in
                name == "xtables-\(backend.rawValue)-multi" || name.hasSuffix("-\(backend.rawValue)")
            }
            if let told { return told }
            guard let target = try? SecureFiles.target(ofLink: path) else { return nil }
            path = target.hasPrefix("/") ? target : "\(SecureFiles.folder(of: path))/\(target)"
        }
        return nil
    }

    /// The version text, for example "iptables v1.8.9 (nf_tables)".
    ///
    /// - Throws: what running the tool throws.
    package func version() async throws(HostError) -> String {
        String(try await check(Command(main, ["--version"])).text.prefix { $0 != "\n" })
    }

    /// All tables that exist, as iptables-save prints them, with every rule's counters.
    ///
    /// - Throws: what running the tool throws.
    package func dump() async throws(HostError) -> [UInt8] {
        try await check(Command(save, ["-c"])).output
    }

    /// One chain, as `iptables -v -S` prints it, with every rule's counters.
    ///
    /// - Throws: what running the tool throws; `toolFailed` where there is no such chain.
    package func list(table: String, chain: String) async throws(HostError) -> [UInt8] {
        try await check(Command(main, ["-w", "\(Self.lockWait)", "-t", table, "-v", "-S", chain])).output
    }

    /// Loads rules, one transaction for each table.
    ///
    /// - Parameters:
    ///   - input: in iptables-save's format.
    ///   - flush: whether each named table is emptied first; otherwise only what the text names changes.
    ///   - counters: whether the counters in the text are set.
    /// - Throws: `xtablesLocked`, `rulesRefused`, and what running the tool throws.
    package func restore(
        _ input: [UInt8], flush: Bool, counters: Bool = false
    ) async throws(HostError) {
        var arguments = ["-w", "\(Self.lockWait)"]
        if !flush { arguments.append("--noflush") }
        if counters { arguments.append("--counters") }
        _ = try await check(Command(restore, arguments, input: input))
    }

    /// Inserts a rule at the beginning of a filter chain.
    ///
    /// - Throws: `xtablesLocked`, and what running the tool throws.
    package func insert(_ rule: [String], intoChain chain: String) async throws(HostError) {
        _ = try await check(Command(main, ["-w", "\(Self.lockWait)", "-I", chain, "1"] + rule))
    }

    /// Whether the kernel has a table for this family.
    ///
    /// - Throws: any other error of the tool, such as a held lock, which says nothing about the kernel.
    package func has(table: String) async throws(HostError) -> Bool {
        do {
            _ = try await check(Command(main, ["-w", "\(Self.lockWait)", "-t", table, "-S"]))
            return true
        } catch .toolFailed(_, _, let message) where Self.says(message, missing: table) {
            return false
        }
    }

    /// Whether a tool's message means that the kernel lacks a table (texts of libiptc and iptables-nft).
    private static func says(_ message: String, missing table: String) -> Bool {
        guard message.contains("table `\(table)'") || message.contains("Table") else { return false }
        return ["does not exist", "who?", "not supported"].contains { message.contains($0) }
    }

    private func check(_ command: Command) async throws(HostError) -> CommandResult {
        let result = try await runner.run(command)
        guard result.status != 0 else { return result }
        if result.message.contains("xtables lock") {
            throw .xtablesLocked(command: command.words, message: result.message)
        }
        if command.program == restore {
            // Some input makes the tool crash without a message.
            let message =
                result.message.isEmpty && result.status > 128
                ? "it crashed (signal \(result.status - 128))" : result.message
            throw .rulesRefused(command: command.words, line: Self.line(in: result.message), message: message)
        }
        throw .toolFailed(command: command.words, status: result.status, message: result.message)
    }

    /// The line number in an error message of iptables-restore: "line 4 failed", "Error occurred at line: 4".
    package static func line(in message: String) -> Int? {
        for marker in ["line: ", "line "] {
            var rest = message[...]
            while let range = rest.firstRange(of: marker) {
                rest = rest[range.upperBound...]
                if let number = Int(rest.prefix { $0.isASCII && $0.isNumber }) { return number }
            }
        }
        return nil
    }
}
