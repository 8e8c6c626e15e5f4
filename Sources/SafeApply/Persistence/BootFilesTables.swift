import Host
import Netfilter

// The files for nftables: always for latchkey's own unit.
extension BootFiles {
    /// Writes the kept tables, and the unit or script that loads them.
    ///
    /// - Parameters:
    ///   - tables: all tables that are kept.
    ///   - sshPorts: the ports sshd listens on.
    ///   - retiring: the iptables rules that go; nil if there are none.
    ///   - startsUnit: whether the unit may load them now.
    /// - Returns: the files.
    /// - Throws: `host`, `refused` if nothing on this machine loads rules at boot.
    func save(
        _ tables: [NFTable], sshPorts: [UInt16], retiring: Retirement?, startsUnit: Bool = true
    ) async throws(ChangeError) -> Saved {
        guard BootLoader(.nftables, in: environment) != nil else {
            throw .refused(
                reason:
                    "This machine has neither systemd nor OpenRC, and latchkey supports no other way to load nftables at "
                    + "boot.")
        }
        if let retiring, retiring.backend != .nftables { _ = try removeFromServices(try retiring.removed()) }
        let nft = try ChangeError.wrap { () throws(HostError) in bare(try environment.toolbox.need("nft")) }
        var files: [(path: String, text: String)] = [(TableBootText.rulesFile, TableBootText.rules(tables))]
        if let text = TableBootText.fallback(tables, sshPorts: sshPorts) {
            files.append((TableBootText.fallbackFile, text))
        }
        guard !tables.isEmpty else {
            try await removeOwn()
            return Saved()
        }
        for file in files { try write(file.text, to: layout.path(file.path), folderMode: 0o700) }
        let paths = files.map { layout.path($0.path) }
        try removeFiles(except: paths)
        let commands = files.map { "\(nft) -f \($0.path)" }
        let own = try await writeOwn(RestoreSteps(nftables: commands))
        if startsUnit { await startUnit() }
        return Saved(paths: paths + [own])
    }

    /// Starts the unit, because systemd reloads and restarts only active units together with nftables.service.
    ///
    /// It loads the same rules again, in one transaction. A failure does not matter until nftables.service flushes them.
    func startUnit() async {
        guard environment.initSystem.isRunning, let systemctl = environment.toolbox.find("systemctl") else { return }
        let unit = SecureFiles.name(of: BootPath.restoreUnit)
        _ = try? await environment.runner.run(Command(systemctl, ["--no-block", "start", unit]))
    }
}
