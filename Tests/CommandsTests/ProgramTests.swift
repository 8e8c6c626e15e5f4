import Commands
import Testing

@Suite("The command line")
struct ProgramTests {
    @Test(
        "help and version go to standard output",
        arguments: [["--help"], ["-h"], ["help"], ["--version"], ["help", "snapshots", "list"]])
    func help(arguments: [String]) async {
        let run = await ProgramRun.of(arguments)
        #expect(run.status == 0)
        #expect(run.results.contains("latchkey"))
        #expect(run.talk.isEmpty)
    }

    @Test(
        "a bad command line exits with 64 and writes to standard error",
        arguments: [["--bogus"], ["bogus"], ["help", "--bogus"], ["help", "bogus"], ["help", "snapshots", "bogus"]])
    func usage(arguments: [String]) async {
        let run = await ProgramRun.of(arguments)
        #expect(run.status == 64)
        #expect(run.results.isEmpty)
        #expect(run.talk.contains("bogus"))
    }
}
