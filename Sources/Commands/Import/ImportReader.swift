import Glibc
import Host
import Import
import Netfilter
import SafeApply

/// The rules of another firewall program, as this machine has them.
struct ImportedRules: Sendable {
    /// The rules.
    var filter: any FilterSource
    /// Whether the program logs what it drops.
    var isLogging = false
    /// Sentences about what is not among the rules.
    var notes: [String] = []
}

/// Reads the rules of other firewall programs.
struct ImportReader: Sendable {
    let context: CommandContext
    let environment: ChangeEnvironment
    private let changeRunner: ChangeRunner

    /// The largest file of another program that is read.
    private static let limit = 4 << 20

    /// A reader.
    init(_ context: CommandContext, _ changeRunner: ChangeRunner) {
        self.context = context
        self.changeRunner = changeRunner
        environment = changeRunner.environment
    }

    /// The rules of a program.
    ///
    /// - Throws: `Failure`: 65 for a broken file, 69 if the program is not in use, 77 if only root can read them.
    func read(_ program: ImportProgram, _ backend: BackendOptions) async throws(Failure) -> ImportedRules {
        switch program {
        case .ufw: try UFWReader(self).read()
        case .firewalld: try await FirewalldReader(self).read()
        case .iptables: try await iptables(backend)
        case .nftables: try await nftables()
        }
    }

    // MARK: - The kernel's rules

    private func iptables(_ options: BackendOptions) async throws(Failure) -> ImportedRules {
        let named = options.named == .nftables ? nil : options.named
        let live: PerFamily<RuleSet>
        let backend: Backend
        do throws(ChangeError) {
            do throws(HostError) {
                if let named {
                    backend = named
                } else {
                    backend = try await IPTables.backend(toolbox: environment.toolbox, runner: environment.runner)
                }
            } catch { throw .host(error) }
            let kernel = try await LiveRules(
                backend: backend, families: environment.families, toolbox: environment.toolbox,
                runner: environment.runner)
            live = try await kernel.readAll()
            let sets = (try? await IPSets(toolbox: environment.toolbox, runner: environment.runner)?.dump()) ?? ""
            for (family, rules) in live.present {
                try LiveRules.requireReadable(rules, family, allChains: true)
                try await kernel.requireTruthful(rules, sets: sets, family)
            }
        } catch { throw Failure(error) }
        var rules: [Family: RuleSet] = [:]
        var notes: [String] = []
        var own: Set<String> = []
        for (family, set) in live.present {
            rules[family] = set
            own.formUnion(
                (set["filter"]?.rules(in: "INPUT") ?? []).compactMap(\.jumpsTo).filter { !Self.isKept($0) })
            for table in set.tables where ["raw", "mangle"].contains(table.name) {
                let drops = table.rules.contains { $0.target == .drop }
                if drops {
                    notes.append("The table \(table.name) (\(family.title)) drops packets too; it stays as it is.")
                }
            }
        }
        if !own.isEmpty {
            notes.append(
                "INPUT jumps to \(own.sorted().joined(separator: ", ")). With \"existing: keep\" these chains stay ahead of "
                    + "latchkey's rules; with \"existing: replace\" all old rules are removed.")
        }
        let managers = Set(own.compactMap(KnownFirewall.owner(ofChain:))).intersection(["ufw", "firewalld"])
        notes += managers.sorted().map {
            "These rules belong to \($0): \"latchkey import \($0)\" knows more about them."
        }
        let isLogging = live.present.contains { _, set in
            set["filter"]?.rules.contains { if case .log = $0.target { $0.chain == "INPUT" } else { false } } ?? false
        }
        return ImportedRules(
            filter: IPTablesFilter(rules) { Self.isKept($0) }, isLogging: isLogging, notes: notes)
    }

    /// Whether a chain belongs to a program that goes on beside latchkey.
    private static func isKept(_ chain: String) -> Bool {
        let rivals = ["ufw", "firewalld", "csf", "Oracle Cloud"]
        return KnownFirewall.owner(ofChain: chain).map { !rivals.contains($0) } ?? false
    }

