/// The names of the service templates that an answers file may use.
package struct ServiceNames: Sendable {
    /// All names, in the order in which they are suggested.
    package let all: [String]

    package init(_ all: [String]) {
        self.all = all
    }

    /// The known name with exactly this spelling, byte for byte.
    func known(_ text: String) -> String? {
        all.first { $0.utf8.elementsEqual(text.utf8) }
    }
}

/// The answers file: `/etc/latchkey/answers.yaml`, or the file that `--answers` names.
package enum AnswersFile {
    /// The version of the format that this program reads and writes.
    package static let version = 1
    /// The keys of the file, in the order in which they are written.
    static let keys = [
        "version", "admins", "block", "services", "ports", "ping", "ssh", "ipv6", "log", "existing", "docker",
    ]

    /// Reads a file of addresses that the answers name by this path.
    package typealias ReadFile = @Sendable (String) throws(AddressFileError) -> AddressFile

    /// Parses answers strictly: anything but an address, network, port, known name or keyword is refused.
    ///
    /// - Parameters:
    ///   - bytes: the file.
    ///   - file: its name, for messages.
    ///   - services: the names that `services` may use.
    ///   - readFile: reads the files of addresses that the answers name.
    /// - Returns: the answers, with the file's order in every list.
    /// - Throws: every mistake of the file, and of the files it names, at once.
    package static func parse(
        _ bytes: [UInt8], file: String, services: ServiceNames, readFile: @escaping ReadFile = refuseFiles
    ) throws(DataErrors) -> Answers {
        var reader = AnswersReader(file: file, services: services, readFile: readFile)
        let root = StrictYAML.read(bytes, mistakes: &reader.mistakes)
        let answers = root.flatMap { reader.answers($0) }
        let mistakes = reader.mistakes.sorted + reader.fileMistakes
        if !mistakes.isEmpty { throw DataErrors(mistakes) }
        guard let answers else {
            throw DataErrors([Mistake(file: file, line: 1, text: "", message: "The file could not be read.")])
        }
        // Kept answers are written again in latchkey's own layout, and latchkey must be able to read that file.
        let length = render(answers).utf8.count
        guard length <= StrictYAML.sizeLimit else {
            reader.mistakes.add(
                line: 1, text: "",
                "As a file, these answers take \(length) bytes; the limit is \(StrictYAML.sizeLimit).",
                remedy: "Replace many addresses with networks.")
            throw DataErrors(reader.mistakes.sorted)
        }
        return answers
    }

    /// Whether bytes are an answers file, valid or not: they have the keys of one, and no others.
    package static func isOne(_ bytes: [UInt8]) -> Bool {
        var mistakes = Mistakes(file: "")
        guard case .mapping(let entries)? = StrictYAML.read(bytes, mistakes: &mistakes)?.content else { return false }
        return entries.contains { $0.name == "version" } && entries.allSatisfy { keys.contains($0.name) }
    }

    /// Reads answers from text.
    ///
    /// - Parameters:
    ///   - text: the file.
    ///   - file: its name, for messages.
    ///   - services: the names that `services` may use.
    ///   - readFile: reads the files of addresses that the answers name.
    /// - Returns: the answers.
    /// - Throws: every mistake of the file, and of the files it names, at once.
    package static func parse(
        _ text: String, file: String, services: ServiceNames, readFile: @escaping ReadFile = refuseFiles
    ) throws(DataErrors) -> Answers {
        try parse(Array(text.utf8), file: file, services: services, readFile: readFile)
    }

    /// Reads no file: for answers from a source where paths have no meaning.
    package static let refuseFiles: ReadFile = { (path) throws(AddressFileError) in
        throw .unreadable("no file is read here.")
    }
}
