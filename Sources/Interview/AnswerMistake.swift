/// The errors in an answer, one for each wrong part.
package struct AnswerMistake: Error, Equatable, Sendable {
    /// One wrong part of the line.
    package struct Part: Equatable, Sendable {
        /// The wrong words as the user typed them.
        package let text: String
        /// What is wrong and how to fix it.
        package let message: String
    }

    /// The wrong parts, in the order in which they appear in the line.
    package let parts: [Part]

    init(_ parts: [Part]) {
        self.parts = parts
    }

    init(_ text: String, _ message: String) {
        self.init([Part(text: text, message: message)])
    }
}
