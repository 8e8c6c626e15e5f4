import Commands
import Testing

@Suite("Deadlines")
struct DeadlineTests {
    @Test(
        "a number with or without a unit is a deadline",
        arguments: [("45", 45), ("45s", 45), ("5m", 300), ("1h", 3_600), ("10s", 10), ("3600", 3_600), ("060", 60)])
    func accepted(text: String, seconds: Int) throws {
        #expect(try DeadlineOption(parsing: text).seconds == seconds)
    }

    @Test(
        "what is no duration is refused with the text",
        arguments: ["", "s", "5x", "-60", "+60", "1.5m", "٤٥", "60 s", " 60", "5M", "1m30s", "9999999999999999999999"])
    func notADuration(text: String) {
        #expect(throws: DeadlineError.notADuration(text)) { try DeadlineOption(parsing: text) }
    }

    @Test("what is shorter than 10 s or longer than an hour is refused", arguments: ["0", "9s", "3601", "61m", "2h"])
    func outOfRange(text: String) {
        #expect(throws: DeadlineError.outOfRange(text)) { try DeadlineOption(parsing: text) }
    }

    @Test("without a word the deadline is a minute")
    func standard() { #expect(DeadlineOption.standard.seconds == 60) }
}
