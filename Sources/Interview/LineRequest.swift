/// A request for one line of input.
package struct LineRequest: Equatable, Sendable {
    /// The text before the cursor.
    package var prompt: String
    /// The initial text of the line, for editing.
    package var prefill: String
    /// The words that Tab completes.
    package var completions: [String]
    /// The name of the history.
    ///
    /// The arrow keys recall lines that were entered under the same name.
    package var history: String

    /// Creates a request.
    package init(prompt: String, prefill: String = "", completions: [String] = [], history: String = "") {
        self.prompt = prompt
        self.prefill = prefill
        self.completions = completions
        self.history = history
    }
}

/// The result of asking for a line.
package enum LineInput: Equatable, Sendable {
    /// The user entered this line, without its newline.
    case line(String)
    /// The input has ended: the pipe was closed or the terminal is gone.
    case endOfInput
    /// The user pressed Ctrl-D at a terminal. More input can follow.
    case endedByKey
    /// The user pressed Ctrl-C.
    case interrupted
    /// A tick ended the request: the answer is no longer needed.
    case overtaken
}

/// A screen update while the user is typing.
package struct Tick: Equatable, Sendable {
    /// Lines to print above the line that is being typed.
    package var lines: [Line]
    /// The new prompt.
    package var prompt: String
    /// Whether to end the request.
    ///
    /// The typed text is discarded.
    package var stops: Bool

    /// Creates a tick.
    package init(lines: [Line] = [], prompt: String, stops: Bool = false) {
        self.lines = lines
        self.prompt = prompt
        self.stops = stops
    }
}
