import Foundation
import TestSupport

/// An object that latchkey printed with `--json`, with its keys and the types of their values.
struct JSON: CustomStringConvertible {
    private let values: [String: Any]
    let description: String

    /// Reads standard output, which must be one line with one object.
    init(_ finished: Finished) throws {
        description = finished.output
        let lines = finished.output.split(separator: "\n")
        guard lines.count == 1,
            let object = try? JSONSerialization.jsonObject(with: Data(lines[0].utf8)) as? [String: Any]
        else {
            throw SpawnError("not one JSON object: \(finished.output) (\(finished.status): \(finished.errors))")
        }
        values = object
    }

    private init(_ values: [String: Any]) {
        self.values = values
        description = "\(values)"
    }

    var keys: Set<String> { Set(values.keys) }

    /// The types of all values: `state: text, guard: object ...`.
    var kinds: [String: String] { values.mapValues(Self.kind) }

    func text(_ key: String) -> String? { values[key] as? String }
    func number(_ key: String) -> Int? { Self.kind(values[key] ?? 0) == "number" ? values[key] as? Int : nil }
    func truth(_ key: String) -> Bool? { Self.kind(values[key] ?? 0) == "bool" ? values[key] as? Bool : nil }
    func texts(_ key: String) -> [String]? { values[key] as? [String] }
    func object(_ key: String) -> JSON? { (values[key] as? [String: Any]).map(JSON.init) }

    func objects(_ key: String) -> [JSON]? { (values[key] as? [[String: Any]]).map { $0.map(JSON.init) } }

    private static func kind(_ value: Any) -> String {
        switch value {
        case is NSNull: "null"
        case is String: "text"
        // JSONSerialization returns both as NSNumber; only a Boolean has this type.
        case let number as NSNumber: CFBooleanLike.isTruth(number) ? "bool" : "number"
        case is [String]: "texts"
        case is [String: Any]: "object"
        default: "\(type(of: value))"
        }
    }
}

private enum CFBooleanLike {
    static func isTruth(_ number: NSNumber) -> Bool { String(cString: number.objCType) == "c" }
}
