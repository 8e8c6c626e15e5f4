/// The rule templates by their names, in the order in which `ruleset` includes the others.
enum RuleTemplateName: String, CaseIterable {
    case ruleset
    case replies
    case admins
    case block
    case ssh
    case services
    case icmpv6
    case ping
    case log
    case last
    case docker
    /// The whole table of the backend nftables; it includes no other template.
    case nftables
}
