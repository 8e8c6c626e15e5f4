import Policy

// Swift Testing has an `Expectation` too; a file that does not import it can distinguish the two.
/// What a plan promises about one packet.
typealias PacketExpectation = Expectation
