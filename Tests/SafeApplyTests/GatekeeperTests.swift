import Host
import Synchronization
import Testing

@testable import SafeApply

@Suite("The gatekeeper")
struct GatekeeperTests {
    /// Gates that count what is done to them.
    private final class CountedGates: GateControl {
        let renewals = Mutex(0)
        let closings = Mutex(0)

        func renew() throws(HostError) { renewals.withLock { $0 += 1 } }
        func close() throws(HostError) { closings.withLock { $0 += 1 } }
        var areClosed: Bool { closings.withLock { $0 > 0 } }
    }

    /// A clock that stands still until it is moved, in milliseconds.
    private final class Hand: Sendable {
        let milliseconds = Mutex<Int64>(100_000)

        var clock: BootClock { BootClock(now: { self.now }, date: { 0 }) }
        var now: BootInstant { BootInstant(nanoseconds: 0).advanced(milliseconds: milliseconds.withLock { $0 }) }
        func move(_ by: Int64) { milliseconds.withLock { $0 += by } }
    }

    @Test("a guard that was started again renews nothing before it has lived for a second")
    func probation() throws {
        let (gates, hand) = (CountedGates(), Hand())
        // Each of these guards is killed within the second, whenever the gates were renewed last.
        for age in [0, 2_000, 5_000, 9_000] as [Int64] {
            let keeper = Gatekeeper(gates, clock: hand.clock)
            let renewed = hand.now.advanced(milliseconds: -age)
            keeper.resume(until: hand.now.advanced(milliseconds: 300_000), renewed: renewed)
            for _ in 0..<9 {
                _ = keeper.turn()
                hand.move(Gatekeeper.probation / 10)
            }
            keeper.end()
            #expect(keeper.renewed == renewed)
        }
        #expect(gates.renewals.withLock { $0 } == 0)
        let keeper = Gatekeeper(gates, clock: hand.clock)
        keeper.resume(
            until: hand.now.advanced(milliseconds: 300_000), renewed: hand.now.advanced(milliseconds: -3_000))
        hand.move(Gatekeeper.probation)
        _ = keeper.turn()
        keeper.end()
        #expect(gates.renewals.withLock { $0 } == 1)
        #expect(keeper.renewed == hand.now)
    }

    @Test("the deadline closes the gates even in that second")
    func deadline() throws {
        let (gates, hand) = (CountedGates(), Hand())
        let keeper = Gatekeeper(gates, clock: hand.clock)
        keeper.resume(until: hand.now.advanced(milliseconds: 500), renewed: hand.now)
        hand.move(500)
        _ = keeper.turn()
        #expect(keeper.phase == .closed && gates.areClosed)
        #expect(gates.renewals.withLock { $0 } == 0)
    }
}
