import CReadline
import Glibc
import Synchronization

/// A wrapper around Readline, with the state that its callbacks and the prompter share.
///
/// There is only one terminal, so there is only one editor.
struct LineEditor {
    /// The result of editing a line.
    enum Finished: Equatable {
        case line(String)
        case endOfInput
    }

    private struct Shared {
        var completions: [String] = []
        var matches: [String] = []
        var finished: Finished?
        var isSetUp = false
    }

    private static let shared = Mutex(Shared())

    /// Shows the prompt and takes control of the terminal.
    func begin(prompt: String, prefill: String, completions: [String], history: [String]) {
        let isNew = LineEditor.shared.withLock { shared in
            shared.completions = completions
            shared.finished = nil
            defer { shared.isSetUp = true }
            return !shared.isSetUp
        }
        if isNew {
            latchkey_readline_set_up { text, start, end in LineEditor.complete(text, start: start, end: end) }
        }
        clear_history()
        for line in history { add_history(line) }
        rl_callback_handler_install(prompt) { line in LineEditor.finish(line) }
        if !prefill.isEmpty {
            rl_insert_text(prefill)
            rl_redisplay()
        }
    }

    /// Reads the available keys.
    ///
    /// Returns the line when it is complete.
    func readKeys() -> Finished? {
        repeat { rl_callback_read_char() } while finished == nil && latchkey_readline_has_pending_input() != 0
        return finished
    }

    private var finished: Finished? { LineEditor.shared.withLock { $0.finished } }

    /// Returns control of the terminal.
    func end() {
        rl_callback_handler_remove()
    }

    /// Changes the prompt and keeps the typed text.
    func setPrompt(_ prompt: String) {
        rl_set_prompt(prompt)
        rl_redisplay()
    }

    /// Prints above the line that is being typed, and redraws the line below.
    func interrupt(prompt: String, _ print: () -> Void) {
        rl_clear_visible_line()
        print()
        rl_set_prompt(prompt)
        rl_on_new_line()
        rl_redisplay()
    }

    /// Removes the prompt and the typed text from the screen.
    func clear() {
        rl_clear_visible_line()
    }

    /// Moves the cursor to the end of the typed text.
    func goToEnd() {
        latchkey_readline_go_to_end()
    }

    /// Handles a new window size.
    func resize() {
        rl_resize_terminal()
    }

    /// Returns control of the terminal while `body` suspends the process.
    func released(_ body: () -> Void) {
        latchkey_readline_release_terminal()
        body()
        latchkey_readline_retake_terminal()
    }

    // MARK: - Readline's callbacks

    private static func finish(_ line: UnsafeMutablePointer<CChar>?) {
        let finished: Finished = line.map { .line(String(cString: $0)) } ?? .endOfInput
        free(line)
        shared.withLock { $0.finished = finished }
        // This must happen in the callback. Otherwise, Readline shows the prompt again.
        rl_callback_handler_remove()
    }

    private static func complete(
        _ text: UnsafePointer<CChar>?, start: Int32, end: Int32
    ) -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? {
        latchkey_readline_completes_alone()
        guard let text else { return nil }
        let word = String(cString: text)
        let line = String(decoding: String(cString: latchkey_readline_line()).utf8.prefix(Int(end)), as: UTF8.self)
        shared.withLock { shared in
            shared.matches = matches(shared.completions, word: word, line: line, start: Int(start))
        }
        return rl_completion_matches(text) { _, _ in
            LineEditor.shared.withLock { shared in
                // Readline frees this string.
                shared.matches.isEmpty ? nil : strdup(shared.matches.removeFirst())
            }
        }
    }

    /// The completions for Tab.
    ///
    /// Single words are matched against the word before the cursor, phrases against the line.
    static func matches(_ completions: [String], word: String, line: String, start: Int) -> [String] {
        completions.compactMap { candidate in
            if candidate.contains(" "), candidate.hasPrefix(line) {
                return String(decoding: candidate.utf8.dropFirst(start), as: UTF8.self)
            }
            return candidate.hasPrefix(word) && !candidate.contains(" ") ? candidate : nil
        }
    }
}
