import Host
import Netfilter

/// latchkey's own script for OpenRC, which loads the kept rules at boot; paths are without the layout's root.
enum RestoreScript {
    /// The links that may make OpenRC start it, by runlevel.
    static let links = OpenRCServices.bootLevels.map(link)

    /// The script and its links.
    static let all = links + [BootPath.restoreScript]

    /// The link in a runlevel.
    static func link(_ level: String) -> String {
        "/etc/runlevels/\(level)/\(SecureFiles.name(of: BootPath.restoreScript))"
    }

    /// The runlevel that has to start it.
    ///
    /// Interfaces may come up in the runlevel boot. OpenRC orders only the services of one runlevel, so the script is
    /// started in a later one only if another service there would remove the rules again.
    static func level(_ steps: RestoreSteps, _ services: OpenRCServices) -> String {
        guard steps.laterServices.isEmpty else { return OpenRCServices.bootLevels[0] }
        let levels = earlier.map(services.levels)
        return OpenRCServices.bootLevels.last { level in levels.contains { $0.first == level } }
            ?? OpenRCServices.bootLevels[0]
    }

    /// The script.
    ///
    /// It is ordered after localmount but does not need it: if one file system is missing, rules are loaded nevertheless.
    /// Alpine's service ipset removes the sets of others when it starts.
    static func text(_ steps: RestoreSteps) -> String {
        let first = ["localmount", "modules", "sysctl", "ipset"] + (steps.laterServices.isEmpty ? earlier : [])
        let later = steps.laterServices + ["net"]
        let attempts = steps.attempts.map { "    \($0) || :" }
        let required = steps.required.map { "    \($0) || failed=1" }
        return """
            #!/sbin/openrc-run
            # Written by latchkey when a change is kept; the next kept change overwrites it.

            description="Load the firewall rules kept with latchkey"

            depend() {
                after \(first.joined(separator: " "))
                before \(later.joined(separator: " "))
            }

            start() {
                ebegin "Loading the firewall rules kept with latchkey"
                failed=0
                # Errors do not count here: if one family fails, the other still gets its rules.
            \(attempts.joined(separator: "\n"))
                # The same again, which changes nothing: a failure means that rules are missing.
            \(required.joined(separator: "\n"))
                eend "$failed" "Some of the kept firewall rules could not be loaded"
            }

            stop() {
                return 0
            }

            """
    }

    private static let earlier = RestoreSteps.otherFirewalls + RestoreSteps.ruleServices.prefix(2)
}
