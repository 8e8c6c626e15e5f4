/// The chains of the table filter through which latchkey decides about published ports, whose packets bypass INPUT.
package enum PublishedChains {
    /// latchkey's own chain: it returns what is allowed and drops the rest.
    package static let own = "latchkey-docker"
    /// Docker's chain for its users: Docker creates it where it is missing, and never changes the rules in it.
    package static let dockerUser = "DOCKER-USER"
    /// The chains of others from which a rule of latchkey's leads to its own chain.
    ///
    /// When Docker starts, it puts its own rules ahead of those in FORWARD, and the jump to DOCKER-USER ahead of them.
    /// Podman, and Docker with nftables, have no such chain, and for them the rule in FORWARD decides.
    package static let shared = ["FORWARD", dockerUser]
}
