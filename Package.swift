// swift-tools-version: 6.2
import PackageDescription

/// Every target is Swift 6 with strict concurrency, and every warning of ours is an error.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

/// libFuzzer's library without an entry point, if .ci/fuzz builds the readers for it.
let fuzzer = Context.environment["LATCHKEY_FUZZ"]
let fuzzing: [SwiftSetting] = fuzzer == nil ? [] : [.unsafeFlags(["-sanitize=fuzzer", "-enable-testing"])]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")

func room(
    _ name: String, _ dependencies: [Target.Dependency] = [], linking linkerSettings: [LinkerSetting] = []
) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict + fuzzing, linkerSettings: linkerSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(
        name: name, dependencies: dependencies + ["TestSupport"], resources: resources, swiftSettings: strict)
}

let package = Package(
    name: "latchkey",
    products: [.executable(name: "latchkey", targets: ["latchkey"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
    ],
    // In the order in which data flows: facts and answers, plan, rules, rehearsal, change, and the person in front.
    targets: [
        // What Swift's Glibc module does not show of the C library, as static inline functions.
        .target(name: "CLinux", publicHeadersPath: "include"),
        // Addresses, ports and typed rule sets; reader and writer of the iptables-save format.
        room("Netfilter"),
        // Every side effect: commands, files, locks, clocks, sockets; and what this machine is.
        room("Host", ["Netfilter", "CLinux", subprocess, system, logging]),
        // The service and rule templates, embedded in the binary by a tool that the build runs.
        .executableTarget(name: "EmbedTemplates", swiftSettings: strict),
        .plugin(
            name: "EmbedTemplatesPlugin", capability: .buildTool(), dependencies: ["EmbedTemplates"],
            path: "Sources/EmbedTemplatesPlugin"),
        .target(
            name: "Templates", path: "templates", exclude: ["services", "rules", "examples"],
            swiftSettings: strict, plugins: ["EmbedTemplatesPlugin"]),
        // Answers, service templates, the plan and what is expected of it.
        // libYAML; static, because one file copied to a server is a whole installation.
        .systemLibrary(name: "CYAML", providers: [.apt(["libyaml-dev"])]),
        room("Policy", ["Netfilter", "Templates", "CYAML"], linking: [.linkedLibrary(":libyaml.a")]),
        // A plan and the rule templates into a rule set a family.
        room("Composer", ["Policy", "Netfilter", "Templates"]),
        // The rules of other firewall programs into answers.
        room("Import", ["Policy", "Netfilter"]),
        // Throwaway namespaces, probes, verdicts.
        room("Rehearsal", ["Policy", "Netfilter", "Host"]),
        // Snapshot, journal, change, guard, confirmation, persistence.
        room("SafeApply", ["Netfilter", "Host", logging]),
        // The wizard as data and a pure state machine.
        room("Interview", ["Policy", "Netfilter"]),
        // GNU Readline, and the Prompter on top of it.
        .systemLibrary(name: "CReadline", pkgConfig: "readline", providers: [.apt(["libreadline-dev"])]),
        room("ReadlineUI", ["Interview", "CReadline"]),
        // One file a command.
        room(
            "Commands",
            [
                "Interview", "ReadlineUI", "SafeApply", "Rehearsal", "Import", "Composer", "Policy", "Netfilter",
                "Host",
                argumentParser, logging,
            ]),
        // @main and nothing else.
        // The Swift runtime is linked into the release build: a server has none, and starting takes a third of the time.
        .executableTarget(
            name: "latchkey", dependencies: ["Commands"], swiftSettings: strict,
            linkerSettings: [
                .unsafeFlags(["-static-stdlib"], .when(configuration: .release)),
                // Hardening: all symbols are bound at the start, and the table of them is then read-only.
                // Nothing looks up symbols of the program, and their names are a tenth of it. Functions with the same
                // code are stored once.
                .unsafeFlags(
                    ["relro", "now"].flatMap { ["-Xlinker", "-z", "-Xlinker", $0] }
                        + ["-Xlinker", "--no-export-dynamic", "-Xlinker", "--icf=safe"],
                    .when(configuration: .release)),
                // FoundationEssentials' own parts, which a static link has to name.
                .linkedLibrary("_FoundationCollections", .when(configuration: .release)),
                .linkedLibrary("_FoundationCShims", .when(configuration: .release)),
            ]),

        .target(
            name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
        tests("LayoutTests", []),
        tests("HostTests", ["Host", "Netfilter"]),
        tests("NetfilterTests", ["Netfilter"], resources: [.copy("Dumps")]),
        tests("PolicyTests", ["Policy", "Netfilter", "Templates"]),
        tests("ComposerTests", ["Composer", "Policy", "Netfilter", "Templates"], resources: [.copy("Golden")]),
        tests("ImportTests", ["Import", "Policy", "Netfilter"]),
        tests(
            "RehearsalTests",
            ["Rehearsal", "SafeApply", "Composer", "Policy", "Netfilter", "Host", "Templates", logging]),
        tests("SafeApplyTests", ["SafeApply", "Netfilter", "Host"]),
        tests("InterviewTests", ["Interview", "Policy", "Netfilter"]),
        tests("CommandsTests", ["Commands", "Rehearsal", "SafeApply", "Policy", "Netfilter", "Host", argumentParser]),
        // The built binary on the real kernel, in namespaces the test makes, and on a real pty.
        tests("EndToEndTests", ["latchkey"]),
    ]
)

if let fuzzer {
    package.targets.append(
        // Readers of text from outside under libFuzzer, and what must be true for every input.
        .executableTarget(
            name: "Fuzz", dependencies: ["Rehearsal", "SafeApply", "Policy", "Netfilter", "Host", logging],
            path: "Tests/Fuzz", exclude: ["Corpus"], swiftSettings: strict,
            linkerSettings: [.unsafeFlags([fuzzer]), .linkedLibrary("stdc++")]))
}