    private func nftables() async throws(Failure) -> ImportedRules {
        guard let nft = NFTables(toolbox: environment.toolbox, runner: environment.runner) else {
            throw Failure(HostError.toolMissing(name: "nft", lookedIn: environment.toolbox.folders))
        }
        let tables: [NFTable]
        do { tables = try await nft.tables() } catch { throw Failure(error) }
        var owners: [String: String] = [:]
        for chain in await nft.inputChains() { owners[chain.tableTitle] = chain.owner }
        let own = tables.filter { owners["\($0.id)"] == nil && !$0.isOfIPTables && $0.id != .latchkey }
        let filter = NFTablesFilter(own)
        guard !filter.isEmpty else {
            let hint =
                owners.values.contains("firewalld")
                ? "latchkey import firewalld"
                : owners.values.contains("iptables-nft") ? "latchkey import iptables" : "the wizard: sudo latchkey"
            throw Failure(
                .missing, "No table of nftables decides about incoming packets, apart from those of other programs.",
                activeRules: Failure.nothingChanged, next: hint)
        }
        var notes = owners.filter { $0.value != "latchkey" && $0.value != "iptables-nft" }.sorted { $0.key < $1.key }
            .map {
                "The table \($0.key) belongs to \($0.value): it stays, and its rules are not imported."
            }
        if owners.values.contains("iptables-nft") {
            notes.append("There are rules of iptables too: see \"latchkey import iptables\".")
        }
        notes += filter.others.map { "The chain \($0) sees incoming packets too; its rules are not imported." }
        let names = own.filter { $0.chains.contains(where: \.isInput) }.map { "\($0.id)" }.joined(separator: ", ")
        notes.append(
            "The table \(names) stays until you remove it: what it blocks stays blocked, whatever the answers allow.")
        let isLogging = own.contains { $0.chains.contains { $0.isInput && $0.rules.contains { $0.contains("log ") } } }
        return ImportedRules(filter: filter, isLogging: isLogging, notes: notes)
    }

    // MARK: - Files

    /// Whether a file is there.
    func exists(_ path: String) -> Bool { SecureFiles.exists(context.facts.path(path)) }

    /// Whether a file is there and may be run.
    func isExecutable(_ path: String) -> Bool { access(context.facts.path(path), X_OK) == 0 }

    /// The names in a folder; none if there is no such folder.
    func names(in path: String) -> [String] { (try? SecureFiles.names(in: context.facts.path(path))) ?? [] }

    /// The text of a file that decides about the firewall.
    ///
    /// - Throws: `Failure`: 65 for a file that is too long, not text, or not root's; 77 if only root can read it.
    func text(_ path: String) throws(Failure) -> String {
        let place = context.facts.path(path)
        do {
            let bytes = try SecureFiles.readTrusted(place, limit: Self.limit)
            return try NamedText(name: place, bytes: bytes).text
        } catch let failure as Failure {
            throw failure
        } catch HostError.file(_, _, EACCES) where context.userID != 0 {
            throw Failure(
                .needsRoot, "\(place): only root can read this file.", activeRules: Failure.nothingChanged,
                next: "use sudo.")
        } catch HostError.file(_, _, EFBIG) {
            throw Failure(
                .badData, "\(place): the file is larger than \(Self.limit >> 20) MiB.",
                activeRules: Failure.nothingChanged)
        } catch let error as HostError {
            throw Failure(error)
        } catch {
            throw Failure(.failed, "\(place): \(error)")
        }
    }

    /// The value of a shell assignment; the last one counts.
    static func value(of key: String, in text: String) -> String? {
        var value: String?
        for line in text.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0].filter({ !$0.isWhitespace }) == key else { continue }
            value = String(parts[1].filter { !$0.isWhitespace && $0 != "\"" && $0 != "'" })
        }
        return value
    }

    /// The failure for a program that does not decide about packets here.
    func notInUse(_ program: String, _ why: String) -> Failure {
        Failure(
            .missing, "\(program) \(why).", activeRules: Failure.nothingChanged,
            next: "\"latchkey doctor\" shows what filters packets here; import that, or run the wizard.")
    }
}

extension Failure {
    /// The failure for a mistake in another program's file.
    init(_ mistake: ImportMistake) {
        self.init(
            .badData, "A mistake in a file:\n\(mistake)", activeRules: Self.nothingChanged,
            next: "correct the file and try again.")
    }
}
