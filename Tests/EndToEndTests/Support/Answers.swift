/// The answers that most tests here apply: ports for everyone, for admins, and the rest closed.
enum Answers {
    static let keep = text("keep")
    static let replace = text("replace")

    private static func text(_ existing: String) -> String {
        """
        version: 1
        admins: [192.168.1.33, "2001:db8:5::/64"]
        services: [ssh, web]
        ports: [8080/tcp]
        ping: replies-only
        existing: \(existing)

        """
    }
}
