/// The person at the other end: lines go out to them, and lines come back.
package protocol Prompter: Sendable {
    /// How wide their screen is at this moment.
    var columns: Int { get async }

    /// Shows lines.
    func write(_ lines: [Line]) async

    /// Drops what a person at a terminal typed before they could see what is asked next; a pipe's input stays.
    func discardTypedAhead() async

    /// Asks for a line and waits for it.
    func readLine(_ request: LineRequest) async -> LineInput

    /// Asks for a line and calls `onTick` every `interval` meanwhile, without disturbing what is being typed.
    func readLine(
        _ request: LineRequest, every interval: Duration, onTick: @Sendable () async -> Tick
    ) async -> LineInput
}
