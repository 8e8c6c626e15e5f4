import Dispatch

/// Runs a prompter on a thread of its own: waiting for a person must not hold up a thread that others share.
final class TerminalExecutor: SerialExecutor {
    private let queue = DispatchQueue(label: "latchkey.terminal")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let executor = asUnownedSerialExecutor()
        queue.async { job.runSynchronously(on: executor) }
    }
}
