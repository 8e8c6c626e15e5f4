import Glibc

/// The processes of the machine, read from procfs on each call.
package struct ProcessTable: Sendable {
    package let source: FactSource

    package init(_ source: FactSource = FactSource()) { self.source = source }

    /// The processes of the procfs at a path.
    package init(proc: String) { self.source = FactSource(proc: proc) }

    // MARK: Processes

    /// The IDs of all processes, ascending; empty if procfs cannot be read.
    package func pids() -> [Int32] {
        ((try? SecureFiles.names(in: source.proc)) ?? []).compactMap { Int32($0) }.filter { $0 > 0 }.sorted()
    }

    /// One process, or `nil` if it does not exist or has just ended.
    package func process(_ pid: Int32) -> ProcessFacts? {
        guard let stat = FactSource.bytes(file(pid, "stat")), let status = FactSource.text(file(pid, "status"))
        else { return nil }
        return ProcessFacts(pid: pid, stat: stat, status: status)
    }

    /// All processes that could be read.
    package func all() -> [ProcessFacts] { pids().compactMap(process) }

    /// The processes whose name begins with one of several prefixes.
    ///
    /// Of all others it reads nothing but the name, so it is much faster than `all()` on a machine with many processes.
    package func all(named prefixes: [String]) -> [ProcessFacts] {
        pids().filter { pid in
            guard let name = FactSource.bytes(file(pid, "comm")) else { return false }
            return prefixes.contains { name.starts(with: $0.utf8) }
        }
        .compactMap(process)
    }

    /// The parent, its parent and so on, nearest first.
    ///
    /// The walk ends at a process without a visible parent, at one that was already seen (IDs are reused, so a walk
    /// that is not atomic can meet a loop) and after 128 steps.
    package func ancestors(of pid: Int32) -> [ProcessFacts] {
        var found: [ProcessFacts] = []
        var met: Set<Int32> = [pid]
        var next = process(pid)?.parent
        while let parent = next, parent > 0, met.insert(parent).inserted, found.count < 128,
            let process = process(parent)
        {
            found.append(process)
            next = process.parent
        }
        return found
    }

    // MARK: Details of one process

    /// Its arguments; empty for a kernel thread or a zombie, `nil` if they cannot be read.
    package func arguments(of pid: Int32) -> [String]? {
        FactSource.bytes(file(pid, "cmdline")).map(Self.strings)
    }

    /// Its command line as ps shows it, which a program may overwrite (setproctitle does).
    package func title(of pid: Int32) -> String? {
        // A program that overwrote its title leaves the rest of the space as NULs: those are not arguments.
        arguments(of: pid)?.filter { !$0.isEmpty }.joined(separator: " ")
    }

    /// Its program file, or `nil` if this process may not read it; an updated program ends in " (deleted)".
    package func executable(of pid: Int32) -> String? { (try? SecureFiles.target(ofLink: file(pid, "exe"))) }

    /// The environment it was started with, or `nil` if this process may not read it.
    package func environment(of pid: Int32) -> [String: String]? {
        guard let bytes = FactSource.bytes(file(pid, "environ"), limit: 8 << 20) else { return nil }
        var environment: [String: String] = [:]
        for entry in Self.strings(bytes) {
            guard let equals = entry.firstIndex(of: "=") else { continue }
            environment[String(entry[..<equals])] = String(entry[entry.index(after: equals)...])
        }
        return environment
    }

    /// The paths of its control groups: one on a unified hierarchy, several on a mixed one.
    package func controlGroups(of pid: Int32) -> [String] {
        (source.procLines("\(pid)/cgroup") ?? []).compactMap { line in
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            return parts.count == 3 ? String(parts[2]) : nil
        }
    }

    /// Its open sockets as inode numbers by descriptor; `nil` if this process may not read them.
    package func sockets(of pid: Int32) -> [Int32: UInt64]? {
        guard let names = try? SecureFiles.names(in: file(pid, "fd")) else { return nil }
        var inodes: [Int32: UInt64] = [:]
        for name in names {
            guard let descriptor = Int32(name), let target = (try? SecureFiles.target(ofLink: file(pid, "fd/\(name)"))),
                target.hasPrefix("socket:["), target.hasSuffix("]"), let inode = UInt64(target.dropFirst(8).dropLast())
            else { continue }
            inodes[descriptor] = inode
        }
        return inodes
    }

    /// The inode numbers of its open sockets; `nil` if this process may not read them.
    package func socketInodes(of pid: Int32) -> Set<UInt64>? { sockets(of: pid).map { Set($0.values) } }

    /// The name of its network namespace, such as `net:[4026531840]`; `nil` if this process may not read it.
    package func networkNamespace(of pid: Int32) -> String? { (try? SecureFiles.target(ofLink: file(pid, "ns/net"))) }

    /// The program's usual name: its process name, or its file's name where a runtime hides it.
    package func programName(of process: ProcessFacts) -> String {
        // Node since version 20 gives its first thread this name.
        guard process.name == "MainThread", let path = executable(of: process.pid) else { return process.name }
        return path.split(separator: "/").last.map(String.init) ?? process.name
    }

    private func file(_ pid: Int32, _ name: String) -> String { "\(source.proc)/\(pid)/\(name)" }

    private static func strings(_ bytes: [UInt8]) -> [String] {
        bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast(bytes.last == 0 ? 1 : 0)
            .map { String(decoding: $0, as: UTF8.self) }
    }
}
