// libYAML's event parser: events allow checks before anything is built, and all mistakes are reported.
private import CYAML

/// One step of libYAML through a document.
struct YAMLEvent {
    enum Kind {
        case documentStart(directives: Bool)
        case alias
        case scalar(String, YAMLScalarStyle)
        case sequenceStart, sequenceEnd
        case mappingStart, mappingEnd
        /// The ends of documents and of the stream, which have no content.
        case other
    }

    let kind: Kind
    /// Where it begins and ends; lines and columns count from 1, columns in characters.
    let start: YAMLMark
    let end: YAMLMark
    let hasAnchor: Bool
    let hasTag: Bool

    /// The same event in a text that ends there: after a last line without a line end, libYAML counts another line.
    func inside(_ textEnd: YAMLMark) -> YAMLEvent {
        YAMLEvent(
            kind: kind, start: start.inside(textEnd), end: end.inside(textEnd), hasAnchor: hasAnchor, hasTag: hasTag)
    }
}

enum YAMLScalarStyle {
    case plain, quoted, block
}

struct YAMLMark: Equatable {
    let line: Int
    let column: Int

    fileprivate func inside(_ textEnd: YAMLMark) -> YAMLMark { line <= textEnd.line ? self : textEnd }
}

/// Why libYAML stopped.
struct YAMLSyntaxError {
    let problem: String
    let place: YAMLMark
    /// What it was reading, and where that began.
    let context: (text: String, line: Int)?
}

enum YAMLEvents {
    /// Walks through `text` event by event until the end, an error or a `false` from `body`.
    static func walk(_ text: String, _ body: (YAMLEvent) -> Bool) -> YAMLSyntaxError? {
        var text = text
        return text.withUTF8 { bytes in
            // libYAML keeps pointers into its own state, so the state must not move: not a Swift variable.
            let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
            parser.initialize(to: yaml_parser_t())
            defer {
                yaml_parser_delete(parser)
                parser.deinitialize(count: 1)
                parser.deallocate()
            }
            guard yaml_parser_initialize(parser) == 1 else {
                return YAMLSyntaxError(
                    problem: "out of memory", place: YAMLMark(line: 1, column: 1), context: nil)
            }
            yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
            yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
            while true {
                var event = yaml_event_t()
                guard yaml_parser_parse(parser, &event) == 1 else { return syntaxError(parser.pointee) }
                defer { yaml_event_delete(&event) }
                if event.type == YAML_STREAM_END_EVENT || event.type == YAML_NO_EVENT { return nil }
                guard body(translate(event)) else { return nil }
            }
        }
    }

    private static func translate(_ event: yaml_event_t) -> YAMLEvent {
        let data = event.data
        var anchor = false
        var tag = false
        let kind: YAMLEvent.Kind
        switch event.type {
        case YAML_DOCUMENT_START_EVENT:
            let tags = data.document_start.tag_directives
            kind = .documentStart(directives: data.document_start.version_directive != nil || tags.start != tags.end)
        case YAML_ALIAS_EVENT:
            kind = .alias
        case YAML_SCALAR_EVENT:
            let scalar = data.scalar
            anchor = scalar.anchor != nil
            tag = scalar.tag != nil
            let value = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            kind = .scalar(String(decoding: value, as: UTF8.self), style(scalar.style))
        case YAML_SEQUENCE_START_EVENT:
            anchor = data.sequence_start.anchor != nil
            tag = data.sequence_start.tag != nil
            kind = .sequenceStart
        case YAML_MAPPING_START_EVENT:
            anchor = data.mapping_start.anchor != nil
            tag = data.mapping_start.tag != nil
            kind = .mappingStart
        case YAML_SEQUENCE_END_EVENT: kind = .sequenceEnd
        case YAML_MAPPING_END_EVENT: kind = .mappingEnd
        default: kind = .other
        }
        return YAMLEvent(
            kind: kind, start: mark(event.start_mark), end: mark(event.end_mark), hasAnchor: anchor, hasTag: tag)
    }

    private static func style(_ style: yaml_scalar_style_t) -> YAMLScalarStyle {
        switch style {
        case YAML_PLAIN_SCALAR_STYLE: .plain
        case YAML_LITERAL_SCALAR_STYLE, YAML_FOLDED_SCALAR_STYLE: .block
        default: .quoted
        }
    }

    private static func syntaxError(_ parser: yaml_parser_t) -> YAMLSyntaxError {
        YAMLSyntaxError(
            problem: parser.problem.map { String(cString: $0) } ?? "unknown problem",
            place: mark(parser.problem_mark),
            context: parser.context.map { (String(cString: $0), mark(parser.context_mark).line) })
    }

    private static func mark(_ mark: yaml_mark_t) -> YAMLMark {
        YAMLMark(line: Int(clamping: mark.line) + 1, column: Int(clamping: mark.column) + 1)
    }
}
