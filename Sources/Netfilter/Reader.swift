extension RuleSet {
    /// iptables-restore reads into a buffer of 10240 bytes and takes the rest of a longer line for another line.
    static let longestLine = 10_239

    /// A rule set from the text of a file or a dump; `file` is only what errors call it.
    ///
    /// Takes what iptables-restore takes, and so what a person writes by hand: other commands than `-A`, long options,
    /// tabs, comments. Each line keeps its spelling.
    package init(parsing text: String, file: String) throws(RuleSetError) {
        try self.init(text, Reader(file: file))
    }

    /// A rule set from what iptables-save printed, now or for a snapshot.
    ///
    /// Other programs' rules are carried through as they are, though iptables-restore might not take them: any bytes
    /// in a comment, line ends too, and chains that were made with nft(8).
    package init(dumped text: String, file: String) throws(RuleSetError) {
        try self.init(text, Reader(file: file, isDump: true))
    }

    private init(_ text: String, _ reader: Reader) throws(RuleSetError) {
        var reader = reader
        try reader.read(text)
        parts = reader.parts
        endsInNewline = reader.endsInNewline
    }

    /// A rule set from the bytes of a file, which must be UTF-8.
    package init(bytes: [UInt8], file: String) throws(RuleSetError) {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            let lines = bytes.split(separator: Ascii.newline, omittingEmptySubsequences: false)
            let bad = lines.firstIndex { String(validating: $0, as: UTF8.self) == nil } ?? 0
            let line = String(decoding: lines[bad], as: UTF8.self)
            throw RuleSetError(file: file, line: bad + 1, text: line, problem: .notUTF8)
        }
        try self.init(parsing: text, file: file)
    }
}

/// Reads a rule set line by line, as iptables-restore does.
private struct Reader {
    let file: String
    /// Whether iptables-save wrote the text: what is odd in it is no mistake of a person's.
    let isDump: Bool
    var parts: [RuleSet.Part] = []
    var endsInNewline = true

    private var number = 0
    private var table: (name: String, spelling: String, line: Int)?
    private var entries: [Entry] = []

    init(file: String, isDump: Bool = false) {
        self.file = file
        self.isDump = isDump
    }

    mutating func read(_ text: String) throws(RuleSetError) {
        guard !text.isEmpty else { return }
        var lines = text.utf8.split(separator: Ascii.newline, omittingEmptySubsequences: false)
        endsInNewline = lines.last?.isEmpty ?? false
        if endsInNewline { lines.removeLast() }
        var rest = lines[...]
        while !rest.isEmpty {
            let count = lineCount(rest)
            number += count
            try read(line: rest.prefix(count).map { String(Substring($0)) }.joined(separator: "\n"))
            rest = rest.dropFirst(count)
        }
        if let table {
            throw RuleSetError(file: file, line: table.line, text: table.spelling, problem: .missingCommit)
        }
    }

    /// How many of the lines the first one's rule takes.
    ///
    /// iptables-save prints a line end inside a comment as it is: the rule goes on to the end of the quote. Where the
    /// next rule comes first, or the table's end, the quote was a character like any other (`--name "x`).
    private func lineCount(_ lines: ArraySlice<Substring.UTF8View>) -> Int {
        guard isDump, let first = lines.first, Self.beginsRule(first) else { return 1 }
        var whole = Array(first)
        for (index, next) in lines.enumerated() {
            if index > 0 { whole += [Ascii.newline] + next }
            if !Word.splitPrinted(whole).isOpen { return index + 1 }
            let following = lines.dropFirst(index + 1).first
            guard let following, !Self.beginsRule(following), !following.elementsEqual("COMMIT".utf8) else { return 1 }
        }
        return 1
    }

    private static func beginsRule(_ line: Substring.UTF8View) -> Bool {
        let words = line.split(separator: UInt8(ascii: " "), maxSplits: 2).map { String(Substring($0)) }
        guard let first = words.first else { return false }
        return first == "-A" || (Counters(parsing: first) != nil && words.dropFirst().first == "-A")
    }

    private func error(_ problem: RuleSetError.Problem, _ text: String) -> RuleSetError {
        RuleSetError(file: file, line: number, text: text, problem: problem)
    }

