import Host
import Netfilter

/// How far a change reaches into the rules that are there.
package enum ChangeScope: String, Codable, Sendable, CaseIterable {
    /// Only the chain INPUT of filter and its policy; jumps into other programs' chains stay, on apply and on revert.
    case inputChain
    /// The tables that the rule set names, as a whole.
    case tables
}

/// A file to put in place once the change is kept.
package struct KeptFile: Codable, Sendable, Equatable {
    /// Its absolute path.
    package var path: String
    /// Its content.
    package var text: String

    /// A file for root alone.
    package init(path: String, text: String) {
        self.path = path
        self.text = text
    }
}

/// What a change takes from a snapshot besides the rules.
package struct Restored: Codable, Sendable, Equatable {
    /// The snapshot's name.
    package var snapshot: String
    /// What decided about the next start then: put back when the change is kept, in place of what a change to new
    /// rules saves.
    package var saved: SavedState
    /// The sets that its rules name and that are missing now, as ipset(8) reads them; "" when none are.
    package var sets: String
    /// The tables that are there now and were not then.
    package var emptied: PerFamily<[String]>
}

/// Who asked for a change, as far as it can be told.
package struct Requester: Codable, Sendable, Equatable {
    /// The login name, through sudo the one before it.
    package var user: String
    /// The address of the SSH connection they came over, or nil at a console.
    package var address: String?

    /// A requester.
    package init(user: String, address: String?) {
        self.user = user
        self.address = address
    }
}

/// Everything the guard needs to know; it reads no answers and no templates.
package struct ChangeRequest: Codable, Sendable, Equatable {
    /// Names the change and its snapshot, for example `20261122-154210`.
    package var id: String
    /// How far it reaches.
    package var scope: ChangeScope
    /// The rules to activate, spelled as iptables-save prints them, so that a dump can be compared with them.
    package var rules: PerFamily<String>
    /// The files that a person wrote the rules in, for messages; nil where they were composed.
    package var sources: PerFamily<String>
    /// Which iptables applies and reverts them.
    package var backend: Backend
    /// Seconds from the moment the rules are in force until they are reverted.
    package var deadlineSeconds: Int
    /// Who asked.
    package var requester: Requester
    /// The ports sshd listens on: watched for fresh connections, and opened if nothing else can be put back.
    package var sshPorts: [UInt16]
    /// The admins' addresses and networks; they too are let in if nothing else can be put back.
    package var admins: [String]
    /// The answers to store when the change is kept.
    package var answers: KeptFile?
    /// Whether the kept rules are saved for the next start.
    package var persists: Bool

    /// The snapshot that it goes back to; nil for a change to new rules.
    package var restores: Restored?
    /// The sets that its rules look into, as ipset(8) reads them; nil for none.
    package var sets: String?

    /// The sets that are made before its rules: those of the rules, or those that a snapshot had and are missing.
    var madeSets: String { (sets ?? "") + (restores?.sets ?? "") }

    /// A request; see the properties.
    package init(
        id: String, scope: ChangeScope, rules: PerFamily<String>,
        sources: PerFamily<String> = PerFamily(), backend: Backend,
        deadlineSeconds: Int,
        requester: Requester, sshPorts: [UInt16], admins: [String], answers: KeptFile?, persists: Bool,
        restores: Restored? = nil, sets: String? = nil
    ) {
        self.id = id
        self.scope = scope
        self.rules = rules
        self.sources = sources
        self.backend = backend
        self.deadlineSeconds = deadlineSeconds
        self.requester = requester
        self.sshPorts = sshPorts
        self.admins = admins
        self.answers = answers
        self.persists = persists
        self.restores = restores
        self.sets = sets?.isEmpty == true ? nil : sets
    }
}
