import Host
import Netfilter

/// What loads saved rules when this machine boots.
///
/// Used to save kept rules, and by `doctor` and `status`.
package enum BootLoader: Sendable, Equatable {
    /// netfilter-persistent of Debian.
    case netfilterPersistent
    /// iptables-services of Red Hat's systems.
    case iptablesServices
    /// latchkey-restore.service, which latchkey writes itself.
    case ownUnit

    /// What loads the rules of a backend at boot; nil if nothing does.
    package init?(_ backend: Backend, in environment: ChangeEnvironment) {
        guard backend == .nftables else {
            self.init(environment)
            return
        }
        guard environment.initSystem.isSystemd else { return nil }
        self = .ownUnit
    }

    /// What loads the rules of iptables at boot; nil if nothing does.
    package init?(_ environment: ChangeEnvironment) {
        if Self.isNetfilterPersistentInUse(environment) {
            self = .netfilterPersistent
        } else if SecureFiles.exists(environment.layout.path(BootPath.servicesProgram)) {
            self = .iptablesServices
        } else if environment.initSystem.isSystemd {
            self = .ownUnit
        } else {
            return nil
        }
    }

    /// The file for the rules of a family, without the layout's root.
    package func rules(_ family: Family) -> String {
        switch self {
        case .netfilterPersistent: family == .ipv4 ? BootPath.persistentIPv4 : BootPath.persistentIPv6
        case .iptablesServices: family == .ipv4 ? BootPath.servicesIPv4 : BootPath.servicesIPv6
        case .ownUnit: RestoreUnit.rules(family)
        }
    }

    /// The file for sets, without the layout's root; nil if nothing loads them.
    func sets(in layout: Layout) -> String? {
        switch self {
        case .netfilterPersistent:
            SecureFiles.exists(layout.path(BootPath.persistentSetsPlugin)) ? BootPath.persistentSets : nil
        case .iptablesServices: nil
        case .ownUnit: RestoreUnit.sets
        }
    }

    /// The package that makes it load sets.
    var setsPackage: String {
        switch self {
        case .netfilterPersistent: "ipset-persistent"
        case .iptablesServices: "ipset-service"
        case .ownUnit: "ipset"
        }
    }

    /// Whether netfilter-persistent loads iptables' rules at boot.
    ///
    /// It needs the plug-in of Debian's iptables-persistent and, with systemd, must be enabled; otherwise the rules would
    /// be lost at boot. Under another root, whose packages may be incomplete, the program is enough.
    private static func isNetfilterPersistentInUse(_ environment: ChangeEnvironment) -> Bool {
        guard environment.toolbox.find("netfilter-persistent") != nil else { return false }
        let initSystem = environment.initSystem
        guard initSystem.isOfThisMachine else { return true }
        guard SecureFiles.exists(BootPath.persistentRulesPlugin) else { return false }
        return !initSystem.isSystemd || initSystem.units.isEnabled("netfilter-persistent.service")
    }
}
