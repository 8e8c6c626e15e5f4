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

/// Which iptables does the work.
package struct BackendOptions: ParsableArguments {
    /// The choices a user has.
    package enum Choice: String, CaseIterable, ExpressibleByArgument, Sendable {
        case auto, nft, legacy
    }

    @Option(help: "Which iptables to use.")
    package var backend = Choice.auto

    package init() {}

    /// The backend that was named, or nil for the machine's own.
    package var named: Backend? { Backend(rawValue: backend.rawValue) }
}

/// How long a change waits to be kept.
package struct DeadlineOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Return to the earlier rules after DURATION unless kept: 45, 45s, 5m; 10s to 1h (default: 60s).",
            valueName: "duration"),
        transform: Self.deadline)
    package var deadline = DeadlineOption.standard

    package init() {}

    /// Argument Parser shows a thrown error's description behind the offending value.
    private static func deadline(_ text: String) throws -> DeadlineOption { try DeadlineOption(parsing: text) }
}

/// Whether a change is tried before it is made.
package struct RehearsalOptions: ParsableArguments {
    @Flag(name: .customLong("no-rehearsal"), help: "Apply even what would lock out the present SSH connection.")
    package var isSkipped = false

    package init() {}

    /// What is said where it is.
    package static let skipped = "No rehearsal: nobody checks whether you would be locked out.\n"
}

/// How a change is made.
package struct ChangeOptions: ParsableArguments {
    @OptionGroup package var time: DeadlineOptions
    @OptionGroup package var rehearsal: RehearsalOptions
    @OptionGroup package var backend: BackendOptions

    package init() {}

    /// How long it waits to be kept.
    package var deadline: DeadlineOption {
        get { time.deadline }
        set { time.deadline = newValue }
    }
}

/// How the wizard looks.
package struct ScreenOptions: ParsableArguments {
    @Flag(
        name: .customLong("plain"),
        help: "No line editing, colour or redrawing, for screen readers; so does LATCHKEY_PLAIN=1.")
    package var isPlain = false

    package init() {}
}

/// How results are written.
package struct ReportOptions: ParsableArguments {
    @Flag(help: "Write the result as JSON.")
    package var json = false

    package init() {}
}