    private mutating func read(line: String) throws(RuleSetError) {
        if !isDump {
            if line.unicodeScalars.contains(where: { $0.properties.generalCategory == .control && $0 != "\t" }) {
                throw error(.controlCharacter, line)
            }
            if line.utf8.count > RuleSet.longestLine { throw error(.lineTooLong, line) }
        }
        if line.isEmpty || line.hasPrefix("#") {
            if table == nil { parts.append(.note(line)) } else { entries.append(Entry(.note(line))) }
            return
        }
        // Declarations know no quotes: iptables splits them at blanks alone.
        let isDeclaration = line.hasPrefix(":") || line.hasPrefix("*")
        let plain = line.utf8.split(whereSeparator: Ascii.isBlank).map { Word(verbatim: String(Substring($0))) }
        let quoted = isDump ? Word.splitPrinted(line.utf8).words : Word.split(line.utf8)
        guard let words = isDeclaration ? plain : quoted else { throw error(.unterminatedQuote, line) }
        guard let first = words.first else { throw error(.unknownCommand, line) }
        if line.hasPrefix("*") {
            try beginTable(words, line)
        } else if table == nil {
            throw error(.outsideTable, line)
        } else if line == "COMMIT" {
            endTable()
        } else if line.hasPrefix(":") {
            entries.append(Entry(.chain(try declaration(words)), readFrom: line))
        } else {
            entries.append(Entry(try command(words, first, line), readFrom: line))
        }
    }

    private mutating func beginTable(_ words: [Word], _ line: String) throws(RuleSetError) {
        if table != nil { throw error(.tableInsideTable, line) }
        let name = String(words[0].value.dropFirst())
        guard words.count == 1, Chain.builtIn(ofTable: name) != nil else { throw error(.unknownTable, line) }
        table = (name, line, number)
    }

    private mutating func endTable() {
        guard let (name, spelling, _) = table else { return }
        var finished = Table(name, entries: entries)
        finished.spelling = spelling == "*\(name)" ? nil : spelling
        parts.append(.table(finished))
        (table, entries) = (nil, [])
    }

    /// `:INPUT DROP [0:0]`; the counters may be missing.
    private func declaration(_ words: [Word]) throws(RuleSetError) -> Chain {
        let name = try chainName(String(words[0].value.dropFirst()))
        guard words.count >= 2 else { throw error(.badPolicy, words[0].value) }
        guard words.count <= 3 else { throw error(.badDeclaration, words.spelled) }
        let policy = Policy(rawValue: words[1].value)
        if policy == nil, words[1].value != "-" { throw error(.badPolicy, words[1].value) }
        guard words.count == 3 else { return Chain(name, policy: policy) }
        guard let counters = Counters(parsing: words[2].value) else { throw error(.badCounters, words[2].value) }
        return Chain(name, policy: policy, counters: counters)
    }

    private func chainName(_ name: String) throws(RuleSetError) -> String {
        guard isDump || Chain.isValidName(name) else { throw error(.badChainName, name) }
        return name
    }

    /// The commands of iptables(8) that make sense in a restore file, by both their names.
    private static let commands: Set<String> = [
        "-I", "--insert", "-D", "--delete", "-R", "--replace", "-F", "--flush", "-Z", "--zero", "-N", "--new-chain",
        "--new", "-X", "--delete-chain", "-P", "--policy", "-E", "--rename-chain",
    ]
    /// Those of them that work on all chains when none is named.
    private static let chainOptional: Set<String> = ["-F", "--flush", "-Z", "--zero", "-X", "--delete-chain"]

    private func command(
        _ words: [Word], _ first: Word, _ line: String
    ) throws(RuleSetError)
        -> Entry.Statement
    {
        var words = words[...]
        var counters: Counters?
        if first.value.hasPrefix("[") {
            guard let read = Counters(parsing: first.value) else { throw error(.badCounters, first.value) }
            counters = read
            words = words.dropFirst()
        }
        guard let command = words.first else { throw error(.unknownCommand, line) }
        if !isDump { try refuseApostrophes(words, line) }
        let isAppend = command.value == "-A" || command.value == "--append"
        guard isAppend || (Self.commands.contains(command.value)) else { throw error(.unknownCommand, line) }
        let arguments = words.dropFirst()
        guard let chain = arguments.first else {
            if Self.chainOptional.contains(command.value) { return .command(Array(words)) }
            throw error(.missingChain, line)
        }
        _ = try chainName(chain.value)
        do {
            let rule = try Rule(chain: chain.value, counters: counters, words: arguments.dropFirst())
            return isAppend ? .rule(rule) : .command(Array(words))
        } catch {
            throw self.error(.missingValue, error.option.value)
        }
    }

    /// `--comment 'two words'` is two words to iptables-restore, and the second one an error that explains nothing.
    ///
    /// iptables-save itself puts every option's text that has an apostrophe in double quotes.
    private func refuseApostrophes(_ words: ArraySlice<Word>, _ line: String) throws(RuleSetError) {
        for (option, value) in zip(words, words.dropFirst())
        where option.value.hasPrefix("--") && value.spelling.hasPrefix("'") {
            throw error(.apostrophe, value.spelling)
        }
    }
}
