extension RuleSet {
    /// iptables-restore reads into a buffer of 10240 bytes and treats the rest of a longer line as another line.
    static let longestLine = 10_239

    /// A rule set from the text of a file or a dump; `file` is only the name for errors.
    ///
    /// Accepts what iptables-restore accepts, including hand-written text: other commands than `-A`, long options,
    /// tabs, comments. Each line keeps its spelling.
    ///
    /// A line for one family only (`-4`, `-6`) is a rule for that family and a note for the other. Without `family` it
    /// is preserved, and `normalized()` keeps it as a command, because its meaning is unknown.
    package init(parsing text: String, file: String, for family: Family? = nil) throws(RuleSetError) {
        try self.init(text, Reader(file: file, family: family))
    }

    /// A rule set from iptables-save's output, now or from a snapshot.
    ///
    /// Other programs' rules are preserved even if iptables-restore might not accept them: any bytes
    /// in a comment, including line ends, and chains that were created with nft(8).
    ///
    /// `family` matters for a hand-written file that is loaded at boot: see `init(parsing:file:for:)`.
    package init(dumped text: String, file: String, for family: Family? = nil) throws(RuleSetError) {
        try self.init(text, Reader(file: file, isDump: true, family: family))
    }

    private init(_ text: String, _ reader: Reader) throws(RuleSetError) {
        var reader = reader
        try reader.read(text)
        parts = reader.parts
        endsInNewline = reader.endsInNewline
    }

    /// A rule set from the bytes of a file, which must be UTF-8.
    package init(bytes: [UInt8], file: String, for family: Family? = nil) throws(RuleSetError) {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            let lines = bytes.split(separator: Ascii.newline, omittingEmptySubsequences: false)
            let bad = lines.firstIndex { String(validating: $0, as: UTF8.self) == nil } ?? 0
            let line = String(decoding: lines[bad], as: UTF8.self)
            throw RuleSetError(file: file, line: bad + 1, text: line, problem: .notUTF8)
        }
        try self.init(parsing: text, file: file, for: family)
    }
}

/// Reads a rule set line by line, as iptables-restore does.
private struct Reader {
    let file: String
    /// Whether iptables-save wrote the text: unusual content is then not a user's mistake.
    let isDump: Bool
    /// The family of the rules, if it is known.
    let family: Family?
    var parts: [RuleSet.Part] = []
    var endsInNewline = true

    private var number = 0
    private var table: (name: String, spelling: String, line: Int)?
    private var entries: [Entry] = []

    init(file: String, isDump: Bool = false, family: Family? = nil) {
        self.file = file
        self.isDump = isDump
        self.family = family
    }

    mutating func read(_ text: String) throws(RuleSetError) {
        guard !text.isEmpty else { return }
        let bytes = Array(text.utf8)
        endsInNewline = bytes.last == Ascii.newline
        var rest = bytes[...]
        while !rest.isEmpty {
            let (line, count) = Self.firstLine(of: rest, isDump: isDump)
            number += count
            try read(line: line)
            rest = rest[line.endIndex...].dropFirst()
        }
        if let table {
            throw RuleSetError(file: file, line: table.line, text: table.spelling, problem: .missingCommit)
        }
    }

    /// The first line, or in a dump all lines of the rule that begins there, without the line end.
    ///
    /// iptables-save prints a line end inside a comment unchanged: the rule continues to the end of the quote. If the
    /// next rule or the end of the table comes first, the quotation mark was an ordinary character (`--name "x`).
    private static func firstLine(
        of text: ArraySlice<UInt8>, isDump: Bool
    ) -> (line: ArraySlice<UInt8>, count: Int) {
        let first = text[..<end(in: text)]
        guard isDump, first.contains(Ascii.quote), beginsRule(first) else { return (first, 1) }
        var quotes = PrintedQuotes()
        quotes.read(first)
        var (whole, count) = (first, 1)
        while quotes.isOpen {
            let rest = text[whole.endIndex...].dropFirst()
            let next = rest[..<end(in: rest)]
            if rest.isEmpty || beginsRule(next) || next.elementsEqual("COMMIT".utf8) { return (first, 1) }
            quotes.read(text[whole.endIndex..<next.endIndex])
            whole = text[..<next.endIndex]
            count += 1
        }
        return (whole, count)
    }

