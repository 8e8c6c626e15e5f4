import Netfilter
import Policy

/// What `services` reports with `--json`: an array of these, or one.
package struct ServiceReport: Report, Equatable {
    /// The name that the answers use.
    package var name: String
    /// What it is called.
    package var title: String
    /// One sentence for a beginner.
    package var summary: String
    /// The ports it opens, as `80/tcp`.
    package var ports: [String]
    /// Who may reach it unless the answers say otherwise: `everyone` or `admins`.
    package var from: String
    /// `built-in`, or the path of the administrator's file.
    package var origin: String

    /// The report of a template.
    package init(_ template: ServiceTemplate) {
        name = template.name
        title = template.title
        summary = template.summary
        ports = template.ports.map(\.description) + template.protocols.map(\.rawValue)
        from = template.audience.rawValue
        origin =
            switch template.origin {
            case .builtIn: "built-in"
            case .file(let path): path
            }
    }
}
