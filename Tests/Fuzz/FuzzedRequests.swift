import Dispatch

@testable import Host
@testable import SafeApply

/// The guard's socket protocol: what the requests of a client, one a line, may bring a pending change to.
enum FuzzedRequests {
    private static let done = DispatchSemaphore(value: 0)

    /// Where inputs go: a task of its own has the guard.
    private static let inputs: AsyncStream<[UInt8]>.Continuation = {
        let (stream, continuation) = AsyncStream.makeStream(of: [UInt8].self)
        Task.detached {
            var change = PendingChange()
            for await bytes in stream {
                await change.take(bytes)
                done.signal()
            }
        }
        return continuation
    }()

    static func read(_ bytes: [UInt8]) {
        inputs.yield(bytes)
        done.wait()
        checkCoding(bytes)
    }

    /// What a line is read as is written and read back as the same, by both ends.
    private static func checkCoding(_ bytes: [UInt8]) {
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            if let request = JSONText.decode(GuardRequest.self, from: Array(line)) {
                let written = Array(JSONText.encode(request).utf8)
                require(JSONText.decode(GuardRequest.self, from: written) == request, "written as another request")
            }
            if let reply = JSONText.decode(GuardReply.self, from: Array(line)) {
                let written = Array(JSONText.encode(reply).utf8)
                require(JSONText.decode(GuardReply.self, from: written) == reply, "written as another reply")
            }
        }
    }
}
