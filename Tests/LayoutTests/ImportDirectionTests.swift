import Testing

/// The modules and libraries that each module may import; the C library and Foundation are always allowed.
private let allowed: [String: Set<String>] = [
    "CLinux": [],
    "EmbedTemplates": [],
    "CReadline": [],
    "Host": ["Netfilter", "CLinux", "Subprocess", "SystemPackage", "Logging"],
    "Netfilter": [],
    "Templates": [],
    "CYAML": [],
    "Policy": ["Netfilter", "Templates", "CYAML"],
    "Composer": ["Policy", "Netfilter", "Templates"],
    "Import": ["Policy", "Netfilter"],
    "Rehearsal": ["Policy", "Netfilter", "Host"],
    "SafeApply": ["Netfilter", "Host", "Crypto", "Logging"],
    "Interview": ["Policy", "Netfilter"],
    "ReadlineUI": ["Interview", "CReadline"],
    "Commands": [
        "Interview", "ReadlineUI", "SafeApply", "Rehearsal", "Import", "Composer", "Policy", "Netfilter", "Host",
        "ArgumentParser", "Logging",
    ],
    "latchkey": ["Commands"],
]

private let free: Set<String> = ["Glibc", "Foundation", "FoundationEssentials", "Synchronization", "Dispatch"]

/// Where a module's files are.
private func folder(of room: String) -> String { room == "Templates" ? "templates" : "Sources/\(room)" }

@Suite("Import directions")
struct ImportDirectionTests {
    @Test("the manifest gives every module exactly the dependencies it may use")
    func manifest() throws {
        let targets = try PackageDescription.current().targets
        let rooms = targets.filter { !["test", "plugin"].contains($0.type) && $0.name != "TestSupport" }
        #expect(Set(rooms.map(\.name)) == Set(allowed.keys))
        for room in rooms {
            let beyond = Set(room.dependencies.map(\.name)).subtracting(allowed[room.name] ?? [])
            #expect(beyond.isEmpty, "\(room.name) depends on \(beyond.sorted())")
        }
    }

    // The manifest is not enough: a dependency's own dependencies can be imported, too.
    @Test("every module imports only what it may use", arguments: allowed.keys.sorted())
    func imports(room: String) throws {
        for file in try Repository.swiftFiles(under: folder(of: room)) {
            let beyond = try Repository.imports(of: file).subtracting(free).subtracting(allowed[room] ?? [])
            #expect(beyond.isEmpty, "\(file) imports \(beyond.sorted())")
        }
    }

    @Test("every dependency in the manifest is imported, in modules and in tests")
    func unused() throws {
        let package = try PackageDescription.current()
        for target in package.targets where !["system", "plugin"].contains(target.type) {
            let folder =
                target.type == "test" || target.name == "TestSupport"
                ? "Tests/\(target.name)" : folder(of: target.name)
            let imported = try Repository.swiftFiles(under: folder).reduce(into: Set<String>()) { imports, file in
                imports.formUnion(try Repository.imports(of: file))
            }
            // The end-to-end tests run the program, and every test may use the helpers.
            let unused = Set(target.dependencies.map(\.name)).subtracting(imported)
                .subtracting(target.type == "test" ? ["latchkey", "TestSupport"] : [])
            #expect(unused.isEmpty, "\(target.name) depends on \(unused.sorted()) and imports none of it")
        }
        let products = Set(package.targets.flatMap { $0.dependencies.compactMap(\.package) })
        let unused = Set(package.dependencies.map(\.identity)).subtracting(products)
        #expect(unused.isEmpty, "nothing uses \(unused.sorted())")
    }

    @Test(
        "each library or shim is imported by one module only",
        arguments: [
            ("CReadline", "ReadlineUI"), ("Subprocess", "Host"), ("ArgumentParser", "Commands"),
            ("CYAML", "Policy"), ("Crypto", "SafeApply"),
        ])
    func single(module: String, room: String) {
        #expect(allowed.filter { $0.value.contains(module) }.map(\.key) == [room])
    }

    @Test("the checks read real files")
    func readable() throws {
        let files = try Repository.swiftFiles(under: "Sources", "templates")
        #expect(files.count > 20)
        #expect(try Repository.imports(of: "Sources/latchkey/Main.swift") == ["Commands", "Glibc"])
    }
}
