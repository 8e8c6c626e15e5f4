import Host
import Import
import Netfilter
import SafeApply

/// Reads firewalld's zones: those that are active now if it runs, else those of its files.
struct FirewalldReader {
    private let reader: ImportReader

    private static let own = "/etc/firewalld"
    private static let builtIn = "/usr/lib/firewalld"

    /// A reader of this machine's files.
    init(_ reader: ImportReader) { self.reader = reader }

    /// The zones and what they refer to.
    ///
    /// - Throws: `Failure`: 65 for a broken file, 69 if firewalld is not in use, 77 if only root can read them.
    func read() async throws(Failure) -> ImportedRules {
        guard reader.exists("\(Self.builtIn)/zones") || reader.exists("\(Self.own)/zones") else {
            throw reader.notInUse("firewalld", "is not installed")
        }
        let finding = OtherFirewalls(reader.context.facts).findings().first { $0.name == "firewalld" }
        guard let finding else {
            throw reader.notInUse("firewalld", "is installed, but it neither runs nor starts at boot")
        }
        let settings = reader.exists("\(Self.own)/firewalld.conf") ? try reader.text("\(Self.own)/firewalld.conf") : ""
        var defaultZone = ImportReader.value(of: "DefaultZone", in: settings) ?? "public"
        var zones: [FirewalldZone] = []
        var notes: [String] = []
        if finding.state == .running, let active = await active() {
            (zones, defaultZone) = active
        } else {
            zones = try savedZones()
            notes.append("firewalld could not be asked, so its saved settings were imported, not the active ones.")
        }
        guard zones.contains(where: { $0.name == defaultZone }) else {
            throw Failure(
                .badData, "firewalld's default zone \(defaultZone.quoted()) does not exist.",
                activeRules: Failure.nothingChanged)
        }
        let (direct, directNotes) = try directRules()
        let filter = FirewalldFilter(
            zones: zones, services: try services(of: zones), defaultZone: defaultZone, direct: direct,
            policies: try policies(), ipsets: try ipsets())
        let log = ImportReader.value(of: "LogDenied", in: settings)?.lowercased() ?? "off"
        return ImportedRules(
            filter: filter, isLogging: log != "off", notes: notes + filter.remarks + directNotes)
    }

    /// The zones as firewalld itself shows them; nil if it does not answer.
    private func active() async -> (zones: [FirewalldZone], defaultZone: String)? {
        guard reader.context.facts.root.isEmpty, let program = reader.environment.toolbox.find("firewall-cmd"),
            let zones = try? await reader.environment.runner.check(Command(program, ["--list-all-zones"])),
            let name = try? await reader.environment.runner.check(Command(program, ["--get-default-zone"]))
        else { return nil }
        let listed = FirewalldZone.listing(zones.text)
        let word = name.text.split(whereSeparator: \.isWhitespace).first.map(String.init)
        guard let word, listed.contains(where: { $0.name == word }) else { return nil }
        return (listed, word)
    }

    /// The paths of XML files by name; those in /etc replace those of the package.
    private func files(_ kind: String) -> [String: String] {
        var files: [String: String] = [:]
        for folder in [Self.builtIn, Self.own] {
            for name in reader.names(in: "\(folder)/\(kind)") where name.hasSuffix(".xml") {
                files[String(name.dropLast(4))] = "\(folder)/\(kind)/\(name)"
            }
        }
        return files
    }

    private func savedZones() throws(Failure) -> [FirewalldZone] {
        var zones: [FirewalldZone] = []
        for (name, path) in files("zones").sorted(by: { $0.key < $1.key }) {
            let text = try reader.text(path)
            do { zones.append(try FirewalldZone(name, xml: text, file: reader.context.facts.path(path))) } catch {
                throw Failure(error)
            }
        }
        return zones
    }

    /// The services that zones name, and those that these include.
    private func services(of zones: [FirewalldZone]) throws(Failure) -> [String: FirewalldService] {
        let files = files("services")
        var services: [String: FirewalldService] = [:]
        var open = zones.flatMap(\.allServices)
        while let name = open.popLast() {
            guard services[name] == nil, let path = files[name] else { continue }
            let text = try reader.text(path)
            do {
                let service = try FirewalldService(name, xml: text, file: reader.context.facts.path(path))
                services[name] = service
                open += service.includes
            } catch { throw Failure(error) }
        }
        return services
    }

    /// The sets of addresses.
    private func ipsets() throws(Failure) -> [String: FirewalldIPSet] {
        var sets: [String: FirewalldIPSet] = [:]
        for (name, path) in files("ipsets") {
            let text = try reader.text(path)
            do { sets[name] = try FirewalldIPSet(xml: text, file: reader.context.facts.path(path)) } catch {
                throw Failure(error)
            }
        }
        return sets
    }

    /// The names of the administrator's policies about packets to this machine.
    private func policies() throws(Failure) -> [String] {
        var names: [String] = []
        for name in reader.names(in: "\(Self.own)/policies") where name.hasSuffix(".xml") {
            let path = "\(Self.own)/policies/\(name)"
            let text = try reader.text(path)
            do {
                let place = reader.context.facts.path(path)
                if try FirewalldPolicy.isForThisMachine(text, file: place) { names.append(String(name.dropLast(4))) }
            } catch { throw Failure(error) }
        }
        return names
    }

    private func directRules() throws(Failure) -> ([Family: [Rule]], [String]) {
        let path = "\(Self.own)/direct.xml"
        guard reader.exists(path) else { return ([:], []) }
        let text = try reader.text(path)
        do {
            let direct = try FirewalldDirect(text, file: reader.context.facts.path(path))
            return (direct.blocks, direct.others.map { "A direct rule of firewalld is not imported: \($0)" })
        } catch { throw Failure(error) }
    }
}
