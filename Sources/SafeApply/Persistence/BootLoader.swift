import Host
import Netfilter

/// What loads saved rules when this machine boots.
///
/// Used to save kept rules, and by `doctor` and `status`.
package enum BootLoader: Sendable, Equatable {
    /// A service of the system, from its own files.
    case service(BootService)
    /// latchkey-restore.service, which latchkey writes itself.
    case ownUnit
    /// /etc/init.d/latchkey-restore, which latchkey writes itself for OpenRC.
    case ownScript

    /// What loads the rules of a backend at boot; nil if nothing does.
    package init?(_ backend: Backend, in environment: ChangeEnvironment) {
        if backend != .nftables, let service = BootService.all.first(where: { $0.isInUse(in: environment) }) {
            self = .service(service)
        } else if environment.initSystem.isSystemd {
            self = .ownUnit
        } else if environment.initSystem.isOpenRC {
            self = .ownScript
        } else {
            return nil
        }
    }

    /// What loads the rules of iptables at boot; nil if nothing does.
    package init?(_ environment: ChangeEnvironment) { self.init(.nft, in: environment) }

    /// Whether latchkey writes it.
    var isOwn: Bool { service == nil }

    /// The service of the system, or nil.
    var service: BootService? { if case .service(let service) = self { service } else { nil } }

    /// Its name for a person.
    package var name: String {
        switch self {
        case .service(let service): service.name
        case .ownUnit: SecureFiles.name(of: BootPath.restoreUnit)
        case .ownScript: BootPath.restoreScript
        }
    }

    /// What it loads, as a clause that begins with its name.
    package var clause: String {
        guard let service else { return "\(name) loads kept rules; the first kept change creates it" }
        return "\(name) loads \(service.rules.present.map(\.value).joined(separator: " and "))"
    }

    /// Whether a service overwrites its file with the active rules at each shutdown, a pending trial included.
    ///
    /// With OpenRC that is the default. Gentoo's unit for systemd always does it.
    static func savesActiveRules(in environment: ChangeEnvironment) -> Bool {
        let initSystem = environment.initSystem
        if initSystem.isOpenRC {
            return ["iptables", "ip6tables"].contains { name in
                let setting = initSystem.services.setting("SAVE_ON_STOP", of: name)?.lowercased() ?? ""
                return !initSystem.services.levels(of: name).isEmpty
                    && ["yes", "y", "true", "on", "1"].contains(setting)
            }
        }
        return initSystem.isSystemd
            && ["iptables-restore.service", "ip6tables-restore.service"].contains { unit in
                initSystem.units.isEnabled(unit)
                    && initSystem.units.values(of: "ExecStop", in: unit).contains { $0.value.contains("tables-save") }
            }
    }
}

extension BootLoader {
    /// The files that it loads at boot and that are missing or empty.
    ///
    /// - Parameter environment: the machine.
    /// - Returns: their paths, with the layout's root.
    package func missingFiles(in environment: ChangeEnvironment) -> [String] {
        let layout = environment.layout
        let kept = try? Persistence(environment).lastKept()
        let own = layout.path(self == .ownScript ? BootPath.restoreScript : BootPath.restoreUnit)
        let named = Self.namedFiles(in: own)
        var files = named.map(layout.path)
        switch self {
        case .service(let service):
            files += service.rules.present.filter { kept?.rules[$0.family] != nil }.map { layout.path($0.value) }
        case .ownUnit, .ownScript:
            if named.isEmpty { files.append(own) }
        }
        var seen: Set<String> = []
        return files.filter { seen.insert($0).inserted && ((try? SecureFiles.read($0)) ?? []).isEmpty }
    }

    /// The files with rules and sets that the commands of latchkey's own unit or script name.
    private static func namedFiles(in path: String) -> [String] {
        let text = String(decoding: (try? SecureFiles.read(path)) ?? [], as: UTF8.self)
        return text.split { " ;\n'\"".contains($0) }.map(String.init).filter {
            $0.hasPrefix(BootPath.restoreFolder + "/")
        }
    }
}