    private static func end(in text: ArraySlice<UInt8>) -> Int { text.firstIndex(of: Ascii.newline) ?? text.endIndex }

    private static func beginsRule(_ line: ArraySlice<UInt8>) -> Bool {
        var rest = line.drop { $0 == Ascii.blank }
        if rest.first == UInt8(ascii: "[") {
            let counters = rest.prefix { $0 != Ascii.blank }
            guard Counters(parsing: String(decoding: counters, as: UTF8.self)) != nil else { return false }
            rest = rest[counters.endIndex...].drop { $0 == Ascii.blank }
        }
        return rest.prefix { $0 != Ascii.blank }.elementsEqual("-A".utf8)
    }

    private func error(_ problem: RuleSetError.Problem, _ text: String) -> RuleSetError {
        RuleSetError(file: file, line: number, text: text, problem: problem)
    }

    private func error(_ problem: RuleSetError.Problem, _ line: ArraySlice<UInt8>) -> RuleSetError {
        error(problem, String(decoding: line, as: UTF8.self))
    }

    /// Whether a line has one of Unicode's control characters, U+0000 to U+001F and U+007F to U+009F, except tabs.
    private static func hasControl(_ line: ArraySlice<UInt8>) -> Bool {
        var isAfterC2 = false
        for byte in line {
            if byte < 0x20 && byte != 0x09 || byte == 0x7F || isAfterC2 && byte < 0xA0 { return true }
            isAfterC2 = byte == 0xC2
        }
        return false
    }

    private mutating func read(line: ArraySlice<UInt8>) throws(RuleSetError) {
        if !isDump {
            if Self.hasControl(line) { throw error(.controlCharacter, line) }
            if line.count > RuleSet.longestLine { throw error(.lineTooLong, line) }
        }
        guard let start = line.first, start != Ascii.hash else {
            let note = String(decoding: line, as: UTF8.self)
            if table == nil { parts.append(.note(note)) } else { entries.append(Entry(.note(note))) }
            return
        }
        let words = try words(of: line)
        guard let first = words.first else { throw error(.unknownCommand, line) }
        if start == Ascii.asterisk {
            try beginTable(words, line)
        } else if table == nil {
            throw error(.outsideTable, line)
        } else if line.count == 6, line.elementsEqual("COMMIT".utf8) {
            endTable()
        } else if start == Ascii.colon {
            entries.append(Entry(.chain(try declaration(words)), readFrom: line))
        } else {
            entries.append(try command(words, first, line))
        }
    }

    private func words(of line: ArraySlice<UInt8>) throws(RuleSetError) -> [Word] {
        // Declarations have no quotes: iptables splits them at blanks only.
        if line.first == Ascii.colon || line.first == Ascii.asterisk {
            return line.split(whereSeparator: Ascii.isBlank).map { Word(verbatim: String(decoding: $0, as: UTF8.self)) }
        }
        if isDump { return Word.rejoined(Word.splitPrinted(line)) }
        guard let words = Word.split(line) else { throw error(.unterminatedQuote, line) }
        return words
    }

    private mutating func beginTable(_ words: [Word], _ line: ArraySlice<UInt8>) throws(RuleSetError) {
        if table != nil { throw error(.tableInsideTable, line) }
        let name = String(words[0].value.dropFirst())
        guard words.count == 1, Chain.builtIn(ofTable: name) != nil else { throw error(.unknownTable, line) }
        table = (name, String(decoding: line, as: UTF8.self), number)
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
        let policy = ChainPolicy(rawValue: words[1].value)
        if policy == nil, words[1].value != "-" { throw error(.badPolicy, words[1].value) }
        guard words.count == 3 else { return Chain(name, policy: policy) }
        guard let counters = Counters(parsing: words[2].value) else { throw error(.badCounters, words[2].value) }
        return Chain(name, policy: policy, counters: counters)
    }

    private func chainName(_ name: String) throws(RuleSetError) -> String {
        guard isDump || Chain.isValidName(name) else { throw error(.badChainName, name) }
        return name
    }

