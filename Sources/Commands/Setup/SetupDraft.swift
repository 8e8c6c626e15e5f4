import Host
import Interview
import Netfilter
import Policy
import SafeApply

/// The file with the answers of an unfinished session.
///
/// Only root can read it.
struct SetupDraft: Sendable {
    private let path: String
    private let folder: String
    private let clock: BootClock

    /// Creates the draft of a machine; nil for users other than root, whose answers are not saved.
    init?(in context: CommandContext, clock: BootClock) {
        guard context.userID == 0 else { return nil }
        folder = context.layout.state
        path = folder + "/draft.yaml"
        self.clock = clock
    }

    /// Saves answers.
    ///
    /// Errors are ignored, because the wizard can continue without a draft.
    func write(_ draft: Draft) {
        let names = Question.allCases.filter(draft.answered.contains).map(\.rawValue).joined(separator: " ")
        let moment = UTCTime(secondsSince1970: clock.date()).iso8601
        let text = "\(Self.momentKey)\(moment)\n\(Self.answeredKey)\(names)\n" + AnswersFile.render(draft.answers)
        try? SecureFiles.makeFolder(folder)
        try? SecureFiles.write(Array(text.utf8), to: path)
    }

    /// The saved draft; nil if there is none or if it can't be parsed.
    func read(_ planner: Planner) -> Draft? {
        guard SecureFiles.exists(path), let bytes = try? SecureFiles.readTrusted(path, limit: 1 << 20) else {
            return nil
        }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let answers = try? planner.answers(NamedText(name: path, text: text)) else { return nil }
        let names = Self.value(of: Self.answeredKey, in: text).split(separator: " ")
        let moment = Self.value(of: Self.momentKey, in: text).replacing("T", with: " ")
        return Draft(
            answers: answers, answered: Set(names.compactMap { Question(rawValue: String($0)) }),
            moment: moment.isEmpty ? nil : "\(moment.quoted(limit: 24).dropFirst().dropLast()) UTC")
    }

    /// Deletes the draft.
    func remove() { try? SecureFiles.remove(path) }

    private static let momentKey = "# draft of "
    private static let answeredKey = "# answered: "

    private static func value(of key: String, in text: String) -> String {
        let lines = text.split(separator: "\n", maxSplits: 3, omittingEmptySubsequences: false)
        return lines.first { $0.hasPrefix(key) }.map { String($0.dropFirst(key.count)) } ?? ""
    }
}
