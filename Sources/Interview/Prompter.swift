/// Shows lines to the user and reads lines from the user.
package protocol Prompter: Sendable {
    /// The current width of the screen.
    var columns: Int { get async }

    /// Shows lines.
    func write(_ lines: [Line]) async

    /// Discards what the user typed at a terminal before the next prompt appeared. Input from a pipe is not discarded.
    func discardTypedAhead() async

    /// Asks for a line and waits for it.
    func readLine(_ request: LineRequest) async -> LineInput

    /// Asks for a line. Meanwhile, calls `onTick` every `interval` without disturbing the typed text.
    func readLine(
        _ request: LineRequest, every interval: Duration, onTick: @Sendable () async -> Tick
    ) async -> LineInput
}
