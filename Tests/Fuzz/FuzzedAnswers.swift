import Netfilter

@testable import Policy

/// The reader of answers: what it reads is written and read back as the same, and every mistake has a place.
enum FuzzedAnswers {
    private static let services = ServiceNames(["ssh", "web", "mail", "dns", "wireguard", "postgresql"])

    static func read(_ bytes: [UInt8]) {
        let answers: Answers
        do { answers = try parse(bytes) } catch {
            check(error, of: bytes)
            return
        }
        require(AnswersFile.isOne(bytes), "read, but not recognised")
        let text = AnswersFile.render(answers)
        do {
            let again = try parse(Array(text.utf8))
            require(again == answers, "written as other answers: \(text)")
        } catch { fatalError("written, but not readable: \(error)\n\(text)") }
    }

    private static func parse(_ bytes: [UInt8]) throws(DataErrors) -> Answers {
        try AnswersFile.parse(bytes, file: "fuzz", services: services) { (path) throws(AddressFileError) in
            guard path.hasSuffix(".txt") else { throw .unreadable("It is not there.") }
            do throws(DataErrors) {
                return try AddressFile(Array("192.0.2.0/24\n2001:db8::1\n".utf8), path: path)
            } catch { throw .mistakes(error) }
        }
    }

    /// Every mistake has a line of the file, and a message that is safe to print on one line.
    ///
    /// - Parameters:
    ///   - errors: the mistakes.
    ///   - bytes: the file.
    static func check(_ errors: DataErrors, of bytes: [UInt8]) {
        let lines = bytes.count { $0 == UInt8(ascii: "\n") } + 1
        require(!errors.mistakes.isEmpty, "refused without a mistake")
        for mistake in errors.mistakes {
            require((1...lines).contains(mistake.line), "line \(mistake.line) of \(lines): \(mistake)")
            require(mistake.column.map { $0 >= 1 } ?? true, "a column before the first: \(mistake)")
            let message = mistake.description
            require(message.isPrintable && !message.contains("\n"), "a control character in: \(message)")
        }
        let order = errors.mistakes.map(\.line)
        require(order == order.sorted(), "not in the order of the lines: \(errors)")
    }
}
