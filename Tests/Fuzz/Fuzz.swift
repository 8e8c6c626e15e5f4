import Glibc

/// A reader of text from outside, with what must be true for every input.
enum FuzzedReader: String, CaseIterable {
    /// The rules that iptables-save prints, and those that a person writes.
    case rules
    /// The answers.
    case answers
    /// The service templates.
    case services
    /// What nft prints as JSON.
    case listings
    /// What nft prints as text.
    case tables
    /// The requests to the guard.
    case requests

    /// Reads an input; a property that does not hold ends the process, as libFuzzer expects.
    func read(_ bytes: [UInt8]) {
        switch self {
        case .rules: FuzzedRules.read(bytes)
        case .answers: FuzzedAnswers.read(bytes)
        case .services: FuzzedServices.read(bytes)
        case .listings: FuzzedListings.read(bytes)
        case .tables: FuzzedTables.read(bytes)
        case .requests: FuzzedRequests.read(bytes)
        }
    }
}

/// `Fuzz READER ...`: runs libFuzzer with the reader, and with its own options and folders after it.
@main
enum Fuzz {
    /// The reader that the first argument names.
    private static let chosen: FuzzedReader = {
        let name = CommandLine.arguments.dropFirst().first ?? ""
        guard let reader = FuzzedReader(rawValue: name) else {
            fatalError("a reader is one of \(FuzzedReader.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return reader
    }()

    static func main() {
        _ = chosen
        exit(run())
    }

    /// Runs libFuzzer with the other arguments: it would take the name of a reader for that of a folder of inputs.
    private static func run() -> CInt {
        var count = CommandLine.argc - 1
        CommandLine.unsafeArgv[1] = CommandLine.unsafeArgv[0]
        var arguments = CommandLine.unsafeArgv.advanced(by: 1)
        return runDriver(&count, &arguments, fuzzOneInput)
    }

    /// Reads an input of libFuzzer's.
    static func read(_ start: UnsafePointer<UInt8>?, _ count: Int) {
        chosen.read(Array(UnsafeBufferPointer(start: start, count: count)))
    }
}

private func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    Fuzz.read(start, count)
    return 0
}

/// libFuzzer's loop (https://llvm.org/docs/LibFuzzer.html, "Using libFuzzer as a library").
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt
