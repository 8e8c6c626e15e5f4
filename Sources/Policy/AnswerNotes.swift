extension Answers {
    /// What a person should know about these answers before they become rules, one sentence each.
    package var notes: [String] { mergedAddressNotes + [unusedSSHSourceNote, slowLoginNote].compactMap(\.self) }

    /// A sentence about a source of the service ssh, which has no effect; nil if there is none.
    var unusedSSHSourceNote: String? {
        guard services.contains(where: { $0.name == "ssh" && $0.from != nil }) else { return nil }
        return
            "services: \"from\" of ssh has no effect, because the key \"ssh\" alone decides about SSH. To limit who can "
            + "log in, write \"ssh: { from: ... }\" as a key of its own."
    }
}
