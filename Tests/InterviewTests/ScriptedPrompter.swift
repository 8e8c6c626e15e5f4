import Interview
import Policy
import Testing

/// A prompter with a script of expected prompts and answers.
///
/// Unexpected prompts and unused steps fail the test.
actor ScriptedPrompter: Prompter {
    /// One expected prompt and the input for it.
    enum Step: Sendable {
        /// Types the text at a prompt with this ending.
        case type(String, at: String)
        /// Types after this many ticks.
        case afterTicks(Int, type: String, at: String)
        /// Watches until the prompt is closed.
        case watch
        /// Closes the input pipe.
        case endOfInput
        /// Presses Ctrl-D.
        case endByKey
        /// Presses Ctrl-C.
        case interrupt
    }

    private var steps: [Step]
    private(set) var transcript = ""
    private(set) var prefills: [String] = []
    /// The length of the transcript when the typeahead was discarded.
    private(set) var discards: [String] = []
    private let width: Int

    init(_ steps: [Step], columns: Int = 80) {
        self.steps = steps
        width = columns
    }

    var columns: Int { width }

    func write(_ lines: [Line]) {
        for line in lines { transcript += line.text + "\n" }
    }

    func discardTypedAhead() { discards.append(transcript) }

    func readLine(_ request: LineRequest) async -> LineInput {
        await answer(request) { Tick(prompt: request.prompt) }
    }

    func readLine(
        _ request: LineRequest, every interval: Duration, onTick: @Sendable () async -> Tick
    ) async -> LineInput {
        await answer(request, onTick)
    }

    private func answer(_ request: LineRequest, _ onTick: @Sendable () async -> Tick) async -> LineInput {
        prefills.append(request.prefill)
        guard !steps.isEmpty else {
            Issue.record("unexpected prompt: \(request.prompt)")
            return .endOfInput
        }
        switch steps.removeFirst() {
        case .type(let text, let ending):
            return entered(text, request.prompt, expected: ending)
        case .afterTicks(let count, let text, let ending):
            var prompt = request.prompt
            for _ in 0..<count {
                let tick = await onTick()
                write(tick.lines)
                if tick.stops { return .overtaken }
                prompt = tick.prompt
            }
            return entered(text, prompt, expected: ending)
        case .watch:
            for _ in 0..<1000 {
                let tick = await onTick()
                write(tick.lines)
                if tick.stops { return .overtaken }
            }
            Issue.record("the prompt never ended")
            return .endOfInput
        case .endOfInput: return .endOfInput
        case .endByKey: return .endedByKey
        case .interrupt: return .interrupted
        }
    }

    private func entered(_ text: String, _ prompt: String, expected ending: String) -> LineInput {
        if !prompt.hasSuffix(ending) { Issue.record("expected the prompt \(ending), not \(prompt)") }
        transcript += prompt + (text.isEmpty ? "<Enter>" : text) + "\n"
        return .line(text)
    }

    /// Fails if an expected prompt was never shown.
    func finish() {
        if !steps.isEmpty { Issue.record("prompts never shown: \(steps)") }
    }
}

/// Wizard actions with fixed results. They record each call.
actor FakeWizardActions: WizardActions {
    private(set) var calls: [String] = []
    private let summary: Result<ChangeSummary, Refusal>
    private var reports: [RehearsalReport]

    init(_ summary: Result<ChangeSummary, Refusal> = .success(.tutorial), reports: [RehearsalReport] = [.allWell]) {
        self.summary = summary
        self.reports = reports
    }

    func importAnswers() async throws(Refusal) -> (answers: Answers, notes: [String]) { throw Refusal(["none"]) }

    func compose(_ answers: Answers, takingOver: Bool) async throws(Refusal) -> ChangeSummary {
        calls.append("compose")
        return try summary.get()
    }

    func rehearse(_ answers: Answers, takingOver: Bool) async -> RehearsalReport {
        calls.append("rehearse")
        return reports.count > 1 ? reports.removeFirst() : reports[0]
    }

    func rules(_ answers: Answers) async -> [String] {
        calls.append("rules")
        return ["*filter", ":INPUT DROP [0:0]", "-A INPUT -i lo -m comment --comment \"latchkey: loopback\" -j ACCEPT"]
    }

    func difference(_ answers: Answers, takingOver: Bool) async -> [String] {
        calls.append("diff")
        return ["-:INPUT ACCEPT", "+:INPUT DROP"]
    }

    func deadline(_ text: String) async throws(Refusal) -> Int {
        calls.append("deadline \(text)")
        guard text == "5m" else { throw Refusal(["\"\(text)\" is not a duration; write 45, 45s or 5m."]) }
        return 300
    }

    func save(_ answers: Answers, to path: String?) async throws(Refusal) -> String {
        calls.append("save \(path ?? "-")")
        if path == "/nowhere" { throw Refusal(["\"/nowhere\" cannot be written."]) }
        return "Saved in \(path ?? "answers.yaml")."
    }
}
