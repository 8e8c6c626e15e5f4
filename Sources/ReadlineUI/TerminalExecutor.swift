import Dispatch

/// Runs a prompter on its own thread, so that waiting for the user does not block a shared thread.
final class TerminalExecutor: SerialExecutor {
    private let queue = DispatchQueue(label: "latchkey.terminal")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let executor = asUnownedSerialExecutor()
        queue.async { job.runSynchronously(on: executor) }
    }
}
