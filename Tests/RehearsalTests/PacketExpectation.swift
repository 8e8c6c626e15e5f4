import Policy

// Swift Testing has an `Expectation` too; a file that does not import it can tell them apart.
/// What a plan promises about one packet.
typealias PacketExpectation = Expectation
