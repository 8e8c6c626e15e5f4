import ArgumentParser
import SafeApply

/// `latchkey snapshots`: the rules as they were before each change.
struct SnapshotsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshots",
        abstract: "List, show, compare, restore or delete the rules saved before each change.",
        subcommands: [List.self, Show.self, Diff.self, Restore.self, Prune.self], defaultSubcommand: List.self)

    /// `latchkey snapshots list`.
    struct List: ContextCommand {
        static let configuration = CommandConfiguration(abstract: "List all snapshots, oldest first.")

        @OptionGroup var report: ReportOptions

        func run(in context: CommandContext) async throws -> ProgramStatus {
            try context.requireRoot("snapshots list")
            let reports = try await SnapshotActions(in: context).reports()
            guard !report.json else {
                try context.console.result(reports.json())
                return .done
            }
            guard !reports.isEmpty else {
                context.console.say("There are no snapshots yet. latchkey takes one before each change.\n")
                return .done
            }
            let rows = [["SNAPSHOT", "TAKEN (UTC)", "BY", "FROM", "CHANGE"]] + reports.map(\.row)
            try context.console.result(Columns.text(rows))
            for report in reports {
                if let reason = report.damaged {
                    let lines = Wrapping.lines("\(report.snapshot) cannot be used. \(reason)", rest: "    ")
                    context.console.say(lines.joined(separator: "\n") + "\n")
                }
            }
            return .done
        }
    }

    /// `latchkey snapshots show ID`.
    struct Show: ContextCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a snapshot; with --family, exactly as iptables-restore or nft reads it.")

        @Argument(help: "The snapshot's ID.") var id: String
        @Option(help: ArgumentHelp("Print only the rules of this family.", valueName: "family"))
        var family: PlanCommand.Choice?
        @OptionGroup var report: ReportOptions

        func validate() throws {
            if report.json, family != nil { throw ValidationError("--family cannot be combined with --json.") }
        }

        func run(in context: CommandContext) async throws -> ProgramStatus {
            try context.requireRoot("snapshots show")
            let snapshots = SnapshotActions(in: context)
            let snapshot = try await snapshots.read(id)
            if let family {
                let text = snapshot.rules[family.family] ?? snapshot.tables
                try context.console.result(text)
                return .done
            }
            var shown = try await snapshots.report(snapshot.meta)
            shown.rules = SnapshotReport.Rules(
                ipv4: snapshot.rules.ipv4, ipv6: snapshot.rules.ipv6, sets: snapshot.sets, nftables: snapshot.tables)
            try context.console.result(report.json ? shown.json() : shown.text)
            return .done
        }
    }

    /// `latchkey snapshots diff ID [OTHER]`.
    struct Diff: ContextCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what has changed since a snapshot: - removed, + added.")

        @Argument(help: "The snapshot's ID.") var id: String
        @Argument(help: "Another snapshot to compare it with (default: the live rules).") var other: String?
        @OptionGroup var report: ReportOptions

        func run(in context: CommandContext) async throws -> ProgramStatus {
            try context.requireRoot("snapshots diff")
            let shown = try await SnapshotActions(in: context).difference(from: id, to: other)
            guard !report.json else {
                try context.console.result(shown.json())
                return .done
            }
            guard !shown.same else {
                context.console.say("No difference.\n")
                return .done
            }
            let parts = [("# IPv4", shown.ipv4), ("# IPv6", shown.ipv6), ("# nftables", shown.nftables)]
            for (family, lines) in parts where !lines.isEmpty {
                try context.console.result(([family] + lines).joined(separator: "\n") + "\n")
            }
            return .done
        }
    }

    /// `latchkey snapshots restore ID`.
    struct Restore: ContextCommand {
        static let configuration = CommandConfiguration(
            abstract: "Restore a snapshot, and roll back unless you confirm.")

        @Argument(help: "The snapshot's ID.") var id: String
        @OptionGroup var deadline: DeadlineOptions
        @OptionGroup var rehearsal: RehearsalOptions
        @Flag(help: "Return once the rules are active and pending; don't wait for the outcome.") var detach = false
        @OptionGroup var templates: TemplateOptions
        @OptionGroup var report: ReportOptions

        func run(in context: CommandContext) async throws -> ProgramStatus {
            try await report.reporting(in: context) { () async throws(Failure) in
                try context.requireRoot("snapshots restore")
                let snapshots = SnapshotActions(in: context)
                let request = try await snapshots.restoration(
                    of: id, deadline: deadline.deadline, isRehearsed: !rehearsal.isSkipped, templates: templates,
                    in: context)
                return try await snapshots.changeRunner.carryOut(request, detach: detach, report, in: context)
            }
        }
    }

    /// `latchkey snapshots prune`.
    struct Prune: ContextCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete old snapshots, except those that a rollback still needs.")

        @Option(help: ArgumentHelp("How many of the newest snapshots to keep.", valueName: "n")) var keep = 10
        @OptionGroup var report: ReportOptions

        func validate() throws {
            if keep < 0 { throw ValidationError("--keep takes 0 or a positive number.") }
        }

        func run(in context: CommandContext) async throws -> ProgramStatus {
            try context.requireRoot("snapshots prune")
            let shown = try await SnapshotActions(in: context).prune(keeping: keep)
            if report.json {
                try context.console.result(shown.json())
            } else {
                context.console.say("Removed: \(shown.removed.count). Left: \(shown.left.count).\n")
                for id in shown.removed { try context.console.result("\(id)\n") }
            }
            return .done
        }
    }
}
