import Testing

@Suite("apply")
struct ApplyCommandTests {
    @Test("a mistake in hand-written rules is reported with its place, indented and within 80 columns")
    func unreadable() async throws {
        let folder = try TestFolder()
        try folder.write("*filter\nhello, this is no rule\nCOMMIT\n", to: "r")
        let run = await ProgramRun.of(["apply", "--rules", folder.path + "/r"], root: folder.path, userID: 0)
        #expect(run.status == 65)
        let lines = run.talk.split(separator: "\n").map(String.init)
        #expect(lines.first?.hasPrefix("latchkey: \(folder.path)/r:2:") == true)
        #expect(lines.dropFirst().allSatisfy { $0.hasPrefix("  ") && $0.count <= 80 }, "\(run.talk)")
        #expect(
            run.talk.split(whereSeparator: \.isWhitespace).joined(separator: " ").contains("Begin the line with -A"))
    }
}
