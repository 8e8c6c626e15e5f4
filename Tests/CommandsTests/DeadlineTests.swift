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
        "text that is not a duration is refused and quoted",
        arguments: ["", "s", "5x", "-60", "+60", "1.5m", "٤٥", "60 s", " 60", "5M", "1m30s", "9999999999999999999999"])
    func notADuration(text: String) {
        #expect(throws: DeadlineError.notADuration(text)) { try DeadlineOption(parsing: text) }
    }

    @Test("a deadline below 10 s or above an hour is refused", arguments: ["0", "9s", "3601", "61m", "2h"])
    func outOfRange(text: String) {
        #expect(throws: DeadlineError.outOfRange(text)) { try DeadlineOption(parsing: text) }
    }

    @Test("the default deadline is one minute")
    func standard() { #expect(DeadlineOption.standard.seconds == 60) }
}
