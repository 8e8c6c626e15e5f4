import Foundation
import Glibc

/// A call of the C library that Swift's Glibc module does not show (setns(2)).
private typealias EnterNamespace = @convention(c) (Int32, Int32) -> Int32

extension NetworkNamespace {
    /// Runs code of this process in the namespace, on a thread of its own; this process stays where it is.
    ///
    /// Only root may do that: from a process with several threads nobody enters a user namespace.
    package func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        let path = "/proc/\(holderID)/ns/net"
        return try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result {
                        try Self.enter(path)
                        return try body()
                    })
            }
        }
    }

    /// Moves the calling thread.
    private static func enter(_ path: String) throws {
        guard let symbol = dlsym(nil, "setns") else { throw SpawnError("the C library has no setns") }
        let namespace = open(path, O_RDONLY | O_CLOEXEC)
        defer { Glibc.close(namespace) }
        // CLONE_NEWNET of linux/sched.h: nothing but a network namespace.
        guard unsafeBitCast(symbol, to: EnterNamespace.self)(namespace, 0x4000_0000) == 0 else {
            throw SpawnError("\(path) could not be entered: errno \(errno)")
        }
    }
}
