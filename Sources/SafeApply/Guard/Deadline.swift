/// How long new rules may stay unconfirmed, in seconds.
package enum Deadline {
    /// The shortest that leaves a person time to log in again.
    package static let shortest = 10
    /// The longest, with every extension.
    package static let longest = 3_600
    /// The default.
    package static let usual = 60
}
