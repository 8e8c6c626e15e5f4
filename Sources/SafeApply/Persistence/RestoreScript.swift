import Host
import Netfilter

/// latchkey's own script for OpenRC, which loads the kept rules at boot; paths are without the layout's root.
enum RestoreScript {
    /// The script under a second name, for a second run.
    static let again = "\(BootPath.restoreScript)-again"

    /// The links, each with its target: one for the first run, the second name, and one for the second run.
    static let links =
        [
            (path: link(BootPath.restoreScript, in: "boot"), target: BootPath.restoreScript),
            (path: again, target: BootPath.restoreScript),
        ] + OpenRCServices.bootLevels.map { (path: link(again, in: $0), target: again) }

    /// The script and its links.
    static let all = links.map(\.path) + [BootPath.restoreScript]

    /// The programs that may remove everybody's rules when OpenRC starts them.
    private static let flushing = RestoreSteps.otherFirewalls + RestoreSteps.ruleServices.prefix(2)

    private static func link(_ script: String, in level: String) -> String {
        "/etc/runlevels/\(level)/\(SecureFiles.name(of: script))"
    }

    /// The links that make OpenRC start it.
    ///
    /// Interfaces may come up in the runlevel boot, so the script runs there, before all services that load rules: a
    /// service can then load rules that name the sets. If such a service is started at boot, the script runs a second
    /// time after it, in the same runlevel: OpenRC orders only the services of one runlevel, and starts none twice.
    static func links(_ services: OpenRCServices) -> [(path: String, target: String)] {
        let levels = flushing.compactMap { services.levels(of: $0).first }
        guard let last = OpenRCServices.bootLevels.last(where: levels.contains) else { return Array(links.prefix(1)) }
        return links.prefix(2) + [(path: link(again, in: last), target: again)]
    }

    /// The script.
    ///
    /// It is ordered after localmount but does not need it: if one file system is missing, rules are loaded nevertheless.
    /// Alpine's service ipset removes the sets of others when it starts.
    static func text(_ steps: RestoreSteps) -> String {
        let attempts = steps.attempts.map { "    \($0) 2>/dev/null || :" }
        let required = steps.required.map { "    \($0) || failed=1" }
        let isNeeded = steps.fallbackFor.map { "service_started \($0)" } + ["return 0"]
        // The rules that a service has loaded include those of other programs, which this script would remove.
        let condition =
            steps.fallbackFor.isEmpty
            ? [] : ["    case \"$RC_SVCNAME\" in *-again) \(isNeeded.joined(separator: " && ")) ;; esac"]
        let start = condition + ["    ebegin \"Loading the firewall rules kept with latchkey\"", "    failed=0"]
        return """
            #!/sbin/openrc-run
            # Written by latchkey when a change is kept; the next kept change overwrites it.

            description="Load the firewall rules kept with latchkey"

            depend() {
                after localmount modules sysctl ipset
                before net
                # The second run repairs what these services have removed.
                case "$RC_SVCNAME" in
                    *-again) after \(flushing.joined(separator: " ")) ;;
                    *) before \(flushing.joined(separator: " ")) ;;
                esac
            }

            start() {
            \(start.joined(separator: "\n"))
                # Errors do not count here: if one family fails, the other still gets its rules.
            \(attempts.joined(separator: "\n"))
                # The same again, which changes nothing. A failure means that rules are missing, and is reported.
            \(required.joined(separator: "\n"))
                eend "$failed" "Some of the kept firewall rules could not be loaded"
            }

            stop() {
                return 0
            }

            """
    }
}
