/// One line to be asked for.
package struct LineRequest: Equatable, Sendable {
    /// What stands before the cursor.
    package var prompt: String
    /// What is in the line already, to be edited.
    package var prefill: String
    /// The words that Tab completes to.
    package var completions: [String]
    /// Lines entered under the same name come back with the arrow keys.
    package var history: String

    /// Makes a request.
    package init(prompt: String, prefill: String = "", completions: [String] = [], history: String = "") {
        self.prompt = prompt
        self.prefill = prefill
        self.completions = completions
        self.history = history
    }
}

/// What came of asking for a line.
package enum LineInput: Equatable, Sendable {
    /// The person entered this line, without its newline.
    case line(String)
    /// Nothing more will come: the end of the pipe, a terminal that is gone.
    case endOfInput
    /// The person pressed Ctrl-D at a terminal, where more can come.
    case endedByKey
    /// The person pressed Ctrl-C.
    case interrupted
    /// The ticking said that the answer is no longer needed.
    case overtaken
}

/// What the asking program wants to change on the screen while a line is being typed.
package struct Tick: Equatable, Sendable {
    /// Lines to print above the one being typed.
    package var lines: [Line]
    /// The prompt from now on.
    package var prompt: String
    /// Whether to stop asking: what was typed is dropped.
    package var stops: Bool

    /// Makes a tick.
    package init(lines: [Line] = [], prompt: String, stops: Bool = false) {
        self.lines = lines
        self.prompt = prompt
        self.stops = stops
    }
}
