import Commands
import Testing

@Suite("Durations of temporary entries")
struct EntryDurationTests {
    @Test(
        "a number with or without a unit is a duration",
        arguments: [
            ("1", 1), ("45s", 45), ("90m", 5_400), ("2h", 7_200), ("1d", 86_400), ("24d", 2_073_600),
            ("576h", 2_073_600),
        ])
    func accepted(text: String, seconds: Int) throws {
        #expect(try EntryDuration(parsing: text).seconds == seconds)
    }

    @Test(
        "text that is not a duration is refused and quoted",
        arguments: ["", "d", "5w", "-60", "+60", "1.5h", "٤٥", "2 h", "2H", "1h30m", "9999999999d"])
    func notADuration(text: String) {
        #expect(throws: EntryDurationError.notADuration(text)) { try EntryDuration(parsing: text) }
    }

    @Test("more than the kernel counts, or nothing, is refused", arguments: ["0", "0d", "25d", "577h", "2073601"])
    func outOfRange(text: String) {
        #expect(throws: EntryDurationError.outOfRange(text)) { try EntryDuration(parsing: text) }
    }
}
