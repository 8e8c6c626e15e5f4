import Host
import Netfilter

/// A service of the system that loads the rules of iptables from its own files at boot.
package struct BootService: Sendable, Equatable {
    /// When the service loads its files.
    enum Condition: Sendable, Equatable {
        /// netfilter-persistent has its plug-in for rules and, with systemd, is enabled.
        case netfilterPersistent
        /// A program exists.
        case program(String)
        /// These units of systemd are enabled, and their commands name the files.
        case units(PerFamily<String>)
        /// These services of OpenRC are started at boot, and these variables of theirs name the files.
        case services(PerFamily<String>, variables: PerFamily<String>)
    }

    /// What creates the sets that the rules name, before the service loads them.
    enum Sets: Sendable, Equatable {
        /// The plug-in of netfilter-persistent, if it is installed; otherwise as `own`.
        case plugin(String, file: String)
        /// latchkey's own unit or script, ordered before the service.
        case own
    }

    /// Its name for a person.
    package let name: String
    /// The files of both families, without the layout's root.
    package let rules: PerFamily<String>
    let condition: Condition
    let sets: Sets

    /// All services that latchkey saves rules for; the first one that is used on a machine counts.
    static let all = [
        BootService(
            name: "netfilter-persistent",
            rules: PerFamily(ipv4: BootPath.persistentIPv4, ipv6: BootPath.persistentIPv6),
            condition: .netfilterPersistent,
            sets: .plugin(BootPath.persistentSetsPlugin, file: BootPath.persistentSets)),
        BootService(
            name: "iptables-services",
            rules: PerFamily(ipv4: BootPath.servicesIPv4, ipv6: BootPath.servicesIPv6),
            condition: .program(BootPath.servicesProgram), sets: .own),
        // The package iptables of Arch.
        BootService(
            name: "iptables.service",
            rules: PerFamily(ipv4: "/etc/iptables/iptables.rules", ipv6: "/etc/iptables/ip6tables.rules"),
            condition: .units(PerFamily(ipv4: "iptables.service", ipv6: "ip6tables.service")), sets: .own),
        // net-firewall/iptables of Gentoo, with systemd.
        BootService(
            name: "iptables-restore.service",
            rules: PerFamily(ipv4: "/var/lib/iptables/rules-save", ipv6: "/var/lib/ip6tables/rules-save"),
            condition: .units(PerFamily(ipv4: "iptables-restore.service", ipv6: "ip6tables-restore.service")),
            sets: .own),
        // Alpine; its older packages; Gentoo.
        openRC("/etc/iptables/rules-save", "/etc/iptables/rules6-save"),
        openRC("/etc/iptables/rules-save", "/var/lib/ip6tables/rules-save"),
        openRC("/var/lib/iptables/rules-save", "/var/lib/ip6tables/rules-save"),
    ]

    private static func openRC(_ ipv4: String, _ ipv6: String) -> BootService {
        BootService(
            name: "OpenRC's iptables", rules: PerFamily(ipv4: ipv4, ipv6: ipv6),
            condition: .services(
                PerFamily(ipv4: "iptables", ipv6: "ip6tables"),
                variables: PerFamily(ipv4: "IPTABLES_SAVE", ipv6: "IP6TABLES_SAVE")),
            sets: .own)
    }

    /// The files of all services, without the layout's root.
    static let files: [(family: Family, path: String)] = all.flatMap(\.rules.present).reduce(into: []) { files, file in
        if !files.contains(where: { $0.path == file.value }) { files.append((file.family, file.value)) }
    }

    /// The file for sets, without the layout's root.
    func setsFile(in layout: Layout) -> String {
        if case .plugin(let plugin, let file) = sets, SecureFiles.exists(layout.path(plugin)) { return file }
        return RestoreUnit.sets
    }

    /// Its units or services by the names that another unit or service uses to be ordered before them.
    func orderNames(_ families: [Family]) -> [String] {
        switch condition {
        case .netfilterPersistent: ["netfilter-persistent.service"]
        // iptables-services of Red Hat's systems.
        case .program: families.map { $0 == .ipv4 ? "iptables.service" : "ip6tables.service" }
        case .units(let names), .services(let names, _): families.compactMap { names[$0] }
        }
    }

    /// Whether it loads the files of all families that the kernel has at boot.
    func isInUse(in environment: ChangeEnvironment) -> Bool {
        let initSystem = environment.initSystem
        switch condition {
        case .netfilterPersistent:
            return Self.isNetfilterPersistentInUse(environment)
        case .program(let path):
            return SecureFiles.exists(environment.layout.path(path))
        case .units(let units):
            guard initSystem.isSystemd else { return false }
            return environment.families.allSatisfy { family in
                guard let unit = units[family], let path = rules[family] else { return false }
                let commands = initSystem.units.values(of: "ExecStart", in: unit)
                return initSystem.units.isEnabled(unit)
                    && commands.contains { $0.value.split(separator: " ").contains { $0 == path } }
            }
        case .services(let names, let variables):
            guard initSystem.isOpenRC else { return false }
            return environment.families.allSatisfy { family in
                guard let name = names[family], let variable = variables[family] else { return false }
                return !initSystem.services.levels(of: name).isEmpty
                    && initSystem.services.setting(variable, of: name) == rules[family]
            }
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
