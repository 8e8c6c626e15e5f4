import Netfilter

/// The kernel's sets and rules for temporary entries, of one backend.
protocol TemporaryBackend: Sendable {
    /// All elements that the kernel holds now.
    ///
    /// - Throws: if they cannot be read.
    func elements() async throws(ChangeError) -> [TemporaryElement]

    /// Adds elements and removes others; makes the sets and rules where they are missing.
    ///
    /// - Parameters:
    ///   - added: the elements to add; one that is there gets the new time.
    ///   - removed: the elements to remove, which are there.
    ///   - admins: the sources that no entry blocks.
    /// - Throws: if a part of it fails.
    func edit(
        adding added: [TemporaryElement], removing removed: [TemporaryElement], admins: UnblockedSources
    ) async throws(ChangeError)

    /// Whether packets of a family pass the rules ahead of all others.
    ///
    /// - Throws: if the rules cannot be read.
    func isActive(_ family: Family) async throws(ChangeError) -> Bool

    /// The interfaces through which admins come in, whom no entry blocks.
    ///
    /// - Throws: if the rules cannot be read.
    func unblockedInterfaces(_ family: Family) async throws(ChangeError) -> [InterfaceName]

    /// Removes all elements, sets and rules.
    ///
    /// - Throws: the first error, after every family has been tried.
    func removeAll() async throws(ChangeError)
}
