import Host
import Netfilter

/// Which of the active rules a change replaces.
package enum ChangeScope: String, Codable, Sendable, CaseIterable {
    /// Only the chain INPUT of filter and its policy; jumps into other programs' chains stay, on apply and on revert.
    case inputChain
    /// The same, and the policy of INPUT becomes that of the rule set.
    case inputAndPolicy
    /// The tables that the rule set names, as a whole.
    case tables
    /// The rules that the rule set names, and those with latchkey's comment: they go, and all others stay.
    case removal
}

/// A file to write when the change is kept.
package struct KeptFile: Codable, Sendable, Equatable {
    /// Its absolute path.
    package var path: String
    /// Its content.
    package var text: String

    /// A file that only root can read.
    package init(path: String, text: String) {
        self.path = path
        self.text = text
    }
}

/// What a change restores from a snapshot besides the rules.
package struct Restored: Codable, Sendable, Equatable {
    /// The snapshot's name.
    package var snapshot: String
    /// The files for boot at the time of the snapshot: written when the change is kept, in place of those that a change
    /// to new rules saves.
    package var saved: SavedState
    /// The sets that its rules name and that are missing now, as ipset(8) reads them; "" if none are.
    package var sets: String
    /// The tables that exist now and did not exist then.
    package var emptied: PerFamily<[String]>
}

/// Who requested a change, as far as it is known.
package struct Requester: Codable, Sendable, Equatable {
    /// The login name; with sudo, the name of the user who logged in.
    package var user: String
    /// The client's address of their SSH connection; nil at a console.
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
    /// Its scope.
    package var scope: ChangeScope
    /// The rules to activate, spelled as iptables-save prints them, so that a dump can be compared with them.
    package var rules: PerFamily<String>
    /// The names of hand-written rule files, for messages; nil if the rules were composed from answers.
    package var sources: PerFamily<String>
    /// The nftables tables to activate, as nft(8) reads them; nil for iptables.
    package var tables: String?
    /// Which backend applies and reverts them.
    package var backend: Backend
    /// Seconds from the moment the rules become active until they are rolled back.
    package var deadlineSeconds: Int
    /// The rules of the last kept change, if another backend holds them: they go when this change is kept.
    package var retirement: Retirement?
    /// Who requested it.
    package var requester: Requester
    /// The ports sshd listens on: watched for new logins, and opened by the emergency opening.
    package var sshPorts: [UInt16]
    /// The admins' addresses and networks; the emergency opening allows them.
    package var admins: [String]
    /// The answers to store when the change is kept.
    package var answers: KeptFile?
    /// Whether the kept rules are saved to disk for boot.
    package var persists: Bool

    /// The snapshot that it restores; nil for a change to new rules.
    package var restores: Restored?
    /// The other firewall managers that go when it is kept; nil for none.
    package var takeOver: TakeOver?
    /// The sets that its rules look into, as ipset(8) reads them; nil for none.
    package var sets: String?

    /// The names of the managers that go when it is kept.
    var taking: Set<String> { Set((takeOver?.managers ?? []).map(\.name)) }

    /// The sets that are made before its rules: those of the rules, or those that a snapshot had and are missing.
    var madeSets: String { (sets ?? "") + (restores?.sets ?? "") }

    /// A request; see the properties.
    package init(
        id: String, scope: ChangeScope, rules: PerFamily<String>,
        tables: String? = nil, sources: PerFamily<String> = PerFamily(), backend: Backend,
        deadlineSeconds: Int,
        requester: Requester, sshPorts: [UInt16], admins: [String], answers: KeptFile?, persists: Bool,
        restores: Restored? = nil, sets: String? = nil
    ) {
        self.id = id
        self.scope = scope
        self.rules = rules
        self.tables = tables
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

    /// The change that takes away the kept rules of another backend; nil if there are none.
    var retirementRequest: ChangeRequest? {
        retirement.map { retirement in
            ChangeRequest(
                id: id, scope: .removal, rules: retirement.rules, tables: retirement.tables,
                backend: retirement.backend, deadlineSeconds: deadlineSeconds, requester: requester,
                sshPorts: sshPorts, admins: admins, answers: nil, persists: false)
        }
    }
}
