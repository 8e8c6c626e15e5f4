import ArgumentParser
import Foundation
import TestSupport
import Testing

@testable import Commands

/// A separate folder for one test.
struct TestFolder: ~Copyable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "latchkey-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, to name: String, mode: Int = 0o600) throws {
        let file = path + "/" + name
        try FileManager.default.createDirectory(
            atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o755])
        try text.write(toFile: file, atomically: false, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
    }
}

/// The failure that a closure throws.
func failure(_ body: () throws -> Void) -> Failure? {
    do {
        try body()
        return nil
    } catch {
        return error as? Failure
    }
}

@Suite("Paths on the command line and in the environment")
struct PathTests {
    @Test("a relative path is made absolute here, because the guard runs in another folder")
    func absolute() {
        let here = FileManager.default.currentDirectoryPath
        #expect(CommandContext.absolute("x/y") == "\(here)/x/y")
        #expect(CommandContext.absolute("/x") == "/x")
        #expect(CommandContext.absolute("") == "")
    }
}

@Suite("The answers file")
struct AnswersInputTests {
    private func options(_ arguments: [String]) throws -> AnswersOptions { try AnswersOptions.parse(arguments) }

    @Test("a named file is read")
    func named() throws {
        let folder = try TestFolder()
        try folder.write("version: 1\n", to: "a.yaml")
        let context = CommandContext.test(root: folder.path, console: RecordingConsole())
        let read = try options(["--answers", folder.path + "/a.yaml"]).read(in: context)
        #expect(read == NamedText(name: folder.path + "/a.yaml", text: "version: 1\n"))
    }

    @Test("without a name the saved answers are read")
    func kept() throws {
        let folder = try TestFolder()
        try folder.write("version: 1\n", to: "etc/latchkey/answers.yaml")
        let context = CommandContext.test(root: folder.path, console: RecordingConsole())
        #expect(try options([]).read(in: context).text == "version: 1\n")
    }

    @Test("without a name and without saved answers the command line is wrong")
    func none() throws {
        let folder = try TestFolder()
        let context = CommandContext.test(root: folder.path, console: RecordingConsole())
        let found = failure { _ = try options([]).read(in: context) }
        #expect(found?.status == .usage)
        #expect(found?.what.contains("/etc/latchkey/answers.yaml") == true)
        #expect(found?.next?.contains("--answers FILE") == true)
    }

    @Test("a path to a missing file is a wrong command line", arguments: ["/missing.yaml", ""])
    func missing(name: String) throws {
        let folder = try TestFolder()
        let context = CommandContext.test(root: folder.path, console: RecordingConsole())
        let found = failure { _ = try options(["--answers", folder.path + name]).read(in: context) }
        #expect(found?.status == .usage)
        #expect(found?.what.hasPrefix(folder.path + name) == true)
    }

    @Test("bytes that are not UTF-8 are bad data, with the line")
    func notText() throws {
        let folder = try TestFolder()
        try folder.write("", to: "a.yaml")
        try Data([0x61, 0x0A, 0x62, 0x0A, 0xFF, 0x0A]).write(to: URL(fileURLWithPath: folder.path + "/a.yaml"))
        let context = CommandContext.test(root: folder.path, console: RecordingConsole())
        let found = failure { _ = try options(["--answers", folder.path + "/a.yaml"]).read(in: context) }
        #expect(found?.status == .badData)
        #expect(found?.what == "\(folder.path)/a.yaml:3: this line is not UTF-8 text.")
    }

    @Test("an endless file is not read to its end")
    func endless() throws {
        let context = CommandContext.test(console: RecordingConsole())
        #expect(failure { _ = try options(["--answers", "/dev/zero"]).read(in: context) }?.status == .badData)
    }
}

@Suite("The administrator's templates")
struct TemplateInputTests {
    private func read(_ path: String) throws -> TemplateFolder {
        try TemplateOptions.parse(["--template-dir", path]).read(
            in: .test(root: "/nonexistent", console: RecordingConsole()))
    }

    @Test("services and rule templates are found in the folder and in its two subfolders")
    func found() throws {
        let folder = try TestFolder()
        try folder.write("a", to: "t/web.yaml")
        try folder.write("b", to: "t/services/mail.yaml")
        try folder.write("c", to: "t/rules/input.mustache")
        try folder.write("d", to: "t/notes.txt")
        let read = try read(folder.path + "/t/")
        #expect(read.services.map(\.text) == ["a", "b"])
        #expect(read.rules.map(\.name) == [folder.path + "/t/rules/input.mustache"])
    }

    @Test("by default the administrator's folder is read, and it may be missing")
    func usual() throws {
        let folder = try TestFolder()
        let context = CommandContext.test(root: folder.path, console: RecordingConsole())
        #expect(try TemplateOptions.parse([]).read(in: context) == TemplateFolder())
        try folder.write("a", to: "etc/latchkey/templates/web.yaml")
        #expect(try TemplateOptions.parse([]).read(in: context).services.map(\.text) == ["a"])
    }

    @Test("a missing folder is a wrong command line")
    func missing() throws {
        let folder = try TestFolder()
        #expect(failure { _ = try read(folder.path + "/t") }?.status == .usage)
    }

    @Test("files that others can write are bad data", arguments: ["t", "t/web.yaml", "t/services"], [0o775, 0o757])
    func writable(place: String, mode: Int) throws {
        let folder = try TestFolder()
        try folder.write("a", to: "t/web.yaml")
        try folder.write("a", to: "t/services/mail.yaml")
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: folder.path + "/" + place)
        let found = failure { _ = try read(folder.path + "/t") }
        #expect(found?.status == .badData)
        #expect(found?.what.hasPrefix("\(folder.path)/\(place): ") == true)
    }

    @Test(
        "a symbolic link is refused, even if the folder's path ends in a slash or dot",
        arguments: ["t", "t/services", "t/web.yaml"], ["", "/", "/.", "/./", "//."])
    func link(place: String, end: String) throws {
        let folder = try TestFolder()
        try folder.write("a", to: "outside/web.yaml")
        if place != "t" { try folder.write("b", to: "t/mail.yaml") }
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/" + place,
            withDestinationPath: folder.path + (place.hasSuffix(".yaml") ? "/outside/web.yaml" : "/outside"))
        let found = failure { _ = try read(folder.path + "/t" + end) }
        #expect(found?.status == .badData)
        #expect(found?.what.hasPrefix("\(folder.path)/\(place): ") == true)
    }

    @Test("a template that is too large is reported as such, with no remark about its owner")
    func large() throws {
        let folder = try TestFolder()
        try folder.write(String(repeating: "#", count: 1 << 20 + 1), to: "t/web.yaml")
        let found = failure { _ = try read(folder.path + "/t") }
        #expect(found?.status == .badData)
        #expect(found?.what == "\(folder.path)/t/web.yaml: the file is larger than 1 MiB.")
        #expect(found?.next == nil)
    }

    @Test("files that belong to another user are refused", .root)
    func foreign() throws {
        let folder = try TestFolder()
        try folder.write("a", to: "t/web.yaml")
        try FileManager.default.setAttributes([.ownerAccountID: 12_345], ofItemAtPath: folder.path + "/t/web.yaml")
        #expect(failure { _ = try read(folder.path + "/t") }?.status == .badData)
    }
}