    /// The commands of iptables(8) that make sense in a restore file, under both of their names.
    private static let commands: Set<String> = [
        "-I", "--insert", "-D", "--delete", "-R", "--replace", "-F", "--flush", "-Z", "--zero", "-N", "--new-chain",
        "--new", "-X", "--delete-chain", "-P", "--policy", "-E", "--rename-chain",
    ]
    /// Those of them that apply to all chains if none is named.
    private static let chainOptional: Set<String> = ["-F", "--flush", "-Z", "--zero", "-X", "--delete-chain"]

    private func command(
        _ words: [Word], _ first: Word, _ line: ArraySlice<UInt8>
    ) throws(RuleSetError) -> Entry {
        var counters: Counters?
        if first.value.utf8.first == UInt8(ascii: "[") {
            guard let read = Counters(parsing: first.value) else { throw error(.badCounters, first.value) }
            counters = read
        }
        let marked = words.dropFirst(counters == nil ? 0 : 1)
        let (plain, families) = FamilyMark.take(from: marked)
        let statement = try statement(plain, counters, line)
        if !families.isEmpty {
            // Both tools ignore a line that is marked for both.
            let isForAnother = families.count > 1 || family.map { !families.contains($0) } ?? false
            if isForAnother { return Entry(.note(String(decoding: line, as: UTF8.self))) }
            return Entry(family == nil ? .command(Array(marked)) : statement, readFrom: line)
        }
        guard case .rule = statement else { return Entry(statement, readFrom: line) }
        // A rule is written with the words that it was read from, regardless of its parsed form.
        let isCanonical =
            plain.count >= 2 && plain[plain.startIndex].spelling == "-A" && plain[plain.startIndex + 1].isPlain
            && first.isPlain && line.withUnsafeBufferPointer { words[...].spell($0) }
        return Entry(statement, readFrom: line, isCanonical: isCanonical)
    }

    private func statement(
        _ words: ArraySlice<Word>, _ counters: Counters?, _ line: ArraySlice<UInt8>
    ) throws(RuleSetError) -> Entry.Statement {
        guard let command = words.first else { throw error(.unknownCommand, line) }
        if !isDump { try refuseApostrophes(words) }
        let isAppend = command.value == "-A" || command.value == "--append"
        guard isAppend || Self.commands.contains(command.value) else { throw error(.unknownCommand, line) }
        let arguments = words.dropFirst()
        guard let chain = arguments.first else {
            if Self.chainOptional.contains(command.value) { return .command(Array(words)) }
            throw error(.missingChain, line)
        }
        _ = try chainName(chain.value)
        if ["-E", "--rename-chain"].contains(command.value) {
            guard let new = arguments.dropFirst().first else { throw error(.missingChain, line) }
            _ = try chainName(new.value)
        }
        do {
            let rule = try Rule(chain: chain.value, counters: counters, words: arguments.dropFirst())
            return isAppend ? .rule(rule) : .command(Array(words))
        } catch {
            throw self.error(.missingValue, error.option.value)
        }
    }

    /// `--comment 'two words'` is two words for iptables-restore, which refuses the second one without an explanation.
    ///
    /// iptables-save itself writes option values that contain an apostrophe in double quotes.
    private func refuseApostrophes(_ words: ArraySlice<Word>) throws(RuleSetError) {
        for index in words.indices.dropFirst()
        where words[index].spelling.utf8.first == Ascii.apostrophe && words[index - 1].value.hasPrefix("--") {
            throw error(.apostrophe, words[index].spelling)
        }
    }
}

/// Tracks the quotes of a line that iptables-save printed: they enclose a whole word or have no meaning.
private struct PrintedQuotes {
    /// Whether a quote is open.
    private(set) var isOpen = false
    private var isEscaped = false
    private var isInsideWord = false

    mutating func read(_ bytes: ArraySlice<UInt8>) {
        for byte in bytes {
            if isEscaped {
                isEscaped = false
            } else if isOpen {
                if byte == Ascii.backslash { isEscaped = true }
                if byte == Ascii.quote { (isOpen, isInsideWord) = (false, false) }
            } else if Ascii.isBlank(byte) {
                isInsideWord = false
            } else {
                isOpen = byte == Ascii.quote && !isInsideWord
                isInsideWord = true
            }
        }
    }
}
