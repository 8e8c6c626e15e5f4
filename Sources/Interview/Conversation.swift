import Policy

/// Runs the wizard with a user: asks the questions, shows the screens, and performs the wizard's requests.
package struct Conversation: Sendable {
    private let prompter: any Prompter
    private let actions: any WizardActions
    private let onDraft: @Sendable (Draft) async -> Void

    /// Creates a conversation with the user of the prompter.
    ///
    /// `onDraft` receives the draft to save after each answer.
    package init(
        prompter: any Prompter, actions: any WizardActions,
        onDraft: @escaping @Sendable (Draft) async -> Void = { _ in }
    ) {
        self.prompter = prompter
        self.actions = actions
        self.onDraft = onDraft
    }

    /// Runs until the user applies or quits.
    ///
    /// Returns the final state of the wizard.
    package func run(_ wizard: Wizard) async -> (ending: Wizard.Ending, wizard: Wizard) {
        var wizard = wizard
        var draft = wizard.draft
        wizard.screen = Screen(columns: await prompter.columns)
        var turn = wizard.begin()
        while true {
            await prompter.write(turn.lines)
            if let request = turn.request {
                switch request {
                case .apply: return (.apply, wizard)
                case .quit: return (.quit, wizard)
                default: turn = await perform(request, &wizard)
                }
                continue
            }
            wizard.screen = Screen(columns: await prompter.columns)
            let input = await prompter.readLine(wizard.request)
            // The window size may have changed while the user was typing.
            wizard.screen = Screen(columns: await prompter.columns)
            switch input {
            case .line(let line): turn = wizard.input(line)
            case .endOfInput, .endedByKey, .interrupted, .overtaken: turn = wizard.leave()
            }
            if let now = wizard.draft, now != draft {
                draft = now
                await onDraft(now)
            }
        }
    }

    private func perform(_ request: Wizard.Request, _ wizard: inout Wizard) async -> Wizard.Turn {
        switch request {
        case .compose:
            do {
                return wizard.composed(try await actions.compose(wizard.answers, takingOver: wizard.takesOver))
            } catch {
                return wizard.refused(error.reasons)
            }
        case .rehearse:
            await prompter.write(wizard.rehearsing)
            let report = await actions.rehearse(wizard.answers, takingOver: wizard.takesOver)
            // An Enter that was typed early must not answer a review that the user has not seen.
            await prompter.discardTypedAhead()
            return wizard.rehearsed(report)
        case .importAnswers:
            do {
                let (answers, notes) = try await actions.importAnswers()
                return wizard.imported(answers, notes: notes)
            } catch {
                return Wizard.Turn(error.reasons.flatMap { wizard.screen.paragraph($0, tone: .mistake) })
            }
        case .rules:
            return Wizard.Turn(wizard.listing(await actions.rules(wizard.answers)))
        case .diff:
            return Wizard.Turn(wizard.listing(await actions.difference(wizard.answers, takingOver: wizard.takesOver)))
        case .deadline(let text):
            do {
                return wizard.setDeadline(try await actions.deadline(text))
            } catch {
                return Wizard.Turn(
                    error.reasons.flatMap { wizard.screen.paragraph($0, indent: 2, hanging: 4, tone: .mistake) })
            }
        case .save(let path):
            do {
                return Wizard.Turn(
                    wizard.screen.paragraph(try await actions.save(wizard.answers, to: path), indent: 2, tone: .good))
            } catch {
                return Wizard.Turn(
                    error.reasons.flatMap { wizard.screen.paragraph($0, indent: 2, hanging: 4, tone: .mistake) })
            }
        case .apply, .quit:
            return Wizard.Turn([], request: request)
        }
    }
}

extension Wizard {
    /// Rules or a difference, wrapped to the screen width.
    ///
    /// Lines with "+" and "-" are coloured.
    func listing(_ lines: [String]) -> [Line] {
        lines.flatMap { line in
            let tone: Tone =
                line.hasPrefix("+") ? .good : line.hasPrefix("-") && !line.hasPrefix("-A") ? .mistake : .plain
            return line.isEmpty
                ? [Line.blank] : screen.paragraph(AnswerLine.editable(line), indent: 0, hanging: 6, tone: tone)
        }
    }
}
