/// What is wrong with an answer, part by part.
package struct AnswerMistake: Error, Equatable, Sendable {
    /// One wrong part of the line.
    package struct Part: Equatable, Sendable {
        /// The offending words as they were typed.
        package let text: String
        /// What is wrong and what to do, in plain words.
        package let message: String
    }

    /// The wrong parts, in the order of the line.
    package let parts: [Part]

    init(_ parts: [Part]) {
        self.parts = parts
    }

    init(_ text: String, _ message: String) {
        self.init([Part(text: text, message: message)])
    }
}
