import FoundationEssentials

/// JSON with sorted keys, on one line.
package enum JSONText {
    /// A value as JSON.
    package static func encode(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // The types encoded here contain only strings, integers and flags, all of which JSON can represent.
        guard let data = try? encoder.encode(value) else { preconditionFailure("\(type(of: value)) is not JSON") }
        return String(decoding: data, as: UTF8.self)
    }

    /// A value of a type, or nil when the bytes are not one.
    package static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) -> Value? {
        try? JSONDecoder().decode(type, from: Data(bytes))
    }
}
