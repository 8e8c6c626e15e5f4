import Testing

@testable import Interview

@Suite("The screen")
struct ScreenTests {
    @Test("text is wrapped between words, and inside a word only if necessary")
    func wrapping() {
        let screen = Screen(columns: 20)
        #expect(
            screen.paragraph("one two three four five", indent: 2).map(\.text) == ["  one two three four", "  five"])
        #expect(
            screen.paragraph("abcdefghijklmnopqrstuvwxyz end", indent: 2, hanging: 4).map(\.text)
                == ["  abcdefghijklmnopqr", "    stuvwxyz end"])
        #expect(screen.paragraph("").map(\.text) == [""])
    }

    @Test(
        "at most 80 columns, and an impossible width counts as 80",
        arguments: [(200, 80), (80, 80), (40, 40), (3, 80), (0, 80)])
    func widths(window: Int, columns: Int) {
        #expect(Screen(columns: window).columns == columns)
    }

    @Test("no text exceeds the screen's width, even with long words", arguments: [20, 33, 40, 57, 72, 80])
    func neverWider(columns: Int) {
        let screen = Screen(columns: columns)
        for length in 1...90 {
            let text = (1...12).map { String(repeating: "x", count: ($0 * length) % 97 + 1) }.joined(separator: " ")
            for line in screen.paragraph(text, indent: 5, hanging: 7) { #expect(line.text.count <= columns) }
            let joined = screen.paragraph(text, indent: 0).map(\.text).joined()
            #expect(joined.filter { $0 == "x" }.count == text.filter { $0 == "x" }.count)
        }
    }

    @Test("a table that does not fit becomes paragraphs")
    func tables() {
        let rows = [["[x] web", "Websites", "80 443", "nginx listens"], ["[ ] dns", "DNS", "53", ""]]
        #expect(
            Screen().table(rows).map(\.text) == [
                "     [x] web  Websites  80 443  nginx listens", "     [ ] dns  DNS       53",
            ])
        #expect(
            Screen(columns: 40).table(rows).map(\.text) == [
                "  [x] web: Websites, 80 443, nginx", "    listens", "  [ ] dns: DNS, 53",
            ])
    }

    @Test("a remark is right-aligned, or goes below")
    func headline() {
        #expect(
            Screen().headline("4/5  Any?", remark: "x on 1").map(\.text) == [
                "4/5  Any?" + String(repeating: " ", count: 65) + "x on 1"
            ])
        #expect(
            Screen(columns: 20).headline("4/5  Any ports?", remark: "node on 1").map(\.text) == [
                "4/5  Any ports?", "  node on 1",
            ])
    }

    @Test("colour only on a terminal that is not dumb, and without NO_COLOR")
    func colour() {
        #expect(Style(isTerminal: true, environment: ["TERM": "xterm"]).colour)
        #expect(Style(isTerminal: true, environment: ["TERM": "xterm", "NO_COLOR": ""]).colour)
        #expect(!Style(isTerminal: true, environment: ["TERM": "xterm", "NO_COLOR": "1"]).colour)
        #expect(!Style(isTerminal: true, environment: ["TERM": "dumb"]).colour)
        #expect(!Style(isTerminal: true, environment: [:]).colour)
        #expect(!Style(isTerminal: false, environment: ["TERM": "xterm"]).colour)
    }

    @Test("colour changes no word", arguments: Tone.allCases)
    func rendering(tone: Tone) {
        let line = Line("some words", tone: tone)
        #expect(Style(colour: false).render(line) == "some words")
        let coloured = Style(colour: true).render(line)
        #expect(coloured.contains("some words"))
        #expect((tone == .plain) == (coloured == "some words"))
    }
}
