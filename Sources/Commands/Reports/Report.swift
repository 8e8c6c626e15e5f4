import FoundationEssentials

/// A result that can be written as JSON.
package protocol Report: Encodable, Sendable {}

extension Report {
    /// One line of JSON with its keys in order, so that two runs compare as text.
    ///
    /// - Throws: `Failure` when a number cannot be written in JSON.
    package func json() throws(Failure) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
        } catch {
            throw Failure(.failed, "Cannot write the result as JSON: \(error).")
        }
    }
}

extension Array: Report where Element: Report {}
