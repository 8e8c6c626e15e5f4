extension Answers {
    /// A sentence about a limit of SSH that makes a person wait long for the next login; nil for other limits.
    package var slowLoginNote: String? {
        guard let ssh, ssh.from != .admins, let limit = ssh.limit else { return nil }
        let wait = limit.seconds / limit.count
        guard wait >= Self.longWait else { return nil }
        let time = wait >= 7_200 ? "\(wait / 3_600) hours" : "\(wait / 60) minutes"
        let logins = limit.count == 1 ? "1 login" : "\(limit.count) logins"
        return "ssh: after \(logins) from one address, the next one has to wait about \(time). Admins are not limited."
    }

    /// The wait in seconds from which it can keep a person out when they need to get in.
    private static let longWait = 300
}
