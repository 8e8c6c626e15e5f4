import FoundationEssentials

/// A result that can be written as JSON.
package protocol Report: Encodable, Sendable {}

extension Report {
    /// One line of JSON with sorted keys, so that the output of two runs can be compared as text.
    ///
    /// - Throws: `Failure` if a value cannot be written in JSON.
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
