import ArgumentParser
import Host

/// Where the answers come from.
package struct AnswersOptions: ParsableArguments {
    @Option(
        name: .customLong("answers"),
        help: ArgumentHelp(
            "Read the answers from FILE; - is standard input (default: /etc/latchkey/answers.yaml).",
            valueName: "file"), completion: .file())
    package var file: String?

    package init() {}
}

/// Where the administrator's templates come from.
package struct TemplateOptions: ParsableArguments {
    @Option(
        name: .customLong("template-dir"),
        help: ArgumentHelp("Read templates from DIR (default: /etc/latchkey/templates).", valueName: "dir"),
        completion: .directory)
    package var folder: String?

    package init() {}
}

/// Which backend to use.
package struct BackendOptions: ParsableArguments {
    /// The values of the option.
    package enum Choice: String, CaseIterable, ExpressibleByArgument, Sendable {
        case auto, nftables, nft, legacy
    }

    @Option(
        help: """
            nftables: latchkey's own table; nft or legacy: those of iptables; auto: as in the last kept change, else \
            iptables if installed, else nftables.
            """)
    package var backend = Choice.auto

    package init() {}

    /// The backend that was named, or nil for the machine's own.
    package var named: Backend? { Backend(rawValue: backend.rawValue) }
}

/// How long a change waits for confirmation.
package struct DeadlineOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Roll back after DURATION unless confirmed: 45, 45s, 5m; 10s to 1h (default: 60s).",
            valueName: "duration"),
        transform: Self.deadline)
    package var deadline = DeadlineOption.standard

    package init() {}

    /// Argument Parser prints the error's description after the invalid value.
    private static func deadline(_ text: String) throws -> DeadlineOption { try DeadlineOption(parsing: text) }
}

/// Whether a change is rehearsed first.
package struct RehearsalOptions: ParsableArguments {
    @Flag(name: .customLong("no-rehearsal"), help: "Skip the rehearsal, even if the change would lock you out.")
    package var isSkipped = false

    package init() {}

    /// The warning when it is skipped.
    package static let skipped = "No rehearsal: latchkey did not check whether this change locks you out.\n"
}

/// What happens to another firewall manager.
package struct TakeOverOptions: ParsableArguments {
    @Flag(
        name: .customLong("take-over"),
        help: "Replace another firewall manager (ufw, firewalld, ...): it is disabled when you keep the change.")
    package var isWanted = false

    package init() {}
}

/// How a change is made.
package struct ChangeOptions: ParsableArguments {
    @OptionGroup package var time: DeadlineOptions
    @OptionGroup package var rehearsal: RehearsalOptions
    @OptionGroup package var backend: BackendOptions
    @OptionGroup package var takeOver: TakeOverOptions

    package init() {}

    /// How long it waits for confirmation.
    package var deadline: DeadlineOption {
        get { time.deadline }
        set { time.deadline = newValue }
    }
}

/// How the wizard looks.
package struct ScreenOptions: ParsableArguments {
    @Flag(
        name: .customLong("plain"),
        help: "No line editing, colour or redrawing, for screen readers; same as LATCHKEY_PLAIN=1.")
    package var isPlain = false

    package init() {}
}

/// The format of results.
package struct ReportOptions: ParsableArguments {
    @Flag(help: "Write the result as JSON.")
    package var json = false

    package init() {}
}
